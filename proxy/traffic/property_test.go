package traffic_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	cryptorand "crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"maps"
	"math/big"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"headgate.dev/proxy/envoy"
	"headgate.dev/proxy/model"
	"headgate.dev/proxy/traffic"
)

// The vocabulary is small, so that random routes and random requests meet.
var (
	hostNames = []string{"a.test", "shop.test", "*.test", "*.shop.test", "*.b.shop.test", "*", "a.b.shop.test"}
	hostForms = []string{
		"a.test", "A.Test", "a.test:80", "A.TEST:80", "a.test.", "a.test.:80", "shop.test", "x.shop.test", "X.shop.TEST:8080", "x.y.shop.test", "a.b.shop.test",
		"x.b.shop.test.", "A.b.shop.test.:1", "test", ".test", "a.test:x", "A.test:x", "a.test:80:90", "[::1]:80", "127.0.0.1", "*", "*.test", "*.shop.test:80", "a..test", "a.test..",
		"x.test", "X.TEST.", "a@a.test", "a.test:", "", "*:80", "a_b.test", "a/b", "a b", "%61.test", "x.TEST:80.",
	}
	segments = []string{"a", "b", "ab", "A", "x.y", "a;p", "c%20d", "~a", "a|b", "$", "a%7cb"}
	regexes  = []string{"/a/.*", "/[ab]+", "/a(/b)?", ".*", "/.", "^/ab?$", "/(?i)A", `/a\Q/b`, "/a|/ab", `/x\.y`, ".*b", "/a%7C.*", "/c%20.", "//"}
	methods  = []string{"GET", "POST", "PUT", "OPTIONS", "HEAD", "DELETE", "PATCH"}
	headers  = []string{"x-ring", "x-b", "accept", "host", "cookie", "user-agent", "x-forwarded-proto", "te", "x-envoy-retry-on", "origin", "x-forwarded-for", "authorization", "x-forwarded-host", "referer", "content-type", "x-envoy-foo"}
	values   = []string{"a", "b", "a,b", "beta", "http", "é", "a.test", "http://a.test", "A", "a=1"}
	exprs    = []string{".*", "a.*", "[ab]", "..", "(?i)A", "a|b", "http", "é", ".+,.+", "a*"}
	queries  = []string{"a", "b", "A"}
	calls    = []string{"application/grpc", "application/grpc", "application/grpc+proto", "application/grpc-web", "application/grpc;x", "application/json", "Application/grpc", "application/grpc "}
	origins  = []string{"*", "http://a.test", "https://*.test", "http://*"}
)

type gen struct{ *rand.Rand }

func (g gen) pick(list []string) string { return list[g.IntN(len(list))] }

func (g gen) match() model.Match {
	m := model.Match{PathKind: model.PathKind(g.IntN(3))}
	switch {
	case m.PathKind == model.PathRegex:
		m.Path = g.pick(regexes)
	case g.IntN(3) == 0:
		m.Path = "/"
	default:
		for range 1 + g.IntN(2) {
			m.Path += "/" + strings.ReplaceAll(g.pick(segments), "|", "%7C")
		}
	}
	if g.IntN(4) == 0 {
		m.Method = g.pick(methods)
	}
	m.GRPC = g.IntN(5) == 0
	for range g.IntN(3) * g.IntN(2) {
		m.Headers = g.value(m.Headers, headers)
	}
	for range g.IntN(2) * g.IntN(2) {
		m.Query = g.value(m.Query, queries)
	}
	return m
}

// value adds a match of a name that is not there yet.
func (g gen) value(list []model.ValueMatch, names []string) []model.ValueMatch {
	v := model.ValueMatch{Name: g.pick(names), Value: g.pick(values)}
	if v.Regex = g.IntN(2) == 0; v.Regex {
		v.Value = g.pick(exprs)
	}
	if slices.ContainsFunc(list, func(o model.ValueMatch) bool { return o.Name == v.Name }) {
		return list
	}
	return append(list, v)
}

// answerOf is the status by which the test tells which route of a host answers.
func answerOf(host, route int) int { return 410 + 24*host + route }

func (g gen) table(id model.TableID, protocol model.Protocol) *table {
	tb := &table{Table: model.Table{ID: id, Protocol: protocol}, hosts: map[string]*model.Host{}}
	for i, name := range hostNames {
		if g.IntN(3) == 0 {
			continue
		}
		h := &model.Host{ID: model.HostID{Table: id, Name: name}, Port: 80, Protocol: protocol}
		for j := range g.IntN(8) {
			h.Routes = append(h.Routes, g.route(i, j))
		}
		tb.hosts[name] = h
	}
	return tb
}

func (g gen) route(host, number int) model.Route {
	r := model.Route{Match: g.match(), Status: answerOf(host, number), Source: model.Source{
		Kind: "HTTPRoute", Name: model.Name{Namespace: "web", Name: fmt.Sprint(number)}}}
	if g.IntN(4) == 0 {
		r.CORS = &model.CORS{Methods: []string{"GET"}}
		for range g.IntN(3) {
			r.CORS.Origins = append(r.CORS.Origins, g.pick(origins))
		}
		if g.IntN(2) == 0 {
			toBackend(&r)
			r.Match.Method = g.pick([]string{"", "OPTIONS"})
		}
	}
	// Which route it was, where the status is not the route's own.
	r.ResponseHeaders = &model.HeaderEdit{Set: []model.Header{{Name: "x-route", Value: fmt.Sprint(answerOf(host, number))}}}
	return r
}

// port is one listener with its tables.
type port struct {
	*model.Listener
	tables map[model.TableID]*table
}

func (g gen) plainPort(number int32) *port {
	id := tableID(number)
	return &port{
		&model.Listener{Gateway: model.Name{Namespace: "infra", Name: "edge"}, Port: number, Protocol: model.HTTP, Table: id},
		map[model.TableID]*table{id: g.table(id, model.HTTP)},
	}
}

const certificate = model.SecretID("certificate/infra/edge")

// tlsPort has two or three HTTPS listeners, each of which may have hosts of any name.
func (g gen) tlsPort(number int32) *port {
	p := &port{&model.Listener{Gateway: model.Name{Namespace: "infra", Name: "edge"}, Port: number, Protocol: model.TLS}, map[model.TableID]*table{}}
	names := slices.Clone(hostNames)
	g.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	names = names[:2+g.IntN(2)]
	slices.Sort(names)
	for i, name := range names {
		id := tableID(number) + "/" + model.TableID(name)
		tb := g.table(id, model.HTTPS)
		tb.Misdirected = slices.Delete(slices.Clone(names), i, i+1)
		p.tables[id] = tb
		p.Chains = append(p.Chains, model.Chain{ServerName: name, Table: id, Terminate: &model.Termination{Certificates: []model.SecretID{certificate}}})
	}
	return p
}

// backend is the cluster of routes that forward: it answers with the status that the route asks for.
var backend = model.ClusterID{Service: model.Name{Namespace: "web", Name: "status"}, Port: 80, Protocol: model.HTTP}

// toBackend makes a route forward; its answer stays the same.
func toBackend(r *model.Route) {
	r.Forward = &model.Forward{
		Backends: []model.Backend{{Cluster: backend, Weight: 1}},
		// A server of the library takes fewer hosts and paths than Envoy does.
		Rewrite: &model.Rewrite{Host: "status.test", Path: &model.PathEdit{Value: "/"}},
	}
	r.RequestHeaders = &model.HeaderEdit{Set: []model.Header{{Name: "x-status", Value: fmt.Sprint(r.Status)}}}
	r.Status = 0
}

func statusOf(r *model.Route) int {
	status := r.Status
	if r.Forward != nil {
		_, _ = fmt.Sscan(r.RequestHeaders.Set[0].Value, &status)
	}
	return status
}

// startBackend serves the cluster until the test ends.
func startBackend(t *testing.T) []envoy.Resource {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status := 500
		_, _ = fmt.Sscan(r.Header.Get("x-status"), &status)
		w.WriteHeader(status)
	}))
	t.Cleanup(server.Close)
	cluster, err := envoy.Cluster(&model.Cluster{ID: backend}, envoy.Options{})
	if err != nil {
		t.Fatal(err)
	}
	endpoints, err := envoy.Endpoints(&model.Endpoints{Cluster: backend, List: []model.Endpoint{
		{Address: netip.MustParseAddrPort(server.Listener.Addr().String())}}})
	if err != nil {
		t.Fatal(err)
	}
	return []envoy.Resource{cluster, endpoints}
}

func (g gen) request(tb *table) traffic.Request {
	r := traffic.Request{Method: g.pick(methods), Host: g.pick(hostForms), Path: g.path()}
	// Most requests are made after a route, so that they come near one.
	if h := tb.hosts[g.pick(hostNames)]; h != nil && len(h.Routes) > 0 && g.IntN(4) > 0 {
		r.Host = strings.Replace(h.ID.Name, "*", g.pick([]string{"x", "X.y", "*"}), 1) + g.pick([]string{"", "", "", ".", ":80", ".:80"})
		g.after(&r, &h.Routes[g.IntN(len(h.Routes))])
	}
	for range g.IntN(3) {
		r.Headers = append(r.Headers, model.Header{Name: g.case_(g.pick(headers[:3])), Value: g.pick(values)})
	}
	for range g.IntN(2) * g.IntN(3) {
		if name := g.pick(headers); name != "host" {
			r.Headers = append(r.Headers, model.Header{Name: g.case_(name), Value: g.pick(values)})
		}
	}
	if g.IntN(5) == 0 {
		r.Headers = append(r.Headers, model.Header{Name: g.case_("content-type"), Value: g.pick(calls)})
	}
	if g.IntN(5) == 0 {
		r.Method = "OPTIONS"
		r.Headers = append(r.Headers, model.Header{Name: "Origin", Value: g.pick([]string{"http://a.test", "http://a.test", "https://x.test", "http://b:80", "x", ""})},
			model.Header{Name: "Access-Control-Request-Method", Value: g.pick([]string{"GET", "POST", "PUT", "OPTIONS", ""})},
			model.Header{Name: "Access-Control-Request-Headers", Value: g.pick([]string{"x-ring", "X-B, x-ring", "accept,X-Ring", "", "x-b ,authorization"})})
	}
	// A Referer that is no URL is dropped, and of several put together whether they are one is beyond what is explained.
	referers := 0
	r.Headers = slices.DeleteFunc(r.Headers, func(h model.Header) bool {
		if strings.EqualFold(h.Name, "referer") {
			referers++
		}
		return strings.EqualFold(h.Name, "referer") && referers > 1
	})
	if g.IntN(100) == 0 {
		r.Headers = append(r.Headers, model.Header{Name: "x_y", Value: "1"})
	}
	return r
}

// after makes a request that has most of what a route asks for.
func (g gen) after(r *traffic.Request, route *model.Route) {
	m := &route.Match
	if m.PathKind != model.PathRegex {
		r.Path = m.Path
		if g.IntN(3) == 0 {
			r.Path += "/" + g.pick(segments)
		}
	}
	if m.Method != "" {
		r.Method = m.Method
	}
	if m.GRPC && g.IntN(4) > 0 {
		r.Headers = append(r.Headers, model.Header{Name: "content-type", Value: g.pick(calls)})
	}
	for _, h := range m.Headers {
		v := h.Value
		if h.Regex {
			v = g.pick(values)
		}
		if h.Name != "host" {
			r.Headers = append(r.Headers, model.Header{Name: g.case_(h.Name), Value: v})
		}
	}
	for i, q := range m.Query {
		v := q.Value
		if q.Regex {
			v = g.pick(values[:4])
		}
		r.Path += map[bool]string{true: "?", false: "&"}[i == 0] + q.Name + "=" + v
	}
}

func (g gen) path() string {
	p := ""
	for range g.IntN(4) {
		p += g.pick([]string{"/", "/", "/", "/", "//", `\`, "/./", "/../", "/%2e%2E/", "/%61/"}) + g.pick(segments)
	}
	p += g.pick([]string{"", "", "", "/", "//", "/.", "/..", "/%2e", "%", "%4", "/\"<>^`{}", "%41", "/a%252fb", ""})
	if g.IntN(20) == 0 {
		p += g.pick([]string{"%2f", "%5C..", "%2F%2f", "#x", "%00", "é", "/%c3%A9", "/%7F"})
	}
	if p == "" || p[0] != '/' {
		p = "/" + p
	}
	if g.IntN(3) == 0 {
		p += g.pick([]string{"?", "?a=a", "?a=b&b=a", "?A=a&&a=b", "?b&a=beta", "?a=%61", "?a=a=b", "?x=?a=a", "?a", "?a=a//../b%2f", "??a=a", "?a=a,b", "?%61=a"})
	}
	return p
}

// case_ writes a header name as a client may.
func (g gen) case_(name string) string {
	if g.IntN(3) == 0 {
		return strings.ToUpper(name)
	}
	return name
}

// bytesOf writes a request of HTTP/1.1.
func bytesOf(r *traffic.Request) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\n", r.Method, r.Path, r.Host)
	for _, h := range r.Headers {
		fmt.Fprintf(&b, "%s: %s\r\n", h.Name, h.Value)
	}
	if r.Method != "GET" && r.Method != "HEAD" {
		b.WriteString("Content-Length: 0\r\n")
	}
	return b.String() + "\r\n"
}

// TestExplainIsWhatEnvoyDoes sends random requests to random tables and compares the answer of a real Envoy with the
// explanation. Each route answers with a status of its own.
func TestExplainIsWhatEnvoyDoes(t *testing.T) {
	const plain, secure, requests, seed = 60, 40, 200, 4
	g := gen{rand.New(rand.NewPCG(seed, 2026))}
	ports := make([]*port, plain+secure)
	all := append(startBackend(t), selfSigned(t))
	for i := range ports {
		if number := int32(i + 1); i < plain {
			ports[i] = g.plainPort(number)
		} else {
			ports[i] = g.tlsPort(number)
		}
		all = append(all, resources(t, ports[i].Listener, slices.Collect(maps.Values(ports[i].tables))...)...)
	}
	c := &comparison{t: t, seen: map[int]int{}}
	addresses := startEnvoy(t, all)
	for _, p := range ports {
		c.addr, c.wires = addresses[p.Port], map[string]*wire{}
		for range requests {
			c.request(g, p)
		}
		for _, w := range c.wires {
			w.close()
		}
	}
	t.Logf("%d requests to %d ports: %v, %d calls of gRPC", len(ports)*requests, len(ports), c.seen, c.calls)
	for _, status := range []int{0, 200, 204, 307, 400, 404, 421, 422} {
		if c.seen[status] < 5 {
			t.Errorf("status %d came %d times: too few to tell", status, c.seen[status])
		}
	}
	if c.calls < 100 {
		t.Errorf("%d calls of gRPC: too few to tell", c.calls)
	}
}

// comparison is Envoy's answers beside the explanations.
type comparison struct {
	t     *testing.T
	addr  string
	wires map[string]*wire // by server name
	seen  map[int]int      // by status; 422 for those of routes, 0 for connections that are closed
	calls int
	wrong int
}

func (c *comparison) request(g gen, p *port) {
	ids := slices.Sorted(maps.Keys(p.tables))
	r := g.request(p.tables[ids[g.IntN(len(ids))]])
	serverName := traffic.ServerName(r.Host) // as clients do
	if g.IntN(3) == 0 {
		serverName = g.pick([]string{"a.test", "X.Test", "x.shop.test", "y.b.shop.test", "a.b.shop.test", "", "other"})
	}
	if strings.ContainsAny(serverName, " *%/:@_[]") || strings.Contains(serverName, "..") || strings.HasSuffix(serverName, ".") || strings.HasPrefix(serverName, ".") {
		serverName = "" // no client could send it
	}
	if p.Protocol == model.HTTP {
		serverName = ""
	}
	connection := traffic.Connect(p.Listener, serverName)
	w := c.wires[serverName]
	if w == nil {
		w = &wire{addr: c.addr}
		if p.Protocol == model.TLS {
			w.tls = &tls.Config{ServerName: serverName, InsecureSkipVerify: true}
		}
		c.wires[serverName] = w
	}
	status, header, err := w.send(bytesOf(&r), r.Method)
	if connection.Closed() {
		if err == nil {
			c.fail("server name %q is answered %d: %s", serverName, status, connection.Reason)
		}
		w.close()
		c.seen[0]++
		return
	}
	if err != nil {
		c.t.Fatalf("server name %q, %s: %q: %v", serverName, connection.Reason, bytesOf(&r), err)
	}
	c.compare(p.tables[connection.Table], &r, status, header)
}

func (c *comparison) compare(tb *table, r *traffic.Request, status int, header http.Header) {
	e := traffic.Explain(&tb.Table, tb.find, *r)
	want, route, code := e.Status, "", ""
	if want == 0 {
		winner := e.Trials[e.Winner].Route
		want, route = statusOf(winner), winner.ResponseHeaders.Set[0].Value
		c.seen[422]++
	} else {
		c.seen[want]++
	}
	if e.GRPC && (e.Status != 0 || e.Trials[e.Winner].Route.Forward == nil) {
		n, _ := traffic.GRPCStatus(want)
		want, code = 200, fmt.Sprint(n)
		c.calls++
	}
	if status != want || header.Get("location") != e.Location || header.Get("x-route") != route || header.Get("grpc-status") != code {
		c.fail("table %s: %q:\n Envoy answers %d %v, explained is %d, location %q, route %q, gRPC %q (%s), path %s, host %v",
			tb.ID, bytesOf(r), status, header, want, e.Location, route, code, e.Reason, e.Path, e.Host)
	}
}

func (c *comparison) fail(format string, a ...any) {
	c.t.Errorf(format, a...)
	if c.wrong++; c.wrong == 8 {
		c.t.FailNow()
	}
}

// selfSigned is the certificate of all HTTPS listeners.
func selfSigned(t *testing.T) envoy.Resource {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), cryptorand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"edge.test"}}
	cert, err := x509.CreateCertificate(cryptorand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	r, err := envoy.Secret(&model.Secret{
		ID:          certificate,
		Certificate: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}),
		Key:         pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}),
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}
