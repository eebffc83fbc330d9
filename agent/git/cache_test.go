package git

import (
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// beside opens a source in a cache that others use.
func beside(t *testing.T, cache string, src Source) *Repository {
	t.Helper()
	r, err := Open(src, Options{Cache: cache, Timeout: 20 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// TestReferencesShareAStore: a commit that somebody has fetched, whatever reference led there, is not fetched again; a rollback asks nothing of the
// server. Somebody with other credentials gets it from the server, or not at all.
func TestReferencesShareAStore(t *testing.T) {
	dir, url, s := published(t)
	cache := t.TempDir()
	main := beside(t, cache, Source{URL: url, Ref: Ref{Branch: "main"}})
	first := resolve(t, main)
	commit(t, dir, "a.yaml", "a: 2\n")
	push(t, dir)
	second := resolve(t, main)

	s.requests.Store(0)
	pinned := beside(t, cache, Source{URL: url, Ref: Ref{Branch: "main", Commit: first.Hash}})
	if got := text(t, resolve(t, pinned), "a.yaml"); got != "a: 1\n" || s.requests.Load() != 0 {
		t.Errorf("a rollback: %q after %d requests", got, s.requests.Load())
	}
	head := beside(t, cache, Source{URL: url})
	if got := text(t, resolve(t, head), "a.yaml"); got != "a: 2\n" || s.requests.Load() != 1 {
		t.Errorf("another reference: %q after %d requests", got, s.requests.Load())
	}
	s.requests.Store(0)
	stranger := beside(t, cache, Source{URL: url, Ref: Ref{Commit: second.Hash}, Auth: Auth{Username: "eve", Password: "guess"}})
	resolve(t, stranger)
	if s.requests.Load() == 0 {
		t.Error("somebody with other credentials was given a commit that was fetched without them")
	}
	if dirs, _ := filepath.Glob(filepath.Join(cache, "*", "store-*")); len(dirs) != 2 {
		t.Errorf("the stores are %v", dirs)
	}
}

// TestStoreStaysWhileItIsRead: when a store is replaced, whoever reads the one before goes on reading, and it goes with the last of them.
func TestStoreStaysWhileItIsRead(t *testing.T) {
	dir, url, _ := published(t)
	cache := t.TempDir()
	run(t, dir, "branch", "old")
	push(t, dir)
	old := beside(t, cache, Source{URL: url, Ref: Ref{Branch: "old"}})
	main := beside(t, cache, Source{URL: url, Ref: Ref{Branch: "main"}})
	kept := resolve(t, old)
	main.origin.(*remote).cache.fetches = 2
	for i := range 9 {
		commit(t, dir, "a.yaml", fmt.Sprint(i))
		run(t, dir, "push", "-q", "origin", "main")
		if got := text(t, resolve(t, main), "a.yaml"); got != fmt.Sprint(i) {
			t.Errorf("commit %d: %q", i, got)
		}
	}
	if got := text(t, kept, "a.yaml"); got != "a: 1\n" {
		t.Errorf("what was resolved first: %q", got)
	}
	if err := errors.Join(old.Close(), main.Close()); err != nil {
		t.Error(err)
	}
	if dirs, _ := filepath.Glob(filepath.Join(cache, "*", "store-*")); len(dirs) != 1 {
		t.Errorf("the stores are %v", dirs)
	}
}

// TestManyReferencesAtOnce fetches many branches of one repository at the same time.
func TestManyReferencesAtOnce(t *testing.T) {
	dir, url, _ := published(t)
	const branches = 8
	for i := range branches {
		run(t, dir, "checkout", "-q", "-b", fmt.Sprint("b", i))
		commit(t, dir, "a.yaml", fmt.Sprint(i))
	}
	push(t, dir)
	cache := t.TempDir()
	var group sync.WaitGroup
	for i := range branches {
		r := beside(t, cache, Source{URL: url, Ref: Ref{Branch: fmt.Sprint("b", i)}})
		r.origin.(*remote).cache.fetches = 3
		group.Go(func() {
			c, err := r.Resolve(t.Context())
			if err != nil {
				t.Error(err)
				return
			}
			if data, err := c.Tree.ReadFile("a.yaml"); err != nil || string(data) != fmt.Sprint(i) {
				t.Errorf("branch %d: %q %v", i, data, err)
			}
		})
	}
	group.Wait()
}
