package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"headgate.dev/cmd/internal/lab"
)

func itoa(n int) string { return strconv.Itoa(n) }

// spec is a small service spec; routes is what stands below "routes:", or nothing.
func spec(name, host, routes string) string {
	s := fmt.Sprintf("apiVersion: headgate.dev/v1alpha1\nkind: ServiceSpec\nmetadata: {name: %s}\nspec:\n  hosts: [%s]\n  port: 8080\n", name, host)
	if routes != "" {
		s += "  routes:\n" + routes
	}
	return s
}

func TestUpFollowsCommits(t *testing.T) {
	s := startUp(t, newRepo(t, map[string]string{"hello.yaml": spec("hello", "hello.test", "")}))
	if e := s.live(); e.Envoys.Acked != 1 || e.Envoys.Total != 1 || e.Objects != 1 {
		t.Errorf("first: %+v", e)
	}
	if a := s.get("hello.test", "/x"); a.Status != 200 || a.Service != "hello" || a.Port != 8080 || a.Namespace != "default" {
		t.Errorf("hello: %+v", a)
	}
	if a := s.get("other.test", "/"); a.Status != 404 {
		t.Errorf("a host nobody has: %+v", a)
	}

	e := s.commit("hello.yaml", spec("hello", "hello.test", "  - path: /old\n    redirect: {path: /new, code: 308}\n  - path: /\n"))
	if e.Changed != 1 {
		t.Errorf("one object changed, counted %d", e.Changed)
	}
	if a := s.get("hello.test", "/old"); a.Status != 308 || !strings.HasSuffix(a.Location, "/new") {
		t.Errorf("redirect: %+v", a)
	}

	s.commit("b/shop.yaml", spec("shop", "shop.test", ""))
	if a := s.get("shop.test", "/"); a.Service != "shop" {
		t.Errorf("a new service: %+v", a)
	}
	s.commit("hello.yaml", "")
	if a := s.get("hello.test", "/"); a.Status != 404 {
		t.Errorf("a service that is gone: %+v", a)
	}
	must(t, s.up.Stop())
}

func TestUpKeepsTheLastGoodRevision(t *testing.T) {
	s := startUp(t, newRepo(t, map[string]string{"hello.yaml": spec("hello", "hello.test", "")}))
	first := s.live()

	e := s.refused("hello.yaml", spec("hello", "hello.test", "  - path: /old\n    rediret: {path: /new}\n"))
	if e.Serving != first.Revision || len(e.Errors) != 1 {
		t.Fatalf("refusal: %+v", e)
	}
	if p := e.Errors[0]; p.File != "hello.yaml" || p.Line != 9 || p.Field != "spec.routes[0].rediret" || !strings.Contains(p.Message, `"redirect"`) {
		t.Errorf("the error names file, line, field and the nearest name: %+v", p)
	}
	if a := s.get("hello.test", "/old"); a.Status != 200 || a.Service != "hello" {
		t.Errorf("the last good revision serves: %+v", a)
	}

	e = s.refused("hello.yaml", "") // nothing is left
	if !strings.Contains(e.Errors[0].Message, "--allow-empty") {
		t.Errorf("an empty tree: %+v", e.Errors)
	}
	if a := s.get("hello.test", "/"); a.Status != 200 {
		t.Errorf("an empty render takes nothing away: %+v", a)
	}

	s.commit("hello.yaml", spec("hello", "hello.test", "")+"  service: other\n")
	if a := s.get("hello.test", "/"); a.Service != "other" {
		t.Errorf("mended: %+v", a)
	}

	// A branch that vanishes takes nothing away either.
	if _, err := s.repo.Git("update-ref", "-d", "refs/heads/main"); err != nil {
		t.Fatal(err)
	}
	gone, err := s.up.Next(s.ctx, "error")
	must(t, err)
	if a := s.get("hello.test", "/"); a.Service != "other" {
		t.Errorf("without its branch: %+v, %+v", a, gone)
	}
}

func TestUpAllowEmpty(t *testing.T) {
	s := startUp(t, newRepo(t, map[string]string{"hello.yaml": spec("hello", "hello.test", "")}), "--allow-empty")
	s.live()
	must(t, s.repo.Write("README.md", "nothing here"))
	s.commit("hello.yaml", "")
	// With the last route the default Gateway goes too, and with it the port.
	waitFor(t, func() bool {
		_, err := lab.Get(lab.Client(s.port), "hello.test", "/", nil)
		return err != nil
	})
}

func TestUpRefusesTheFirstCommit(t *testing.T) {
	s := startUp(t, newRepo(t, map[string]string{"hello.yaml": "kind: Nothing\n"}))
	e, err := s.up.Next(s.ctx, "error")
	must(t, err)
	if len(e.Errors) == 0 || e.Errors[0].File != "hello.yaml" {
		t.Errorf("got %+v", e)
	}
	s.commit("hello.yaml", spec("hello", "hello.test", ""))
	if a := s.get("hello.test", "/"); a.Status != 200 {
		t.Errorf("mended: %+v", a)
	}
}

func TestUpOnce(t *testing.T) {
	good := newRepo(t, map[string]string{"hello.yaml": spec("hello", "hello.test", "")})
	s := startUp(t, good, "--once")
	s.live()
	must(t, s.up.Wait())

	bad := newRepo(t, map[string]string{"hello.yaml": "kind: Nothing\n"})
	s = startUp(t, bad, "--once")
	err := s.up.Wait()
	if err == nil || !strings.Contains(err.Error(), "exit status 1") {
		t.Errorf("wrong input: %v", err)
	}
}

func TestUpWorktreeServesSavedFiles(t *testing.T) {
	s := startUp(t, newRepo(t, map[string]string{"hello.yaml": spec("hello", "hello.test", "")}), "--worktree")
	s.live()
	must(t, s.repo.Write("hello.yaml", spec("hello", "saved.test", "")))
	for s.get("saved.test", "/").Status != 200 {
		s.live()
	}
}

func TestUpEndpointIsAsked(t *testing.T) {
	port, err := lab.FreePort()
	must(t, err)
	backend := startBackend(t, port)
	s := startUp(t, newRepo(t, map[string]string{"hello.yaml": spec("hello", "hello.test", "")}),
		"--endpoint", "hello:8080=localhost:"+itoa(port))
	s.live()
	s.get("hello.test", "/x")
	if got := backend(); got != "hello.test /x" {
		t.Errorf("the backend saw %q", got)
	}
}

func TestUpPortInUse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	repo := newRepo(t, map[string]string{"hello.yaml": spec("hello", "hello.test", "")})
	s := &sandbox{TB: t, repo: repo, port: l.Addr().(*net.TCPAddr).Port, ctx: t.Context()}
	s.start("--once")
	e, err := s.up.Next(s.ctx, "error")
	must(t, err)
	if want := "--port 80=PORT"; !strings.Contains(e.Errors[0].Message, want) {
		t.Errorf("%q does not say %q", e.Errors[0].Message, want)
	}
	if err := s.up.Wait(); err == nil || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("exit: %v", err)
	}
}

// TestUpLeavesNoProcess ends headgate in every way and looks for the Envoy it had.
func TestUpLeavesNoProcess(t *testing.T) {
	for name, end := range map[string]func(*lab.Up) error{"interrupt": (*lab.Up).Stop, "kill": (*lab.Up).Kill} {
		t.Run(name, func(t *testing.T) {
			s := startUp(t, newRepo(t, map[string]string{"hello.yaml": spec("hello", "hello.test", "")}))
			s.live()
			envoy := childOf(t, s.up.PID())
			_ = end(s.up) // a killed process has no good exit
			waitFor(t, func() bool { return !alive(envoy) })
		})
	}
}

func TestUpRestartsEnvoy(t *testing.T) {
	s := startUp(t, newRepo(t, map[string]string{"hello.yaml": spec("hello", "hello.test", "")}))
	s.live()
	must(t, syscall.Kill(childOf(t, s.up.PID()), syscall.SIGKILL))
	e, err := s.up.Next(s.ctx, "error")
	must(t, err)
	if !strings.Contains(e.Errors[0].Message, "started again") {
		t.Errorf("got %+v", e)
	}
	waitFor(t, func() bool {
		a, err := lab.Get(lab.Client(s.port), "hello.test", "/", nil)
		return err == nil && a.Service == "hello"
	})
}

// childOf finds the Envoy that a headgate runs.
func childOf(t testing.TB, pid int) int {
	t.Helper()
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	must(t, err)
	for _, task := range tasks {
		children, err := os.ReadFile(task)
		must(t, err)
		for _, field := range strings.Fields(string(children)) {
			child, err := strconv.Atoi(field)
			must(t, err)
			return child
		}
	}
	t.Fatalf("process %d has no child", pid)
	return 0
}

func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(stat), ") Z ")
}
