package cluster

import (
	"context"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"

	"headgate.dev/deploy/testcluster/internal/image"
	"headgate.dev/deploy/testcluster/internal/node"
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

// LoadImage loads an image from an archive (OCI or docker) or from the directory of an OCI layout. A ref names it; without one the archive must.
// It returns the names that a pod can use, sorted.
func (c *Cluster) LoadImage(ctx context.Context, from, ref string) ([]string, error) {
	archive, err := image.Archive(from)
	if err != nil {
		return nil, err
	}
	before, err := c.images(ctx)
	if err != nil {
		return nil, err
	}
	if err := c.load(ctx, archive, ref); err != nil {
		return nil, fmt.Errorf("loading %s: %w", from, err)
	}
	after, err := c.images(ctx)
	if err != nil {
		return nil, err
	}
	var names []string
	for name, digest := range after {
		if before[name] != digest || name == ref {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}

// images are digests by name.
func (c *Cluster) images(ctx context.Context) (map[string]string, error) {
	cmd, err := c.ctr(ctx, "images", "list")
	if err != nil {
		return nil, err
	}
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("listing images: %w", err)
	}
	have := map[string]string{}
	for line := range strings.Lines(string(out)) {
		if f := strings.Fields(line); len(f) > 2 && strings.HasPrefix(f[2], "sha256:") && !strings.HasPrefix(f[0], "sha256:") {
			have[f[0]] = f[2]
		}
	}
	return have, nil
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
		reader, writer := io.Pipe()
		go func() { writer.CloseWithError(image.Write(writer, i)) }() // ends when load does, which closes the reader
		if err := c.load(ctx, reader, ""); err != nil {
			return err
		}
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
