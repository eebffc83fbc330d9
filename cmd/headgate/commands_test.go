package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"headgate.dev/cmd/internal/help"
	"headgate.dev/cmd/internal/lab"
	"headgate.dev/cmd/internal/term"
)

var update = flag.Bool("update", false, "write the golden files again")

func TestRenderCommand(t *testing.T) {
	repo := newRepo(t, map[string]string{"hello.yaml": spec("hello", "hello.test", "")})
	code, out, errs := headgate(t, "render", repo.Dir)
	if code != exitFine || !strings.Contains(out, "kind: HTTPRoute") || errs != "" {
		t.Errorf("yaml: exit %d\n%s%s", code, out, errs)
	}
	code, out, _ = headgate(t, "render", repo.Dir, "-o", "json")
	var object map[string]any
	if err := json.Unmarshal([]byte(out), &object); err != nil || code != exitFine || object["kind"] != "HTTPRoute" {
		t.Errorf("json: exit %d, %v\n%s", code, err, out)
	}
	must(t, repo.Write("hello.yaml", spec("saved", "hello.test", "")))
	if _, out, _ = headgate(t, "render", repo.Dir); !strings.Contains(out, "name: saved") {
		t.Errorf("the saved files are rendered:\n%s", out)
	}
	if _, out, _ = headgate(t, "render", repo.Dir, "--ref", "main"); strings.Contains(out, "name: saved") {
		t.Errorf("--ref renders the commit:\n%s", out)
	}
}

func TestRenderMasksSecrets(t *testing.T) {
	repo := newRepo(t, map[string]string{"secret.yaml": "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {password: canary}\n"})
	code, out, errs := headgate(t, "render", repo.Dir)
	if code != exitFine || strings.Contains(out, "canary") || !strings.Contains(errs, "--show-secrets") {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
	if _, out, errs = headgate(t, "render", repo.Dir, "--show-secrets"); !strings.Contains(out, "canary") || errs != "" {
		t.Errorf("asked for:\n%s%s", out, errs)
	}
}

func TestRenderOutsideARepository(t *testing.T) {
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "hello.yaml"), []byte(spec("hello", "hello.test", "")), 0o644))
	if code, out, errs := headgate(t, "render", dir); code != exitFine || !strings.Contains(out, "hello.test") {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
}

func TestValidateCommand(t *testing.T) {
	repo := newRepo(t, map[string]string{
		"good.yaml": spec("good", "good.test", ""),
		"bad.yaml":  spec("bad", "bad.test", "  - pth: /x\n"),
		"sub/b.yml": spec("bad", "bad.test", "  - path: x\n"),
	})
	code, out, _ := headgate(t, "validate", repo.Dir)
	for _, want := range []string{"bad.yaml:8:5: spec.routes[0].pth: ", `did you mean "path"`, "sub/b.yml:8:11: spec.routes[0].path: ", "2 things wrong"} {
		if code != exitInput || !strings.Contains(out, want) {
			t.Errorf("text: exit %d, want %q in\n%s", code, want, out)
		}
	}
	code, out, _ = headgate(t, "validate", repo.Dir, "--output", "json")
	var list struct{ Errors []lab.Problem }
	if err := json.Unmarshal([]byte(out), &list); err != nil || code != exitInput || len(list.Errors) != 2 || list.Errors[0].Line != 8 {
		t.Errorf("json: exit %d, %v, %+v", code, err, list)
	}
	code, out, _ = headgate(t, "validate", repo.Dir, "--output", "github")
	if code != exitInput || !strings.HasPrefix(out, "::error file=bad.yaml,line=8,col=5::spec.routes[0].pth: ") {
		t.Errorf("github: exit %d\n%s", code, out)
	}

	must(t, repo.Write("bad.yaml", ""))
	must(t, repo.Write("sub/b.yml", ""))
	if code, out, _ = headgate(t, "validate", repo.Dir); code != exitFine || !strings.Contains(out, "1 object") {
		t.Errorf("fine: exit %d\n%s", code, out)
	}
}

func TestSchemaAndVersionCommands(t *testing.T) {
	for _, args := range [][]string{{"schema"}, {"schema", "ServiceSpec"}, {"schema", "GatewaySpec"}, {"version", "-o", "json"}} {
		code, out, errs := headgate(t, args...)
		if !json.Valid([]byte(out)) || code != exitFine {
			t.Errorf("%v: exit %d, no JSON: %s%s", args, code, out, errs)
		}
	}
	if code, out, _ := headgate(t, "version"); code != exitFine || !strings.Contains(out, "Envoy "+envoyVersion) {
		t.Errorf("version: exit %d, %s", code, out)
	}
}

func TestUsageErrors(t *testing.T) {
	for _, args := range [][]string{
		{"upp"}, {"up", "a", "b"}, {"up", "--prot", "1"}, {"up", "--output", "xml"}, {"up", "--listen", "here"},
		{"up", "--port", "80"}, {"up", "--endpoint", "shop=nowhere"}, {"up", "--path", "../x"}, {"up", "--worktree", "--ref", "main"},
		{"up", "--worktree", "https://git.example.test/x"}, {"up", "--ref", "kind:x"}, {"render", "-o", "xml"},
		{"validate", "--output", "x"},
		{"explain", "--host", ""}, {"explain", "--host", "x", "--port", "x"}, {"explain", "--scheme", "quic", "--port", "443"}, {"explain", "--host", "x", "--grpc", "/"},
		{"explain", "a", "b", "--host", "x"}, {"diff", "--from", ""}, {"diff", "--from", "HEAD~x"}, {"diff", "--from", "main:x"}, {"diff", "a", "b"}, {"diff", "shop", "--from", "main"}, {"status"}, {"status", "a", "b"}, {"rollback", "a", "b", "c"}, {"create", "sync"}, {"create", "x"}, {"get", "pods"}, {"validate", "--bogus"}, {"schema", "Service"}, {"version", "x"},
	} {
		if code, _, errs := headgate(t, args...); code != exitUsage || errs == "" {
			t.Errorf("%v: exit %d, %q; expected 2 and a word", args, code, errs)
		}
	}
}

func TestExitCodes(t *testing.T) {
	repo := newRepo(t, map[string]string{"hello.yaml": spec("hello", "hello.test", "")})
	for _, c := range []struct {
		code int
		args []string
	}{
		{exitEnvironment, []string{"up", repo.Dir, "--envoy", "/nowhere/envoy"}},
		{exitInput, []string{"up", t.TempDir(), "--envoy", envoyForTests(t)}},
		{exitInput, []string{"up", repo.Dir, "--ref", "nothing", "--once", "--envoy", envoyForTests(t)}},
		{exitInput, []string{"render", repo.Dir, "--ref", "nothing"}},
		{exitInput, []string{"diff", repo.Dir, "--from", "HEAD~1"}},
		{exitInput, []string{"diff", t.TempDir()}},
		{exitFine, []string{"diff", repo.Dir, "--from", "HEAD", "--to", "@"}},
		{exitFine, []string{"explain", repo.Dir, "--host", "nowhere.test"}},
		{exitFine, []string{"explain", repo.Dir, "--port", "5432"}},
		{exitUsage, []string{"explain", repo.Dir, "--port", "80"}},
		{exitUsage, []string{"validate", repo.Dir, "/nowhere"}},
		{exitUsage, []string{"render", "/nowhere"}},
		{exitUsage, []string{"validate", filepath.Join(repo.Dir, "hello.yaml")}},
	} {
		if code, _, errs := headgate(t, c.args...); code != c.code {
			t.Errorf("%v: exit %d, %q; expected %d", c.args, code, errs, c.code)
		}
	}
}

// TestHelpFitsAScreen: no line that a command says of itself is wider than what else is printed, flags included.
func TestHelpFitsAScreen(t *testing.T) {
	for _, name := range []string{"headgate", "kubectl headgate"} {
		root := rootCommand(streams{name: name})
		root.InitDefaultHelpCmd()
		root.InitDefaultCompletionCmd()
		for _, c := range help.Every(root) {
			c.InitDefaultHelpFlag()
			var out strings.Builder
			c.SetOut(&out)
			must(t, c.Help())
			if !strings.Contains(out.String(), "--help") {
				t.Errorf("%s: no flags in\n%s", c.CommandPath(), &out)
			}
			for _, line := range strings.Split(out.String(), "\n") {
				if n := utf8.RuneCountInString(line); n > term.Columns {
					t.Errorf("%s: %d columns, expected at most %d: %s", c.CommandPath(), n, term.Columns, line)
				}
			}
		}
	}
	for _, shell := range []string{"bash", "zsh", "fish"} {
		if code, out, _ := headgate(t, "completion", shell); code != exitFine || !strings.Contains(out, "headgate") {
			t.Errorf("completion %s: exit %d", shell, code)
		}
	}
}

// TestPlugin holds that as a plugin of kubectl the program speaks of itself as the user calls it.
func TestPlugin(t *testing.T) {
	for file, want := range map[string]string{
		"/usr/bin/headgate": "headgate", "bin/headgate": "headgate", "kubectl-headgate": "kubectl headgate", "/opt/kubectl-headgate": "kubectl headgate",
	} {
		if got := programName(file); got != want {
			t.Errorf("%s: called %q, expected %q", file, got, want)
		}
	}
	var out, errs bytes.Buffer
	s := streams{out: &out, err: &errs, getenv: func(string) string { return "" }, name: "kubectl headgate"}
	for _, args := range [][]string{{"help"}, {"status", "--help"}, {"diff", "--help"}, {"create", "sync", "--help"}} {
		if code := run(t.Context(), s, args); code != exitFine {
			t.Errorf("%v: exit %d", args, code)
		}
	}
	for line := range strings.Lines(out.String()) {
		if trimmed := strings.TrimSpace(line); strings.HasPrefix(trimmed, "headgate ") {
			t.Errorf("a command that kubectl does not have: %s", line)
		}
	}
	if !strings.Contains(out.String(), "  kubectl headgate status shop -n team-a -o json") {
		t.Errorf("the examples are not kubectl's:\n%s", &out)
	}
	if code := run(t.Context(), s, []string{"status", "a", "b"}); code != exitUsage || !strings.Contains(errs.String(), "See 'kubectl headgate help'") {
		t.Errorf("exit %d: %s", code, &errs)
	}
}

// TestValidateSeveralTrees: what is in directories of several repositories, or of none, is named as it is found from here.
func TestValidateSeveralTrees(t *testing.T) {
	a := newRepo(t, map[string]string{"a.yaml": spec("a", "shop.test", "")})
	b := t.TempDir()
	must(t, os.WriteFile(filepath.Join(b, "b.yaml"), []byte(spec("b", "shop.test", "")), 0o644))
	t.Chdir(filepath.Dir(b))
	there, err := filepath.Rel(filepath.Dir(b), a.Dir)
	must(t, err)
	code, out, errs := headgate(t, "validate", a.Dir, b, "-o", "json")
	var list struct{ Errors []lab.Problem }
	if err := json.Unmarshal([]byte(out), &list); err != nil || code != exitInput || len(list.Errors) != 1 ||
		list.Errors[0].File != filepath.Base(b)+"/b.yaml" || !strings.Contains(list.Errors[0].Message, "("+there+"/a.yaml:4:1)") {
		t.Errorf("claims: exit %d, %v\n%s%s", code, err, out, errs)
	}
	must(t, a.Write("a.yaml", spec("a", "shop.test", "  - pth: /x\n")))
	if code, out, _ = headgate(t, "validate", a.Dir, b); code != exitInput || !strings.Contains(strings.Join(strings.Fields(out), " "), there+"/a.yaml:8:5: spec.routes[0].pth") {
		t.Errorf("errors: exit %d\n%s", code, out)
	}
}
