// Command image makes the container image of headgate: the program and Envoy, the libraries that Envoy is linked with,
// certificates of public authorities, and nothing else. The same input gives the same bytes.
//
//	image -headgate FILE -envoy FILE -lock FILE -out FILE.tar     an archive for docker, podman, ctr, skopeo
//	image -headgate FILE -envoy FILE -lock FILE -rootfs DIR       the files of the image
//
// No container runtime is needed. Beside FILE.tar it writes FILE.digest, the digest by which a registry knows the image.
package main

import (
	"debug/elf"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

type options struct {
	headgate, envoy, lock, cache string
	out, rootfs                  string
	name, version                string
}

func main() {
	var o options
	flag.StringVar(&o.headgate, "headgate", "", "the program, for Linux (required)")
	flag.StringVar(&o.envoy, "envoy", "", "Envoy, for Linux (required)")
	flag.StringVar(&o.lock, "lock", "", "which Debian packages to take files from (required)")
	flag.StringVar(&o.cache, "cache", "", "where downloaded packages are kept (default: the user's cache)")
	flag.StringVar(&o.out, "out", "", "the archive to write")
	flag.StringVar(&o.rootfs, "rootfs", "", "a directory to write the files to instead; it must not exist")
	flag.StringVar(&o.name, "name", "headgate.dev/headgate:dev", "the name of the image in the archive")
	flag.StringVar(&o.version, "version", "dev", "the version in the image's labels")
	flag.Parse()
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

func run(o options) error {
	began := time.Now()
	if o.headgate == "" || o.envoy == "" || o.lock == "" || (o.out == "") == (o.rootfs == "") || flag.NArg() > 0 {
		return fmt.Errorf("-headgate, -envoy, -lock, and one of -out and -rootfs are needed")
	}
	arch, err := architecture(o.headgate, o.envoy)
	if err != nil {
		return err
	}
	layers, err := contents(o, arch)
	if err != nil {
		return err
	}
	if o.rootfs != "" {
		return writeRootfs(o.rootfs, layers)
	}
	digest, err := writeArchive(o.out, layers, settings{Name: o.name, Version: o.version, Arch: arch})
	if err != nil {
		return err
	}
	digestFile := strings.TrimSuffix(o.out, ".tar") + ".digest"
	if err := os.WriteFile(digestFile, []byte(digest+"\n"), 0o644); err != nil {
		return err
	}
	info, err := os.Stat(o.out)
	if err != nil {
		return err
	}
	fmt.Printf("%s, linux/%s, %d MiB: %s@%s (%.1f s)\n", o.out, arch, info.Size()>>20, o.name, digest, time.Since(began).Seconds())
	return nil
}

// architecture is that of both programs, as container images name it.
func architecture(paths ...string) (string, error) {
	names := map[elf.Machine]string{elf.EM_X86_64: "amd64", elf.EM_AARCH64: "arm64"}
	found := ""
	for _, path := range paths {
		f, err := elf.Open(path)
		if err != nil {
			return "", fmt.Errorf("%s is not a Linux program: %w", path, err)
		}
		f.Close()
		name := names[f.Machine]
		if name == "" || found != "" && found != name {
			return "", fmt.Errorf("%s is for %v; both programs must be for amd64, or both for arm64", path, f.Machine)
		}
		found = name
	}
	return found, nil
}

// contents are the layers of the image, the one that changes least first.
func contents(o options, arch string) ([]tree, error) {
	base, err := baseLayer(o, arch)
	if err != nil {
		return nil, err
	}
	layers := []tree{base, {}, {}}
	for i, f := range []struct{ from, to string }{{o.envoy, "usr/bin/envoy"}, {o.headgate, "usr/bin/headgate"}} {
		data, err := os.ReadFile(f.from)
		if err != nil {
			return nil, err
		}
		layers[i+1].add(f.to, file{mode: 0o755, data: data})
	}
	license, err := os.ReadFile(filepath.Join(filepath.Dir(o.lock), "..", "..", "LICENSE"))
	if err != nil {
		return nil, err
	}
	layers[2].add("usr/share/doc/headgate/copyright", file{mode: 0o644, data: license})
	return layers, nil
}

// baseLayer is everything but the two programs.
func baseLayer(o options, arch string) (tree, error) {
	base := tree{}
	packages, err := fetchAll(o.lock, o.cache, arch)
	if err != nil {
		return nil, err
	}
	all := tree{}
	for _, p := range packages {
		if err := unpack(p, all); err != nil {
			return nil, err
		}
	}
	if err := linked(base, all, o.envoy); err != nil {
		return nil, err
	}
	bundle, err := authorities(all)
	if err != nil {
		return nil, err
	}
	base.add("etc/ssl/certs/ca-certificates.crt", file{mode: 0o644, data: bundle})
	for path, f := range all {
		if ok, _ := filepath.Match("usr/share/doc/*/copyright", path); ok { // the pattern is good
			base.add(path, f)
		}
	}
	base.add("etc/passwd", file{mode: 0o644, data: []byte("root:x:0:0:root:/:/none\nheadgate:x:65532:65532:headgate:/:/none\n")})
	base.add("etc/group", file{mode: 0o644, data: []byte("root:x:0:\nheadgate:x:65532:\n")})
	base.add("etc/nsswitch.conf", file{mode: 0o644, data: []byte("hosts: files dns\n")})
	base.addDir("tmp", 0o1777)
	base.addDir("run/headgate", 0o755)
	return base, nil
}
