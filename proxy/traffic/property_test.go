package traffic_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"

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

func (g gen) table(port int32) table {
	tb := table{}
	for i, name := range hostNames {
		if g.IntN(3) == 0 {
			continue
		}
		h := &model.Host{ID: model.HostID{Table: tableID(port), Name: name}, Port: port}
		for j := range g.IntN(8) {
			r := model.Route{Match: g.match(), Status: answerOf(i, j), Source: model.Source{
				Kind: "HTTPRoute", Name: model.Name{Namespace: "web", Name: fmt.Sprint(j)}}}
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
			h.Routes = append(h.Routes, r)
		}
		tb[name] = h
	}
	return tb
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

func (g gen) request(tb table) traffic.Request {
	r := traffic.Request{Method: g.pick(methods), Host: g.pick(hostForms), Path: g.path()}
	// Most requests are made after a route, so that they come near one.
	if h := tb[g.pick(hostNames)]; h != nil && len(h.Routes) > 0 && g.IntN(4) > 0 {
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
	const tables, requests, seed = 60, 200, 4
	g := gen{rand.New(rand.NewPCG(seed, 2026))}
	all := make([]table, tables)
	resources := startBackend(t)
	for i := range all {
		all[i] = g.table(int32(i + 1))
		resources = append(resources, all[i].resources(t, int32(i+1))...)
	}
	addresses := startEnvoy(t, resources)
	seen := map[int]int{}
	wrong := 0
	for i, tb := range all {
		w := &wire{addr: addresses[int32(i+1)]}
		lookup := func(name string) *model.Host { return tb[name] }
		for range requests {
			r := g.request(tb)
			e := traffic.Explain(lookup, r)
			want := e.Status
			if want == 0 {
				want = statusOf(e.Trials[e.Winner].Route)
			}
			status, location, err := w.send(bytesOf(&r), r.Method)
			if err != nil {
				t.Fatalf("%q: %v", bytesOf(&r), err)
			}
			if seen[min(status, 410)]++; status != want || status == 307 && location != e.Location {
				t.Errorf("%q:\n Envoy answers %d %s, explained is %d %s (%s), path %s, host %v",
					bytesOf(&r), status, location, want, e.Location, e.Reason, e.Path, e.Host)
				if wrong++; wrong == 8 {
					t.FailNow()
				}
			}
		}
		w.close()
	}
	t.Logf("%d requests to %d tables: %v", tables*requests, tables, seen)
	for _, status := range []int{200, 204, 307, 400, 404, 410} {
		if seen[status] < 5 {
			t.Errorf("status %d came %d times: too few to tell", status, seen[status])
		}
	}
}
