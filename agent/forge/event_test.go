package forge

import (
	"encoding/json"
	"flag"
	"os"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestEvents(t *testing.T) {
	const path = "testdata/events.txtar"
	archive := readArchive(t, path)
	out := &txtar.Archive{Comment: archive.Comment}
	for i, f := range archive.Files {
		kind, rest, _ := strings.Cut(f.Name, "/")
		event, name, _ := strings.Cut(rest, "/")
		if name == "" { // the expectation of the one before
			continue
		}
		got := reading(Kind(kind), event, f.Data)
		out.Files = append(out.Files, f, txtar.File{Name: "=", Data: []byte(got)})
		if *update {
			continue
		}
		want := ""
		if i+1 < len(archive.Files) {
			want = string(archive.Files[i+1].Data)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", f.Name, diff)
		}
	}
	if *update {
		if err := os.WriteFile(path, txtar.Format(out), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func reading(kind Kind, name string, body []byte) string {
	e, err := decode(kind, name, body)
	if err != nil {
		return "error: " + err.Error() + "\n"
	}
	if e.Kind == "" {
		return "nothing\n"
	}
	text, err := json.Marshal(e)
	if err != nil {
		return "error: " + err.Error() + "\n"
	}
	return string(text) + "\n"
}

func readArchive(tb testing.TB, path string) *txtar.Archive {
	tb.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	return txtar.Parse(text)
}

// FuzzEvent: whatever comes, an event is free of what could break a line of a log, and an error has nothing of the body.
func FuzzEvent(f *testing.F) {
	for _, file := range readArchive(f, "testdata/events.txtar").Files {
		kind, rest, _ := strings.Cut(file.Name, "/")
		event, name, _ := strings.Cut(rest, "/")
		if name != "" {
			f.Add(kind, event, file.Data)
		}
	}
	f.Fuzz(func(t *testing.T, kind, name string, body []byte) {
		e, err := decode(Kind(kind), name, body)
		if err != nil {
			if len(err.Error()) > 100 {
				t.Errorf("a long error: %v", err)
			}
			return
		}
		for _, s := range append([]string{e.Ref, e.Commit}, e.Repository...) {
			if strings.ContainsFunc(s, unicode.IsControl) || len(s) > 4096 {
				t.Errorf("an event with %q", s)
			}
		}
		if e.Commit != "" && !isCommit(e.Commit) || e.Number < 0 {
			t.Errorf("an event that is none: %+v", e)
		}
		for _, u := range e.Repository {
			if Key(u) == "" {
				t.Errorf("a URL without a key: %q", u)
			}
		}
	})
}

func TestKey(t *testing.T) {
	for _, c := range []struct{ url, want string }{
		{"https://github.com/Team-A/shop.git", "github.com/team-a/shop"},
		{"https://github.com/team-a/shop", "github.com/team-a/shop"},
		{"https://GitHub.com:443/team-a/shop/", "github.com/team-a/shop"},
		{"git@github.com:team-a/shop.git", "github.com/team-a/shop"},
		{"ssh://git@github.com:22/team-a/shop.git", "github.com/team-a/shop"},
		{"https://user:word@github.com/team-a/shop.git?x=1#y", "github.com/team-a/shop"},
		{"http://127.0.0.1:3000/team-a/shop.git", "127.0.0.1:3000/team-a/shop"},
		{"https://example.com/a/../b/c.git", "example.com/b/c"},
		{"https://github.com", ""},
		{"/srv/git/shop.git", ""},
		{"https://github.com/a b", ""},
		{"https://github.com/a\n", ""},
		{"", ""},
		{"https://[::1", ""},
	} {
		if got := Key(c.url); got != c.want {
			t.Errorf("Key(%q) = %q, want %q", c.url, got, c.want)
		}
	}
}

func FuzzKey(f *testing.F) {
	f.Add("git@github.com:team-a/shop.git")
	f.Add("ssh://git@[::1]:22/a/b.git")
	f.Fuzz(func(t *testing.T, s string) {
		if k := Key(s); k != "" && (strings.HasSuffix(k, "/") || !strings.Contains(k, "/")) {
			t.Errorf("Key(%q) = %q", s, k)
		}
	})
}
