package envoy_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/proto"

	"headgate.dev/proxy/envoy"
	"headgate.dev/proxy/model"
)

// TestScopedRoutesAreIdentical: Envoy keeps one copy of all scopes and routes only while the sources of them are equal to
// the byte in every connection manager.
func TestScopedRoutesAreIdentical(t *testing.T) {
	var first []byte
	end := &model.Termination{Certificates: []model.SecretID{"certificate/infra/a"}}
	managers := 0
	for _, l := range []*model.Listener{
		{Gateway: model.Name{Namespace: "infra", Name: "public"}, Port: 80, Protocol: model.HTTP, Table: "infra/public/80"},
		{Gateway: model.Name{Namespace: "infra", Name: "other"}, Port: 8080, Protocol: model.HTTP, Table: "infra/other/8080"},
		{Gateway: model.Name{Namespace: "infra", Name: "public"}, Port: 443, Protocol: model.TLS, Chains: []model.Chain{
			{ServerName: "*", Terminate: end, Table: "infra/public/443/*"},
			{ServerName: "*.a.test", Terminate: &model.Termination{Certificates: end.Certificates, Client: &model.ClientValidation{CA: "ca/ConfigMap/a/b"}}, Table: "infra/public/443/*.a.test"},
		}},
	} {
		r, err := envoy.Listener(l, envoy.Options{})
		if err != nil {
			t.Fatal(err)
		}
		for _, chain := range message(t, r).(*listenerv3.Listener).FilterChains {
			managers++
			manager := &hcmv3.HttpConnectionManager{}
			if err := chain.Filters[0].GetTypedConfig().UnmarshalTo(manager); err != nil {
				t.Fatal(err)
			}
			scoped, err := proto.MarshalOptions{Deterministic: true}.Marshal(manager.GetScopedRoutes())
			if err != nil {
				t.Fatal(err)
			}
			if first == nil {
				first = scoped
			}
			if !bytes.Equal(first, scoped) {
				t.Errorf("%s %s differs:\n%q\n%q", r.Name, chain.Name, first, scoped)
			}
			for _, f := range manager.HttpFilters {
				if f.Disabled {
					t.Errorf("%s: filter %s is disabled: a route found by the fallback cannot enable it", r.Name, f.Name)
				}
			}
		}
	}
	if managers != 4 {
		t.Errorf("%d connection managers, want 4", managers)
	}
}

// TestSecrets: a resource says which secrets it needs, each once.
func TestSecrets(t *testing.T) {
	client := &model.ClientValidation{CA: "ca/ConfigMap/a/b"}
	l := &model.Listener{Gateway: model.Name{Namespace: "a", Name: "b"}, Port: 443, Protocol: model.TLS, Chains: []model.Chain{
		{ServerName: "b.test", Terminate: &model.Termination{Certificates: []model.SecretID{"certificate/a/z", "certificate/a/b"}, Client: client}},
		{ServerName: "c.test", Terminate: &model.Termination{Certificates: []model.SecretID{"certificate/a/b"}, Client: client}},
		{ServerName: "d.test"},
	}}
	c := &model.Cluster{ID: model.ClusterID{Service: l.Gateway, Port: 1, Protocol: model.HTTP}, TLS: &model.BackendTLS{Hostname: "x", CA: "ca/x", Client: "a"}}
	listener, err := envoy.Listener(l, envoy.Options{})
	if err != nil {
		t.Fatal(err)
	}
	cluster, err := envoy.Cluster(c, envoy.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"ca/ConfigMap/a/b", "certificate/a/b", "certificate/a/z"}; !slices.Equal(listener.Secrets, want) {
		t.Errorf("listener: %v", listener.Secrets)
	}
	if want := []string{"a", "ca/x"}; !slices.Equal(cluster.Secrets, want) {
		t.Errorf("cluster: %v", cluster.Secrets)
	}
}

func TestBootstrap(t *testing.T) {
	for name, c := range map[string]struct {
		options envoy.BootstrapOptions
		want    string // in the configuration, or in the error after "error: "
	}{
		"sockets":  {envoy.BootstrapOptions{NodeID: "n", XDS: "/run/x.sock", Admin: "@hg"}, `"path": "/run/x.sock"`},
		"address":  {envoy.BootstrapOptions{NodeID: "n", XDS: "127.0.0.1:18000", Admin: "[::1]:0"}, `"address": "127.0.0.1"`},
		"name":     {envoy.BootstrapOptions{NodeID: "n", XDS: "headgate.headgate-system.svc:18000"}, `"type": "STRICT_DNS"`},
		"limit":    {envoy.BootstrapOptions{NodeID: "n", XDS: "127.0.0.1:1", MaxConnections: 7}, `"7"`},
		"no xDS":   {envoy.BootstrapOptions{NodeID: "n"}, "error: reading the address of the xDS server"},
		"bad xDS":  {envoy.BootstrapOptions{NodeID: "n", XDS: "x:http"}, "error: reading the address of the xDS server: \"x:http\" is neither"},
		"bad port": {envoy.BootstrapOptions{NodeID: "n", XDS: "x:1", Admin: "x:70000"}, "error: reading the address of the admin"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := envoy.Bootstrap(c.options)
			if want, isError := strings.CutPrefix(c.want, "error: "); isError {
				if err == nil || !strings.HasPrefix(err.Error(), want) {
					t.Fatalf("error %v, want %s", err, want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(got), c.want) {
				t.Errorf("no %s in %s", c.want, got)
			}
			again, err := envoy.Bootstrap(c.options)
			if err != nil || !bytes.Equal(got, again) {
				t.Errorf("two answers differ: %v", err)
			}
			file := filepath.Join(t.TempDir(), "bootstrap.json")
			if err := os.WriteFile(file, got, 0o600); err != nil {
				t.Fatal(err)
			}
			out, err := exec.Command(binary(t), "--mode", "validate", "--log-level", "warn", "-c", file).CombinedOutput()
			if err != nil {
				t.Errorf("envoy --mode validate: %v\n%s", err, out)
			}
		})
	}
}

func TestNotServed(t *testing.T) {
	name := model.Name{Namespace: "a", Name: "b"}
	for want, l := range map[string]*model.Listener{
		`a/b/53: protocol "QUIC" is not served`:  {Gateway: name, Port: 53, Protocol: "QUIC"},
		`server name x: table t on a connection`: {Gateway: name, Port: 443, Protocol: model.TLS, Chains: []model.Chain{{ServerName: "x", Table: "t"}}},
		`server name x: TLS is to end here`:      {Gateway: name, Port: 443, Protocol: model.TLS, Chains: []model.Chain{{ServerName: "x", Terminate: &model.Termination{}}}},
	} {
		if _, err := envoy.Listener(l, envoy.Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("listener: %v, want %s", err, want)
		}
	}
	cluster := func(p model.Protocol, tls *model.BackendTLS) *model.Cluster {
		return &model.Cluster{ID: model.ClusterID{Service: name, Port: 1, Protocol: p}, TLS: tls}
	}
	for want, c := range map[string]*model.Cluster{
		`a/b/1/X: protocol "X"`:          cluster("X", nil),
		`a/b/1/UDP: there is no TLS`:     cluster(model.UDP, &model.BackendTLS{Hostname: "x"}),
		`a/b/1/HTTP: TLS with a backend`: cluster(model.HTTP, &model.BackendTLS{}),
	} {
		if _, err := envoy.Cluster(c, envoy.Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("cluster: %v, want %s", err, want)
		}
	}
	key := []byte("-----BEGIN PRIVATE KEY-----")
	for _, s := range []*model.Secret{{ID: "certificate/a/b", Key: key}, {ID: "certificate/a/b", Certificate: key, Key: key, CA: key}, {}} {
		_, err := envoy.Secret(s)
		if err == nil || !strings.Contains(err.Error(), "neither a certificate") || strings.Contains(err.Error(), "PRIVATE") {
			t.Errorf("secret: %v", err)
		}
	}
}

// TestNamesFollowIdentity: a rule inserted in front changes no name, and the parts of a wildcard table no order.
func TestNamesFollowIdentity(t *testing.T) {
	before, after := oneRoute(1), oneRoute(1)
	inserted := oneRoute(2).Routes[0]
	inserted.Match.Path = "/new"
	after.Routes = []model.Route{inserted, after.Routes[0]}
	after.Routes[1].Source.Rule, after.Routes[1].Source.Match = 1, 1
	x, y := envoy.Host(before, envoy.Options{}), envoy.Host(after, envoy.Options{})
	if x.Resources[0].Version != y.Resources[0].Version {
		t.Error("the scope changed with the routes in it")
	}
	if x.Resources[1].Version == y.Resources[1].Version || x.Resources[1].Key != y.Resources[1].Key {
		t.Error("the routes did not change, or their name did")
	}
	name := []byte("HTTPRoute/default/svc-1/")
	a, b := bytes.Index(x.Resources[1].Body, name), bytes.Index(y.Resources[1].Body, name)
	if a < 0 || b < 0 || !bytes.Equal(x.Resources[1].Body[a:a+len(name)+12], y.Resources[1].Body[b:b+len(name)+12]) {
		t.Error("the name of a route changed because another one was inserted")
	}
	before.ID.Name, after.ID.Name = "*.a.example.com", "*.b.example.com"
	p, q := envoy.Host(before, envoy.Options{}).Part, envoy.Host(after, envoy.Options{}).Part
	table := before.ID.Table
	one := envoy.Wildcards(&model.Table{ID: table}, []*envoy.Part{p, q}, envoy.Options{})
	two := envoy.Wildcards(&model.Table{ID: table}, []*envoy.Part{q, p}, envoy.Options{})
	if one[1].Version != two[1].Version {
		t.Error("the order of the parts shows in the table")
	}
}

// TestRegexes: what checkRegex lets pass, Envoy takes; and of the second list nothing passes.
func TestRegexes(t *testing.T) {
	good := []string{
		"a{1000}", "(a{30}){30}", `(?i)a.*`, `(?s:.)`, `(?U)a+`, `(?P<n>a)`, `(?<n>a)`, `\Qa.b\E`, `\pL+`, `\p{Greek}`, `\p{^Greek}`,
		`\PN`, `\p{Lu}`, `\p{Any}`, `[[:alpha:]]`, `[[:^digit:]]`, `\x{fF}`, `\x{00041}`, `\x41`, `\z`, `\B`, `(|a)*`, `(a*)*`, `a{,5}`, `[^\S\s]`, `\\p{x`,
		strings.Repeat(`\pL`, 14), strings.Repeat("a{1000}", 9), strings.Repeat("[^a]{500}", 7), strings.Repeat(`(?i)\pL`, 9), "^/a$", "é{20}",
	}
	bad := []string{
		"(", "a{1001}", `(?=x)`, `\1`, `\C`, `\Z`, `x**`, `[z-a]`, `\p{Letter}`, `\P{^Uppercase_Letter}`, `\pX`, `\p{Nowhere}`, `\x{10FFFF}`, `\x{100}`,
		"((a{100}){100}){100}", strings.Repeat(`\pL`, 100), strings.Repeat("a{1000}", 30), "\xff", `(?<n`,
	}
	resources, _ := translate(t, config{Listeners: []*model.Listener{{
		Gateway: model.Name{Namespace: "infra", Name: "public"}, Port: 80, Protocol: model.HTTP, Table: "infra/public/80",
	}}}, envoy.Options{Bind: loopback})
	host := func(i int, expr string) envoy.HostResult {
		h := oneRoute(i)
		h.Routes[0].Match = model.Match{PathKind: model.PathRegex, Path: expr}
		return envoy.Host(h, envoy.Options{})
	}
	for i, expr := range good {
		result := host(i, expr)
		if len(result.Problems) > 0 {
			t.Errorf("%.40q: %s", expr, result.Problems[0].Message)
		}
		resources = append(resources, result.Resources...)
	}
	for i, expr := range bad {
		if len(host(i, expr).Problems) != 1 {
			t.Errorf("%.40q passed", expr)
		}
	}
	start(t, resources) // reports what Envoy refuses
}
