package git

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

// TestBranches: branches are listed wherever git keeps them.
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
}
