package envoy_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"headgate.dev/proxy/envoy"
	"headgate.dev/proxy/model"
)

const (
	caGood  = model.SecretID("ca/ConfigMap/t/good")
	caOther = model.SecretID("ca/ConfigMap/t/other")
	caBoth  = model.SecretID("ca/ConfigMap/t/other+ConfigMap/t/good")
	clientA = model.SecretID("certificate/infra/a")
	clientB = model.SecretID("certificate/infra/b")
)

// tlsServer answers with "VERSION SNI".
func tlsServer(t *testing.T, config *tls.Config) netip.AddrPort {
	t.Helper()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Proto, " ", r.TLS.ServerName)
	}))
	server.EnableHTTP2 = true
	server.TLS = config
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // the refused handshakes are the point
	server.StartTLS()
	t.Cleanup(server.Close)
	return netip.MustParseAddrPort(server.Listener.Addr().String())
}

// backendCase is one cluster, served as a host of its name, a wildcard, and with upper case.
type backendCase struct {
	name     string
	protocol model.Protocol
	to       *model.BackendTLS
	server   string // a key of the servers
	want     string // answer, or a status
}

func TestBackendTLS(t *testing.T) {
	good, other, clients := newCA(t, "good"), newCA(t, "other"), newCA(t, "clients")
	file := filepath.Join(t.TempDir(), "ca.crt")
	if err := os.WriteFile(file, good.pem(), 0o600); err != nil {
		t.Fatal(err)
	}
	serve := func(p pair) netip.AddrPort {
		return tlsServer(t, &tls.Config{Certificates: []tls.Certificate{p.tls()}})
	}
	servers := map[string]netip.AddrPort{
		"a":        serve(good.issue(t, "a.internal", "second.internal", "spiffe://t/a")),
		"wild":     serve(good.issue(t, "*.wild.internal")),
		"foreign":  serve(newCA(t, "good").issue(t, "a.internal")),
		"expired":  serve(good.issueUntil(t, time.Now().Add(-time.Minute), "a.internal")),
		"nameless": serve(good.issue(t, "spiffe://t/a")),
		"mutual": tlsServer(t, &tls.Config{Certificates: []tls.Certificate{good.issue(t, "a.internal").tls()},
			ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients.pool()}),
		"old":   tlsServer(t, &tls.Config{Certificates: []tls.Certificate{good.issue(t, "a.internal").tls()}, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}),
		"plain": plainServer(t),
	}
	dns := func(names ...string) (list []model.SubjectName) {
		for _, n := range names {
			list = append(list, model.SubjectName{Name: n, URI: strings.Contains(n, "://")})
		}
		return list
	}
	cases := []backendCase{
		{"h1", model.HTTP, &model.BackendTLS{Hostname: "a.internal", CA: caGood}, "a", "HTTP/1.1 a.internal"},
		{"h2", model.H2C, &model.BackendTLS{Hostname: "a.internal", CA: caGood}, "a", "HTTP/2.0 a.internal"},
		{"both", model.HTTP, &model.BackendTLS{Hostname: "a.internal", CA: caBoth}, "a", "HTTP/1.1 a.internal"},
		{"system", model.HTTP, &model.BackendTLS{Hostname: "a.internal"}, "a", "HTTP/1.1 a.internal"},
		{"system-foreign", model.HTTP, &model.BackendTLS{Hostname: "a.internal"}, "foreign", "503"},
		{"wildcard-certificate", model.HTTP, &model.BackendTLS{Hostname: "x.wild.internal", CA: caGood}, "wild", "HTTP/1.1 x.wild.internal"},
		{"wildcard-too-deep", model.HTTP, &model.BackendTLS{Hostname: "x.y.wild.internal", CA: caGood}, "wild", "503"},
		{"wrong-ca", model.HTTP, &model.BackendTLS{Hostname: "a.internal", CA: caOther}, "a", "503"},
		{"ca-of-the-same-name", model.HTTP, &model.BackendTLS{Hostname: "a.internal", CA: caGood}, "foreign", "503"},
		{"wrong-name", model.HTTP, &model.BackendTLS{Hostname: "b.internal", CA: caGood}, "a", "503"},
		{"wrong-name-h2", model.H2C, &model.BackendTLS{Hostname: "b.internal", CA: caGood}, "a", "503"},
		{"expired", model.HTTP, &model.BackendTLS{Hostname: "a.internal", CA: caGood}, "expired", "503"},
		{"names", model.HTTP, &model.BackendTLS{Hostname: "sni.internal", CA: caGood, Names: dns("second.internal", "x.internal")}, "a", "HTTP/1.1 sni.internal"},
		{"names-not-hostname", model.HTTP, &model.BackendTLS{Hostname: "a.internal", CA: caGood, Names: dns("x.internal")}, "a", "503"},
		{"names-wildcard", model.HTTP, &model.BackendTLS{Hostname: "sni.internal", CA: caGood, Names: dns("*.internal")}, "a", "HTTP/1.1 sni.internal"},
		{"names-wildcard-both", model.HTTP, &model.BackendTLS{Hostname: "sni.internal", CA: caGood, Names: dns("*.wild.internal")}, "wild", "HTTP/1.1 sni.internal"},
		{"names-wildcard-one-label", model.HTTP, &model.BackendTLS{Hostname: "sni.internal", CA: caGood, Names: dns("*.internal")}, "wild", "503"},
		{"names-uri", model.HTTP, &model.BackendTLS{Hostname: "sni.internal", CA: caGood, Names: dns("spiffe://t/a")}, "nameless", "HTTP/1.1 sni.internal"},
		{"names-uri-wrong", model.HTTP, &model.BackendTLS{Hostname: "a.internal", CA: caGood, Names: dns("spiffe://t/")}, "a", "503"},
		{"client", model.HTTP, &model.BackendTLS{Hostname: "a.internal", CA: caGood, Client: clientA}, "mutual", "HTTP/1.1 a.internal"},
		{"client-h2", model.H2C, &model.BackendTLS{Hostname: "a.internal", CA: caGood, Client: clientA}, "mutual", "HTTP/2.0 a.internal"},
		{"client-foreign", model.HTTP, &model.BackendTLS{Hostname: "a.internal", CA: caGood, Client: clientB}, "mutual", "503"},
		{"client-none", model.HTTP, &model.BackendTLS{Hostname: "a.internal", CA: caGood}, "mutual", "503"},
		{"plain", model.HTTP, &model.BackendTLS{Hostname: "a.internal", CA: caGood}, "plain", "503"},
		{"old", model.HTTP, &model.BackendTLS{Hostname: "a.internal", CA: caGood}, "old", "503"},
	}
	o := envoy.Options{Bind: loopback, SystemCA: file}
	table := model.TableID("infra/public/80")
	resources := []envoy.Resource{
		mustListener(t, &model.Listener{Gateway: model.Name{Namespace: "infra", Name: "public"}, Port: 80, Protocol: model.HTTP, Table: table}),
		secretOf(t, &model.Secret{ID: caBoth, CA: append(other.pem(), good.pem()...)}),
		clients.issue(t, "proxy").secret(t, clientA),
		other.issue(t, "proxy").secret(t, clientB),
	}
	resources = append(resources, good.secrets(t, []model.SecretID{caGood})...)
	resources = append(resources, other.secrets(t, []model.SecretID{caOther})...)
	var parts []*envoy.Part
	for _, c := range cases {
		list, part := c.resources(t, table, servers[c.server], o)
		resources, parts = append(resources, list...), append(parts, part)
	}
	resources = append(resources, envoy.Wildcards(&model.Table{ID: table}, parts, o)...)
	p := start(t, resources)
	for _, c := range cases {
		for _, host := range []string{c.name + ".test", strings.ToUpper(c.name) + ".Test:80", "x." + c.name + ".wild.test"} {
			a := p.get(t, "GET", host, "/")
			if got := a.text(); got != c.want {
				t.Errorf("%s: %s %s, want %s", host, got, a.body, c.want)
			}
		}
	}
	testBackendChange(t, p, o, servers["a"])
}

// text is the status where it is not 200, else the body.
func (a answer) text() string {
	if a.status != 200 {
		return fmt.Sprint(a.status)
	}
	return a.body
}

func (c *backendCase) resources(t *testing.T, table model.TableID, server netip.AddrPort, o envoy.Options) ([]envoy.Resource, *envoy.Part) {
	t.Helper()
	id := model.ClusterID{Service: model.Name{Namespace: "t", Name: c.name}, Port: 443, Protocol: c.protocol}
	cluster, err := envoy.Cluster(&model.Cluster{ID: id, TLS: c.to}, o)
	if err != nil {
		t.Fatal(err)
	}
	endpoints, err := envoy.Endpoints(&model.Endpoints{Cluster: id, List: []model.Endpoint{{Address: server}}})
	if err != nil {
		t.Fatal(err)
	}
	host := func(name string) envoy.HostResult {
		return envoy.Host(&model.Host{ID: model.HostID{Table: table, Name: name}, Port: 80, Routes: []model.Route{{
			Match: model.Match{Path: "/"}, Forward: &model.Forward{Backends: []model.Backend{{Cluster: id, Weight: 1}}},
		}}}, o)
	}
	return append([]envoy.Resource{cluster, endpoints}, host(c.name+".test").Resources...), host("*." + c.name + ".wild.test").Part
}

func plainServer(t *testing.T) netip.AddrPort {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(server.Close)
	return netip.MustParseAddrPort(server.Listener.Addr().String())
}

// testBackendChange changes how the proxy speaks with a backend. While all terms are good no request fails.
func testBackendChange(t *testing.T, p *proxy, o envoy.Options, server netip.AddrPort) {
	t.Helper()
	c := backendCase{name: "h1", protocol: model.HTTP}
	change := func(to model.BackendTLS, want string) {
		t.Helper()
		c.to = &to
		list, _ := c.resources(t, "infra/public/80", server, o)
		began := time.Now()
		p.publish(t, list)
		eventually(t, "the new terms", func() bool { return p.get(t, "GET", "h1.test", "/").text() == want })
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("a change took %s", took)
		}
	}
	failed := p.load("h1.test")
	for range 5 {
		change(model.BackendTLS{Hostname: "second.internal", CA: caGood}, "HTTP/1.1 second.internal")
		change(model.BackendTLS{Hostname: "a.internal", CA: caBoth, Client: clientA}, "HTTP/1.1 a.internal")
	}
	if wrong := failed(); len(wrong) > 0 {
		t.Errorf("%d requests failed: %.3q", len(wrong), wrong)
	}
	change(model.BackendTLS{Hostname: "a.internal", CA: caOther}, "503")
	change(model.BackendTLS{Hostname: "a.internal", CA: caGood}, "HTTP/1.1 a.internal")
	// New certificates are trusted at once.
	successor := newCA(t, "successor")
	c = backendCase{name: "late", protocol: model.HTTP, to: &model.BackendTLS{Hostname: "a.internal", CA: "ca/ConfigMap/t/late"}}
	fresh := tlsServer(t, &tls.Config{Certificates: []tls.Certificate{successor.issue(t, "a.internal").tls()}})
	list, _ := c.resources(t, "infra/public/80", fresh, o)
	stranger := secretOf(t, &model.Secret{ID: "ca/ConfigMap/t/late", CA: newCA(t, "stranger").pem()})
	p.publish(t, append(list, stranger))
	eventually(t, "the new cluster", func() bool { return p.get(t, "GET", "late.test", "/").text() == "503" })
	p.publish(t, successor.secrets(t, []model.SecretID{"ca/ConfigMap/t/late"}))
	eventually(t, "the new CA", func() bool { return p.get(t, "GET", "late.test", "/").text() == "HTTP/1.1 a.internal" })
}

// load makes requests for a host without a pause until the result is called, which lists those that were not answered 200.
func (p *proxy) load(host string) (failed func() []string) {
	ctx, cancel := context.WithCancel(context.Background())
	result := make(chan []string)
	go func() {
		var wrong []string
		defer func() { result <- wrong }()
		for ctx.Err() == nil {
			req, err := http.NewRequest("GET", "http://"+p.ports["infra/public/80"], nil)
			if err != nil {
				wrong = append(wrong, err.Error())
				return
			}
			req.Host = host
			resp, err := http.DefaultTransport.RoundTrip(req)
			if err != nil {
				wrong = append(wrong, err.Error())
				continue
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				wrong = append(wrong, resp.Status)
			}
		}
	}()
	return func() []string {
		cancel()
		return <-result
	}
}

// TestTCPBackendTLS: the proxy speaks TLS of its own for connections that it has decrypted.
func TestTCPBackendTLS(t *testing.T) {
	good := newCA(t, "good")
	w := &l4World{}
	id := l4Cluster("a", model.TLS)
	server := tcpBackend(t, "a", &tls.Config{Certificates: []tls.Certificate{good.issue(t, "a.internal").tls()}})
	w.add(t, id, model.Endpoint{Address: server})
	cluster, err := envoy.Cluster(&model.Cluster{ID: id, TLS: &model.BackendTLS{Hostname: "a.internal", CA: caGood}}, envoy.Options{})
	if err != nil {
		t.Fatal(err)
	}
	bad := l4Cluster("bad", model.TLS)
	w.add(t, bad, model.Endpoint{Address: server})
	other, err := envoy.Cluster(&model.Cluster{ID: bad, TLS: &model.BackendTLS{Hostname: "b.internal", CA: caGood}}, envoy.Options{})
	if err != nil {
		t.Fatal(err)
	}
	w.resources = append(w.resources, cluster, other)
	w.resources = append(w.resources, good.secrets(t, []model.SecretID{caGood})...)
	w.resources = append(w.resources, mustListener(t, l4Listener(5432, model.TCP, model.Share{Cluster: id, Weight: 1})),
		mustListener(t, l4Listener(5433, model.TCP, model.Share{Cluster: bad, Weight: 1})))
	w.proxy = start(t, w.resources)
	if name, err := line(w.dialTCP(t, "5432")); name != "a" || err != nil {
		t.Errorf("%s answers (%v)", name, err)
	}
	if name, err := line(w.dialTCP(t, "5433")); err == nil {
		t.Errorf("a backend with the wrong name: %s answers", name)
	}
}
