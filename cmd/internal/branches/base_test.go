package branches

import (
	"testing"

	"headgate.dev/agent/git"
	"headgate.dev/cmd/internal/lab"
)

// TestMergeBase finds the merge bases that git finds, from loose objects and from packs.
func TestMergeBase(t *testing.T) {
	repo, err := lab.NewRepo(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) string {
		t.Helper()
		out, err := repo.Git(args...)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	commit := func() { run("commit", "-q", "--allow-empty", "-m", "x") }
	commit()
	commit()
	run("checkout", "-q", "-b", "cart")
	commit()
	run("checkout", "-q", "-b", "other", "main")
	commit()
	run("merge", "-q", "--no-ff", "-m", "Merge", "cart")
	commit()
	run("checkout", "-q", "main")
	commit()
	run("checkout", "-q", "--orphan", "lonely")
	run("commit", "-q", "--allow-empty", "-m", "lonely") // with the words of the first commit, and in its second, it would be that one
	source, err := git.Open(git.Source{URL: repo.Dir}, git.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	for range 2 {
		for _, pair := range [][2]string{{"main", "cart"}, {"main", "other"}, {"cart", "other"}, {"main", "main"}, {"main~1", "main"}, {"main", "other~1"}} {
			a, b := run("rev-parse", pair[0]), run("rev-parse", pair[1])
			got, err := MergeBase(t.Context(), source, a, b)
			if want := run("merge-base", a, b); err != nil || got != want {
				t.Errorf("%v: got %s, %v; want %s", pair, got, err, want)
			}
		}
		if got, err := MergeBase(t.Context(), source, run("rev-parse", "main"), run("rev-parse", "lonely")); err != nil || got != "" {
			t.Errorf("of histories with nothing in common: %q, %v", got, err)
		}
		run("gc", "-q", "--prune=now")
	}
}
