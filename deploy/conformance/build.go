//go:build linux

package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"

	"golang.org/x/sys/unix"

	_ "embed"
)

//go:embed go.mod
var goMod []byte

//go:embed go.sum
var goSum []byte

//go:embed suite/suite_test.go
var suiteSource []byte

const echoPackage = "sigs.k8s.io/gateway-api-conformance-images/echo-basic"

// programs are paths of what is built: the suite as a test binary, and the backend that its manifests name.
type programs struct{ suite, echo string }

// build makes the programs, unless the user's cache has them from the same modules and the same source.
func build(ctx context.Context) (programs, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return programs{}, fmt.Errorf("finding the user's cache: %w; set XDG_CACHE_HOME to a directory that can be written", err)
	}
	sum := sha256.Sum256(slices.Concat(goMod, goSum, suiteSource, []byte(runtime.Version()+runtime.GOARCH)))
	base := filepath.Join(cache, "headgate", "conformance")
	dir := filepath.Join(base, hex.EncodeToString(sum[:6]))
	p := programs{suite: filepath.Join(dir, "suite.test"), echo: filepath.Join(dir, "echo-basic")}
	if _, err := os.Stat(dir); err == nil {
		return p, nil
	}
	if err := os.MkdirAll(base, 0o755); err != nil {
		return p, err
	}
	lock, err := os.OpenFile(dir+".lock", os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return p, err
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		return p, fmt.Errorf("waiting for another build: %w", err)
	}
	if _, err := os.Stat(dir); err == nil {
		return p, nil
	}
	fmt.Fprintln(os.Stderr, "building the suite and its backend: some minutes, once")
	return p, compile(ctx, base, dir)
}

// compile builds in a directory that becomes dir when everything is in it.
func compile(ctx context.Context, base, dir string) error {
	work, err := os.MkdirTemp(base, ".build-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work) //nolint:errcheck // a temporary directory
	module, out := filepath.Join(work, "module"), filepath.Join(work, "out")
	err = errors.Join(os.MkdirAll(filepath.Join(module, "suite"), 0o755), os.Mkdir(out, 0o755))
	for name, text := range map[string][]byte{"go.mod": goMod, "go.sum": goSum, "suite/suite_test.go": suiteSource} {
		err = errors.Join(err, os.WriteFile(filepath.Join(module, name), text, 0o644))
	}
	if err != nil {
		return err
	}
	for _, args := range [][]string{
		{"test", "-c", "-trimpath", "-ldflags", "-s -w", "-o", filepath.Join(out, "suite.test"), "./suite"},
		{"build", "-trimpath", "-ldflags", "-s -w", "-o", filepath.Join(out, "echo-basic"), echoPackage},
	} {
		cmd := exec.CommandContext(ctx, "go", args...)
		cmd.Dir, cmd.Stderr = module, os.Stderr
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOTOOLCHAIN=auto")
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("go %s %s: %w", args[0], args[len(args)-1], err)
		}
	}
	return os.Rename(out, dir)
}
