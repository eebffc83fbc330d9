package git

import (
	"errors"
	"os/exec"
	"strings"
	"testing"
)

// TestAncestors: a way back leads where git itself goes, from loose objects and from packs.
func TestAncestors(t *testing.T) {
	dir := newRepo(t)
	commit(t, dir, "a.yaml", "a: 2\n")
	run(t, dir, "checkout", "-q", "-b", "side")
	commit(t, dir, "b.yaml", "b: 1\n")
	run(t, dir, "checkout", "-q", "main")
	commit(t, dir, "a.yaml", "a: 3\n")
	run(t, dir, "merge", "-q", "--no-ff", "-m", "Merge", "side")
	run(t, dir, "tag", "-a", "-m", "one", "v1.0.0")
	short := run(t, dir, "rev-parse", "HEAD")[:7]
	for range 2 {
		for _, ref := range []string{"HEAD~1", "HEAD~", "HEAD^", "@~2", "@", "main^2", "main^2~1", "HEAD^^", "HEAD^0", "HEAD~0", "v1.0.0~1", "side~", short + "^2", "refs/heads/side~1"} {
			parsed, err := ParseRef(ref)
			if err != nil {
				t.Fatal(err)
			}
			want := run(t, dir, "rev-parse", ref+"^{commit}")
			if got := resolve(t, open(t, Source{URL: dir, Ref: parsed})); got.Hash != want {
				t.Errorf("%s: got %s, want %s", ref, got.Hash, want)
			}
		}
		run(t, dir, "gc", "-q", "--prune=now")
	}
	for ref, want := range map[string]string{
		"HEAD~9": "it is the first commit", "HEAD^3": "it has 2", "HEAD~99999999999999999999": "no history is that long", "nothing~1": "refs/heads/nothing"} {
		parsed, err := ParseRef(ref)
		if err != nil {
			t.Fatal(err)
		}
		_, err = open(t, Source{URL: dir, Ref: parsed}).Resolve(t.Context())
		var missing *NotFoundError
		if !errors.As(err, &missing) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", ref, err)
		}
	}
}

func TestAncestorOfAShallowClone(t *testing.T) {
	dir, clone := newRepo(t), t.TempDir()
	commit(t, dir, "a.yaml", "a: 2\n")
	if out, err := exec.Command("git", "clone", "-q", "--depth=1", "file://"+dir, clone).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	_, err := open(t, Source{URL: clone, Ref: Ref{Name: "HEAD", Back: "~1"}}).Resolve(t.Context())
	if err == nil || !strings.Contains(err.Error(), "--unshallow") {
		t.Errorf("got %v", err)
	}
}

func TestBadAncestors(t *testing.T) {
	for _, ref := range []string{"HEAD~x", "HEAD^{tree}", "HEAD~1@{1}", "main~1/x", "~1:x"} {
		if _, err := ParseRef(ref); err == nil {
			t.Errorf("%s: no error", ref)
		}
	}
	if _, err := Open(Source{URL: "https://git.example.test/x", Ref: Ref{Name: "main", Back: "~1"}}, Options{Cache: t.TempDir()}); err == nil || !strings.Contains(err.Error(), "without history") {
		t.Errorf("of a remote: %v", err)
	}
}
