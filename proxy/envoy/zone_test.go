package envoy_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"headgate.dev/proxy/envoy"
	"headgate.dev/proxy/model"
)

// zoneCases are endpoints by name, "b1" in zone b; "!" in front of one that drains, "~" of one without a zone. In is who answers
// a proxy in zone a, none one that knows of no zone.
var zoneCases = []struct{ name, endpoints, in, none string }{
	{"one in the own zone", "a1 b1 b2 c1", "a1", "a1 b1 b2 c1"},
	{"two in it", "a1 a2 b1", "a1 a2", "a1 a2 b1"},
	{"one of them drains", "!a1 a2 b1", "a2", "a2 b1"},
	{"all of them drain", "!a1 b1 c1", "b1 c1", "b1 c1"},
	{"none in it", "b1 c1", "b1 c1", "b1 c1"},
	{"one elsewhere", "b1", "b1", "b1"},
	{"without zones", "~a1 ~b1", "a1 b1", "a1 b1"},
}

// TestZones: a proxy goes to the endpoints of its own zone as long as one of them takes requests, and else to all others.
func TestZones(t *testing.T) {
	w := zoneWorld{web: l4Cluster("web", model.HTTP), raw: l4Cluster("raw", model.TCP), at: map[string][2]netip.AddrPort{}}
	for _, name := range []string{"a1", "a2", "b1", "b2", "c1"} {
		server := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, _ *http.Request) { fmt.Fprint(out, name) }))
		t.Cleanup(server.Close)
		w.at[name] = [2]netip.AddrPort{netip.MustParseAddrPort(server.Listener.Addr().String()), tcpBackend(t, name, nil)}
	}
	inZone, anywhere := startIn(t, "a", w.resources(t)), start(t, w.resources(t))
	for _, c := range zoneCases {
		t.Run(c.name, func(t *testing.T) {
			w.answer(t, inZone, c.endpoints, c.in)
			w.answer(t, anywhere, c.endpoints, c.none)
		})
	}
}

type zoneWorld struct {
	web, raw model.ClusterID
	at       map[string][2]netip.AddrPort // for HTTP, for TCP
}

// resources are a listener for HTTP and one for TCP, whose clusters prefer zones.
func (w *zoneWorld) resources(t *testing.T) []envoy.Resource {
	t.Helper()
	o := envoy.Options{Bind: loopback}
	const table = model.TableID("infra/public/80")
	web := l4Listener(80, model.HTTP)
	web.Table = table
	out := []envoy.Resource{mustListener(t, web), mustListener(t, l4Listener(81, model.TCP, model.Share{Cluster: w.raw, Weight: 1}))}
	out = append(out, envoy.Host(&model.Host{ID: model.HostID{Table: table, Name: "zone.test"}, Routes: []model.Route{{
		Match: model.Match{Path: "/"}, Forward: &model.Forward{Backends: []model.Backend{{Cluster: w.web, Weight: 1}}},
	}}}, o).Resources...)
	for _, id := range []model.ClusterID{w.web, w.raw} {
		r, err := envoy.Cluster(&model.Cluster{ID: id, Zones: true}, o)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, r)
	}
	return append(out, w.endpoints(t, "")...)
}

func (w *zoneWorld) endpoints(t *testing.T, names string) (out []envoy.Resource) {
	t.Helper()
	for i, id := range []model.ClusterID{w.web, w.raw} {
		e := &model.Endpoints{Cluster: id}
		for name := range strings.FieldsSeq(names) {
			bare := strings.TrimLeft(name, "!~")
			one := model.Endpoint{Address: w.at[bare][i], Draining: name[0] == '!'}
			if name[0] != '~' {
				one.Zone = bare[:1]
			}
			e.List = append(e.List, one)
		}
		r, err := envoy.Endpoints(e)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, r)
	}
	return out
}

// answer sets endpoints and finds out who answers.
func (w *zoneWorld) answer(t *testing.T, p *proxy, endpoints, want string) {
	t.Helper()
	p.publish(t, w.endpoints(t, endpoints))
	var web, raw []string
	for range 40 {
		web = append(web, p.get(t, "GET", "zone.test", "/").body)
		conn := p.dialTCP(t, "81")
		name, err := line(conn)
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
		raw = append(raw, name)
	}
	for protocol, got := range map[string][]string{"HTTP": web, "TCP": raw} {
		slices.Sort(got)
		if text := strings.Join(slices.Compact(got), " "); text != want {
			t.Errorf("%s: %s answer, want %s", protocol, text, want)
		}
	}
}
