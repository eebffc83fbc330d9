package envoy_test

import (
	"context"
	"io"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/tools/txtar"

	"headgate.dev/proxy/envoy"
	"headgate.dev/proxy/model"
)

// live starts testdata/live.yaml with a backend per service.
func live(t *testing.T) (*proxy, *backends) {
	t.Helper()
	text, err := os.ReadFile("testdata/live.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c := parse(t, text)
	b := &backends{addresses: map[string]netip.AddrPort{}, log: map[string][]seen{}}
	var flaky atomic.Int64
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	b.handlers = map[string]func(http.ResponseWriter, *http.Request) bool{
		"flaky": func(w http.ResponseWriter, _ *http.Request) bool {
			if flaky.Add(1)%2 == 0 {
				return false
			}
			w.WriteHeader(http.StatusServiceUnavailable)
			return true
		},
		"slow": func(_ http.ResponseWriter, r *http.Request) bool {
			select {
			case <-r.Context().Done():
			case <-release:
			}
			return true
		},
		"ws": func(w http.ResponseWriter, r *http.Request) bool {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil || r.Header.Get("upgrade") != "websocket" {
				return false
			}
			defer conn.Close()
			_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nhello")
			return true
		},
		"reset": func(http.ResponseWriter, *http.Request) bool { panic(http.ErrAbortHandler) },
	}
	for _, cl := range c.Clusters {
		service := cl.ID.Service.Name
		b.serve(t, service)
		e := &model.Endpoints{Cluster: cl.ID, List: []model.Endpoint{{Address: b.addresses[service]}}}
		if service == "gone" { // one endpoint that refuses, one that answers
			e.List = append(e.List, model.Endpoint{Address: closedPort(t)})
		}
		c.Endpoints = append(c.Endpoints, e)
	}
	o := c.options()
	o.Bind = loopback
	resources, problems := translate(t, c, o)
	if len(problems) != 2 {
		t.Errorf("%d problems, want those of the two bad routes: %+v", len(problems), problems)
	}
	return start(t, resources), b
}

func TestLive(t *testing.T) {
	p, b := live(t)
	t.Run("hosts", func(t *testing.T) { testHosts(t, p) })
	t.Run("raw hosts", func(t *testing.T) { testRawHosts(t, p) })
	t.Run("HTTP/2", func(t *testing.T) { testHTTP2(t, p) })
	t.Run("matches", func(t *testing.T) { testMatches(t, p) })
	t.Run("redirects", func(t *testing.T) { testRedirects(t, p) })
	t.Run("rewrites", func(t *testing.T) { testRewrites(t, p) })
	t.Run("headers", func(t *testing.T) { testHeaders(t, p) })
	t.Run("shares", func(t *testing.T) { testShares(t, p) })
	t.Run("mirror", func(t *testing.T) { testMirror(t, p, b) })
	t.Run("retries", func(t *testing.T) { testRetries(t, p, b) })
	t.Run("timeouts", func(t *testing.T) { testTimeouts(t, p, b) })
	t.Run("CORS", func(t *testing.T) { testCORS(t, p, b) })
	t.Run("WebSocket", func(t *testing.T) { testWebSocket(t, p) })
	t.Run("draining", func(t *testing.T) { testDraining(t, p, b) })
}

// service says who answered: the name of a service, else the status.
func (a answer) service() string {
	if a.seen.Service != "" {
		return a.seen.Service
	}
	return http.StatusText(a.status)
}

func testHosts(t *testing.T, p *proxy) {
	for _, c := range []struct{ host, service string }{
		{"shop.test", "v2"},
		{"shop.test:10080", "v2"},
		{"SHOP.Test", "v2"},
		{"SHOP.Test:80", "v2"},
		{"shop.test.", "v2"},
		{"shop.test.:80", "v2"},
		{"a.wild.test", "wild"},
		{"a.b.WILD.test:80", "wild"},
		{"a.wild.test.", "wild"},
		{"a.wild.test.:80", "wild"},
		{"wild.test", "any"},
		{"*", "any"},
		{"*.wild.test", "wild"},
		{"[::1]:80", "any"},
		{"127.0.0.1", "any"},
	} {
		a := p.get(t, "GET", c.host, "/exact")
		if a.service() != c.service {
			t.Errorf("Host %s: %s answered, want %s", c.host, a.service(), c.service)
		}
		if a.seen.Host != c.host {
			t.Errorf("Host %s arrived as %s", c.host, a.seen.Host)
		}
		if a.seen.Header.Get("x-hg-scope") != "" {
			t.Errorf("Host %s: the backend sees the scope header", c.host)
		}
	}
	if a := p.get(t, "GET", "shop.test", "/nowhere"); a.status != 404 {
		t.Errorf("no route of an exact host: %d from %s, want 404", a.status, a.service())
	}
	a := p.get(t, "GET", "shop.test", "/nowhere", "x-hg-scope", "infra/other/80/shop.test")
	if a.status != 404 {
		t.Errorf("a client chose its scope: %d from %s", a.status, a.service())
	}
	a = p.get(t, "GET", "shop.test", "/timeout", "x-envoy-upstream-rq-timeout-ms", "10000", "x-envoy-retry-on", "5xx")
	if a.status != 504 {
		t.Errorf("a client chose its timeout: %d", a.status)
	}
}

func testRawHosts(t *testing.T, p *proxy) {
	for name, c := range map[string]struct{ request, answer string }{
		"absolute form":             {"GET http://shop.test/exact HTTP/1.1\r\nHost: other.test\r\nConnection: close\r\n\r\n", `"Service":"v2"`},
		"two Host headers":          {"GET /exact HTTP/1.1\r\nHost: shop.test\r\nHost: shop.test\r\nConnection: close\r\n\r\n", `"Service":"any"`},
		"HTTP/1.0 with Host":        {"GET /exact HTTP/1.0\r\nHost: shop.test\r\n\r\n", `"Service":"v2"`},
		"HTTP/1.0 without Host":     {"GET /exact HTTP/1.0\r\n\r\n", `"Service":"any"`},
		"HTTP/1.1 without Host":     {"GET /exact HTTP/1.1\r\nConnection: close\r\n\r\n", "400 Bad Request"},
		"slash in Host":             {"GET /exact HTTP/1.1\r\nHost: x/shop.test\r\nConnection: close\r\n\r\n", "400 Bad Request"},
		"CONNECT":                   {"CONNECT shop.test:443 HTTP/1.1\r\nHost: shop.test:443\r\nConnection: close\r\n\r\n", "404 Not Found"},
		"dot segments":              {"GET /x/../exact HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n\r\n", `"Service":"v2"`},
		"double slash":              {"GET //exact HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n\r\n", `"Service":"v2"`},
		"escaped slash":             {"GET /x%2f..%2fexact HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n\r\n", "307 Temporary Redirect"},
		"underscore in header name": {"GET /exact HTTP/1.1\r\nHost: shop.test\r\nx_a: 1\r\nConnection: close\r\n\r\n", "400 Bad Request"},
	} {
		if got := p.raw(t, c.request); !strings.Contains(got, c.answer) {
			t.Errorf("%s: want %s in\n%s", name, c.answer, got)
		}
	}
}

func testHTTP2(t *testing.T, p *proxy) {
	via := &http.Transport{Protocols: new(http.Protocols)}
	via.Protocols.SetUnencryptedHTTP2(true)
	defer via.CloseIdleConnections()
	for host, want := range map[string]string{"shop.test": "v2", "SHOP.test:80": "v2", "a.wild.test:80": "wild", "x": "any"} {
		req, err := http.NewRequest("GET", "http://"+p.ports["infra/public/80"]+"/exact", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = host
		if a := p.do(t, req, via); a.service() != want {
			t.Errorf("HTTP/2 to %s: %s answered, want %s", host, a.service(), want)
		}
	}
	if a := p.get(t, "GET", "shop.test", "/h2"); a.service() != "h2" {
		t.Errorf("HTTP/2 to the backend: %s answered", a.service())
	}
}

func testMatches(t *testing.T, p *proxy) {
	for _, c := range []struct {
		method, path, service string
		headers               []string
	}{
		{"GET", "/exact?x=1", "v2", nil},
		{"GET", "/exact/", "Not Found", nil},
		{"GET", "/re/12cdab", "v2", nil},
		{"GET", "/re/12cdabz", "Not Found", nil},
		{"POST", "/m", "v2", nil},
		{"GET", "/m", "Not Found", nil},
		{"GET", "/m", "v2", []string{"X-Ring", "beta"}},
		{"GET", "/m", "Not Found", []string{"X-Ring", "Beta"}},
		{"GET", "/m?q=2", "v2", nil},
		{"GET", "/m?q=12", "Not Found", nil},
		{"GET", "/seg", "v2", nil},
		{"GET", "/seg/x", "v2", nil},
		{"GET", "/segment", "Not Found", nil},
		{"GET", "/bad(", "Not Found", nil},
		{"GET", "/problem", "Internal Server Error", nil},
	} {
		if a := p.get(t, c.method, "shop.test", c.path, c.headers...); a.service() != c.service {
			t.Errorf("%s %s %v: %s answered, want %s", c.method, c.path, c.headers, a.service(), c.service)
		}
	}
}

func testRedirects(t *testing.T, p *proxy) {
	for _, c := range []struct {
		host, path, location string
		status               int
	}{
		{"shop.test:10080", "/old", "http://shop.test/new", 301},
		{"shop.test", "/old/x?q=1", "http://shop.test/new/x?q=1", 301},
		{"SHOP.test", "/strip", "http://shop.test/", 302},
		{"shop.test", "/strip/x", "http://shop.test/x", 302},
		{"shop.test", "/full/x?q=1", "https://shop.test:8443/all?q=1", 307},
		{"shop.test", "/away/x", "https://www.test/away/x", 308},
		{"shop.test", "/port", "http://shop.test:8080/port", 303},
		{"a.wild.test:10080", "/old/x", "http://a.wild.test/new/x", 301},
		{"a.wild.test", "/old", "http://a.wild.test/new", 301},
		{"a.wild.test:10080", "/tls", "https://a.wild.test:8443/tls", 301},
	} {
		a := p.get(t, "GET", c.host, c.path)
		if got := a.header.Get("location"); a.status != c.status || got != c.location {
			t.Errorf("%s%s: %d to %s, want %d to %s", c.host, c.path, a.status, got, c.status, c.location)
		}
	}
}

func testRewrites(t *testing.T, p *proxy) {
	for _, c := range []struct{ host, path, wantHost, wantPath string }{
		{"shop.test", "/rewrite/prefix/x?q=1", "in.test", "/p/x?q=1"},
		{"shop.test", "/rewrite/prefix", "in.test", "/p"},
		{"shop.test", "/rewrite/strip/x", "shop.test", "/x"},
		{"shop.test", "/rewrite/strip", "shop.test", "/"},
		{"shop.test", "/rewrite/strip?q=1", "shop.test", "/?q=1"},
		{"shop.test", "/rewrite/full/x?q=1", "shop.test", `/a\1%20?q=1`},
		{"root.test", "/x", "root.test", "/base/x"},
		{"root.test", "/", "root.test", "/base/"},
	} {
		a := p.get(t, "GET", c.host, c.path)
		if a.seen.Host != c.wantHost || a.seen.Path != c.wantPath {
			t.Errorf("%s%s: arrived as %s%s, want %s%s", c.host, c.path, a.seen.Host, a.seen.Path, c.wantHost, c.wantPath)
		}
	}
}

func testHeaders(t *testing.T, p *proxy) {
	for _, host := range []string{"shop.test", "SHOP.test", "a.wild.test"} {
		a := p.get(t, "GET", host, "/edit", "x-set", "client", "x-add", "client", "x-gone", "client")
		h := a.seen.Header
		if got := h.Values("x-set"); !slices.Equal(got, []string{"100%"}) {
			t.Errorf("%s: set: %q", host, got)
		}
		if got := strings.Join(h.Values("x-add"), ","); got != "client,gw" {
			t.Errorf("%s: add: %q", host, got)
		}
		if got := h.Values("x-gone"); got != nil {
			t.Errorf("%s: remove: %q", host, got)
		}
		if got := a.header.Get("x-edit") + a.header.Get("x-more") + a.header.Get("server"); got != "routea" {
			t.Errorf("%s: response: %q", host, got)
		}
		for name := range a.header {
			if strings.HasPrefix(strings.ToLower(name), "x-envoy") {
				t.Errorf("%s: response has %s", host, name)
			}
		}
	}
	a := p.get(t, "GET", "shop.test", "/order")
	if got := a.seen.Header.Get("x-set") + a.header.Get("x-edit"); got != "backendshare" {
		t.Errorf("the edits of a share come last: %q", got)
	}
	if got := p.get(t, "GET", "shop.test", "/seg").header.Get("server"); got != "backend" {
		t.Errorf("Server header %q, want the backend's", got)
	}
}

func testShares(t *testing.T, p *proxy) {
	got := map[string]int{}
	for range 200 {
		a := p.get(t, "GET", "shop.test", "/weights")
		got[a.service()]++
	}
	if len(got) != 2 || got["shop"] < 60 || got["Internal Server Error"] < 60 {
		t.Errorf("1:1 between a backend and none: %v", got)
	}
	got = map[string]int{}
	for range 400 {
		a := p.get(t, "GET", "shop.test", "/split/x")
		got[a.service()+a.seen.Host+a.seen.Path]++
	}
	want := []string{"Internal Server Error", "firstshop.test/one/x", "secondtwo.test/x"}
	if keys := slices.Sorted(maps.Keys(got)); !slices.Equal(keys, want) {
		t.Errorf("split by path: %v", got)
	}
	if got[want[0]] < 140 || got[want[1]] < 50 || got[want[2]] < 50 {
		t.Errorf("2:1:1 by path: %v", got)
	}
}

// eventually waits for what another process does.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	for !done() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%s: not within 5 s", what)
		}
	}
}

func testMirror(t *testing.T, p *proxy, b *backends) {
	if a := p.get(t, "GET", "shop.test", "/mirror/x"); a.service() != "shop" {
		t.Errorf("%s answered", a.service())
	}
	eventually(t, "the copy", func() bool { return b.count("mirror") == 1 })
	if got := b.log["mirror"][0]; got.Host != "shop.test" || got.Path != "/mirror/x" || got.Header.Get("x-hg-scope") != "" {
		t.Errorf("the copy is %+v", got)
	}
}

func testRetries(t *testing.T, p *proxy, b *backends) {
	for _, host := range []string{"shop.test", "SHOP.test"} {
		if a := p.get(t, "GET", host, "/retry-503"); a.status != 200 {
			t.Errorf("503 then 200 with a retry of 503 at %s: %d", host, a.status)
		}
	}
	if a := p.get(t, "GET", "a.wild.test", "/retry"); a.status != 200 {
		t.Errorf("503 then 200 with a retry of 503 at a wildcard host: %d", a.status)
	}
	if a := p.get(t, "GET", "shop.test", "/retry-500"); a.status != 503 {
		t.Errorf("503 with a retry of 500 only: %d", a.status)
	}
	p.get(t, "GET", "shop.test", "/no-retry") // the 200 that is next
	if a := p.get(t, "GET", "shop.test", "/no-retry"); a.status != 503 {
		t.Errorf("503 without a retry: %d", a.status)
	}
	for i := range 20 {
		if a := p.get(t, "GET", "shop.test", "/refused"); a.status != 200 {
			t.Errorf("request %d to a service with a dead endpoint: %d %s", i, a.status, a.body)
		}
	}
	before := b.count("reset")
	if a := p.get(t, "GET", "shop.test", "/reset"); a.status != 503 || b.count("reset")-before != 1 {
		t.Errorf("a request broken after it was sent: %d after %d attempts, want 503 after 1", a.status, b.count("reset")-before)
	}
}

func testTimeouts(t *testing.T, p *proxy, b *backends) {
	for path, attempts := range map[string]int{"/timeout": 1, "/attempt": 1, "/attempts": 3, "/attempts-504": 2} {
		before := b.count("slow")
		a := p.get(t, "GET", "shop.test", path)
		if got := b.count("slow") - before; a.status != 504 || got != attempts {
			t.Errorf("%s: %d after %d attempts, want 504 after %d", path, a.status, got, attempts)
		}
	}
}

func testCORS(t *testing.T, p *proxy, b *backends) {
	const origin, methods, headers = "Access-Control-Allow-Origin", "Access-Control-Allow-Methods", "Access-Control-Allow-Headers"
	before := b.count("shop") + b.count("wild")
	for _, c := range []struct {
		host, path, from, method, headers                string // of the preflight request
		wantOrigin, wantMethods, wantHeaders, credential string
	}{
		{"cors.test", "/plain", "https://a.test", "PUT", "x-a", "https://a.test", "GET,PUT", "x-a", ""},
		{"CORS.test", "/plain", "https://x.y.b.test", "PUT", "x-a", "https://x.y.b.test", "GET,PUT", "x-a", ""},
		{"cors.test", "/plain", "https://b.test", "PUT", "x-a", "", "", "", ""},
		{"cors.test", "/plain", "https://a.test.evil", "PUT", "x-a", "", "", "", ""},
		{"cors.test", "/put", "https://any", "PUT", "x-b,X-Tenant", "https://any", "PUT", "x-tenant", ""},
		{"cors.test", "/echo", "https://x.b.test", "DELETE", "x-a,x-b", "https://x.b.test", "DELETE", "x-a,x-b", "true"},
		{"cors.test", "/echo", "https://a.test", "DELETE", "", "https://a.test", "DELETE", "", "true"},
		{"cors.test", "/echo", "https://evil", "DELETE", "x-a", "", "", "", ""},
		{"a.wild.test", "/cors", "https://a.test", "GET", "x-a", "https://a.test", "GET", "x-a", ""},
	} {
		req := []string{"origin", c.from, "access-control-request-method", c.method}
		if c.headers != "" {
			req = append(req, "access-control-request-headers", c.headers)
		}
		a := p.get(t, "OPTIONS", c.host, c.path, req...)
		got := [...]string{a.header.Get(origin), a.header.Get(methods), a.header.Get(headers), a.header.Get("Access-Control-Allow-Credentials")}
		want := [...]string{c.wantOrigin, c.wantMethods, c.wantHeaders, c.credential}
		if got != want || a.status/100 != 2 {
			t.Errorf("preflight %s%s from %s: %d %q, want %q", c.host, c.path, c.from, a.status, got, want)
		}
		if exposed := a.header.Get("Access-Control-Expose-Headers"); (exposed == "x-b") != (c.wantOrigin != "") {
			t.Errorf("preflight %s%s from %s: headers %q are exposed", c.host, c.path, c.from, exposed)
		}
	}
	if got := b.count("shop") + b.count("wild"); got != before {
		t.Errorf("%d preflight requests reached a backend", got-before)
	}
	for _, c := range []struct{ method, announced string }{{"DELETE", "x-tenant"}, {"PUT", "x-other"}, {"PUT", ""}} {
		a := p.get(t, "OPTIONS", "cors.test", "/put", "origin", "https://any", "access-control-request-method", c.method,
			"access-control-request-headers", c.announced)
		if a.status != 404 {
			t.Errorf("preflight of a request that the rule does not match (%+v): %d", c, a.status)
		}
	}
	a := p.get(t, "GET", "cors.test", "/echo", "origin", "https://a.test")
	if a.service() != "shop" || a.header.Get(origin) != "https://a.test" || a.header.Get("vary") != "origin" ||
		a.header.Get("Access-Control-Expose-Headers") != "x-b" {
		t.Errorf("request with an origin: %s %v", a.service(), a.header)
	}
	if a := p.get(t, "GET", "cors.test", "/plain", "origin", "https://evil"); a.header.Get(origin) != "" {
		t.Errorf("request with a foreign origin: %v", a.header)
	}
}

func testWebSocket(t *testing.T, p *proxy) {
	for _, host := range []string{"shop.test", "SHOP.test:80"} {
		conn, err := net.Dial("tcp", p.ports["infra/public/80"])
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
			t.Fatal(err)
		}
		_, err = io.WriteString(conn, "GET /ws HTTP/1.1\r\nHost: "+host+"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(conn)
		if err != nil || !strings.HasPrefix(string(got), "HTTP/1.1 101") || !strings.HasSuffix(string(got), "\r\n\r\nhello") {
			t.Errorf("%s: %v: %s", host, err, got)
		}
	}
}

// testDraining changes the endpoints of "v2": two that drain beside one that does not, then only one that drains.
func testDraining(t *testing.T, p *proxy, b *backends) {
	id := model.ClusterID{Service: model.Name{Namespace: "t", Name: "v2"}, Port: 80, Protocol: model.HTTP}
	set := func(list ...model.Endpoint) {
		t.Helper()
		r, err := envoy.Endpoints(&model.Endpoints{Cluster: id, List: list})
		if err != nil {
			t.Fatal(err)
		}
		p.publish(t, []envoy.Resource{r})
	}
	drains := model.Endpoint{Address: b.addresses["v2"], Draining: true}
	set(drains, model.Endpoint{Address: b.addresses["first"], Draining: true}, model.Endpoint{Address: b.addresses["shop"]})
	for range 20 {
		if a := p.get(t, "GET", "shop.test", "/seg"); a.service() != "shop" {
			t.Fatalf("%s answered, want the endpoint that does not drain", a.service())
		}
	}
	set(drains)
	if a := p.get(t, "GET", "shop.test", "/seg"); a.service() != "v2" {
		t.Errorf("%s answered, want the only endpoint, though it drains", a.service())
	}
	set()
	if a := p.get(t, "GET", "shop.test", "/seg"); a.status != 503 {
		t.Errorf("no endpoints: %d from %s, want 503", a.status, a.service())
	}
}

// closedPort is a loopback address that refuses connections.
func closedPort(t *testing.T) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return netip.MustParseAddrPort(l.Addr().String())
}

// TestGoldensAccepted sends the resources of all golden cases to a real Envoy.
func TestGoldensAccepted(t *testing.T) {
	var p *proxy
	authority := newCA(t, "golden")
	for _, file := range goldens(t) {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		c := parse(t, archive.Files[0].Data)
		o := c.options()
		o.Bind = loopback
		resources, _ := translate(t, c, o)
		resources = append(resources, authority.secrets(t, c.Secrets)...)
		if p == nil {
			p = start(t, resources)
			continue
		}
		p.publish(t, resources)
	}
}
