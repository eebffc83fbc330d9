package git

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

func openWorktree(t testing.TB, dir string, l Limits) *Worktree {
	t.Helper()
	w, err := OpenWorktree(dir, l, nil)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func resolveSaved(t testing.TB, w *Worktree) *Commit {
	t.Helper()
	c, err := w.Resolve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestWorktreeIsWhatACommitWouldBe(t *testing.T) {
	dir := newRepo(t)
	write(t, dir, ".gitignore", "*.log\n/build/\n!keep.log\n")
	write(t, dir, "apps/.gitignore", "tmp\n")
	for _, name := range []string{"a.d", "a/x", "a-b/y", "apps/shop/a.yaml", "keep.log"} {
		write(t, dir, name, name)
	}
	commit(t, dir, "b.yaml", "b: 1\n")
	for _, name := range []string{"x.log", "build/out", "apps/tmp", "apps/shop/tmp/y"} {
		write(t, dir, name, name)
	}
	if err := os.Mkdir(filepath.Join(dir, "nothing-in-it"), 0o755); err != nil {
		t.Fatal(err)
	}
	w := openWorktree(t, filepath.Join(dir, "apps"), Limits{})
	c := resolveSaved(t, w)
	if want := run(t, dir, "rev-parse", "HEAD^{tree}"); c.Hash != want || c.Revision != "worktree@sha1:"+want || w.Dir() != "apps" {
		t.Errorf("got %s in %s, want %s", c.Revision, w.Dir(), want)
	}
	if err := fstest.TestFS(c.Tree, "a.d", "a/x", "apps/shop/a.yaml", "keep.log", ".gitignore"); err != nil {
		t.Error(err)
	}
	if resolveSaved(t, w) != c {
		t.Error("nothing changed, and the commit did")
	}
	for i := range 20 { // of the same size, within the same tick of the clock
		write(t, dir, "a/x", fmt.Sprintf("a%02d", i))
		if got := text(t, resolveSaved(t, w), "a/x"); got != fmt.Sprintf("a%02d", i) {
			t.Errorf("change %d: %q", i, got)
		}
	}
	var us *UnsupportedError
	bare := filepath.Join(t.TempDir(), "bare.git")
	run(t, dir, "clone", "-q", "--bare", dir, bare)
	if _, err := OpenWorktree(bare, Limits{}, nil); !errors.As(err, &us) {
		t.Errorf("a bare repository: %v", err)
	}
}

func TestWorktreeOutsideOfARepository(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a/x", "1")
	w := openWorktree(t, dir, Limits{})
	if c := resolveSaved(t, w); text(t, c, "a/x") != "1" || w.Dir() != "." {
		t.Errorf("got %s", c.Revision)
	}
}

func TestWorktreeLimitsAndTornReads(t *testing.T) {
	dir := newRepo(t)
	write(t, dir, "big", strings.Repeat("x", 2000))
	w := openWorktree(t, dir, Limits{Blob: 1000})
	c := resolveSaved(t, w)
	var tb *TooBigError
	if _, err := c.Tree.ReadFile("big"); !errors.As(err, &tb) {
		t.Errorf("got %v", err)
	}
	write(t, dir, "a.yaml", "a: 2\n")
	if got := text(t, c, "a.yaml"); got != "a: 1\n" {
		t.Errorf("what the digest was taken from is read once more: got %q", got)
	}
	if _, err := c.Tree.ReadFile("a.yaml"); err == nil || !strings.Contains(err.Error(), "saved again") {
		t.Errorf("a file with other bytes than its digest: %v", err)
	}
	if got := text(t, resolveSaved(t, w), "a.yaml"); got != "a: 2\n" {
		t.Errorf("got %q", got)
	}
	if _, err := openWorktree(t, dir, Limits{Entries: 1}).Resolve(t.Context()); !errors.As(err, &tb) {
		t.Errorf("got %v", err)
	}
}

func TestWatchWorktree(t *testing.T) {
	dir := newRepo(t)
	w := openWorktree(t, dir, Limits{})
	hints, err := w.Watch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	resolveSaved(t, w)
	has := func(name, want string) func(*Commit) bool {
		return func(c *Commit) bool {
			got, err := c.Tree.ReadFile(name)
			return err == nil && string(got) == want
		}
	}
	lacks := func(name string) func(*Commit) bool {
		return func(c *Commit) bool { _, err := c.Tree.Stat(name); return err != nil }
	}
	write(t, dir, "a.yaml", "a: 2\n")
	until(t, w, hints, has("a.yaml", "a: 2\n"))
	write(t, dir, "new/er/b.yaml", "b\n")
	until(t, w, hints, has("new/er/b.yaml", "b\n"))
	write(t, dir, "new/er/b.yaml", "c\n")
	until(t, w, hints, has("new/er/b.yaml", "c\n"))
	if err := os.Rename(filepath.Join(dir, "new"), filepath.Join(dir, "old")); err != nil {
		t.Fatal(err)
	}
	until(t, w, hints, lacks("new"))
	write(t, dir, "old/er/b.yaml", "d\n")
	until(t, w, hints, has("old/er/b.yaml", "d\n"))
	write(t, dir, ".gitignore", "old\n")
	until(t, w, hints, lacks("old"))
	write(t, dir, ".gitignore", "")
	until(t, w, hints, has("old/er/b.yaml", "d\n"))
	if err := os.RemoveAll(filepath.Join(dir, "old")); err != nil {
		t.Fatal(err)
	}
	c := until(t, w, hints, lacks("old"))
	for hinted(hints, 50*time.Millisecond) { // what is left of the removal
	}
	run(t, dir, "add", "-A")
	if want := run(t, dir, "write-tree"); c.Hash != want {
		t.Errorf("after all of it %s, want %s", c.Hash, want)
	}
	if hinted(hints, 50*time.Millisecond) {
		t.Error("a hint for what happens in .git")
	}
}

func hinted(hints <-chan struct{}, wait time.Duration) bool {
	select {
	case <-hints:
		return true
	case <-time.After(wait):
		return false
	}
}
