package main

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/cgi"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"headgate.dev/cmd/internal/lab"
)

// serveGit serves repositories below root with git http-backend at an address, until the returned function is called.
func serveGit(t *testing.T, root, address string) (url string, stop func()) {
	t.Helper()
	execPath, err := exec.Command("git", "--exec-path").Output()
	must(t, err)
	l, err := net.Listen("tcp", address)
	must(t, err)
	server := &http.Server{Handler: &cgi.Handler{
		Path:   filepath.Join(strings.TrimSpace(string(execPath)), "git-http-backend"),
		Logger: log.New(io.Discard, "", 0), Stderr: io.Discard, // of clients that hang up
		Env: []string{"GIT_PROJECT_ROOT=" + root, "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null"},
	}}
	go func() { _ = server.Serve(l) }()
	stop = func() { _ = server.Close() }
	t.Cleanup(stop)
	return "http://" + l.Addr().String(), stop
}

// startRemote serves a repository over HTTP and starts a headgate that polls it.
func startRemote(t *testing.T, origin *lab.Repo, args ...string) (s *sandbox, url string, stop func()) {
	t.Helper()
	url, stop = serveGit(t, filepath.Dir(origin.Dir), "127.0.0.1:0")
	s = startUp(t, &lab.Repo{Dir: url + "/repo/.git"}, append([]string{"--interval", "20ms", "--cache", t.TempDir()}, args...)...)
	s.repo = origin
	return s, url, stop
}

// TestRemoteComesAndGoes stops the server, rewrites history, deletes the branch: each is reported, and that it is over.
func TestRemoteComesAndGoes(t *testing.T) {
	s, url, stop := startRemote(t, newRepo(t, map[string]string{"hello.yaml": spec("hello", "hello.test", "")}))
	first := s.live()
	git := func(args ...string) string {
		t.Helper()
		out, err := s.repo.Git(args...)
		must(t, err)
		return out
	}
	next := func(event string) lab.Event {
		t.Helper()
		e, err := s.up.Next(s.ctx, event)
		must(t, err)
		s.answers()
		return e
	}
	stop()
	if e := next("error"); e.Serving != first.Revision || !strings.Contains(e.Errors[0].Message, url) {
		t.Errorf("the server is gone: %+v", e)
	}
	_, _ = serveGit(t, filepath.Dir(s.repo.Dir), strings.TrimPrefix(url, "http://"))
	if e := next("live"); e.Revision != first.Revision || e.Changed != 0 {
		t.Errorf("it is back, with the same commit: %+v", e)
	}

	git("commit", "-q", "--amend", "-m", "History is rewritten")
	next("live")
	git("branch", "-m", "main", "elsewhere")
	git("symbolic-ref", "HEAD", "refs/heads/main")
	next("error")
	git("branch", "-m", "elsewhere", "main")
	next("live")
	git("checkout", "-q", "--orphan", "fresh")
	git("commit", "-q", "-m", "Nothing in common with what was")
	git("branch", "-M", "fresh", "main")
	next("live")
}

// TestLargeFilesBesideSpecs: what is not read costs nothing, not even its way over the network; what would have to be read
// is refused by name.
func TestLargeFilesBesideSpecs(t *testing.T) {
	origin := newRepo(t, map[string]string{"hello.yaml": spec("hello", "hello.test", "")})
	_, err := origin.Git("config", "uploadpack.allowFilter", "true")
	must(t, err)
	s, _, _ := startRemote(t, origin)
	s.live()
	huge := strings.Repeat("large ", 2<<20)
	s.commit("video.bin", huge)
	s.answers()
	e := s.refused("video.yaml", huge)
	if len(e.Errors) != 1 || e.Errors[0].File != "video.yaml" || !strings.Contains(e.Errors[0].Message, "4194304 bytes") {
		t.Errorf("got %+v", e.Errors)
	}
	s.answers()
}

// TestManyReferences: a repository with 100,000 references is as fast as one with one, read in place and over the network.
func TestManyReferences(t *testing.T) {
	repo := newRepo(t, map[string]string{"hello.yaml": spec("hello", "hello.test", "")})
	id, err := repo.Git("rev-parse", "HEAD")
	must(t, err)
	var packed strings.Builder
	packed.WriteString("# pack-refs with: peeled fully-peeled sorted \n")
	for i := range 100_000 {
		fmt.Fprintf(&packed, "%s refs/pull/%06d/head\n", id, i)
	}
	must(t, os.WriteFile(filepath.Join(repo.Dir, ".git", "packed-refs"), []byte(packed.String()), 0o644))
	local := startUp(t, repo)
	remote, _, _ := startRemote(t, repo)
	for what, s := range map[string]*sandbox{"local": local, "remote": remote} {
		s.live()
		start := time.Now()
		must(t, repo.Write("hello.yaml", spec("hello", "hello.test", "")+"  service: "+what+"\n"))
		id, err := repo.Commit("Change")
		must(t, err)
		_, err = s.up.Live(s.ctx, id)
		must(t, err)
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("%s: a commit took %v", what, took)
		}
		if used := resident(t, s.up.PID()); used > 250<<10 {
			t.Errorf("%s: %d MiB", what, used>>10)
		}
	}
}

// TestSourcesOfEveryKind serves every form of a repository once.
func TestSourcesOfEveryKind(t *testing.T) {
	repo := newRepo(t, map[string]string{"hello.yaml": spec("hello", "hello.test", ""), "sub/dir/sub.yaml": spec("sub", "sub.test", "")})
	git := func(args ...string) {
		t.Helper()
		_, err := repo.Git(args...)
		must(t, err)
	}
	id, err := repo.Git("rev-parse", "HEAD")
	must(t, err)
	git("tag", "v1.2.3")
	git("clone", "-q", "--bare", ".", "../bare.git")
	git("worktree", "add", "-q", "-b", "linked", "../linked")
	git("clone", "-q", "--depth", "1", "file://"+repo.Dir, "../shallow")
	must(t, repo.Write("hello.yaml", spec("later", "hello.test", "")))
	git("commit", "-q", "-a", "-m", "Later")
	beside := func(name string) string { return filepath.Join(filepath.Dir(repo.Dir), name) }
	port, err := lab.FreePort()
	must(t, err)
	for _, c := range []struct {
		args       []string
		revision   string
		path, name string
	}{
		{[]string{beside("bare.git")}, "main@" + id[:7], ".", "hello"},
		{[]string{beside("linked")}, "linked@" + id[:7], ".", "hello"},
		{[]string{beside("shallow")}, "main@" + id[:7], ".", "hello"},
		{[]string{"file://" + repo.Dir, "--ref", "v1.2.3"}, "v1.2.3@" + id[:7], ".", "hello"},
		{[]string{repo.Dir, "--ref", "semver:~1.2"}, "v1.2.3@" + id[:7], ".", "hello"},
		{[]string{repo.Dir, "--ref", id[:10]}, id[:7], ".", "hello"},
		{[]string{repo.Dir, "--ref", "refs/heads/linked"}, "refs/heads/linked@" + id[:7], ".", "hello"},
		{[]string{filepath.Join(repo.Dir, "sub"), "--path", "dir", "--ref", "tag:v1.2.3"}, "v1.2.3@" + id[:7], "sub/dir", "sub"},
		{[]string{filepath.Join(repo.Dir, "sub", "dir"), "--worktree"}, "worktree@", "sub/dir", "sub"},
	} {
		args := append([]string{"up", "--once", "--envoy", envoyForTests(t), "--port", "80=" + itoa(port)}, c.args...)
		code, out, errs := headgate(t, args...)
		for _, want := range []string{" · path " + c.path + " · ", " · " + c.revision, " " + c.name + ":8080 "} {
			if code != exitFine || !strings.Contains(out, want) {
				t.Errorf("%v: exit %d, want %q in\n%s%s", c.args, code, want, out, errs)
			}
		}
	}
}
