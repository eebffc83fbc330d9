package gateway_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/proxy/kube"
	"headgate.dev/proxy/kube/kubetest"
	"headgate.dev/proxy/resolve/condition"
	"headgate.dev/proxy/resolve/gateway"
)

var (
	early = metav1.NewTime(time.Unix(1000, 0))
	late  = metav1.NewTime(time.Unix(2000, 0))
)

func name(n string) types.NamespacedName { return types.NamespacedName{Namespace: "a", Name: n} }

// world is a Gateway with a listener of HTTPS for any host, and a set with one for shop.example.com.
func world(t *testing.T, edit func(*gwv1.Gateway, *gwv1.ListenerSet)) *gateway.Result {
	t.Helper()
	same := gwv1.NamespacesFromSame
	g := &gwv1.Gateway{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "gw", Generation: 3}}
	tls := &gwv1.ListenerTLSConfig{CertificateRefs: []gwv1.SecretObjectReference{{Name: "shop"}}}
	g.Spec.Listeners = []gwv1.Listener{{Name: "https", Port: 443, Protocol: "HTTPS", TLS: tls}}
	g.Spec.AllowedListeners = &gwv1.AllowedListeners{Namespaces: &gwv1.ListenerNamespaces{From: &same}}
	set := &gwv1.ListenerSet{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "set", Generation: 5}}
	host := gwv1.Hostname("shop.example.com")
	set.Spec.ParentRef.Name = "gw"
	set.Spec.Listeners = []gwv1.ListenerEntry{{Name: "l", Port: 443, Protocol: "HTTPS", Hostname: &host, TLS: tls}}
	edit(g, set)
	s := kube.NewSnapshot()
	s.Apply([]kube.Change{kube.ChangeOf(kube.Gateway, g), kube.ChangeOf(kube.ListenerSet, set), kube.ChangeOf(kube.Secret, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "shop"},
		Data:       map[string][]byte{"tls.crt": []byte(kubetest.ShopCertificate), "tls.key": []byte(kubetest.ShopKey)},
	})})
	return gateway.Resolve(s, name("gw"))
}

// TestSetStatus: the set's own generation, the counts of its listeners, foreign conditions kept, and nothing to write the
// second time.
func TestSetStatus(t *testing.T) {
	g := world(t, func(*gwv1.Gateway, *gwv1.ListenerSet) {})
	before := gwv1.ListenerSetStatus{
		Conditions: []metav1.Condition{{Type: "example.com/Theirs", Status: "True", LastTransitionTime: early}},
		Listeners: []gwv1.ListenerEntryStatus{{Name: "gone"}, {Name: "l", Conditions: []metav1.Condition{
			{Type: "example.com/Theirs", Status: "True", LastTransitionTime: early},
		}}},
	}
	got := gateway.SetStatus(g.Set(name("set")), map[string]int32{"l": 2}, before, late)
	if c := got.Conditions; len(c) != 3 || c[0].Type != "example.com/Theirs" || c[1].Type != "Accepted" || c[1].Status != "True" || c[1].ObservedGeneration != 5 || c[2].Type != "Programmed" {
		t.Errorf("conditions %+v", c)
	}
	if l := got.Listeners; len(l) != 1 || l[0].AttachedRoutes != 2 || len(l[0].SupportedKinds) != 2 || len(l[0].Conditions) != 6 || l[0].Conditions[0].Type != "example.com/Theirs" || l[0].Conditions[5].Type != "OverlappingTLSConfig" {
		t.Errorf("listeners %+v", l)
	}
	if diff := cmp.Diff(got, gateway.SetStatus(g.Set(name("set")), map[string]int32{"l": 2}, got, metav1.NewTime(time.Unix(3000, 0)))); diff != "" {
		t.Errorf("written again:\n%s", diff)
	}
}

// TestConditionsThatGo: conditions that are only there while they apply go when they do not.
func TestConditionsThatGo(t *testing.T) {
	insecure := world(t, func(g *gwv1.Gateway, _ *gwv1.ListenerSet) {
		g.Spec.TLS = &gwv1.GatewayTLSConfig{Frontend: &gwv1.FrontendTLSConfig{Default: gwv1.TLSConfig{Validation: &gwv1.FrontendTLSValidation{
			Mode: gwv1.AllowInsecureFallback, CACertificateRefs: []gwv1.ObjectReference{{Kind: "ConfigMap", Name: "ca"}},
		}}}}
	})
	overlapping := world(t, func(*gwv1.Gateway, *gwv1.ListenerSet) {})
	alone := world(t, func(_ *gwv1.Gateway, s *gwv1.ListenerSet) { s.Spec.ParentRef.Name = "other" })
	has := func(cs []metav1.Condition, t string) bool {
		return slices.ContainsFunc(cs, func(c metav1.Condition) bool { return c.Type == t })
	}
	assigned := condition.True(gwv1.GatewayConditionAddressesAssigned, gwv1.GatewayReasonAddressesAssigned, "every address is there")
	status := gateway.Status(insecure, gateway.Facts{Assigned: &assigned}, gwv1.GatewayStatus{}, early)
	if !has(status.Conditions, "AddressesAssigned") || !has(status.Conditions, "InsecureFrontendValidationMode") {
		t.Errorf("conditions %+v", status.Conditions)
	}
	status = gateway.Status(overlapping, gateway.Facts{}, status, late)
	if has(status.Conditions, "InsecureFrontendValidationMode") || has(status.Conditions, "AddressesAssigned") || !has(status.Listeners[0].Conditions, "OverlappingTLSConfig") || *status.AttachedListenerSets != 1 {
		t.Errorf("status %+v", status)
	}
	status = gateway.Status(alone, gateway.Facts{}, status, late)
	if has(status.Listeners[0].Conditions, "OverlappingTLSConfig") || *status.AttachedListenerSets != 0 {
		t.Errorf("status %+v", status)
	}
	plain := world(t, func(g *gwv1.Gateway, s *gwv1.ListenerSet) {
		g.Spec.AllowedListeners, s.Spec.ParentRef.Name = nil, "other"
	})
	if status = gateway.Status(plain, gateway.Facts{}, status, late); status.AttachedListenerSets != nil {
		t.Errorf("sets are counted where they are no matter: %d", *status.AttachedListenerSets)
	}
}

func TestSupportedFeatures(t *testing.T) {
	features := gateway.SupportedFeatures()
	names := make([]string, len(features))
	for i, f := range features {
		names[i] = string(f.Name)
	}
	if !slices.IsSorted(names) || len(slices.Compact(slices.Clone(names))) != len(features) || !slices.Contains(names, "TLSRouteModeMixed") {
		t.Errorf("features %v", names)
	}
}

// TestManyListeners: 64 listeners of the Gateway and 100 more of its sets, all served, none in another's way; and one more that
// clashes with the very first.
func TestManyListeners(t *testing.T) {
	same := gwv1.NamespacesFromSame
	g := &gwv1.Gateway{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "gw"}}
	g.Spec.AllowedListeners = &gwv1.AllowedListeners{Namespaces: &gwv1.ListenerNamespaces{From: &same}}
	entry := func(i int) gwv1.Listener {
		host := gwv1.Hostname(fmt.Sprintf("h%d.example.com", i))
		return gwv1.Listener{Name: gwv1.SectionName(fmt.Sprintf("l%d", i)), Port: 80, Protocol: "HTTP", Hostname: &host}
	}
	for i := range 64 {
		g.Spec.Listeners = append(g.Spec.Listeners, entry(i))
	}
	changes := []kube.Change{kube.ChangeOf(kube.Gateway, g)}
	for i := range 10 {
		set := &gwv1.ListenerSet{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: fmt.Sprintf("s%d", i)}}
		set.Spec.ParentRef.Name = "gw"
		for j := range 10 {
			set.Spec.Listeners = append(set.Spec.Listeners, gwv1.ListenerEntry(entry(64+10*i+j)))
		}
		if i == 9 {
			set.Spec.Listeners = append(set.Spec.Listeners, gwv1.ListenerEntry(entry(0)))
		}
		changes = append(changes, kube.ChangeOf(kube.ListenerSet, set))
	}
	s := kube.NewSnapshot()
	s.Apply(changes)
	r := gateway.Resolve(s, name("gw"))
	if len(r.Hosts) != 164 || len(r.Sockets) != 1 || len(r.Tables) != 1 || len(r.Sets) != 10 || r.Set(name("s9")).Listeners[10].Usable {
		t.Errorf("%d hosts, %d sockets, %d tables, %d sets", len(r.Hosts), len(r.Sockets), len(r.Tables), len(r.Sets))
	}
}

// TestSameForRoutes: a certificate that is another one, or is gone as one of two, is nothing to routes; what a listener takes, or
// whether it is served, is.
func TestSameForRoutes(t *testing.T) {
	base := world(t, func(*gwv1.Gateway, *gwv1.ListenerSet) {})
	for name, c := range map[string]struct {
		edit func(*gwv1.Gateway, *gwv1.ListenerSet)
		same bool
	}{
		"nothing":    {func(*gwv1.Gateway, *gwv1.ListenerSet) {}, true},
		"generation": {func(g *gwv1.Gateway, s *gwv1.ListenerSet) { g.Generation, s.Generation = 9, 9 }, true},
		"another certificate beside": {func(g *gwv1.Gateway, _ *gwv1.ListenerSet) {
			g.Spec.Listeners[0].TLS = &gwv1.ListenerTLSConfig{CertificateRefs: []gwv1.SecretObjectReference{{Name: "shop"}, {Name: "nobody"}}}
		}, true},
		"no certificate": {func(g *gwv1.Gateway, _ *gwv1.ListenerSet) {
			g.Spec.Listeners[0].TLS = &gwv1.ListenerTLSConfig{CertificateRefs: []gwv1.SecretObjectReference{{Name: "nobody"}}}
		}, false},
		"kinds": {func(g *gwv1.Gateway, _ *gwv1.ListenerSet) {
			g.Spec.Listeners[0].AllowedRoutes = &gwv1.AllowedRoutes{Kinds: []gwv1.RouteGroupKind{{Kind: "HTTPRoute"}}}
		}, false},
		"port of the set":  {func(_ *gwv1.Gateway, s *gwv1.ListenerSet) { s.Spec.Listeners[0].Port = 8443 }, false},
		"set not taken":    {func(g *gwv1.Gateway, _ *gwv1.ListenerSet) { g.Spec.AllowedListeners = nil }, false},
		"set of another":   {func(_ *gwv1.Gateway, s *gwv1.ListenerSet) { s.Spec.ParentRef.Name = "other" }, false},
		"name of listener": {func(g *gwv1.Gateway, _ *gwv1.ListenerSet) { g.Spec.Listeners[0].Name = "x" }, false},
	} {
		if got := gateway.SameForRoutes(base, world(t, c.edit)); got != c.same {
			t.Errorf("%s: %v", name, got)
		}
	}
	if !gateway.SameForRoutes(nil, nil) || gateway.SameForRoutes(base, nil) || gateway.SameForRoutes(nil, base) {
		t.Error("a Gateway that is not there is like one that is")
	}
}
