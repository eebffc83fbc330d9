package resolve_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"regexp/syntax"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/proxy/kube"
	"headgate.dev/proxy/kube/kubetest"
	"headgate.dev/proxy/model"
	"headgate.dev/proxy/resolve"
	"headgate.dev/proxy/resolve/backend"
	"headgate.dev/proxy/resolve/gateway"
)

// FuzzWorlds resolves random clusters and checks what has to hold in each of them.
func FuzzWorlds(f *testing.F) {
	for seed := range uint64(30) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		gen, s := kubetest.NewWorld(seed), kube.NewSnapshot()
		s.Apply(gen.Fill())
		w := worldOf(s)
		if text := resolveAll(s); text != resolveAll(s) {
			t.Error("one snapshot gave two texts")
		}
		for _, r := range w.routes {
			checkRoute(t, w, r)
		}
		for _, h := range w.hosts {
			if h == nil {
				t.Fatal("a host of an attachment does not exist")
			}
			checkHost(t, w, h)
		}
		for _, g := range w.gateways {
			checkGateway(t, g)
		}
		for _, l := range w.listeners {
			checkListener(t, w, l)
		}
		for _, c := range w.clusters {
			cluster, secrets := backend.Cluster(s, c, "")
			if cluster == nil {
				t.Errorf("cluster %s is named and does not exist", c)
				continue
			}
			if has := cluster.TLS != nil && cluster.TLS.CA != ""; has != (len(secrets) == 1) || (has && secrets[0].ID != cluster.TLS.CA) {
				t.Errorf("cluster %+v with secrets %v", *cluster, secrets)
			}
			if list := backend.Endpoints(s, c).List; !slices.IsSortedFunc(list, func(a, b model.Endpoint) int { return a.Address.Compare(b.Address) }) {
				t.Errorf("endpoints of %s are not sorted: %v", c, list)
			}
		}
	})
}

// FuzzHTTPRoute: whatever the spec of a route is, what comes out of it holds to the rules of the model.
func FuzzHTTPRoute(f *testing.F) {
	for _, spec := range []string{
		`{"hostnames":["a.b"],"rules":[{"matches":[{"path":{"type":"RegularExpression","value":"/a+"},"headers":[{"name":"a","value":"b"}]}],"backendRefs":[{"name":"shop-0","port":8080,"weight":3}]}]}`,
		`{"rules":[{"filters":[{"type":"RequestRedirect","requestRedirect":{"path":{"type":"ReplacePrefixMatch","replacePrefixMatch":"/x"}}}]}]}`,
		`{"rules":[{"filters":[{"type":"CORS","cors":{"allowOrigins":["https://*"]}},{"type":"RequestMirror","requestMirror":{"backendRef":{"name":"shop-0","port":8080},"fraction":{"numerator":1}}}],"backendRefs":[{"name":"shop-0","port":8080,"filters":[{"type":"URLRewrite","urlRewrite":{"hostname":"x"}}]}],"retry":{"attempts":1,"codes":[500],"backoff":"1s"},"timeouts":{"request":"1s"}}]}`,
	} {
		f.Add([]byte(spec))
	}
	base := snapshotOf(f, manyRoutes(1))
	f.Fuzz(func(t *testing.T, data []byte) {
		o := &gwv1.HTTPRoute{}
		if json.Unmarshal(data, &o.Spec) != nil {
			return
		}
		o.Namespace, o.Name = "default", "fuzzed"
		o.Spec.ParentRefs = append(o.Spec.ParentRefs, gwv1.ParentReference{Name: "gw"})
		base.Apply([]kube.Change{kube.ChangeOf(kube.HTTPRoute, o)})
		w := worldOf(base)
		checkRoute(t, w, w.routes[0])
		for _, h := range w.hosts {
			checkHost(t, w, h)
		}
	})
}

// FuzzSpecs: whatever the spec of an object is, what comes of it and of those around it holds to the rules of the model.
func FuzzSpecs(f *testing.F) {
	kinds := []kube.Kind{kube.Gateway, kube.ListenerSet, kube.GRPCRoute, kube.TLSRoute, kube.TCPRoute, kube.UDPRoute, kube.BackendTLSPolicy}
	for i, k := range kinds {
		for seed := range uint64(2) {
			s := kube.NewSnapshot()
			s.Apply(kubetest.NewWorld(seed).Fill())
			for _, n := range s.Names(k) {
				if data, err := json.Marshal(specOf(objectOf(s, k, n))); err == nil {
					f.Add(uint8(i), data)
				}
			}
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, data []byte) {
		k := kinds[int(which)%len(kinds)]
		s := kube.NewSnapshot()
		s.Apply(kubetest.NewWorld(uint64(which)).Fill())
		o := map[kube.Kind]kube.Object{
			kube.Gateway: &gwv1.Gateway{}, kube.ListenerSet: &gwv1.ListenerSet{}, kube.GRPCRoute: &gwv1.GRPCRoute{}, kube.TLSRoute: &gwv1.TLSRoute{},
			kube.TCPRoute: &gwv1.TCPRoute{}, kube.UDPRoute: &gwv1.UDPRoute{}, kube.BackendTLSPolicy: &gwv1.BackendTLSPolicy{},
		}[k]
		if json.Unmarshal(data, specOf(o)) != nil {
			return
		}
		o.SetNamespace("a")
		o.SetName("gw")
		s.Apply([]kube.Change{kube.ChangeOf(k, o)})
		w := worldOf(s)
		for _, g := range w.gateways {
			checkGateway(t, g)
		}
		for _, r := range w.routes {
			checkRoute(t, w, r)
		}
		for _, h := range w.hosts {
			checkHost(t, w, h)
		}
		for _, l := range w.listeners {
			checkListener(t, w, l)
		}
		for _, n := range s.Names(kube.BackendTLSPolicy) {
			backend.Policy(s, n, w.gatewaysOf)
		}
	})
}

func specOf(o kube.Object) any {
	switch o := o.(type) {
	case *gwv1.Gateway:
		return &o.Spec
	case *gwv1.ListenerSet:
		return &o.Spec
	case *gwv1.GRPCRoute:
		return &o.Spec
	case *gwv1.TLSRoute:
		return &o.Spec
	case *gwv1.TCPRoute:
		return &o.Spec
	case *gwv1.UDPRoute:
		return &o.Spec
	default:
		return &o.(*gwv1.BackendTLSPolicy).Spec
	}
}

func objectOf(s *kube.Snapshot, k kube.Kind, n types.NamespacedName) kube.Object {
	switch k {
	case kube.Gateway:
		return s.Gateway(n)
	case kube.ListenerSet:
		return s.ListenerSet(n)
	case kube.GRPCRoute:
		return s.GRPCRoute(n)
	case kube.TLSRoute:
		return s.TLSRoute(n)
	case kube.TCPRoute:
		return s.TCPRoute(n)
	case kube.UDPRoute:
		return s.UDPRoute(n)
	default:
		return s.BackendTLSPolicy(n)
	}
}

func checkRoute(t *testing.T, w *world, r *resolve.RouteResult) {
	for _, p := range r.Parents {
		if (len(p.Listeners) > 0) != (p.Conditions[0].Type == "Accepted" && p.Conditions[0].Status == "True") {
			t.Errorf("%s: listeners %v with %+v", r.Name, p.Listeners, p.Conditions)
		}
		if len(p.Conditions) < 2 || p.Conditions[1].Type != "ResolvedRefs" {
			t.Errorf("%s: conditions %+v", r.Name, p.Conditions)
		}
	}
	if len(r.Attachments)+len(r.L4) == 0 && (len(r.Rules) > 0 || len(r.Clusters) > 0) {
		t.Errorf("%s is not attached and has rules %v", r.Name, r.Rules)
	}
	for i, a := range r.Attachments {
		if i > 0 && r.Attachments[i-1].Host == a.Host {
			t.Errorf("%s answers %v twice", r.Name, a.Host)
		}
		if l := w.gateways[a.Gateway].Find(a.Set, a.Listener); l == nil || !l.Usable || l.Table != a.Host.Table {
			t.Errorf("%s: attachment %+v to listener %+v", r.Name, a, l)
		}
	}
}

// checkGateway: what a Gateway names is there, sorted, and once.
func checkGateway(t *testing.T, g *gateway.Result) {
	hosts := slices.CompactFunc(slices.Clone(g.Hosts), func(a, b model.HostID) bool { return a == b })
	if len(hosts) != len(g.Hosts) || !slices.IsSortedFunc(g.Hosts, gateway.CompareHosts) {
		t.Errorf("%s: hosts %v", g.Name, g.Hosts)
	}
	tables := map[model.TableID]bool{}
	for _, l := range g.Sockets {
		for _, c := range l.Chains {
			if c.Table != "" {
				tables[c.Table] = true
			}
			if c.Terminate == nil {
				continue
			}
			if len(c.Terminate.Certificates) == 0 || (c.Terminate.Client != nil && !hasSecret(g, c.Terminate.Client.CA)) {
				t.Errorf("%s: chain %+v", g.Name, c)
			}
			for _, id := range c.Terminate.Certificates {
				if !hasSecret(g, id) {
					t.Errorf("%s: %s is missing", g.Name, id)
				}
			}
		}
		if l.Table != "" {
			tables[l.Table] = true
		}
	}
	for _, h := range g.Hosts {
		if g.Table(h.Table) == nil || g.HostOwner(h) == nil {
			t.Errorf("%s: host %v of no table", g.Name, h)
		}
	}
	if len(tables) != len(g.Tables) {
		t.Errorf("%s: tables %v, in use %v", g.Name, g.Tables, tables)
	}
	if g.BackendClient != "" && !hasSecret(g, g.BackendClient) {
		t.Errorf("%s: no %s", g.Name, g.BackendClient)
	}
}

func hasSecret(g *gateway.Result, id model.SecretID) bool {
	return slices.ContainsFunc(g.Secrets, func(s *model.Secret) bool { return s.ID == id })
}

// checkListener: every server name is there once, and every share is valid or says that it is not.
func checkListener(t *testing.T, w *world, l *model.Listener) {
	var names []string
	forwards := []*model.L4Forward{l.Forward}
	for _, c := range l.Chains {
		names = append(names, c.ServerName)
		forwards = append(forwards, c.Forward)
		if c.Table != "" && (c.Forward != nil || c.Terminate == nil) {
			t.Errorf("%v: chain %+v", l.ID(), c)
		}
	}
	if !slices.IsSorted(names) || len(slices.Compact(names)) != len(l.Chains) {
		t.Errorf("%v: chains %v", l.ID(), l.Chains)
	}
	for _, f := range forwards {
		if f == nil {
			continue
		}
		var valid uint32
		for _, s := range f.Shares {
			if s.Cluster != (model.ClusterID{}) {
				valid += s.Weight
				if !slices.Contains(w.clusters, s.Cluster) {
					t.Errorf("%v names %s, which no route lists", l.ID(), s.Cluster)
				}
			}
		}
		if valid == 0 {
			t.Errorf("%v: no valid share: %+v", l.ID(), f)
		}
	}
}

// TestListenerOrderOfContributions: it does not matter in which order the routes of a socket come.
func TestListenerOrderOfContributions(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	several := 0
	for seed := range uint64(30) {
		gen, s := kubetest.NewWorld(seed), kube.NewSnapshot()
		s.Apply(gen.Fill())
		w := worldOf(s)
		contributions := map[model.ListenerID][]resolve.L4Contribution{}
		for _, r := range w.routes {
			for i := range r.L4 {
				contributions[r.L4[i].Listener] = append(contributions[r.L4[i].Listener], resolve.L4Contribution{Route: r, Attachment: &r.L4[i]})
			}
		}
		for id, cs := range contributions {
			g := w.gateways[types.NamespacedName(id.Gateway)]
			want := resolve.Listener(g, id, cs)
			if len(cs) > 1 {
				several++
			}
			for range 5 {
				rng.Shuffle(len(cs), func(i, j int) { cs[i], cs[j] = cs[j], cs[i] })
				if diff := cmp.Diff(want, resolve.Listener(g, id, cs)); diff != "" {
					t.Fatalf("seed %d: %s", seed, diff)
				}
			}
		}
	}
	if several < 5 {
		t.Errorf("only %d sockets with several routes", several)
	}
}

// checkHost: every route says exactly one thing to do, and names valid backends.
func checkHost(t *testing.T, w *world, h *model.Host) {
	for i := range h.Routes {
		r := &h.Routes[i]
		n := 0
		for _, set := range []bool{r.Forward != nil, r.Redirect != nil, r.Status != 0} {
			if set {
				n++
			}
		}
		if n != 1 || r.Match.Path == "" {
			t.Errorf("%v: route %+v", h.ID, r)
		}
		if r.Match.PathKind == model.PathRegex {
			if _, err := syntax.Parse(r.Match.Path, syntax.Perl); err != nil {
				t.Errorf("%v: %v", h.ID, err)
			}
		}
		if r.Forward == nil {
			continue
		}
		var valid uint32
		for _, b := range r.Forward.Backends {
			if b.Cluster != (model.ClusterID{}) {
				valid += b.Weight
				if !slices.Contains(w.clusters, b.Cluster) {
					t.Errorf("%v names %s, which no route lists", h.ID, b.Cluster)
				}
			}
		}
		if valid == 0 {
			t.Errorf("%v: no valid backend: %+v", h.ID, r.Forward)
		}
	}
}

// TestHostOrderOfContributions: it does not matter in which order the routes of a host come.
func TestHostOrderOfContributions(t *testing.T) {
	s := snapshotOf(t, manyRoutes(12))
	w := worldOf(s)
	g := w.gateways[types.NamespacedName{Namespace: "default", Name: "gw"}]
	var cs []resolve.Contribution
	for _, r := range w.routes {
		cs = append(cs, resolve.Contribution{Route: r, Specificity: r.Attachments[0].Specificity})
	}
	id := w.routes[0].Attachments[0].Host
	want := resolve.Host(g, id, cs)
	rng := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		rng.Shuffle(len(cs), func(i, j int) { cs[i], cs[j] = cs[j], cs[i] })
		if diff := cmp.Diff(want, resolve.Host(g, id, cs)); diff != "" {
			t.Fatal(diff)
		}
	}
	if resolve.Host(g, model.HostID{Table: id.Table, Name: "nobody.example.com"}, nil) != nil || resolve.Host(g, model.HostID{Table: "x", Name: "*"}, cs) != nil {
		t.Error("a host that nobody names exists")
	}
}

func exists(s *kube.Snapshot, id model.ClusterID) *model.Cluster {
	c, _ := backend.Cluster(s, id, "")
	return c
}

// TestAbsent: what does not exist resolves to nothing.
func TestAbsent(t *testing.T) {
	s, n := kube.NewSnapshot(), types.NamespacedName{Namespace: "a", Name: "b"}
	id := model.ClusterID{Service: model.Name(n), Port: 80, Protocol: model.HTTP}
	if gateway.Resolve(s, n) != nil || resolve.Route(s, kube.Ref{Kind: kube.HTTPRoute, Name: n}, nil) != nil || gateway.ResolveClass(s, "b", "c/d").Ours || exists(s, id) != nil || len(backend.Endpoints(s, id).List) != 0 {
		t.Error("something came of nothing")
	}
}

// manyRoutes makes one Gateway and n routes of one host, with a Service each.
func manyRoutes(n int) []byte {
	var b strings.Builder
	b.WriteString("apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: gw}\nspec: {gatewayClassName: headgate, listeners: [{name: http, port: 80, protocol: HTTP}]}\n")
	for i := range n {
		fmt.Fprintf(&b, "---\napiVersion: v1\nkind: Service\nmetadata: {name: shop-%d}\nspec: {ports: [{name: web, port: 8080}]}\n", i)
		fmt.Fprintf(&b, `---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: shop-%d, creationTimestamp: "2024-01-0%dT00:00:00Z"}
spec:
  parentRefs: [{name: gw}]
  hostnames: [shop.example.com]
  rules:
  - {matches: [{path: {value: /api}, method: GET}, {path: {type: Exact, value: /x}}], filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: X-A, value: b}]}}], backendRefs: [{name: shop-%d, port: 8080}]}
  - {backendRefs: [{name: shop-%d, port: 8080, weight: 9}, {name: shop-0, port: 8080}], timeouts: {request: 5s}}
`, i, 1+i%3, i, i)
	}
	return []byte(b.String())
}

// BenchmarkRouteAndHost is the resolving part of a step: one changed route of two rules, and its host.
func BenchmarkRouteAndHost(b *testing.B) {
	for _, n := range []int{1, 10} {
		b.Run(fmt.Sprintf("%d_routes_of_the_host", n), func(b *testing.B) {
			s := snapshotOf(b, manyRoutes(n))
			w := worldOf(s)
			g := w.gateways[types.NamespacedName{Namespace: "default", Name: "gw"}]
			gateways := func(types.NamespacedName) *gateway.Result { return g }
			cs := make([]resolve.Contribution, n)
			for i, r := range w.routes {
				cs[i] = resolve.Contribution{Route: r, Specificity: r.Attachments[0].Specificity}
			}
			name := types.NamespacedName{Namespace: "default", Name: "shop-0"}
			b.ReportAllocs()
			for b.Loop() {
				r := resolve.Route(s, kube.Ref{Kind: kube.HTTPRoute, Name: name}, gateways)
				cs[0] = resolve.Contribution{Route: r, Specificity: r.Attachments[0].Specificity}
				resolve.Host(g, r.Attachments[0].Host, cs)
			}
		})
	}
}

// BenchmarkEndpoints resolves a Service of 100 endpoints.
func BenchmarkEndpoints(b *testing.B) {
	var text strings.Builder
	text.Write(manyRoutes(1))
	text.WriteString("---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: s, labels: {kubernetes.io/service-name: shop-0}}\naddressType: IPv4\nports: [{name: web, port: 80}]\nendpoints:\n")
	for i := range 100 {
		fmt.Fprintf(&text, "- {addresses: [10.0.0.%d]}\n", i)
	}
	s := snapshotOf(b, []byte(text.String()))
	id := model.ClusterID{Service: model.Name{Namespace: "default", Name: "shop-0"}, Port: 8080, Protocol: model.HTTP}
	b.ReportAllocs()
	for b.Loop() {
		backend.Endpoints(s, id)
	}
}
