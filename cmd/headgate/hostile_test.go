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
	"unicode/utf16"

	"headgate.dev/cmd/internal/lab"
)

// hello serves the one service that everything hostile is committed beside.
func hello(t *testing.T, args ...string) *sandbox {
	t.Helper()
	s := startUp(t, newRepo(t, map[string]string{"hello.yaml": spec("hello", "hello.test", "")}), args...)
	s.live()
	return s
}

// answers fails unless the service that was served before still is.
func (s *sandbox) answers() {
	s.Helper()
	if a := s.get("hello.test", "/"); a.Status != 200 || a.Service != "hello" {
		s.Errorf("what was live is not: %+v", a)
	}
}

func bomb() string {
	text := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: bomb}\na: &a [x,x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c < 'z'; c++ {
		text += string(c) + ": &" + string(c) + " [" + strings.Repeat("*"+string(c-1)+",", 10) + "]\n"
	}
	return text
}

func utf16le(text string) string {
	b := []byte{0xff, 0xfe}
	for _, unit := range utf16.Encode([]rune(text)) {
		b = append(b, byte(unit), byte(unit>>8))
	}
	return string(b)
}

// TestHostileFilesAllAtOnce commits every kind of broken file together: one report has them all, each with its place, and
// costs no more memory than there are bytes that may be read.
func TestHostileFilesAllAtOnce(t *testing.T) {
	s := hello(t)
	const object = "apiVersion: v1\nkind: A\nmetadata: {name: a}\n"
	files := []struct {
		name, content string
		line          int
		field, want   string
	}{
		{"bomb.yaml", bomb(), 8, "", "every use of an alias counted"},
		{"cr.yaml", "apiVersion: v1\rkind: A\n", 1, "", "neither LF nor CRLF"},
		{"deep.yaml", strings.Repeat("[", 50_000) + strings.Repeat("]", 50_000), 1, "", "too deep"},
		{"documents.yaml", strings.Repeat("---\n"+object, 10_000), 4001, "", "more than 1000 documents"},
		{"huge.yaml", strings.Repeat("#", 5<<20), 0, "", "has 5242880 bytes"},
		{"key.yaml", spec("key", "key.test", "") + "  port: 80\n  prt: 1\n", 7, "", `"port" is already there on line 6`},
		{"key.yaml", "", 8, "spec.prt", `did you mean "port"`},
		{"large.yaml", strings.Repeat("#", 2<<20) + "\nkind: A\n", 2, "", "no apiVersion"},
		{"latin1.yaml", object + "data: {a: \"\xe9\"}\n", 4, "", "0xE9, which is not UTF-8"},
		{"lfs.yaml", "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 5\n", 0, "", "Git LFS pointer"},
		{"nul.yaml", object + "\x00\x00\x00\x00", 4, "", "NUL byte"},
		{"raw.yaml", "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: r}\nspec:\n  rules:\n  - backendRefs: [{name: x, port: \"eighty\"}]\n", 6, "spec.rules[0].backendRefs[0].port", "integer"},
		{"tab.yaml", "apiVersion: v1\nkind: A\nmetadata:\n\tname: a\n", 4, "", "this line has a tab"},
		{"types.yaml", strings.Replace(spec("types", "5", ""), "8080", "eighty", 1), 5, "spec.hosts[0]", "expected a hostname"},
		{"types.yaml", "", 6, "spec.port", "expected a port"},
		{"utf16.yaml", utf16le(object), 1, "", "save it as UTF-8"},
	}
	for _, f := range files {
		if f.content != "" {
			must(t, s.repo.Write(f.name, f.content))
		}
	}
	before := resident(t, s.up.PID())
	e := s.refused("crlf.yaml", strings.ReplaceAll(spec("crlf", "crlf.test", ""), "\n", "\r\n")) // this one is fine
	if grown := resident(t, s.up.PID()) - before; grown > 150<<10 {
		t.Errorf("it took %d MiB to say so", grown>>10)
	}
	if len(e.Errors) != len(files) {
		t.Errorf("%d errors, want %d", len(e.Errors), len(files))
	}
	for i, f := range files {
		if i >= len(e.Errors) {
			break
		}
		p := e.Errors[i]
		if p.File != f.name || p.Line != f.line || p.Field != f.field || !strings.Contains(p.Message, f.want) {
			t.Errorf("%s: want line %d, field %q, %q; got %+v", f.name, f.line, f.field, f.want, p)
		}
	}
	s.answers()
}

// resident is the memory a process has, in KiB.
func resident(t testing.TB, pid int) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	must(t, err)
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	n, err := strconv.Atoi(strings.Fields(rest)[0])
	must(t, err)
	return n
}

// TestHostileKustomizations: what a refused kustomization names is not read, and the errors of what it lists are told in
// the same report.
func TestHostileKustomizations(t *testing.T) {
	s := hello(t)
	outside := t.TempDir()
	must(t, os.WriteFile(filepath.Join(outside, "secret.yaml"), []byte(spec("secret", "secret.test", "")), 0o644))
	must(t, os.Symlink(filepath.Join(outside, "secret.yaml"), filepath.Join(s.repo.Dir, "link.yaml")))
	must(t, os.Symlink(outside, filepath.Join(s.repo.Dir, "dir")))
	must(t, s.repo.Write("one/bad.yaml", spec("bad", "bad.test", "")+"  prt: 1\n"))
	must(t, s.repo.Write("one/kustomization.yaml", "resources:\n- bad.yaml\n- https://example.com/base\n- github.com/some/base?ref=v1\n"+
		"- /etc/passwd\n- ../../secret.yaml\n- ../dir\n- git@example.com:some/base\n- bad.yaml\n"))
	must(t, s.repo.Write("two/kustomization.yaml", "resources: [../three]\n"))
	must(t, s.repo.Write("three/kustomization.yaml", "resources: [../two]\n"))
	must(t, s.repo.Write("four/kustomization.yaml", "# nothing yet\n"))
	e := s.refused("five/kustomization.yaml", "helmCharts: [{name: x}]\nnamePrfix: a-\n")
	text := ""
	for _, p := range e.Errors {
		text += fmt.Sprintf("%s:%d: %s: %s\n", p.File, p.Line, p.Field, p.Message)
	}
	for _, want := range []string{
		"dir:0: : is a link", "link.yaml:0: : is a link",
		"one/bad.yaml:7: spec.prt: unknown field",
		"one/kustomization.yaml:3: resources[1]: \"https://example.com/base\" is not in the tree",
		"one/kustomization.yaml:4: resources[2]: \"github.com/some/base?ref=v1\" is not in the tree",
		"one/kustomization.yaml:5: resources[3]: \"/etc/passwd\" is an absolute path",
		"one/kustomization.yaml:6: resources[4]: \"../../secret.yaml\" leads out of the tree",
		"one/kustomization.yaml:8: resources[6]: \"git@example.com:some/base\" is not in the tree",
		"one/kustomization.yaml:9: resources[7]: \"bad.yaml\" is listed twice",
		"two/kustomization.yaml:1: resources[0]: kustomizations build on each other in a circle",
		"four/kustomization.yaml:0: : is empty",
		"five/kustomization.yaml:1: helmCharts: is not supported",
		"five/kustomization.yaml:2: namePrfix: unknown field; did you mean \"namePrefix\"",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	s.answers()
}

// TestHostileNames: what people read has no control characters of a stranger in it.
func TestHostileNames(t *testing.T) {
	repo := newRepo(t, map[string]string{"a\x1b[31m\nb.yaml": "kind: X\n", "k.yaml": "\"x\x1b[2J\": 1\n"})
	_, err := repo.Git("commit", "-q", "--allow-empty", "-m", "Red \x1b[31m and\x07 loud")
	must(t, err)
	for _, args := range [][]string{{"validate", repo.Dir}, {"up", repo.Dir, "--once", "--envoy", envoyForTests(t)}} {
		code, out, errs := headgate(t, args...)
		if code != exitInput || strings.ContainsAny(out+errs, "\x1b\x07") || !strings.Contains(out, `"a\x1b[31m\nb.yaml":1:1`) {
			t.Errorf("%s: exit %d, %q", args[0], code, out+errs)
		}
	}
}

// TestSameHostTwice: of two services that claim the same requests one answers, and the report says that the other does not.
func TestSameHostTwice(t *testing.T) {
	s := hello(t)
	e := s.commit("other.yaml", spec("other", "hello.test", ""))
	if len(e.Hidden) != 1 || e.Hidden[0].From != "other.yaml:4:1" || e.Hidden[0].ByFrom != "hello.yaml:4:1" {
		t.Errorf("hidden: %+v", e.Hidden)
	}
	s.answers()
}

// TestGatewayPorts: a second Gateway on a port gets the next free one and says so; one on a port that is in use refuses
// the commit, and is served once the port is free.
func TestGatewayPorts(t *testing.T) {
	s := hello(t)
	const gateway = "apiVersion: headgate.dev/v1alpha1\nkind: GatewaySpec\nmetadata: {name: %s}\nspec: {%s}\n"
	e := s.commit("second.yaml", spec("second", "second.test", "")+"  gateway: two\n---\n"+fmt.Sprintf(gateway, "two", "default: false"))
	if len(e.Listeners) != 1 || e.Listeners[0].Gateway != "default/two" || e.Listeners[0].Port != 80 {
		t.Fatalf("listeners: %+v", e.Listeners)
	}
	_, port, err := net.SplitHostPort(e.Listeners[0].Address)
	must(t, err)
	two := &sandbox{TB: t}
	two.port, err = strconv.Atoi(port)
	must(t, err)
	if a := two.get("second.test", "/"); a.Service != "second" {
		t.Errorf("the second Gateway: %+v", a)
	}
	if a := two.get("hello.test", "/"); a.Status != 404 {
		t.Errorf("it has no other's routes: %+v", a)
	}

	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	three := l.Addr().(*net.TCPAddr).Port
	e = s.refused("third.yaml", fmt.Sprintf(gateway, "three", "default: false, ports: [{port: "+itoa(three)+", protocol: HTTP}]"))
	if want := "--port " + itoa(three) + "=PORT"; !strings.Contains(e.Errors[0].Message, want) {
		t.Errorf("%q does not say %q", e.Errors[0].Message, want)
	}
	s.answers()
	must(t, l.Close())
	s.commit("third-service.yaml", spec("third", "third.test", "")+"  gateway: three\n")
	if a := (&sandbox{TB: t, port: three}).get("third.test", "/"); a.Service != "third" {
		t.Errorf("the port is free again: %+v", a)
	}
}

// TestCommitWhileEnvoyIsDown is served by the Envoy that follows.
func TestCommitWhileEnvoyIsDown(t *testing.T) {
	s := hello(t)
	must(t, syscall.Kill(childOf(t, s.up.PID()), syscall.SIGKILL))
	s.commit("late.yaml", spec("late", "late.test", ""))
	waitFor(t, func() bool {
		a, err := lab.Get(lab.Client(s.port), "late.test", "/", nil)
		return err == nil && a.Service == "late"
	})
	s.answers()
}
