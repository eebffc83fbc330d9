package kube_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"
	gwv1beta1 "sigs.k8s.io/gateway-api/apis/v1beta1"

	"headgate.dev/proxy/kube"
	"headgate.dev/proxy/kube/kubetest"
)

func name(namespace, name string) types.NamespacedName {
	return types.NamespacedName{Namespace: namespace, Name: name}
}

// TestTouched goes through one object of each kind: what matters is touched, what does not is not.
func TestTouched(t *testing.T) {
	meta := metav1.ObjectMeta{Namespace: "a", Name: "x", UID: "1", ResourceVersion: "1", Generation: 1}
	route := &gwv1.HTTPRoute{ObjectMeta: meta}
	slice := &discoveryv1.EndpointSlice{ObjectMeta: meta}
	slice.Labels = map[string]string{discoveryv1.LabelServiceName: "shop"}
	cases := []struct {
		name    string
		kind    kube.Kind
		from    kube.Object
		edit    func(kube.Object)
		changed bool
		status  bool
		backend []string
	}{
		{"resource version", kube.HTTPRoute, route, func(kube.Object) {}, false, false, nil},
		{"labels of a route", kube.HTTPRoute, route, func(o kube.Object) { o.SetLabels(map[string]string{"a": "b"}) }, false, false, nil},
		{"managed fields", kube.HTTPRoute, route, func(o kube.Object) { o.SetManagedFields([]metav1.ManagedFieldsEntry{{Manager: "m"}}) }, false, false, nil},
		{"status", kube.HTTPRoute, route, func(o kube.Object) {
			o.(*gwv1.HTTPRoute).Status.Parents = []gwv1.RouteParentStatus{{ControllerName: "x/y"}}
		}, false, true, nil},
		{"spec", kube.HTTPRoute, route, func(o kube.Object) { o.(*gwv1.HTTPRoute).Spec.Hostnames = []gwv1.Hostname{"a.b"} }, true, false, nil},
		{"generation", kube.HTTPRoute, route, func(o kube.Object) { o.SetGeneration(2) }, true, false, nil},
		{"another object of the name", kube.HTTPRoute, route, func(o kube.Object) { o.SetUID("2") }, true, false, nil},
		{"age", kube.HTTPRoute, route, func(o kube.Object) { o.SetCreationTimestamp(metav1.Unix(5, 0)) }, true, false, nil},
		{"gateway", kube.Gateway, &gwv1.Gateway{ObjectMeta: meta}, func(o kube.Object) { o.(*gwv1.Gateway).Spec.GatewayClassName = "c" }, true, false, nil},
		{"class", kube.GatewayClass, &gwv1.GatewayClass{ObjectMeta: meta}, func(o kube.Object) { o.(*gwv1.GatewayClass).Spec.ControllerName = "c/d" }, true, false, nil},
		{"grant", kube.ReferenceGrant, &gwv1.ReferenceGrant{ObjectMeta: meta}, func(o kube.Object) {
			o.(*gwv1.ReferenceGrant).Spec.To = []gwv1.ReferenceGrantTo{{Kind: "Service"}}
		}, true, false, nil},
		{"service", kube.Service, &corev1.Service{ObjectMeta: meta}, func(o kube.Object) { o.(*corev1.Service).Spec.Ports = []corev1.ServicePort{{Port: 1}} }, true, false, nil},
		{"status of a service", kube.Service, &corev1.Service{ObjectMeta: meta}, func(o kube.Object) {
			o.(*corev1.Service).Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: "10.0.0.1"}}
		}, false, false, nil},
		{"labels of a namespace", kube.Namespace, &corev1.Namespace{ObjectMeta: meta}, func(o kube.Object) { o.SetLabels(map[string]string{"a": "b"}) }, true, false, nil},
		{"annotations of a namespace", kube.Namespace, &corev1.Namespace{ObjectMeta: meta}, func(o kube.Object) { o.SetAnnotations(map[string]string{"a": "b"}) }, false, false, nil},
		{"endpoints", kube.EndpointSlice, slice, func(o kube.Object) {
			o.(*discoveryv1.EndpointSlice).Endpoints = []discoveryv1.Endpoint{{Addresses: []string{"10.0.0.1"}}}
		}, true, false, []string{"shop"}},
		{"slice of another service", kube.EndpointSlice, slice, func(o kube.Object) { o.SetLabels(map[string]string{discoveryv1.LabelServiceName: "cart"}) }, true, false, []string{"cart", "shop"}},
		{"slice of no service", kube.EndpointSlice, slice, func(o kube.Object) { o.SetLabels(nil) }, true, false, []string{"shop"}},
		{"other label of a slice", kube.EndpointSlice, slice, func(o kube.Object) {
			o.SetLabels(map[string]string{discoveryv1.LabelServiceName: "shop", "a": "b"})
		}, false, false, nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := kube.NewSnapshot()
			s.Apply([]kube.Change{kube.ChangeOf(c.kind, c.from)})
			now := c.from.DeepCopyObject().(kube.Object)
			now.SetResourceVersion("2")
			c.edit(now)
			got := s.Apply([]kube.Change{kube.ChangeOf(c.kind, now)})
			if changed, status := len(got.Changed[c.kind]) > 0, len(got.Status[c.kind]) > 0; changed != c.changed || status != c.status {
				t.Errorf("changed %v, status %v, want %v, %v", changed, status, c.changed, c.status)
			}
			var backends []string
			for _, b := range got.Backends {
				backends = append(backends, b.To.Name)
				if want := (kube.Ref{Kind: c.kind, Name: kube.ChangeOf(c.kind, now).Name}); !slices.Equal(b.From, []kube.Ref{want}) {
					t.Errorf("%v comes from %v", b.To, b.From)
				}
			}
			if !slices.Equal(backends, c.backend) {
				t.Errorf("backends %v, want %v", backends, c.backend)
			}
			if empty := got.Empty(); empty == c.changed {
				t.Errorf("Empty() = %v", empty)
			}
			gone := s.Apply([]kube.Change{{Kind: c.kind, Name: kube.ChangeOf(c.kind, now).Name}})
			if again := s.Apply([]kube.Change{{Kind: c.kind, Name: kube.ChangeOf(c.kind, now).Name}}); len(gone.Changed[c.kind]) != 1 || !again.Empty() {
				t.Errorf("deleting touched %v, deleting again %v", gone, again)
			}
		})
	}
}

// TestIndexesFollowChanges holds every reverse index against a search through all objects, after every batch of random
// changes, and against a snapshot made afresh.
func TestIndexesFollowChanges(t *testing.T) {
	for seed := range uint64(20) {
		w, s := kubetest.NewWorld(seed), kube.NewSnapshot()
		for range 40 {
			s.Apply(w.Changes(1 + int(seed)))
			fresh := kube.NewSnapshot()
			fresh.Apply(w.All())
			if diff := cmp.Diff(answers(fresh), answers(s)); diff != "" {
				t.Fatalf("seed %d: made afresh -, by changes +:\n%s", seed, diff)
			}
			if diff := cmp.Diff(searched(w.All()), answers(s)); diff != "" {
				t.Fatalf("seed %d: searched -, answered +:\n%s", seed, diff)
			}
		}
	}
}

// answers asks a snapshot everything, as text.
func answers(s *kube.Snapshot) map[string]string {
	out := map[string]string{}
	put := func(question string, refs ...any) {
		if text := fmt.Sprint(refs...); text != "[]" {
			out[question] = text
		}
	}
	for _, ns := range []string{"a", "b", "c"} {
		put("in "+ns, s.RoutesInNamespace(ns))
		put("into "+ns, s.ReferencesInto(ns))
		put("grants "+ns, s.GrantsIn(ns))
		for _, n := range []string{"gw", "edge"} {
			put("routes of "+ns+"/"+n, s.RoutesOfGateway(name(ns, n)))
		}
		for _, n := range []string{"shop", "cart", "auth"} {
			put("backends "+ns+"/"+n, s.RoutesOfService(name(ns, n)))
			put("slices "+ns+"/"+n, s.SlicesOfService(name(ns, n)))
		}
	}
	for _, c := range []string{kubetest.Class, "other"} {
		put("class "+c, s.GatewaysOfClass(c))
	}
	put("selecting", s.GatewaysSelectingNamespaces())
	for _, ns := range []string{"a", "b", "c"} {
		put("gateways into "+ns, s.GatewaysReferringInto(ns))
		put("sets in "+ns, s.SetsInNamespace(ns))
		put("gateways of sets in "+ns, s.GatewaysOfSetsIn(ns))
		for _, n := range []string{"gw", "edge"} {
			put("sets of "+ns+"/"+n, s.SetsOfGateway(name(ns, n)))
		}
		for _, n := range []string{"extra", "more"} {
			put("routes of set "+ns+"/"+n, s.RoutesOfSet(name(ns, n)))
		}
		for _, n := range []string{"certificate", "other"} {
			put("gateways of secret "+ns+"/"+n, s.GatewaysOfSecret(name(ns, n)))
			put("policies of secret "+ns+"/"+n, s.PoliciesOfSecret(name(ns, n)))
		}
		for _, n := range []string{"ca", "older-ca"} {
			put("gateways of config map "+ns+"/"+n, s.GatewaysOfConfigMap(name(ns, n)))
			put("policies of config map "+ns+"/"+n, s.PoliciesOfConfigMap(name(ns, n)))
		}
		for _, n := range []string{"shop", "cart", "auth"} {
			put("policies of "+ns+"/"+n, s.PoliciesOfService(name(ns, n)))
		}
	}
	return out
}

// searched answers the same by looking at every object.
func searched(all []kube.Change) map[string]string {
	lists := map[string][]types.NamespacedName{}
	refs := map[string][]kube.Ref{}
	list := func(question string, n types.NamespacedName) {
		if !slices.Contains(lists[question], n) {
			lists[question] = append(lists[question], n)
		}
	}
	// A Gateway or ListenerSet that refers to something: what comes of it is said of its Gateway.
	refers := func(gateway types.NamespacedName, namespace, kind string, n types.NamespacedName) {
		list("gateways of "+kind+" "+n.String(), gateway)
		if n.Namespace != namespace {
			list("gateways into "+n.Namespace, gateway)
		}
	}
	addRef := func(question string, c kube.Change) {
		if r := (kube.Ref{Kind: c.Kind, Name: c.Name}); !slices.Contains(refs[question], r) {
			refs[question] = append(refs[question], r)
		}
	}
	for _, c := range all {
		switch o := c.Object.(type) {
		case *gwv1.Gateway:
			list("class "+string(o.Spec.GatewayClassName), c.Name)
			for _, l := range o.Spec.Listeners {
				for _, n := range certificatesOf(o.Namespace, l.TLS) {
					refers(c.Name, o.Namespace, "secret", n)
				}
			}
			for kind, names := range gatewayRefs(o) {
				for _, n := range names {
					refers(c.Name, o.Namespace, kind, n)
				}
			}
			if data, _ := json.Marshal(o.Spec); strings.Contains(string(data), `"from":"Selector"`) {
				list("selecting", c.Name)
			}
		case *gwv1.ReferenceGrant:
			list("grants "+c.Name.Namespace, c.Name)
		case *discoveryv1.EndpointSlice:
			if service := o.Labels[discoveryv1.LabelServiceName]; service != "" {
				question := "slices " + c.Name.Namespace + "/" + service
				list(question, c.Name)
			}
		case *gwv1.ListenerSet:
			list("sets in "+o.Namespace, c.Name)
			g, _ := kube.GatewayOfSet(o)
			list("sets of "+g.String(), c.Name)
			list("gateways of sets in "+o.Namespace, g)
			for _, l := range o.Spec.Listeners {
				for _, n := range certificatesOf(o.Namespace, l.TLS) {
					refers(g, o.Namespace, "secret", n)
					if n.Namespace != o.Namespace {
						addRef("into "+n.Namespace, c)
					}
				}
			}
		case *gwv1.BackendTLSPolicy:
			for _, r := range o.Spec.TargetRefs {
				list("policies of "+o.Namespace+"/"+string(r.Name), c.Name)
			}
			for _, r := range o.Spec.Validation.CACertificateRefs {
				kind := map[gwv1.Kind]string{"Secret": "secret", "ConfigMap": "config map"}[r.Kind]
				list("policies of "+kind+" "+o.Namespace+"/"+string(r.Name), c.Name)
			}
		default:
			parents, backends := routeRefs(o)
			if parents != nil {
				addRef("in "+c.Name.Namespace, c)
			}
			for _, p := range parents {
				if n, ok := kube.ParentGateway(c.Name.Namespace, &p); ok {
					addRef("routes of "+n.String(), c)
				} else if n, ok := kube.ParentSet(c.Name.Namespace, &p); ok {
					addRef("routes of set "+n.String(), c)
				}
			}
			for _, b := range backends {
				if n, ok := kube.BackendService(c.Name.Namespace, &b); ok {
					addRef("backends "+n.String(), c)
					if n.Namespace != c.Name.Namespace {
						addRef("into "+n.Namespace, c)
					}
				}
			}
		}
		if g, ok := c.Object.(*gwv1.Gateway); ok {
			for kind, names := range gatewayRefs(g) {
				for _, n := range names {
					if n.Namespace != g.Namespace && kind != "" {
						addRef("into "+n.Namespace, c)
					}
				}
			}
			for _, l := range g.Spec.Listeners {
				for _, n := range certificatesOf(g.Namespace, l.TLS) {
					if n.Namespace != g.Namespace {
						addRef("into "+n.Namespace, c)
					}
				}
			}
		}
	}
	out := map[string]string{}
	for q, l := range lists {
		slices.SortFunc(l, kube.CompareNames)
		out[q] = fmt.Sprint(l)
	}
	for _, l := range refs {
		slices.SortFunc(l, kube.CompareRefs)
	}
	for q, l := range refs {
		out[q] = fmt.Sprint(l)
	}
	return out
}

func certificatesOf(namespace string, tls *gwv1.ListenerTLSConfig) []types.NamespacedName {
	var out []types.NamespacedName
	if tls != nil {
		for _, r := range tls.CertificateRefs {
			if n, ok := kube.CertificateSecret(namespace, &r); ok {
				out = append(out, n)
			}
		}
	}
	return out
}

// gatewayRefs lists what spec.tls of a Gateway refers to.
func gatewayRefs(g *gwv1.Gateway) map[string][]types.NamespacedName {
	out := map[string][]types.NamespacedName{}
	if g.Spec.TLS == nil {
		return out
	}
	if b := g.Spec.TLS.Backend; b != nil {
		out["secret"] = certificatesOf(g.Namespace, &gwv1.ListenerTLSConfig{CertificateRefs: []gwv1.SecretObjectReference{*b.ClientCertificateRef}})
	}
	if f := g.Spec.TLS.Frontend; f != nil {
		all := []*gwv1.FrontendTLSValidation{f.Default.Validation}
		for _, p := range f.PerPort {
			all = append(all, p.TLS.Validation)
		}
		for _, v := range all {
			if v == nil {
				continue
			}
			for _, r := range v.CACertificateRefs {
				kind, n := map[gwv1.Kind]string{"Secret": "secret", "ConfigMap": "config map"}[r.Kind], name(g.Namespace, string(r.Name))
				if r.Namespace != nil {
					n.Namespace = string(*r.Namespace)
				}
				out[kind] = append(out[kind], n)
			}
		}
	}
	return out
}

// routeRefs lists the parents and backends of a route of any kind.
func routeRefs(o kube.Object) (parents []gwv1.ParentReference, backends []gwv1.BackendObjectReference) {
	add := func(bs []gwv1.BackendRef) {
		for _, b := range bs {
			backends = append(backends, b.BackendObjectReference)
		}
	}
	switch o := o.(type) {
	case *gwv1.HTTPRoute:
		return o.Spec.ParentRefs, backendsOf(o)
	case *gwv1.GRPCRoute:
		for _, rule := range o.Spec.Rules {
			for _, b := range rule.BackendRefs {
				backends = append(backends, b.BackendObjectReference)
			}
			for _, f := range rule.Filters {
				backends = append(backends, f.RequestMirror.BackendRef)
			}
		}
		return o.Spec.ParentRefs, backends
	case *gwv1.TCPRoute:
		add(o.Spec.Rules[0].BackendRefs)
		return o.Spec.ParentRefs, backends
	case *gwv1.UDPRoute:
		add(o.Spec.Rules[0].BackendRefs)
		return o.Spec.ParentRefs, backends
	case *gwv1.TLSRoute:
		add(o.Spec.Rules[0].BackendRefs)
		return o.Spec.ParentRefs, backends
	}
	return nil, nil
}

func backendsOf(o *gwv1.HTTPRoute) []gwv1.BackendObjectReference {
	var out []gwv1.BackendObjectReference
	for _, rule := range o.Spec.Rules {
		for _, b := range rule.BackendRefs {
			out = append(out, b.BackendObjectReference)
		}
		for _, f := range rule.Filters {
			if f.RequestMirror != nil {
				out = append(out, f.RequestMirror.BackendRef)
			}
		}
	}
	return out
}

func TestDecode(t *testing.T) {
	object := func(text string) map[string]any {
		var content map[string]any
		if err := json.Unmarshal([]byte(text), &content); err != nil {
			t.Fatal(err)
		}
		return content
	}
	c, known, err := kube.Decode(object(`{"apiVersion":"gateway.networking.k8s.io/v1beta1","kind":"ReferenceGrant",
		"metadata":{"namespace":"a","name":"g","creationTimestamp":"2024-01-02T03:04:05Z"},"spec":{"from":[{"group":"g","kind":"K","namespace":"n"}],"to":[]}}`))
	if g, ok := c.Object.(*gwv1.ReferenceGrant); err != nil || !known || !ok || c.Name != name("a", "g") || g.Spec.From[0].Kind != "K" || g.CreationTimestamp.Unix() != 1704164645 {
		t.Errorf("ReferenceGrant: %+v, %v, %v", c, known, err)
	}
	c, _, err = kube.Decode(object(`{"apiVersion":"v1","kind":"Service","metadata":{"name":"s"},"spec":{"ports":[{"port":80,"targetPort":"web"}]}}`))
	if err != nil || c.Object.(*corev1.Service).Spec.Ports[0].TargetPort.StrVal != "web" {
		t.Errorf("Service: %+v, %v", c, err)
	}
	if _, known, err := kube.Decode(object(`{"apiVersion":"apps/v1","kind":"Deployment"}`)); known || err != nil {
		t.Errorf("Deployment: known %v, %v", known, err)
	}
	for text, want := range map[string]string{
		`{"apiVersion":"gateway.networking.k8s.io/v1alpha2","kind":"HTTPRoute","metadata":{"namespace":"a","name":"r"}}`:                                    `reading HTTPRoute a/r: version "v1alpha2" is not served; write one of v1, v1beta1`,
		`{"apiVersion":"gateway.networking.k8s.io/v1","kind":"Gateway","metadata":{"name":"g"},"spec":{"listeners":[{"name":"a","port":"80"}]}}`:            "reading Gateway g: spec.listeners[0].port: found a string, expected int32",
		`{"apiVersion":"gateway.networking.k8s.io/v1","kind":"HTTPRoute","metadata":{"name":"r"},"spec":{"rules":[{"matches":[{"path":{"value":true}}]}]}}`: "reading HTTPRoute r: spec.rules[0].matches[0].path.value: found a bool, expected string",
	} {
		if _, known, err := kube.Decode(object(text)); !known || err == nil || err.Error() != want {
			t.Errorf("%s:\n got %v\nwant %s", text, err, want)
		}
	}
}

// TestGrantOfOldVersion: the v1beta1 type is taken too.
func TestGrantOfOldVersion(t *testing.T) {
	s := kube.NewSnapshot()
	old := &gwv1beta1.ReferenceGrant{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "g"}}
	s.Apply([]kube.Change{kube.ChangeOf(kube.ReferenceGrant, old)})
	if s.ReferenceGrant(name("a", "g")) == nil || len(s.GrantsIn("a")) != 1 {
		t.Error("the grant is not there")
	}
}

func TestWrongTypePanics(t *testing.T) {
	defer func() {
		if got := fmt.Sprint(recover()); !strings.Contains(got, "HTTPRoute a/x") {
			t.Errorf("panic %q", got)
		}
	}()
	kube.NewSnapshot().Apply([]kube.Change{{Kind: kube.HTTPRoute, Name: name("a", "x"), Object: &corev1.Service{}}})
}

func TestWorldRepeats(t *testing.T) {
	a, b := kubetest.NewWorld(7), kubetest.NewWorld(7)
	if x, y := a.Changes(200), b.Changes(200); !reflect.DeepEqual(x, y) || !reflect.DeepEqual(a.All(), b.All()) {
		t.Error("one seed gave two worlds")
	}
}

// FuzzDecode: whatever JSON comes, decoding and applying it end well.
func FuzzDecode(f *testing.F) {
	data, err := json.Marshal(routeContent(1))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(`{"apiVersion":"gateway.networking.k8s.io/v1","kind":"Gateway","metadata":{"name":"g"},"spec":{"listeners":[{"name":"a","port":80,"allowedRoutes":{"namespaces":{"from":"Selector"}}}]}}`))
	f.Add([]byte(`{"apiVersion":"discovery.k8s.io/v1","kind":"EndpointSlice","metadata":{"name":"g","labels":{"kubernetes.io/service-name":"s"}},"endpoints":[{"conditions":{"ready":null}}]}`))
	f.Add([]byte(`{"apiVersion":"v1","kind":"Service","metadata":{"name":"s"},"spec":{"ports":[{"port":1e3,"targetPort":"x"}]}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var content map[string]any
		if json.Unmarshal(data, &content) != nil {
			return
		}
		c, known, err := kube.Decode(content)
		if (c.Object != nil) != (known && err == nil) {
			t.Fatalf("object %v, known %v, %v", c.Object, known, err)
		}
		if c.Object != nil {
			s := kube.NewSnapshot()
			s.Apply([]kube.Change{c, c})
			s.Apply([]kube.Change{{Kind: c.Kind, Name: c.Name}})
			if diff := cmp.Diff(map[string]string{}, answers(s)); diff != "" {
				t.Error(diff)
			}
		}
	})
}

func routeContent(i int) map[string]any {
	n := fmt.Sprintf("shop-%d", i)
	return map[string]any{
		"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
		"metadata": map[string]any{"namespace": "default", "name": n, "labels": map[string]any{"app": n}},
		"spec": map[string]any{
			"hostnames":  []any{n + ".example.com"},
			"parentRefs": []any{map[string]any{"name": "gw", "namespace": "default"}},
			"rules": []any{map[string]any{
				"matches":     []any{map[string]any{"path": map[string]any{"type": "PathPrefix", "value": "/"}}},
				"backendRefs": []any{map[string]any{"name": n, "port": int64(8080)}},
			}},
		},
	}
}

// BenchmarkDecode5000 decodes 5,000 routes.
func BenchmarkDecode5000(b *testing.B) {
	contents := make([]map[string]any, 5000)
	for i := range contents {
		contents[i] = routeContent(i)
	}
	b.ReportAllocs()
	for b.Loop() {
		for _, c := range contents {
			if _, _, err := kube.Decode(c); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// BenchmarkApply5000 fills a snapshot with 5,000 routes of one Gateway.
func BenchmarkApply5000(b *testing.B) {
	changes := make([]kube.Change, 5000)
	for i := range changes {
		changes[i], _, _ = kube.Decode(routeContent(i))
	}
	b.ReportAllocs()
	for b.Loop() {
		kube.NewSnapshot().Apply(changes)
	}
}

// BenchmarkApplyOne changes one route among 5,000.
func BenchmarkApplyOne(b *testing.B) {
	s := kube.NewSnapshot()
	for i := range 5000 {
		c, _, _ := kube.Decode(routeContent(i))
		s.Apply([]kube.Change{c})
	}
	one, _, _ := kube.Decode(routeContent(7))
	two := one.Object.DeepCopyObject().(*gwv1.HTTPRoute)
	two.CreationTimestamp = metav1.NewTime(time.Unix(1, 0))
	changes := [][]kube.Change{{kube.ChangeOf(kube.HTTPRoute, two)}, {one}}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		s.Apply(changes[i%2])
	}
}
