package git

import (
	"context"
	"path/filepath"
	"testing"
	"time"
)

// until takes hints until Resolve gives what is wanted.
func until(t testing.TB, r interface {
	Resolve(context.Context) (*Commit, error)
}, hints <-chan struct{}, wanted func(*Commit) bool) *Commit {
	t.Helper()
	for {
		awaitHint(t, hints)
		if c, err := r.Resolve(context.Background()); err == nil && wanted(c) {
			return c
		}
	}
}

func TestWatchLocal(t *testing.T) {
	dir := newRepo(t)
	linked := filepath.Join(t.TempDir(), "linked")
	run(t, dir, "worktree", "add", "-q", "-b", "side", linked)
	named := open(t, Source{URL: dir, Ref: Ref{Name: "refs/env/prod/eu"}})
	main, side := open(t, Source{URL: dir}), open(t, Source{URL: linked})
	hints := map[*Repository]<-chan struct{}{}
	for _, r := range []*Repository{named, main, side} {
		h, err := r.Watch(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		hints[r] = h
	}
	at := func(hash string) func(*Commit) bool { return func(c *Commit) bool { return c.Hash == hash } }
	first := commit(t, dir, "a.yaml", "a: 2\n")
	until(t, main, hints[main], at(first))
	until(t, side, hints[side], at(commit(t, linked, "a.yaml", "a: side\n")))
	run(t, dir, "pack-refs", "--all")
	run(t, dir, "switch", "-q", "-c", "team/a/feature") // directories that are new
	until(t, main, hints[main], func(c *Commit) bool { return c.Ref == "refs/heads/team/a/feature" })
	second := commit(t, dir, "a.yaml", "a: 3\n")
	until(t, main, hints[main], at(second))
	run(t, dir, "update-ref", "refs/env/prod/eu", second)
	until(t, named, hints[named], at(second))
	run(t, dir, "update-ref", "refs/env/prod/eu", first)
	until(t, named, hints[named], at(first))
	run(t, dir, "switch", "-q", "main")
	until(t, main, hints[main], at(first))
}

func TestWatchEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	hints, err := open(t, Source{URL: newRepo(t)}).Watch(ctx)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	select {
	case _, ok := <-hints:
		if ok {
			t.Error("a hint for nothing")
		}
	case <-time.After(10 * time.Second):
		t.Error("the watch goes on")
	}
}
