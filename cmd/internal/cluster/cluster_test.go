package cluster

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"headgate.dev/schema"
)

// kubeconfig writes one for a server, with two contexts, and gives its path.
func kubeconfig(t *testing.T, server string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kubeconfig")
	text := `apiVersion: v1
kind: Config
current-context: prod
clusters:
- {name: c, cluster: {server: "` + server + `"}}
users:
- {name: u, user: {token: canary}}
contexts:
- {name: prod, context: {cluster: c, user: u, namespace: team-a}}
- {name: test, context: {cluster: c, user: u}}
`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// run runs a command line.
func run(t *testing.T, args ...string) (out, errs string, err error) {
	t.Helper()
	var o, e bytes.Buffer
	p := Program{Out: &o, Err: &e, Getenv: func(string) string { return "" }, Name: "headgate"}
	root := &cobra.Command{Use: "headgate", SilenceErrors: true, SilenceUsage: true}
	root.AddGroup(&cobra.Group{ID: Group})
	root.AddCommand(Commands(p)...)
	preview := &cobra.Command{Use: "preview"}
	preview.AddCommand(PreviewCommands(p)...)
	root.AddCommand(preview)
	root.SetArgs(args)
	root.SetOut(&o)
	root.SetErr(&e)
	err = root.ExecuteContext(t.Context())
	return o.String(), e.String(), err
}

// TestWithoutCluster holds that whatever lacks is named, with what to do about it.
func TestWithoutCluster(t *testing.T) {
	answer := func(code int, body string) string {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(code)
			_, _ = w.Write([]byte(body))
		}))
		t.Cleanup(server.Close)
		return server.URL
	}
	failure := func(code, reason, details string) string {
		return `{"kind":"Status","apiVersion":"v1","status":"Failure","message":"said the server","reason":"` + reason + `","code":` + code + details + `}`
	}
	gone := httptest.NewServer(nil)
	gone.Close()
	t.Setenv("HOME", t.TempDir())
	t.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "none"))
	for _, c := range []struct{ name, server, want string }{
		{"no kubeconfig", "", "no cluster is configured: name a kubeconfig with --kubeconfig or KUBECONFIG"},
		{"nobody there", gone.URL, "does not answer"},
		{"no custom resource", answer(404, "404 page not found\n"), "install them: headgate install | kubectl apply"},
		{"no custom resource, as a Status", answer(404, failure("404", "NotFound", "")), "install them: headgate install | kubectl apply"},
		{"no credentials", answer(401, failure("401", "Unauthorized", "")), "does not take the credentials of context prod"},
		{"no right", answer(403, failure("403", "Forbidden", "")), "said the server; ask whoever runs the cluster"},
		{"something else", answer(500, failure("500", "InternalError", "")), "said the server"},
	} {
		for _, args := range [][]string{{"status", "shop"}, {"get"}, {"sync", "shop", "--now"}, {"suspend", "shop"}, {"rollback", "shop"}, {"create", "sync", "shop", "--url", "https://git.example.com/shop"}} {
			if c.server != "" {
				args = append(args, "--kubeconfig", kubeconfig(t, c.server))
			}
			out, _, err := run(t, args...)
			if err == nil || !strings.Contains(err.Error(), c.want) || out != "" || strings.Contains(err.Error(), "canary") {
				t.Errorf("%s: %v: %v, %q; expected %q", c.name, args, err, out, c.want)
			}
		}
	}
	_, _, err := run(t, "get", "--context", "prd", "--kubeconfig", kubeconfig(t, gone.URL))
	if err == nil || !strings.Contains(err.Error(), `it has ["prod" "test"]`) {
		t.Errorf("an unknown context: %v", err)
	}
}

func TestNoSuchSync(t *testing.T) {
	sync := func(namespace, name string) schema.Sync {
		s := schema.Sync{}
		s.Namespace, s.Name = namespace, name
		return s
	}
	many := make([]schema.Sync, 12)
	for i := range many {
		many[i] = sync("team-a", "service-"+string(rune('a'+i)))
	}
	for _, c := range []struct {
		name string
		all  []schema.Sync
		want string
	}{
		{"shop", nil, "there is no Sync shop in namespace team-a, nor any other in this cluster; headgate create sync --help says how to make one"},
		{"shop", []schema.Sync{sync("team-b", "shop"), sync("team-a", "shopp")}, "there is no Sync shop in namespace team-a; there is one in team-b: -n team-b"},
		{"shpo", []schema.Sync{sync("team-a", "shop")}, "there is no Sync shpo in namespace team-a; did you mean shop?"},
		{"x", []schema.Sync{sync("team-a", "shop"), sync("team-a", "cart")}, "there is no Sync x in namespace team-a; it has cart, shop"},
		{"x", []schema.Sync{sync("team-b", "shop")}, "there is no Sync x in namespace team-a; headgate get syncs -A lists those of other namespaces"},
		{"x", many, "there is no Sync x in namespace team-a; it has service-a, service-b, service-c, service-d, service-e, service-f, service-g, service-h and 4 more"},
	} {
		if got := noSuchSync("headgate", "team-a", c.name, c.all).Error(); got != c.want {
			t.Errorf("got  %s\nexpected %s", got, c.want)
		}
	}
}

func TestExport(t *testing.T) {
	out, _, err := run(t, "create", "sync", "shop", "-n", "team-a", "--url", "ssh://git@git.example.com/shop", "--semver", ">=1.2.0 <2", "--path", "clusters/prod",
		"--gateway", "infra/public", "--secret", "shop-git", "--service-account", "deployer", "--target-namespace", "shop", "--interval", "90s", "--no-prune", "--suspend", "--export")
	const want = `---
apiVersion: headgate.dev/v1alpha1
kind: Sync
metadata:
  name: shop
  namespace: team-a
spec:
  gateway: infra/public
  interval: 1m30s
  path: clusters/prod
  prune: false
  ref:
    semver: '>=1.2.0 <2'
  secretRef:
    name: shop-git
  serviceAccountName: deployer
  suspend: true
  targetNamespace: shop
  url: ssh://git@git.example.com/shop
`
	if err != nil || out != want {
		t.Errorf("%v\n%s\nexpected\n%s", err, out, want)
	}
}

func TestCommandLines(t *testing.T) {
	for _, args := range [][]string{
		{"create", "sync", "shop"}, {"create", "sync", "shop", "--url", "x", "--branch", "a", "--tag", "b", "--export"}, {"create", "sync", "--url", "x", "--interval", "1ns", "--export", "a"},
		{"get", "pods"}, {"get", "sync/"}, {"get", "sync/a", "b"}, {"get", "-o", "xml"}, {"get", "-l", "a in"}, {"get", "sync", "a", "-A"},
		{"status", "pod/x"}, {"status", "shop", "-o", "xml"}, {"sync", "shop"}, {"rollback", "shop", "4f2a9c1", "--undo"},
	} {
		var usage *UsageError
		_, _, err := run(t, append(args, "--kubeconfig", kubeconfig(t, "http://127.0.0.1:1"))...)
		if !errors.As(err, &usage) {
			t.Errorf("%v: %v; expected a usage error", args, err)
		}
	}
}
