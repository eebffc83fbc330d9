package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"headgate.dev/cmd/internal/lab"
)

// TestMain lets the test binary be headgate: tests of processes need one.
func TestMain(m *testing.M) {
	if os.Getenv("HEADGATE_BE_THE_PROGRAM") == "1" {
		main()
		return
	}
	os.Exit(m.Run())
}

// envoyForTests finds the real Envoy.
func envoyForTests(t testing.TB) string {
	path := os.Getenv("HEADGATE_ENVOY")
	if path == "" {
		path = filepath.Join("..", "..", ".cache", "envoy-"+envoyVersion, "envoy")
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(abs); err != nil {
		t.Fatalf("the tests need a real Envoy; run `make envoy`: %v", err)
	}
	return abs
}

// sandbox is a repository, a headgate that serves it and a way to send it requests.
type sandbox struct {
	testing.TB
	repo *lab.Repo
	up   *lab.Up
	port int
	ctx  context.Context
}

// newRepo makes a repository with files, committed.
func newRepo(t testing.TB, files map[string]string) *lab.Repo {
	t.Helper()
	repo, err := lab.NewRepo(filepath.Join(t.TempDir(), "repo"))
	must(t, err)
	for name, content := range files {
		must(t, repo.Write(name, content))
	}
	_, err = repo.Commit("Begin")
	must(t, err)
	return repo
}

// startUp serves a repository; the first outcome is left to the caller.
func startUp(t testing.TB, repo *lab.Repo, args ...string) *sandbox {
	t.Helper()
	port, err := lab.FreePort()
	must(t, err)
	s := &sandbox{TB: t, repo: repo, port: port}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	s.ctx = ctx
	s.start(args...)
	return s
}

func (s *sandbox) start(args ...string) {
	s.Helper()
	exe, err := os.Executable()
	must(s.TB, err)
	args = append([]string{s.repo.Dir, "--envoy", envoyForTests(s.TB), "--port", "80=" + itoa(s.port)}, args...)
	s.up, err = lab.Start([]string{exe}, []string{"HEADGATE_BE_THE_PROGRAM=1"}, args...)
	must(s.TB, err)
	up := s.up
	s.Cleanup(func() { _ = up.Kill() })
}

// commit saves a file, commits it and waits until it is live.
func (s *sandbox) commit(name, content string) lab.Event {
	s.Helper()
	must(s.TB, s.repo.Write(name, content))
	id, err := s.repo.Commit("Change " + name)
	must(s.TB, err)
	e, err := s.up.Live(s.ctx, id)
	must(s.TB, err)
	return e
}

// refused saves a file, commits it and waits for the errors.
func (s *sandbox) refused(name, content string) lab.Event {
	s.Helper()
	must(s.TB, s.repo.Write(name, content))
	_, err := s.repo.Commit("Break " + name)
	must(s.TB, err)
	e, err := s.up.Next(s.ctx, "error", "live")
	must(s.TB, err)
	if e.Event != "error" {
		s.Fatalf("the commit is live, but was to be refused: %+v", e)
	}
	return e
}

func (s *sandbox) live() lab.Event {
	s.Helper()
	e, err := s.up.Next(s.ctx, "live", "error")
	must(s.TB, err)
	if e.Event != "live" {
		s.Fatalf("not live: %+v", e)
	}
	return e
}

func (s *sandbox) get(host, path string) lab.Answer {
	s.Helper()
	a, err := lab.Get(lab.Client(s.port), host, path, nil)
	must(s.TB, err)
	return a
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// headgate runs a command in this process.
func headgate(t testing.TB, args ...string) (code int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	code = run(t.Context(), streams{out: &o, err: &e, getenv: func(string) string { return "" }}, args)
	return code, o.String(), e.String()
}
