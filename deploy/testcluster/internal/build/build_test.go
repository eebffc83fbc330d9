package build

import (
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"headgate.dev/deploy/testcluster/internal/pin"
)

func store(t *testing.T, said *[]string) Store {
	t.Helper()
	text, err := os.ReadFile("../../versions.txt")
	if err != nil {
		t.Fatal(err)
	}
	v, err := pin.Parse(string(text))
	if err != nil {
		t.Fatal(err)
	}
	return Store{t.TempDir(), v, func(subject, state string) { *said = append(*said, subject+": "+state) }}
}

func TestComponentIsBuiltOnce(t *testing.T) {
	var said []string
	s := store(t, &said)
	c := pin.Pause(s.Versions, "package main\n\nfunc main() {}\n")
	dir, err := s.Component(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "pause")); err != nil || len(said) == 0 || !strings.HasPrefix(said[0], "pause 1: pause") {
		t.Errorf("%v, said %q", err, said)
	}
	said = nil
	again, err := s.Component(t.Context(), c)
	if err != nil || again != dir || len(said) > 0 {
		t.Errorf("the second time: %s, %v, said %q", again, err, said)
	}
}

func TestABuildThatBreaksLeavesNothing(t *testing.T) {
	var said []string
	s := store(t, &said)
	_, err := s.Component(t.Context(), pin.Pause(s.Versions, "package main\n\nfunc main() { nothing() }\n"))
	if err == nil || !strings.Contains(err.Error(), "undefined: nothing") || !strings.HasPrefix(err.Error(), "building pause 1: ") {
		t.Errorf("got %v", err)
	}
	left, _ := filepath.Glob(filepath.Join(s.Dir, "*"))
	hidden, _ := filepath.Glob(filepath.Join(s.Dir, ".build-*"))
	if len(left) != 1 || !strings.HasSuffix(left[0], ".lock") || len(hidden) > 0 {
		t.Errorf("left %q %q, want only the lock", left, hidden)
	}
}

func TestCount(t *testing.T) {
	var n atomic.Int64
	words := count(strings.NewReader("go: downloading x v1\nk8s.io/api/core/v1\nfmt\n# k8s.io/bad\nbad/x.go:1:2: broken\n"), &n)
	if n.Load() != 2 || words != "# k8s.io/bad\nbad/x.go:1:2: broken\n" {
		t.Errorf("%d packages, words %q", n.Load(), words)
	}
}

func TestLockWaits(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	unlock, err := Lock(path, func() { t.Error("nobody has it, and it is busy") })
	if err != nil {
		t.Fatal(err)
	}
	busy := make(chan struct{})
	got := make(chan error)
	go func() { // ends with the lock
		again, err := Lock(path, func() { close(busy) })
		if err == nil {
			again()
		}
		got <- err
	}()
	<-busy
	select {
	case err := <-got:
		t.Fatalf("two have it: %v", err)
	default:
	}
	unlock()
	if err := <-got; err != nil {
		t.Error(err)
	}
}
