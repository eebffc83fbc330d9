package git

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

// TestBranches: branches are listed wherever git keeps them, and a merge base is the one that git finds.
func TestBranches(t *testing.T) {
	dir := newRepo(t)
	commit(t, dir, "a.yaml", "a: 2\n")
	run(t, dir, "checkout", "-q", "-b", "feature/cart")
	commit(t, dir, "b.yaml", "b: 1\n")
	run(t, dir, "checkout", "-q", "-b", "other", "main")
	commit(t, dir, "c.yaml", "c: 1\n")
	run(t, dir, "merge", "-q", "--no-ff", "-m", "Merge", "feature/cart")
	commit(t, dir, "c.yaml", "c: 2\n")
	run(t, dir, "checkout", "-q", "main")
	commit(t, dir, "a.yaml", "a: 3\n")
	run(t, dir, "checkout", "-q", "--orphan", "lonely")
	commit(t, dir, "d.yaml", "d: 1\n")
	run(t, dir, "checkout", "-q", "main")
	repo := open(t, Source{URL: dir})
	for range 2 {
		branches, err := repo.Branches(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, b := range branches {
			names = append(names, b.Name)
			if want := run(t, dir, "rev-parse", b.Name); b.Hash != want || b.When.IsZero() {
				t.Errorf("%s: got %+v, want %s", b.Name, b, want)
			}
			c, err := repo.At(t.Context(), b.Hash, b.Name)
			if err != nil || c.Short() != b.Name+"@"+b.Hash[:7] {
				t.Errorf("%s: got %v, %v", b.Name, c, err)
			}
		}
		slices.Sort(names)
		if want := []string{"feature/cart", "lonely", "main", "other"}; !slices.Equal(names, want) {
			t.Errorf("got %v, want %v", names, want)
		}
		for _, pair := range [][2]string{{"main", "feature/cart"}, {"main", "other"}, {"feature/cart", "other"}, {"main", "main"}, {"main~1", "main"}, {"main", "other~1"}} {
			a, b := run(t, dir, "rev-parse", pair[0]), run(t, dir, "rev-parse", pair[1])
			got, err := repo.MergeBase(t.Context(), a, b)
			if want := run(t, dir, "merge-base", a, b); err != nil || got != want {
				t.Errorf("%v: got %s, %v; want %s", pair, got, err, want)
			}
		}
		if got, err := repo.MergeBase(t.Context(), run(t, dir, "rev-parse", "main"), run(t, dir, "rev-parse", "lonely")); err != nil || got != "" {
			t.Errorf("of histories with nothing in common: %q, %v", got, err)
		}
		run(t, dir, "gc", "-q", "--prune=now")
	}
	run(t, dir, "branch", "-D", "other")
	if branches, err := repo.Branches(t.Context()); err != nil || len(branches) != 3 {
		t.Errorf("after one was deleted: %v, %v", branches, err)
	}
}

func TestBranchesOfARemote(t *testing.T) {
	repo, err := Open(Source{URL: "https://git.example.test/x"}, Options{Cache: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer repo.Close()
	var unsupported *UnsupportedError
	if _, err := repo.Branches(t.Context()); !errors.As(err, &unsupported) || !strings.Contains(err.Error(), "clone it") {
		t.Errorf("got %v", err)
	}
	if _, err := repo.MergeBase(t.Context(), "a", "b"); !errors.As(err, &unsupported) {
		t.Errorf("got %v", err)
	}
}
