package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// everything in the image, but directories. GNU and LOADER differ between architectures.
const everything = `
etc/group
etc/nsswitch.conf
etc/passwd
etc/ssl/certs/ca-certificates.crt
lib/GNU/LOADER *
lib/GNU/libc.so.6 *
lib/GNU/libdl.so.2
lib/GNU/libm.so.6
lib/GNU/libpthread.so.0
lib/GNU/librt.so.1
lib64/LOADER -> /lib/GNU/LOADER
usr/bin/envoy *
usr/bin/headgate *
usr/share/doc/ca-certificates/copyright
usr/share/doc/headgate/copyright
usr/share/doc/libc6/copyright
`

// image reads the image that make has built, and checks every digest in it.
func image(t *testing.T) (imageConfig, tree) {
	t.Helper()
	path := os.Getenv("HEADGATE_IMAGE")
	if path == "" {
		path = "../../../bin/headgate-image.tar"
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("no image to test (%v): run make image", err)
	}
	blobs := map[string][]byte{}
	for r := tar.NewReader(bytes.NewReader(text)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if sum, ok := strings.CutPrefix(h.Name, "blobs/sha256/"); ok && sum != sumOf(data) {
			t.Errorf("%s has another digest", h.Name)
		}
		blobs[h.Name] = data
	}
	read := func(d descriptor, into any) {
		data := blobs["blobs/sha256/"+strings.TrimPrefix(d.Digest, "sha256:")]
		if len(data) != d.Size {
			t.Fatalf("%s has %d bytes, not %d", d.Digest, len(data), d.Size)
		}
		if err := json.Unmarshal(data, into); err != nil {
			t.Fatal(err)
		}
	}
	var top index
	if err := json.Unmarshal(blobs["index.json"], &top); err != nil || len(top.Manifests) != 1 {
		t.Fatalf("index.json: %s (%v)", blobs["index.json"], err)
	}
	digest, err := os.ReadFile(strings.TrimSuffix(path, ".tar") + ".digest")
	if err != nil || string(digest) != top.Manifests[0].Digest+"\n" {
		t.Errorf("the digest beside the image is %s (%v), want %s", digest, err, top.Manifests[0].Digest)
	}
	var m manifest
	read(top.Manifests[0], &m)
	var c imageConfig
	read(m.Config, &c)
	var docker []dockerImage
	if err := json.Unmarshal(blobs["manifest.json"], &docker); err != nil || len(docker) != 1 || len(docker[0].Layers) != len(m.Layers) {
		t.Errorf("manifest.json: %s (%v)", blobs["manifest.json"], err)
	}
	all := tree{}
	for i, l := range m.Layers {
		z, err := gzip.NewReader(bytes.NewReader(blobs["blobs/sha256/"+strings.TrimPrefix(l.Digest, "sha256:")]))
		if err != nil {
			t.Fatal(err)
		}
		plain, err := io.ReadAll(z)
		if err != nil || c.RootFS.DiffIDs[i] != "sha256:"+sumOf(plain) {
			t.Errorf("layer %d is not what the configuration says (%v)", i, err)
		}
		readLayer(t, plain, all)
	}
	return c, all
}

func readLayer(t *testing.T, plain []byte, all tree) {
	t.Helper()
	for r := tar.NewReader(bytes.NewReader(plain)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if h.Mode&0o6000 != 0 || h.Uid != 0 || h.Gid != 0 || h.ModTime.Unix() != 0 ||
			h.Typeflag != tar.TypeReg && h.Typeflag != tar.TypeDir && h.Typeflag != tar.TypeSymlink {
			t.Errorf("%s: mode %o, owner %d:%d, time %v, type %c", h.Name, h.Mode, h.Uid, h.Gid, h.ModTime, h.Typeflag)
		}
		if h.Mode&0o002 != 0 && h.Typeflag != tar.TypeSymlink && h.Name != "tmp/" {
			t.Errorf("%s may be written to by everybody", h.Name)
		}
		all[strings.TrimSuffix(h.Name, "/")] = file{mode: h.Mode, dir: h.Typeflag == tar.TypeDir, link: h.Linkname, data: data}
	}
}

func TestImage(t *testing.T) {
	c, all := image(t)
	t.Run("contents", func(t *testing.T) { contentsAre(t, c, all) })
	t.Run("programs", func(t *testing.T) { programsRun(t, c, all) })
}

// There is nothing in the image that is not in the list: no shell, no package manager, no git.
func contentsAre(t *testing.T, c imageConfig, all tree) {
	want := strings.TrimSpace(everything)
	gnu, loader := map[string]string{"amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu"}, map[string]string{"amd64": "ld-linux-x86-64.so.2", "arm64": "ld-linux-aarch64.so.1"}
	want = strings.NewReplacer("GNU", gnu[c.Architecture], "LOADER", loader[c.Architecture]).Replace(want)
	if c.Architecture == "arm64" {
		want = strings.NewReplacer("lib64/", "lib/", "-> /lib/", "-> ").Replace(want)
	}
	var got []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		f := all[name]
		line := name
		switch {
		case f.dir:
			continue
		case f.link != "":
			line += " -> " + f.link
		case f.mode&0o111 != 0:
			line += " *"
		}
		got = append(got, line)
	}
	wanted := strings.Split(want, "\n")
	slices.Sort(wanted)
	if strings.Join(got, "\n") != strings.Join(wanted, "\n") {
		t.Errorf("the image has\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(wanted, "\n"))
	}
	if n := bytes.Count(all["etc/ssl/certs/ca-certificates.crt"].data, []byte("BEGIN CERTIFICATE")); n < 100 {
		t.Errorf("%d public authorities", n)
	}
	if c.Config.User != "65532:65532" || c.OS != "linux" || !slices.Equal(c.Config.Entrypoint, []string{"/usr/bin/headgate"}) {
		t.Errorf("the configuration is %+v", c)
	}
}

// Both programs run in it: as its user, on a root that cannot be written to, with no network.
func programsRun(t *testing.T, c imageConfig, all tree) {
	if os.Getuid() != 0 {
		t.Fatal("running the image needs root, for a root directory of its own")
	}
	root := filepath.Join(t.TempDir(), "root")
	if err := writeRootfs(root, []tree{all}); err != nil {
		t.Fatal(err)
	}
	const script = `mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" && root=$1 && shift && exec chroot --userspec="$USERSPEC" "$root" "$@"`
	run := func(args ...string) (string, error) {
		cmd := exec.Command("unshare", append([]string{"--mount", "--net", "sh", "-c", script, "sh", root}, args...)...)
		cmd.Env = append(slices.Clone(c.Config.Env), "USERSPEC="+c.Config.User)
		cmd.Env[0] += ":/usr/sbin:/bin:/sbin" // for the script; the image has none of these
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	for _, test := range []struct {
		command, want string
		fails         bool
	}{
		{"headgate version", "for Envoy 1.40.0", false},
		{"/usr/bin/envoy --version", "/1.40.0/", false},
		{"headgate proxy --help", "what the controller starts", false},
		// The root is read-only and the user is nobody.
		{"headgate proxy --xds 127.0.0.1:1 --exchange 127.0.0.1:1", "read-only file system", true},
		{"/bin/sh", "No such file or directory", true},
	} {
		out, err := run(strings.Fields(test.command)...)
		if (err != nil) != test.fails || !strings.Contains(out, test.want) {
			t.Errorf("%s: %v\n%s", test.command, err, out)
		}
	}
}

func TestSameInputSameBytes(t *testing.T) {
	dir := t.TempDir()
	layers := func() []tree {
		a, b := tree{}, tree{}
		a.add("etc/x", file{mode: 0o644, data: []byte("x")})
		a.addDir("tmp", 0o1777)
		b.add("usr/bin/y", file{mode: 0o755, data: bytes.Repeat([]byte("y"), 1<<20)})
		b.add("usr/lib/z", file{mode: 0o777, link: "../bin/y"})
		return []tree{a, b, {}}
	}
	var digests []string
	var files [][]byte
	for i := range 3 {
		out := filepath.Join(dir, fmt.Sprint(i)+".tar")
		digest, err := writeArchive(out, layers(), settings{"a/b:c", "v1", "amd64"})
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		digests, files = append(digests, digest), append(files, text)
	}
	if digests[0] != digests[1] || !bytes.Equal(files[0], files[1]) || !bytes.Equal(files[0], files[2]) {
		t.Errorf("digests %v", digests)
	}
	root := filepath.Join(dir, "root")
	if err := writeRootfs(root, layers()); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(filepath.Join(root, "usr/lib/z")); err != nil || info.Size() != 1<<20 || info.Mode().Perm() != 0o755 {
		t.Errorf("usr/lib/z: %v (%v)", info, err)
	}
	if err := writeRootfs(root, layers()); err == nil {
		t.Error("a directory that exists is written to")
	}
}

// The Dockerfile takes the files from `make rootfs`, which writes those of the image, and says the same about them.
func TestDockerfile(t *testing.T) {
	text, err := os.ReadFile("../../image/Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	build, final, ok := strings.Cut(string(text), "\nFROM scratch\n")
	if !ok || !strings.Contains(build, "\nRUN make rootfs\n") {
		t.Fatalf("it does not build the files and put them on nothing:\n%s", text)
	}
	makefile, err := os.ReadFile("../../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(makefile), "$(IMAGE_TOOL) -rootfs bin/image/rootfs\n") {
		t.Error("make rootfs does not write to bin/image/rootfs")
	}
	c := configOf(settings{})
	entry, err := json.Marshal(c.Config.Entrypoint)
	if err != nil {
		t.Fatal(err)
	}
	want := "COPY --from=build /src/bin/image/rootfs/ /\nUSER " + c.Config.User + "\nENV " + strings.Join(c.Config.Env, " ") + "\nENTRYPOINT " + string(entry) + "\n"
	if final != want {
		t.Errorf("its last stage is\n%swant\n%s", final, want)
	}
}

func TestBadInput(t *testing.T) {
	for _, text := range []string{"", "amd64 debian x y", "arm64 debian pool/x.deb " + strings.Repeat("0", 64), "what is this"} {
		if pins, err := parseLock(text, "amd64"); err == nil {
			t.Errorf("%q: %v", text, pins)
		}
	}
	header := func(size string) string { return fmt.Sprintf("%-48s%-10s`\n", "data.tar.xz", size) }
	for _, deb := range []string{"", "!<arch>\n", "!<arch>\nx", "!<arch>\n" + header("-1"), "!<arch>\n" + header("9999999"), "!<arch>\n" + header("x"), "!<arch>\n" + header("4") + "nope"} {
		if err := unpack([]byte(deb), tree{}); err == nil {
			t.Errorf("%q is a package", deb)
		}
	}
	if _, err := architecture("main.go"); err == nil {
		t.Error("a text is a program")
	}
	if err := run(options{}); err == nil {
		t.Error("no flags are enough")
	}
}
