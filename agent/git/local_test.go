package git

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestResolveLocalRefs(t *testing.T) {
	dir := newRepo(t)
	first := run(t, dir, "rev-parse", "HEAD")
	run(t, dir, "tag", "v1.0.0")
	second := commit(t, dir, "a.yaml", "a: 2\n")
	run(t, dir, "tag", "-a", "-m", "two", "v1.2.0")
	run(t, dir, "branch", "feature/x", first)
	run(t, dir, "update-ref", "refs/pull/7/head", first)
	cases := []struct {
		ref      string
		revision string
		short    string
	}{
		{"", "main@sha1:" + second, "main@" + second[:7]},
		{"HEAD", "main@sha1:" + second, "main@" + second[:7]},
		{"main", "main@sha1:" + second, "main@" + second[:7]},
		{"feature/x", "feature/x@sha1:" + first, "feature/x@" + first[:7]},
		{"branch:feature/x", "feature/x@sha1:" + first, "feature/x@" + first[:7]},
		{"v1.0.0", "v1.0.0@sha1:" + first, "v1.0.0@" + first[:7]},
		{"tag:v1.2.0", "v1.2.0@sha1:" + second, "v1.2.0@" + second[:7]},
		{"semver:>=1.0 <1.2", "v1.0.0@sha1:" + first, "v1.0.0@" + first[:7]},
		{"semver:1.x", "v1.2.0@sha1:" + second, "v1.2.0@" + second[:7]},
		{"refs/pull/7/head", "refs/pull/7/head@sha1:" + first, "refs/pull/7/head@" + first[:7]},
		{"commit:" + first[:8], "sha1:" + first, first[:7]},
		{first, "sha1:" + first, first[:7]},
	}
	for pass := range 2 {
		for _, c := range cases {
			t.Run(fmt.Sprint(c.ref, "/", pass), func(t *testing.T) {
				ref, err := ParseRef(c.ref)
				if err != nil {
					t.Fatal(err)
				}
				got := resolve(t, open(t, Source{URL: dir, Ref: ref}))
				if got.Revision != c.revision || got.Short() != c.short {
					t.Errorf("got %s, %s; want %s, %s", got.Revision, got.Short(), c.revision, c.short)
				}
			})
		}
		run(t, dir, "gc", "-q", "--prune=now") // the same from packed-refs and packs
	}
	c := resolve(t, open(t, Source{URL: dir}))
	when := time.Date(2026, 1, 2, 2, 4, 5, 0, time.UTC)
	if c.Subject != "Change a.yaml" || c.Author != "Ada" || c.Email != "ada@example.com" || !c.When.Equal(when) {
		t.Errorf("got %q %q %q %v", c.Subject, c.Author, c.Email, c.When)
	}
}

func TestLocalFollowsHead(t *testing.T) {
	dir := newRepo(t)
	r := open(t, Source{URL: dir})
	main := resolve(t, r)
	if again := resolve(t, r); again != main {
		t.Error("an unchanged repository gave another commit")
	}
	run(t, dir, "switch", "-q", "-c", "other")
	if got := resolve(t, r); !strings.HasPrefix(got.Revision, "other@sha1:") {
		t.Errorf("after a switch: %s", got.Revision)
	}
	commit(t, dir, "a.yaml", "a: other\n")
	if got := text(t, resolve(t, r), "a.yaml"); got != "a: other\n" {
		t.Errorf("got %q", got)
	}
	run(t, dir, "switch", "-q", "--detach")
	if got := resolve(t, r); !strings.HasPrefix(got.Revision, "sha1:") || got.Ref != "" {
		t.Errorf("detached: %s", got.Revision)
	}
	run(t, dir, "switch", "-q", "main")
	run(t, dir, "branch", "-q", "-D", "other")
	run(t, dir, "commit", "-q", "--amend", "-m", "rewritten")
	if got := resolve(t, r); got.Subject != "rewritten" {
		t.Errorf("after a rewrite: %s", got.Subject)
	}
	if got := text(t, main, "a.yaml"); got != "a: 1\n" {
		t.Errorf("an earlier commit: %q", got)
	}
}

func TestDeletedBranchLeavesEarlierCommits(t *testing.T) {
	dir := newRepo(t)
	run(t, dir, "branch", "gone")
	r := open(t, Source{URL: dir, Ref: Ref{Branch: "gone"}})
	c := resolve(t, r)
	run(t, dir, "branch", "-q", "-D", "gone")
	_, err := r.Resolve(context.Background())
	var nf *NotFoundError
	if !errors.As(err, &nf) || nf.Ref != "refs/heads/gone" || !strings.Contains(err.Error(), dir) {
		t.Errorf("got %v", err)
	}
	if got := text(t, c, "a.yaml"); got != "a: 1\n" {
		t.Errorf("got %q", got)
	}
}

func TestGarbageCollectionInBetween(t *testing.T) {
	dir := newRepo(t)
	for i := range 5 {
		write(t, dir, fmt.Sprintf("d%d/a.yaml", i), fmt.Sprint(i))
	}
	commit(t, dir, "b.yaml", "b: 1\n")
	r := open(t, Source{URL: dir})
	first := resolve(t, r)
	run(t, dir, "gc", "-q", "--prune=now")
	if got := text(t, first, "d3/a.yaml"); got != "3" {
		t.Errorf("after gc: %q", got)
	}
	commit(t, dir, "d3/a.yaml", "new") // loose, while the list of packs is cached
	second := resolve(t, r)
	if got := text(t, second, "d3/a.yaml"); got != "new" {
		t.Errorf("a loose object beside packs: %q", got)
	}
	commit(t, dir, "d4/a.yaml", "newer")
	run(t, dir, "repack", "-q", "-a", "-d") // the old pack is deleted
	third := resolve(t, r)
	for name, want := range map[string]string{"d4/a.yaml": "newer", "d3/a.yaml": "new", "d1/a.yaml": "1"} {
		if got := text(t, third, name); got != want {
			t.Errorf("after a repack, %s: %q", name, got)
		}
	}
	if got := text(t, first, "d4/a.yaml"); got != "4" {
		t.Errorf("the first commit after a repack: %q", got)
	}
}

func TestWhereARepositoryIs(t *testing.T) {
	dir := newRepo(t)
	commit(t, dir, "apps/shop/a.yaml", "shop\n")
	bare := filepath.Join(t.TempDir(), "bare.git")
	run(t, dir, "clone", "-q", "--bare", dir, bare)
	shared := filepath.Join(t.TempDir(), "shared")
	run(t, dir, "clone", "-q", "--shared", dir, shared)
	linked := filepath.Join(t.TempDir(), "linked")
	run(t, dir, "worktree", "add", "-q", "-b", "side", linked)
	commit(t, linked, "apps/shop/a.yaml", "side\n")
	cases := []struct{ url, dir, content string }{
		{dir, ".", "shop\n"},
		{filepath.Join(dir, "apps/shop"), "apps/shop", "shop\n"},
		{"file://" + dir, ".", "shop\n"},
		{bare, ".", "shop\n"},
		{shared, ".", "shop\n"},
		{filepath.Join(linked, "apps"), "apps", "side\n"},
	}
	for _, c := range cases {
		r := open(t, Source{URL: c.url})
		if r.Dir() != c.dir {
			t.Errorf("%s: directory %q, want %q", c.url, r.Dir(), c.dir)
		}
		if got := text(t, resolve(t, r), "apps/shop/a.yaml"); got != c.content {
			t.Errorf("%s: %q, want %q", c.url, got, c.content)
		}
	}
	side := commit(t, linked, "b.yaml", "b\n")
	if got := resolve(t, open(t, Source{URL: linked})).Revision; got != "side@sha1:"+side {
		t.Errorf("linked work tree: %s", got)
	}
}

func TestRepositoryFormats(t *testing.T) {
	fine := []struct{ key, value string }{
		{"extensions.worktreeConfig", "true"}, {"extensions.partialClone", "origin"}, {"extensions.refStorage", "files"},
	}
	for _, c := range fine {
		dir := newRepo(t)
		run(t, dir, "config", "core.repositoryFormatVersion", "1")
		write(t, dir, ".git/config", readFile(t, dir, ".git/config")+ini(c.key, c.value))
		if got := text(t, resolve(t, open(t, Source{URL: dir})), "a.yaml"); got != "a: 1\n" {
			t.Errorf("%s: %q", c.key, got)
		}
	}
	refused := []struct{ key, value, remedy string }{
		{"extensions.refStorage", "reftable", "git refs migrate --ref-format=files"},
		{"extensions.objectFormat", "sha256", "--object-format=sha1"},
		{"extensions.somethingNew", "1", "plain clone"},
	}
	for _, c := range refused {
		dir := newRepo(t)
		write(t, dir, ".git/config", readFile(t, dir, ".git/config")+ini(c.key, c.value))
		_, err := Open(Source{URL: dir}, Options{})
		var us *UnsupportedError
		if !errors.As(err, &us) || !strings.Contains(err.Error(), c.key) || !strings.Contains(err.Error(), c.remedy) {
			t.Errorf("%s: %v", c.key, err)
		}
	}
	sha256 := t.TempDir()
	run(t, sha256, "init", "-q", "--object-format=sha256")
	var us *UnsupportedError
	if _, err := Open(Source{URL: sha256}, Options{}); !errors.As(err, &us) {
		t.Errorf("sha256: %v", err)
	}
}

func readFile(t *testing.T, dir, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func ini(key, value string) string {
	section, name, _ := strings.Cut(key, ".")
	return fmt.Sprintf("[%s]\n\t%s = %s\n", section, name, value)
}

func TestPartialCloneNamesWhatIsMissing(t *testing.T) {
	dir := newRepo(t)
	run(t, dir, "config", "uploadpack.allowFilter", "true")
	partial := filepath.Join(t.TempDir(), "partial")
	run(t, dir, "clone", "-q", "--filter=blob:none", "--no-checkout", "file://"+dir, partial)
	_, err := resolve(t, open(t, Source{URL: partial})).Tree.ReadFile("a.yaml")
	if err == nil || !strings.Contains(err.Error(), "a.yaml") || !strings.Contains(err.Error(), "--refetch") {
		t.Errorf("got %v", err)
	}
}

func TestLocalErrors(t *testing.T) {
	empty := t.TempDir()
	unborn := t.TempDir()
	run(t, unborn, "init", "-q")
	repo := newRepo(t)
	cases := []struct {
		src  Source
		want string
	}{
		{Source{URL: empty}, "git init"},
		{Source{URL: filepath.Join(empty, "nothing")}, "not found"},
		{Source{URL: filepath.Join(repo, "a.yaml")}, "not a directory"},
		{Source{URL: unborn}, "commit something"},
		{Source{URL: repo, Ref: Ref{Branch: "nope"}}, "refs/heads/nope"},
		{Source{URL: repo, Ref: Ref{Name: "nope"}}, "refs/heads/nope or refs/tags/nope"},
		{Source{URL: repo, Ref: Ref{Branch: "../../config"}}, "not found"},
		{Source{URL: repo, Ref: Ref{SemVer: "1.x"}}, "1.x"},
		{Source{URL: repo, Ref: Ref{Commit: "0123456789"}}, "0123456789"},
		{Source{URL: repo, Ref: Ref{Commit: strings.Repeat("1", 40)}}, "commit 1111"},
	}
	for _, c := range cases {
		r, err := Open(c.src, Options{})
		if err == nil {
			_, err = r.Resolve(context.Background())
		}
		var nf *NotFoundError
		if !errors.As(err, &nf) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %s: got %v, want %q", c.src.URL, c.src.Ref, err, c.want)
		}
	}
	for _, bad := range []Ref{{Branch: "a", Tag: "b"}, {SemVer: "nonsense"}, {Commit: "xyz"}, {Branch: "--upload-pack=x"}} {
		if _, err := Open(Source{URL: repo, Ref: bad}, Options{}); err == nil {
			t.Errorf("%v was accepted", bad)
		}
	}
}

func TestManyPackedRefs(t *testing.T) {
	dir := newRepo(t)
	hash := run(t, dir, "rev-parse", "HEAD")
	writeManyRefs(t, dir, hash, 200_000)
	r := open(t, Source{URL: dir, Ref: Ref{Name: "refs/many/199999"}})
	if got := resolve(t, r); got.Hash != hash {
		t.Errorf("got %s", got.Hash)
	}
	r = open(t, Source{URL: dir, Ref: Ref{Name: "refs/many/199999"}, Limits: Limits{Refs: 1 << 20}})
	_, err := r.Resolve(context.Background())
	var tb *TooBigError
	if !errors.As(err, &tb) || tb.Limit != 1<<20 {
		t.Errorf("got %v", err)
	}
}

// writeManyRefs adds references refs/many/N the way a server with many pull requests has them.
func writeManyRefs(t testing.TB, dir, hash string, n int) {
	t.Helper()
	var b strings.Builder
	b.WriteString("# pack-refs with: peeled fully-peeled sorted \n")
	for i := range n {
		fmt.Fprintf(&b, "%s refs/many/%06d\n", hash, i)
	}
	gitDir := run(t, dir, "rev-parse", "--absolute-git-dir")
	if err := os.WriteFile(filepath.Join(gitDir, "packed-refs"), []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}
