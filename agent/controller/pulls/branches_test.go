package pulls

import (
	"context"
	"io"
	"log"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"headgate.dev/agent/forge"
	"headgate.dev/agent/git"
	"headgate.dev/schema"
)

// branchWorld is a world whose previews are of the branches of a repository that git serves.
type branchWorld struct {
	*world
	dir    string
	broken func(http.ResponseWriter) // answers instead; nil: git does
	opened int
}

type repository struct {
	*git.Repository
	w *branchWorld
}

func (r repository) Release() error {
	r.w.opened--
	return r.Close()
}

func (w *branchWorld) git(args ...string) string {
	w.Helper()
	cmd := exec.Command("git", append([]string{"-C", w.dir, "-c", "user.name=Ada", "-c", "user.email=ada@example.com"}, args...)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		w.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func (w *branchWorld) commit(branch, from string) string {
	w.Helper()
	w.git("checkout", "-q", "-B", branch, from)
	w.git("commit", "-q", "--allow-empty", "-m", "Change "+branch)
	return w.git("rev-parse", "HEAD")
}

func newBranchWorld(t *testing.T) *branchWorld {
	w := &branchWorld{world: newWorld(t), dir: filepath.Join(t.TempDir(), "repo")}
	if out, err := exec.Command("git", "init", "-q", "-b", "main", w.dir).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	w.git("commit", "-q", "--allow-empty", "-m", "Begin")
	path, err := exec.Command("git", "--exec-path").Output()
	if err != nil {
		t.Fatal(err)
	}
	backend := &cgi.Handler{Path: filepath.Join(strings.TrimSpace(string(path)), "git-http-backend"), Stderr: io.Discard, Logger: log.New(io.Discard, "", 0),
		Env: []string{"GIT_PROJECT_ROOT=" + w.dir, "GIT_HTTP_EXPORT_ALL=1"}}
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if w.broken != nil {
			w.broken(rw)
			return
		}
		backend.ServeHTTP(rw, r)
	}))
	t.Cleanup(server.Close)
	w.s.Spec.Forge = nil
	w.s.Spec.Previews = &schema.SyncPreviews{Branches: &schema.PreviewBranches{Names: []string{"feature/*", "fix-*"}}}
	w.s.Spec.Interval = "5m"
	cache := t.TempDir()
	w.f.world.Repository = func(context.Context, *schema.Sync) (Repository, error) {
		w.opened++
		r, err := git.Open(git.Source{URL: server.URL + "/.git"}, git.Options{Cache: cache, Timeout: 20 * time.Second})
		return repository{r, w}, err
	}
	t.Cleanup(func() {
		w.f.disconnect()
		if w.opened != 0 {
			t.Errorf("%d repositories are open still", w.opened)
		}
	})
	return w
}

// of gives the commit and the base of the preview of a branch; empty where there is none.
func (w *branchWorld) of(branch string) (commit, base, name string) {
	for _, p := range w.previews {
		if p.Spec.Branch == branch && p.DeletionTimestamp == nil {
			return p.Spec.Commit, p.Spec.Base, p.Spec.Name
		}
	}
	return "", "", ""
}

func (w *branchWorld) is(branch, commit, base string) {
	w.Helper()
	if c, b, _ := w.of(branch); c != commit || b != base {
		w.Fatalf("%s: previewed is %q from %q, want %q from %q; %+v", branch, c, b, commit, base, w.status)
	}
}

// TestBranches: a branch whose name fits is previewed from where it left the one that is followed, follows its pushes, and ends when it is deleted.
func TestBranches(t *testing.T) {
	w := newBranchWorld(t)
	base := w.git("rev-parse", "main")
	cart := w.commit("feature/cart", "main")
	other := w.commit("feature-cart", "main")
	fix := w.commit("fix-1", "main")
	main := w.commit("main", "main")
	w.git("branch", "feature/nothing", base)
	w.look(0)
	w.is("feature/cart", cart, base)
	w.is("fix-1", fix, base)
	w.is("feature-cart", "", "") // no pattern fits
	w.is("main", "", "")
	w.is("feature/nothing", "", "")
	_, _, name := w.of("feature/cart")
	if name != "feature-cart" {
		t.Errorf("it is called %q", name)
	}
	// A push, told by a webhook before git shows it: looked for until it does.
	next := w.git("commit-tree", "-p", "feature/cart", "-m", "Next", "feature/cart^{tree}")
	w.f.Hint(forge.Hint{Refs: []forge.RefHint{{Ref: "refs/heads/feature/cart", Commit: next}}})
	if pause := w.look(time.Second); pause > time.Second {
		t.Errorf("the next look is in %s", pause)
	}
	w.is("feature/cart", cart, base)
	w.git("update-ref", "refs/heads/feature/cart", next)
	w.look(time.Second)
	w.is("feature/cart", next, base)
	if pause := w.look(0); pause < 4*time.Minute {
		t.Errorf("with nothing to wait for the next look is in %s", pause)
	}
	// It is merged with what is followed; then with nothing told, by the poll.
	w.git("checkout", "-q", "feature/cart")
	w.git("merge", "-q", "-m", "Catch up", "main")
	next = w.git("rev-parse", "HEAD")
	w.look(time.Minute)
	if c, _, _ := w.of("feature/cart"); c == next {
		t.Error("it was asked for before its time")
	}
	w.look(6 * time.Minute)
	w.is("feature/cart", next, main)
	// Another branch whose name comes out the same gets another one.
	w.s.Spec.Previews.Branches.Names = append(w.s.Spec.Previews.Branches.Names, "feature-*")
	w.s.Generation++
	w.f.Take(w.s)
	w.look(0)
	w.is("feature-cart", other, base)
	if _, _, another := w.of("feature-cart"); another == name || !strings.HasPrefix(another, "feature-cart-") {
		t.Errorf("the other one is called %q", another)
	}
	w.git("checkout", "-q", "main")
	w.git("branch", "-q", "-D", "feature/cart")
	w.f.Hint(forge.Hint{Refs: []forge.RefHint{{Ref: "refs/heads/feature/cart", Commit: strings.Repeat("0", 40)}}})
	w.look(time.Second)
	w.is("feature/cart", "", "")
	w.is("feature-cart", other, base)
	w.is("fix-1", fix, base)
}

// TestOnlyWholeListsEndBranches: an error, an empty list, and one without the branch that is followed end nothing.
func TestOnlyWholeListsEndBranches(t *testing.T) {
	w := newBranchWorld(t)
	base := w.git("rev-parse", "main")
	fix := w.commit("fix-1", "main")
	gone := w.commit("fix-2", "main")
	w.s.Spec.Previews.MaxAge, w.s.Spec.Previews.TTL = "9999h", "9999h"
	w.look(0)
	w.is("fix-2", gone, base)
	w.git("checkout", "-q", "main")
	w.git("branch", "-q", "-D", "fix-2")
	advertisement := func(body string) func(http.ResponseWriter) {
		return func(rw http.ResponseWriter) {
			rw.Header().Set("Content-Type", "application/x-git-upload-pack-advertisement")
			_, _ = io.WriteString(rw, body)
		}
	}
	for name, broken := range map[string]func(http.ResponseWriter){
		"401": func(rw http.ResponseWriter) { rw.WriteHeader(401) }, "403": func(rw http.ResponseWriter) { rw.WriteHeader(403) },
		"404": func(rw http.ResponseWriter) { rw.WriteHeader(404) }, "500": func(rw http.ResponseWriter) { rw.WriteHeader(500) },
		"nothing": advertisement(""), "a page": advertisement("<html>"), "an empty list": advertisement("001e# service=git-upload-pack\n00000000"),
		"half": advertisement("001e# service=git-upload-pack\n0000003d" + fix + " refs/heads/fix-1\n"),
	} {
		w.broken = broken
		for range 3 {
			w.f.Poll()
			w.look(time.Hour)
		}
		w.is("fix-1", fix, base)
		w.is("fix-2", gone, base)
		if w.status.Message == "" {
			t.Errorf("%s: the status says nothing", name)
		}
	}
	w.broken = nil
	w.git("branch", "-q", "-m", "main", "trunk")
	w.f.Poll()
	w.look(time.Hour)
	w.is("fix-2", gone, base)
	if !strings.Contains(w.status.Message, `not "main"`) {
		t.Errorf("without the branch that is followed: %q", w.status.Message)
	}
	w.git("branch", "-q", "-m", "trunk", "main")
	w.f.Poll()
	w.look(time.Hour)
	w.is("fix-1", fix, base)
	w.is("fix-2", "", "")
	if w.status.Message != "" {
		t.Errorf("with everything well: %q", w.status.Message)
	}
}
