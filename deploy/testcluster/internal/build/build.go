// Package build turns components into programs and keeps them in the user's cache, by version and by everything else that
// decides what comes out, so that checkouts share them and nothing is built twice.
package build

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"headgate.dev/deploy/testcluster/internal/pin"
)

// Progress is told what is under way: a line that is replaced by the next with the same subject.
type Progress func(subject, state string)

// Store is the part of the user's cache that all clusters share.
type Store struct {
	Dir      string
	Versions pin.Versions
	Progress Progress
}

// NewStore finds the user's cache.
func NewStore(v pin.Versions, progress Progress) (Store, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return Store{}, fmt.Errorf("finding the user's cache: %w; set XDG_CACHE_HOME to a directory that can be written", err)
	}
	return Store{filepath.Join(cache, "headgate", "testcluster"), v, progress}, nil
}

// Component builds c unless the store has it, and returns the directory of its programs. Of several at the same time one
// builds and the others wait.
func (s Store) Component(ctx context.Context, c pin.Component) (string, error) {
	dir, subject := filepath.Join(s.Dir, c.Key(runtime.GOOS+"/"+runtime.GOARCH)), c.Name+" "+c.Version
	if complete(dir) {
		return dir, nil
	}
	if err := os.MkdirAll(s.Dir, 0o755); err != nil {
		return "", fmt.Errorf("making the cache: %w; set XDG_CACHE_HOME to a directory that can be written", err)
	}
	unlock, err := Lock(dir+".lock", func() { s.Progress(subject, "waiting for another build of it") })
	if err != nil {
		return "", err
	}
	defer unlock()
	if complete(dir) {
		return dir, nil
	}
	work, err := os.MkdirTemp(s.Dir, ".build-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(work) //nolint:errcheck // a temporary directory
	if err := s.compile(ctx, work, c, func(state string) { s.Progress(subject, state) }); err != nil {
		return "", fmt.Errorf("building %s: %w", subject, err)
	}
	if err := os.Rename(filepath.Join(work, "bin"), dir); err != nil {
		return "", fmt.Errorf("keeping %s: %w", subject, err)
	}
	return dir, nil
}

// A directory gets its name only when everything is in it.
func complete(dir string) bool {
	_, err := os.Stat(dir)
	return err == nil
}

func (s Store) compile(ctx context.Context, work string, c pin.Component, progress func(string)) error {
	for name, text := range map[string]string{"go.mod": c.Mod, "go.sum": c.Sum, c.SourceName: c.Source} {
		if err := os.WriteFile(filepath.Join(work, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	bin := filepath.Join(work, "bin")
	if err := os.Mkdir(bin, 0o755); err != nil {
		return err
	}
	for _, program := range slices.Sorted(maps.Keys(c.Programs)) {
		if err := s.goBuild(ctx, work, c.Flags(), []string{filepath.Join(bin, program), c.Programs[program]}, progress); err != nil {
			return err
		}
	}
	return nil
}

// goBuild runs `go build` for [output, package], counting the packages it compiles.
func (s Store) goBuild(ctx context.Context, work string, flags, target []string, progress func(string)) error {
	cmd := s.Versions.Go(ctx, work, slices.Concat([]string{"build", "-v", "-mod=readonly"}, flags, []string{"-o"}, target)...)
	cmd.Env = append(cmd.Env, "CGO_ENABLED=0")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting go: %w; install Go 1.26 or later", err)
	}
	var packages atomic.Int64
	done := make(chan struct{})
	ended := make(chan struct{})
	go func() { // ends with done
		defer close(ended)
		report(filepath.Base(target[0]), &packages, done, progress)
	}()
	words := count(stderr, &packages)
	close(done)
	<-ended
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("go build %s: %w\n%s", target[1], err, words)
	}
	return nil
}

// report tells once a second how far a build is.
func report(program string, packages *atomic.Int64, done <-chan struct{}, progress func(string)) {
	start, tick := time.Now(), time.NewTicker(time.Second)
	defer tick.Stop()
	progress(program)
	for {
		select {
		case <-done:
			return
		case <-tick.C:
			progress(fmt.Sprintf("%s, %d packages, %s", program, packages.Load(), time.Since(start).Round(time.Second)))
		}
	}
}

// count reads what `go build -v` says: a line a package, which is counted, and errors, which are returned.
func count(r io.Reader, packages *atomic.Int64) string {
	var errors bytes.Buffer
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		if isPackage(line) {
			packages.Add(1)
		} else if !strings.HasPrefix(line, "go: downloading ") && errors.Len() < 64<<10 {
			fmt.Fprintln(&errors, line)
		}
	}
	return errors.String()
}

func isPackage(line string) bool {
	return line != "" && !strings.ContainsAny(line, " :\t") && !strings.HasPrefix(line, "#")
}

// Lock takes the lock file at path. When somebody else has it, it calls busy and waits.
func Lock(path string, busy func()) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("locking: %w", err)
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err != nil {
		busy()
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("locking %s: %w", path, err)
	}
	return func() { f.Close() }, nil
}
