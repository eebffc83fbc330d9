package cluster

import (
	"context"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"headgate.dev/deploy/testcluster/internal/image"
	"headgate.dev/deploy/testcluster/internal/node"
	"headgate.dev/deploy/testcluster/internal/postgres"
)

// Images are the names of the images that the node has.
func (c *Cluster) Images(ctx context.Context) (map[string]bool, error) {
	cmd, err := c.ctr(ctx, "images", "list", "--quiet")
	if err != nil {
		return nil, err
	}
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("listing images: %w", err)
	}
	have := map[string]bool{}
	for _, ref := range strings.Fields(string(out)) {
		have[ref] = true
	}
	return have, nil
}

// LoadImage loads an image from an archive (OCI or docker) or from the directory of an OCI layout, and returns the names that a pod can use.
// A ref names it, besides what the archive says; without one the archive must.
func (c *Cluster) LoadImage(ctx context.Context, from, ref string) ([]string, error) {
	names, err := image.Names(from)
	if err != nil {
		return nil, err
	}
	if ref != "" {
		if err := fullName(ref); err != nil {
			return nil, err
		}
		if slices.Contains(names, ref) {
			ref = "" // a second import under the same name would make it one of the archive's index, which no pod can run
		} else {
			names = append(names, ref)
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("%s has no full name for its image; say one with --name", from)
	}
	archive, err := image.Archive(from)
	if err != nil {
		return nil, err
	}
	if err := c.load(ctx, archive, ref); err != nil {
		return nil, fmt.Errorf("loading %s: %w", from, err)
	}
	have, err := c.Images(ctx)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if !have[name] {
			return nil, fmt.Errorf("loading %s: the node does not have %s afterwards", from, name)
		}
	}
	return names, nil
}

// load imports an archive and closes it.
func (c *Cluster) load(ctx context.Context, archive io.ReadCloser, ref string) error {
	defer archive.Close()
	args := []string{"images", "import"}
	if ref != "" {
		args = append(args, "--index-name", ref)
	}
	cmd, err := c.ctr(ctx, append(args, "-")...)
	if err != nil {
		return err
	}
	cmd.Stdin = archive
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("importing an image: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return nil
}

// ownImages loads the images of the sandbox process and of DNS, unless they are there.
func (c *Cluster) ownImages(ctx context.Context, spec node.Spec, dns string) error {
	have, err := c.Images(ctx)
	if err != nil {
		return err
	}
	pause, err := Program(spec, "pause")
	if err != nil {
		return err
	}
	coredns, err := Program(spec, "coredns")
	if err != nil {
		return err
	}
	for _, i := range []image.Image{
		{Ref: node.SandboxImage, Entrypoint: []string{"/pause"}, Files: map[string]string{"/pause": pause}, User: "65535:65535"},
		{Ref: dns, Entrypoint: []string{"/coredns"}, Files: map[string]string{"/coredns": coredns}},
	} {
		if have[i.Ref] {
			continue
		}
		if err := c.loadMade(ctx, i); err != nil {
			return err
		}
	}
	return nil
}

// LoadProgram makes an image of one static program, which is what its containers run as an unprivileged user, and loads it as ref.
func (c *Cluster) LoadProgram(ctx context.Context, ref, program string) error {
	if err := fullName(ref); err != nil {
		return err
	}
	entry := "/" + filepath.Base(program)
	return c.loadMade(ctx, image.Image{Ref: ref, Entrypoint: []string{entry}, Files: map[string]string{entry: program}, User: "65532:65532"})
}

// loadMade makes an image and loads it.
func (c *Cluster) loadMade(ctx context.Context, i image.Image) error {
	reader, writer := io.Pipe()
	go func() { writer.CloseWithError(image.Write(writer, i)) }() // ends when load does, which closes the reader
	return c.load(ctx, reader, "")
}

// LoadPostgres makes an image of Debian's PostgreSQL, as this machine has it installed, and loads it as ref.
func (c *Cluster) LoadPostgres(ctx context.Context, ref string) error {
	if err := fullName(ref); err != nil {
		return err
	}
	i, err := postgres.Image(ctx, ref)
	if err != nil {
		return err
	}
	return c.loadMade(ctx, i)
}

// fullName refuses what a pod cannot ask for: anything shorter is an image of a public registry to it.
func fullName(ref string) error {
	if host, rest, _ := strings.Cut(ref, "/"); !strings.Contains(host, ".") || !strings.Contains(rest, ":") {
		return fmt.Errorf("%q is not the full name of an image: that has a host and a tag, as in headgate.local/headgate:dev", ref)
	}
	return nil
}

func (c *Cluster) ctr(ctx context.Context, args ...string) (*exec.Cmd, error) {
	spec, _, err := c.Running()
	if err != nil {
		return nil, err
	}
	ctr, err := Program(spec, "ctr")
	if err != nil {
		return nil, err
	}
	return exec.CommandContext(ctx, ctr, append([]string{"--address", c.Layout.Socket(), "--namespace", "k8s.io"}, args...)...), nil
}
