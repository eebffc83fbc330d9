package main

import (
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"headgate.dev/cmd/internal/lab"
)

// TestUpFollowsHead moves HEAD in every way that is not a commit on top.
func TestUpFollowsHead(t *testing.T) {
	s := startUp(t, newRepo(t, map[string]string{"hello.yaml": spec("hello", "one.test", "")}))
	s.live()
	git := func(args ...string) string {
		t.Helper()
		out, err := s.repo.Git(args...)
		must(t, err)
		return out
	}
	serves := func(what, host string) {
		t.Helper()
		if _, err := s.up.Live(s.ctx, git("rev-parse", "HEAD")); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if a := s.get(host, "/"); a.Status != 200 {
			t.Errorf("%s: %s answers %d", what, host, a.Status)
		}
	}
	first := git("rev-parse", "HEAD")
	s.commit("hello.yaml", spec("hello", "two.test", ""))

	git("reset", "-q", "--hard", first)
	serves("an older commit", "one.test")

	git("switch", "-q", "-c", "other")
	must(t, s.repo.Write("hello.yaml", spec("hello", "other.test", "")))
	_, err := s.repo.Commit("On another branch")
	must(t, err)
	serves("another branch", "other.test")

	git("gc", "-q", "--prune=now")
	must(t, s.repo.Write("hello.yaml", spec("hello", "packed.test", "")))
	_, err = s.repo.Commit("After everything was packed")
	must(t, err)
	serves("after gc", "packed.test")

	git("commit", "-q", "--amend", "-m", "History is rewritten")
	serves("rewritten history", "packed.test")

	git("checkout", "-q", "--detach", "main")
	serves("a detached HEAD", "one.test")
	must(t, s.up.Stop())
}

// TestUpManyCommitsAtOnce may skip commits that nobody needs any more, but ends at the last.
func TestUpManyCommitsAtOnce(t *testing.T) {
	s := startUp(t, newRepo(t, map[string]string{"hello.yaml": spec("hello", "hello.test", "")}))
	s.live()
	last := ""
	for i := range 30 {
		must(t, s.repo.Write("hello.yaml", spec("hello", "hello.test", "")+"  service: s"+itoa(i)+"\n"))
		id, err := s.repo.Commit("Flip")
		must(t, err)
		last = id
	}
	_, err := s.up.Live(s.ctx, last)
	must(t, err)
	if a := s.get("hello.test", "/"); a.Service != "s29" {
		t.Errorf("answered by %q", a.Service)
	}
}

// TestUpRemote serves a repository over HTTP that breaks and comes back.
func TestUpRemote(t *testing.T) {
	origin := newRepo(t, map[string]string{"deploy/hello.yaml": spec("hello", "hello.test", ""), "broken.yaml": "kind: Nothing\n"})
	backend, err := exec.Command("git", "--exec-path").Output()
	must(t, err)
	handler := &cgi.Handler{
		Path: filepath.Join(strings.TrimSpace(string(backend)), "git-http-backend"),
		Env:  []string{"GIT_PROJECT_ROOT=" + filepath.Dir(origin.Dir), "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_GLOBAL=/dev/null"},
	}
	down := make(chan bool, 1)
	down <- false
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		broken := <-down
		down <- broken
		if broken {
			http.Error(w, "out of order", http.StatusServiceUnavailable)
			return
		}
		handler.ServeHTTP(w, r)
	}))
	defer server.Close()

	port, err := lab.FreePort()
	must(t, err)
	s := &sandbox{TB: t, repo: &lab.Repo{Dir: server.URL + "/repo/.git"}, port: port, ctx: t.Context()}
	s.start("--path", "deploy", "--interval", "50ms", "--cache", t.TempDir())
	s.repo = origin
	s.live()
	if a := s.get("hello.test", "/"); a.Status != 200 {
		t.Errorf("first: %+v", a)
	}

	<-down
	down <- true
	e, err := s.up.Next(s.ctx, "error")
	must(t, err)
	if a := s.get("hello.test", "/"); a.Status != 200 || !strings.Contains(e.Errors[0].Message, server.URL) {
		t.Errorf("a broken remote takes nothing away, and is named: %+v, %+v", a, e.Errors)
	}
	<-down
	down <- false
	s.commit("deploy/hello.yaml", spec("hello", "other.test", ""))
	if a := s.get("other.test", "/"); a.Status != 200 {
		t.Errorf("the remote is back: %+v", a)
	}
}

// TestUpHostileFiles commits what a stranger might, and keeps serving each time.
func TestUpHostileFiles(t *testing.T) {
	s := startUp(t, newRepo(t, map[string]string{"hello.yaml": spec("hello", "hello.test", "")}))
	s.live()
	bomb := "kind: ConfigMap\na: &a [x,x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c < 'k'; c++ {
		bomb += string(c) + ": &" + string(c) + " [" + strings.Repeat("*"+string(c-1)+",", 10) + "]\n"
	}
	for name, c := range map[string]struct{ file, content, want string }{
		"alias bomb":     {"bomb.yaml", bomb, "alias"},
		"documents":      {"docs.yaml", strings.Repeat("---\nkind: X\n", 10_000), "1000 documents"},
		"huge file":      {"huge.yaml", strings.Repeat("# filler\n", 1<<19), "huge.yaml"},
		"remote base":    {"k/kustomization.yaml", "resources: [https://example.com/base]\n", "not in the tree"},
		"path out":       {"k/kustomization.yaml", "resources: [../../secret]\n", "out of the tree"},
		"plugin":         {"k/kustomization.yaml", "generators: [x.yaml]\n", "generators"},
		"same ID":        {"again.yaml", spec("hello", "hello.test", ""), "made twice"},
		"wrong type":     {"raw.yaml", "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: r}\nspec: {rules: 7}\n", "raw.yaml"},
		"no kind at all": {"none.yaml", "a: b\n", "kind"},
	} {
		e := s.refused(c.file, c.content)
		text := ""
		for _, p := range e.Errors {
			text += p.File + ": " + p.Field + ": " + p.Message + "\n"
		}
		if !strings.Contains(text, c.want) {
			t.Errorf("%s: %q is not in\n%.2000s", name, c.want, text)
		}
		if a := s.get("hello.test", "/"); a.Status != 200 {
			t.Errorf("%s: hello answers %d", name, a.Status)
		}
		s.commit(c.file, "")
	}
}
