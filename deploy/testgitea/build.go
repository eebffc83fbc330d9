//go:build unix

package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
)

// The files that pin Gitea and everything below it: this module's own.
//
//go:embed go.mod
var goMod []byte

//go:embed go.sum
var goSum []byte

const module = "code.gitea.io/gitea"

// recipe is what decides what comes out, beside go.mod and go.sum. Change it together with the build.
const recipe = "sqlite, trimmed, stripped; 1"

// Program is a Gitea in the user's cache.
type Program struct {
	// Path is the executable, Share its templates and translations.
	Path, Share string
}

// Build builds Gitea unless the cache has it; of several at the same time one builds and the others wait. It takes some seven minutes
// of one core, and needs a C compiler for SQLite.
func Build(ctx context.Context) (Program, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return Program{}, fmt.Errorf("finding the user's cache: %w; set XDG_CACHE_HOME to a directory that can be written", err)
	}
	digest := sha256.Sum256(bytes.Join([][]byte{goMod, goSum, []byte(recipe + runtime.GOOS + runtime.GOARCH)}, []byte{0}))
	store := filepath.Join(cache, "headgate", "testgitea")
	dir := filepath.Join(store, version()+"-"+hex.EncodeToString(digest[:6]))
	program := Program{filepath.Join(dir, "gitea"), filepath.Join(dir, "share")}
	if complete(dir) {
		return program, nil
	}
	if err := os.MkdirAll(store, 0o755); err != nil {
		return Program{}, fmt.Errorf("making the cache: %w", err)
	}
	lock, err := os.OpenFile(dir+".lock", os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return Program{}, fmt.Errorf("locking: %w", err)
	}
	defer lock.Close() // which unlocks
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return Program{}, fmt.Errorf("locking %s: %w", lock.Name(), err)
	}
	if complete(dir) {
		return program, nil
	}
	work, err := os.MkdirTemp(store, ".build-")
	if err != nil {
		return Program{}, err
	}
	defer os.RemoveAll(work) //nolint:errcheck // a temporary directory
	fmt.Fprintf(os.Stderr, "testgitea: building Gitea %s, some minutes, once per user\n", version())
	if err := compile(ctx, work); err != nil {
		return Program{}, fmt.Errorf("building Gitea %s: %w", version(), err)
	}
	// A directory gets its name only when everything is in it.
	if err := os.Rename(filepath.Join(work, "out"), dir); err != nil {
		return Program{}, fmt.Errorf("keeping Gitea: %w", err)
	}
	return program, nil
}

func complete(dir string) bool {
	_, err := os.Stat(dir)
	return err == nil
}

// version is the one that go.mod pins, without the v.
func version() string {
	m := regexp.MustCompile(`(?m)^\s*` + regexp.QuoteMeta(module) + ` v(\S+)`).FindSubmatch(goMod)
	if m == nil {
		return "unknown"
	}
	return string(m[1])
}

func compile(ctx context.Context, work string) error {
	for name, text := range map[string][]byte{"go.mod": goMod, "go.sum": goSum} {
		if err := os.WriteFile(filepath.Join(work, name), text, 0o644); err != nil {
			return err
		}
	}
	out := filepath.Join(work, "out")
	if _, err := goCommand(ctx, work, "build", "-mod=readonly", "-trimpath", "-tags", "sqlite sqlite_unlock_notify",
		"-ldflags", "-s -w -X main.Version="+version(), "-o", filepath.Join(out, "gitea"), module); err != nil {
		return err
	}
	source, err := goCommand(ctx, work, "list", "-mod=readonly", "-m", "-f", "{{.Dir}}", module)
	if err != nil {
		return err
	}
	share := filepath.Join(out, "share")
	for _, name := range []string{"templates", "options", "public"} {
		if err := copyTree(filepath.Join(strings.TrimSpace(source), name), filepath.Join(share, name)); err != nil {
			return fmt.Errorf("copying its %s: %w", name, err)
		}
	}
	// The module has no built web frontend, and asks for this list of it at the start.
	manifest := filepath.Join(share, "public", "assets", ".vite")
	if err := os.MkdirAll(manifest, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(manifest, "manifest.json"), []byte("{}\n"), 0o644)
}

// goCommand runs go below the priority of whatever else the machine does.
func goCommand(ctx context.Context, work string, args ...string) (string, error) {
	name := "go"
	if nice, err := exec.LookPath("nice"); err == nil {
		name, args = nice, append([]string{"-n", "10", "go"}, args...)
	}
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = work
	cmd.Env = append(os.Environ(), "CGO_ENABLED=1", "GOTOOLCHAIN=auto", "GOFLAGS=-buildvcs=false", "GOWORK=off")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.Output()
	if errors.Is(err, exec.ErrNotFound) {
		return "", fmt.Errorf("%w; install Go 1.26 or later", err)
	}
	if err != nil {
		text := stderr.Bytes()
		return "", fmt.Errorf("go %s: %w\n%s", args[len(args)-1], err, text[max(0, len(text)-4<<10):])
	}
	return string(stdout), nil
}

// copyTree copies regular files; the module cache's are read-only, the copies are not.
func copyTree(from, to string) error {
	return filepath.WalkDir(from, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, rel)
		if d.IsDir() {
			return os.MkdirAll(target, 0o755)
		}
		if !d.Type().IsRegular() {
			return nil
		}
		return copyFile(path, target)
	})
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		out.Close()
		return err
	}
	return out.Close()
}
