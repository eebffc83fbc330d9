package git

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"headgate.dev/agent/git/internal/listing"
)

func TestTreeIsAFileSystem(t *testing.T) {
	dir := newRepo(t)
	// In Git's order "a.d" comes before the directory "a", in fs.FS's after it.
	for _, name := range []string{"a.d", "a/x", "a-b/y", "z/deep/er/file", "empty"} {
		write(t, dir, name, strings.TrimPrefix(name, "empty"))
	}
	commit(t, dir, "b", "b")
	c := resolve(t, open(t, Source{URL: dir}))
	if err := fstest.TestFS(c.Tree, "a.d", "a/x", "a-b/y", "z/deep/er/file", "empty"); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"a", "z/deep", "a/x", "empty"} {
		got, err := c.Tree.Digest(name)
		if want := run(t, dir, "rev-parse", "HEAD:"+name); err != nil || got != want {
			t.Errorf("digest of %s: %s, %v; want %s", name, got, err, want)
		}
	}
	if got, _ := c.Tree.Digest("."); got != run(t, dir, "rev-parse", "HEAD^{tree}") {
		t.Errorf("digest of the root: %s", got)
	}
	if _, err := c.Tree.Digest("a/x/y"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

func TestLinksAndSubmodules(t *testing.T) {
	outside := t.TempDir()
	write(t, outside, "secret", "secret")
	dir := newRepo(t)
	for name, to := range map[string]string{"out": filepath.Join(outside, "secret"), "dir": outside, "in": "a.yaml"} {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	sub := newRepo(t)
	run(t, dir, "-c", "protocol.file.allow=always", "submodule", "add", "-q", sub, "sub")
	commit(t, dir, "b", "b")
	w, err := OpenWorktree(dir, Limits{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	saved, err := w.Resolve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for kind, tree := range map[string]Tree{"committed": resolve(t, open(t, Source{URL: dir})).Tree, "saved": saved.Tree} {
		for _, name := range []string{"out", "dir", "dir/secret", "in"} {
			_, err := tree.ReadFile(name)
			var le *LinkError
			if !errors.As(err, &le) || le.Link != strings.TrimSuffix(name, "/secret") || le.Target == "" {
				t.Errorf("%s: reading %s: %v", kind, name, err)
			}
			if _, err := tree.Open(name); !errors.As(err, &le) {
				t.Errorf("%s: opening %s: %v", kind, name, err)
			}
		}
		if _, err := tree.ReadDir("dir"); err == nil {
			t.Errorf("%s: a link was listed", kind)
		}
		st, err := tree.Stat("out")
		if err != nil || st.Mode().Type() != fs.ModeSymlink {
			t.Errorf("%s: %v %v", kind, st, err)
		}
		var us *UnsupportedError
		if _, err := tree.ReadFile("sub/a.yaml"); !errors.As(err, &us) || !strings.Contains(err.Error(), "submodule") {
			t.Errorf("%s: %v", kind, err)
		}
		if st, err := tree.Stat("sub"); err != nil || st.Mode().Type() != fs.ModeIrregular {
			t.Errorf("%s: %v %v", kind, st, err)
		}
	}
}

func TestTreeLimits(t *testing.T) {
	dir := newRepo(t)
	write(t, dir, "big", strings.Repeat("x", 2000))
	write(t, dir, "pointer", lfsPointer+"oid sha256:0\nsize 1\n")
	for i := range 20 {
		write(t, dir, fmt.Sprintf("d/%02d", i), strings.Repeat("y", 100))
	}
	commit(t, dir, "b", "b")
	open := func(l Limits) Tree { return resolve(t, open(t, Source{URL: dir, Limits: l})).Tree }
	var tb *TooBigError
	for range 2 { // loose, then packed
		_, err := open(Limits{Blob: 1999}).ReadFile("big")
		if !errors.As(err, &tb) || !strings.Contains(err.Error(), "big") || tb.Limit != 1999 {
			t.Errorf("a large file: %v", err)
		}
		if data, err := open(Limits{Blob: 2000}).ReadFile("big"); err != nil || len(data) != 2000 {
			t.Errorf("a file at the limit: %v", err)
		}
		run(t, dir, "gc", "-q", "--prune=now")
	}
	tree := open(Limits{Entries: 20})
	_, err := tree.ReadDir("d")
	_, again := tree.ReadDir("d")
	if err != nil || again != nil {
		t.Errorf("what is listed twice counts once: %v, %v", err, again)
	}
	if _, err := tree.ReadDir("."); !errors.As(err, &tb) || tb.Limit != 20 {
		t.Errorf("many entries: %v", err)
	}
	tree = open(Limits{Bytes: 250})
	var errs []error
	for i := range 3 {
		_, err := tree.ReadFile(fmt.Sprintf("d/%02d", i))
		errs = append(errs, err)
	}
	if errs[0] != nil || errs[1] != nil || !errors.As(errs[2], &tb) || !strings.Contains(errs[2].Error(), "d/02") {
		t.Errorf("many bytes: %v", errs)
	}
	if _, err := open(Limits{}).ReadFile("pointer"); err == nil || !strings.Contains(err.Error(), "LFS") {
		t.Errorf("an LFS pointer: %v", err)
	}
}

func TestBrokenTreeObjects(t *testing.T) {
	id := strings.Repeat("\x01", 20)
	for _, raw := range []string{
		"100644 a", "100644 a\x00short", "999 a\x00" + id, "100644 ..\x00" + id, "40000 a/b\x00" + id, "100644 \x00" + id, "\x00",
	} {
		if l, err := listing.Parse([]byte(raw)); err == nil {
			t.Errorf("%q gave %v", raw, l)
		}
	}
}

func FuzzParseListing(f *testing.F) {
	f.Add([]byte("100644 a\x00" + strings.Repeat("\x01", 20) + "40000 b\x00" + strings.Repeat("\x02", 20)))
	f.Fuzz(func(t *testing.T, raw []byte) {
		l, err := listing.Parse(raw)
		for _, e := range l {
			if found, ok := l.Find(e.Name); err != nil || !ok || found.Name != e.Name || strings.Contains(e.Name, "/") {
				t.Errorf("%q of %q: %v", e.Name, raw, err)
			}
		}
	})
}

func FuzzParseCommit(f *testing.F) {
	f.Add([]byte("tree " + strings.Repeat("a", 40) + "\nauthor A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\ngpgsig x\n y\n\nsubject\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		c, err := parseCommit(strings.Repeat("a", 40), raw)
		if err == nil && len(c.signed) > len(raw)+2 {
			t.Errorf("more is signed than there is: %q", c.signed)
		}
	})
}
