package kube_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"
	gwv1alpha2 "sigs.k8s.io/gateway-api/apis/v1alpha2"
	gwv1alpha3 "sigs.k8s.io/gateway-api/apis/v1alpha3"
	gwv1beta1 "sigs.k8s.io/gateway-api/apis/v1beta1"

	"headgate.dev/proxy/kube"
)

// TestTouchedFurther goes through one object of each kind beyond plain HTTP: what matters is touched, what does not is not.
func TestTouchedFurther(t *testing.T) {
	meta := metav1.ObjectMeta{Namespace: "a", Name: "x", UID: "1", ResourceVersion: "1", Generation: 1}
	secret := &corev1.Secret{ObjectMeta: meta, Data: map[string][]byte{"tls.crt": []byte("c"), "tls.key": []byte("k")}}
	parents := []gwv1.ParentReference{{Name: "gw"}}
	for _, c := range []struct {
		name    string
		kind    kube.Kind
		from    kube.Object
		edit    func(kube.Object)
		changed bool
		status  bool
	}{
		{"gRPC route", kube.GRPCRoute, &gwv1.GRPCRoute{ObjectMeta: meta}, func(o kube.Object) { o.(*gwv1.GRPCRoute).Spec.ParentRefs = parents }, true, false},
		{"TCP route", kube.TCPRoute, &gwv1.TCPRoute{ObjectMeta: meta}, func(o kube.Object) { o.(*gwv1.TCPRoute).Spec.ParentRefs = parents }, true, false},
		{"UDP route", kube.UDPRoute, &gwv1.UDPRoute{ObjectMeta: meta}, func(o kube.Object) { o.(*gwv1.UDPRoute).Spec.ParentRefs = parents }, true, false},
		{"TLS route", kube.TLSRoute, &gwv1.TLSRoute{ObjectMeta: meta}, func(o kube.Object) { o.(*gwv1.TLSRoute).Spec.ParentRefs = parents }, true, false},
		{"status of a TLS route", kube.TLSRoute, &gwv1.TLSRoute{ObjectMeta: meta}, func(o kube.Object) {
			o.(*gwv1.TLSRoute).Status.Parents = []gwv1.RouteParentStatus{{ControllerName: "x/y"}}
		}, false, true},
		{"set", kube.ListenerSet, &gwv1.ListenerSet{ObjectMeta: meta}, func(o kube.Object) { o.(*gwv1.ListenerSet).Spec.ParentRef.Name = "gw" }, true, false},
		{"policy", kube.BackendTLSPolicy, &gwv1.BackendTLSPolicy{ObjectMeta: meta}, func(o kube.Object) { o.(*gwv1.BackendTLSPolicy).Spec.Validation.Hostname = "a.b" }, true, false},
		{"status of a policy", kube.BackendTLSPolicy, &gwv1.BackendTLSPolicy{ObjectMeta: meta}, func(o kube.Object) {
			o.(*gwv1.BackendTLSPolicy).Status.Ancestors = []gwv1.PolicyAncestorStatus{{ControllerName: "x/y"}}
		}, false, true},
		{"key", kube.Secret, secret, func(o kube.Object) { o.(*corev1.Secret).Data["tls.key"] = []byte("l") }, true, false},
		{"other data of a secret", kube.Secret, secret, func(o kube.Object) { o.(*corev1.Secret).Data["password"] = []byte("p") }, false, false},
		{"string data", kube.Secret, secret, func(o kube.Object) { o.(*corev1.Secret).StringData = map[string]string{"tls.crt": "d"} }, true, false},
		{"bundle", kube.ConfigMap, &corev1.ConfigMap{ObjectMeta: meta}, func(o kube.Object) { o.(*corev1.ConfigMap).Data = map[string]string{"ca.crt": "c"} }, true, false},
		{"other data of a config map", kube.ConfigMap, &corev1.ConfigMap{ObjectMeta: meta}, func(o kube.Object) { o.(*corev1.ConfigMap).Data = map[string]string{"x": "c"} }, false, false},
	} {
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
			if names := s.Names(c.kind); len(names) != 1 {
				t.Errorf("names %v", names)
			}
			if gone := s.Apply([]kube.Change{{Kind: c.kind, Name: name("a", "x")}}); len(gone.Changed[c.kind]) != 1 || len(s.Names(c.kind)) != 0 {
				t.Errorf("deleting touched %v", gone)
			}
		})
	}
}

// TestMoves: a set that moves to another Gateway, and a policy that names another Service, touch both.
func TestMoves(t *testing.T) {
	set := func(gateway string) kube.Change {
		o := &gwv1.ListenerSet{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "s"}}
		o.Spec.ParentRef.Name = gwv1.ObjectName(gateway)
		return kube.ChangeOf(kube.ListenerSet, o)
	}
	policy := func(service string) kube.Change {
		o := &gwv1.BackendTLSPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "p"}}
		o.Spec.TargetRefs = []gwv1.LocalPolicyTargetReferenceWithSectionName{{LocalPolicyTargetReference: gwv1.LocalPolicyTargetReference{Kind: "Service", Name: gwv1.ObjectName(service)}}}
		return kube.ChangeOf(kube.BackendTLSPolicy, o)
	}
	s := kube.NewSnapshot()
	s.Apply([]kube.Change{set("one"), policy("shop")})
	got := s.Apply([]kube.Change{set("two"), policy("cart")})
	related := func(k kube.Kind, from string, to ...string) (all []kube.Related) {
		for _, n := range to {
			all = append(all, kube.Related{To: name("a", n), From: []kube.Ref{{Kind: k, Name: name("a", from)}}})
		}
		return all
	}
	if diff := cmp.Diff(related(kube.ListenerSet, "s", "one", "two"), got.Parents); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(related(kube.BackendTLSPolicy, "p", "cart", "shop"), got.Targets); diff != "" {
		t.Error(diff)
	}
}

// TestSecretsAreTrimmed: nothing of a Secret is kept but what certificates are made of.
func TestSecretsAreTrimmed(t *testing.T) {
	in := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "s", Annotations: map[string]string{"last-applied": "secret"}},
		Data:       map[string][]byte{"tls.crt": []byte("old"), "password": []byte("p")},
		StringData: map[string]string{"tls.crt": "new", "token": "t"},
	}
	s := kube.NewSnapshot()
	s.Apply([]kube.Change{kube.ChangeOf(kube.Secret, in)})
	want := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "s"}, Data: map[string][]byte{"tls.crt": []byte("new")}}
	if diff := cmp.Diff(want, s.Secret(name("a", "s"))); diff != "" {
		t.Error(diff)
	}
}

// TestOlderVersions: objects of the older Go types are kept as v1.
func TestOlderVersions(t *testing.T) {
	meta := metav1.ObjectMeta{Namespace: "a", Name: "x"}
	section := gwv1.SectionName("rule")
	common := gwv1.CommonRouteSpec{ParentRefs: []gwv1.ParentReference{{Name: "gw"}}}
	tcp := gwv1.TCPRouteRule{Name: &section}
	udp := gwv1.UDPRouteRule{Name: &section}
	tls := gwv1.TLSRouteRule{Name: &section}
	s := kube.NewSnapshot()
	s.Apply([]kube.Change{
		kube.ChangeOf(kube.TCPRoute, &gwv1alpha2.TCPRoute{ObjectMeta: meta, Spec: gwv1alpha2.TCPRouteSpec{CommonRouteSpec: common, Rules: []gwv1alpha2.TCPRouteRule{gwv1alpha2.TCPRouteRule(tcp)}}}),
		kube.ChangeOf(kube.UDPRoute, &gwv1alpha2.UDPRoute{ObjectMeta: meta, Spec: gwv1alpha2.UDPRouteSpec{CommonRouteSpec: common, Rules: []gwv1alpha2.UDPRouteRule{gwv1alpha2.UDPRouteRule(udp)}}}),
		kube.ChangeOf(kube.TLSRoute, &gwv1alpha2.TLSRoute{ObjectMeta: meta, Spec: gwv1alpha2.TLSRouteSpec{CommonRouteSpec: common, Hostnames: []gwv1.Hostname{"a.b"}, Rules: []gwv1alpha2.TLSRouteRule{gwv1alpha2.TLSRouteRule(tls)}}}),
		kube.ChangeOf(kube.GRPCRoute, &gwv1alpha2.GRPCRoute{ObjectMeta: meta}),
		kube.ChangeOf(kube.BackendTLSPolicy, &gwv1alpha3.BackendTLSPolicy{ObjectMeta: meta}),
		kube.ChangeOf(kube.GatewayClass, &gwv1beta1.GatewayClass{ObjectMeta: metav1.ObjectMeta{Name: "x"}}),
		kube.ChangeOf(kube.Gateway, &gwv1beta1.Gateway{ObjectMeta: meta}),
		kube.ChangeOf(kube.HTTPRoute, &gwv1beta1.HTTPRoute{ObjectMeta: meta}),
		kube.ChangeOf(kube.ReferenceGrant, &gwv1beta1.ReferenceGrant{ObjectMeta: meta}),
	})
	n := name("a", "x")
	for _, pair := range [][2]any{
		{&gwv1.TCPRoute{ObjectMeta: meta, Spec: gwv1.TCPRouteSpec{CommonRouteSpec: common, Rules: []gwv1.TCPRouteRule{tcp}}}, s.TCPRoute(n)},
		{&gwv1.UDPRoute{ObjectMeta: meta, Spec: gwv1.UDPRouteSpec{CommonRouteSpec: common, Rules: []gwv1.UDPRouteRule{udp}}}, s.UDPRoute(n)},
		{&gwv1.TLSRoute{ObjectMeta: meta, Spec: gwv1.TLSRouteSpec{CommonRouteSpec: common, Hostnames: []gwv1.Hostname{"a.b"}, Rules: []gwv1.TLSRouteRule{tls}}}, s.TLSRoute(n)},
		{&gwv1.GRPCRoute{ObjectMeta: meta}, s.GRPCRoute(n)},
		{&gwv1.BackendTLSPolicy{ObjectMeta: meta}, s.BackendTLSPolicy(n)},
		{&gwv1.HTTPRoute{ObjectMeta: meta}, s.HTTPRoute(n)},
	} {
		if diff := cmp.Diff(pair[0], pair[1]); diff != "" {
			t.Error(diff)
		}
	}
	if s.GatewayClass("x") == nil || s.Gateway(n) == nil || s.ReferenceGrant(n) == nil {
		t.Error("an object of v1beta1 is missing")
	}
	s.Apply([]kube.Change{kube.ChangeOf(kube.TLSRoute, &gwv1alpha3.TLSRoute{ObjectMeta: meta})})
	if s.TLSRoute(n) == nil || s.TLSRoute(n).Spec.Hostnames != nil {
		t.Error("TLSRoute of v1alpha3")
	}
}

// TestDecodeFurther: the kinds beyond plain HTTP are read from values as YAML has them, in the versions that have their shape.
func TestDecodeFurther(t *testing.T) {
	for apiVersion, kinds := range map[string][]string{
		"gateway.networking.k8s.io/v1":       {"GRPCRoute", "TCPRoute", "UDPRoute", "TLSRoute", "ListenerSet", "BackendTLSPolicy"},
		"gateway.networking.k8s.io/v1alpha2": {"GRPCRoute", "TCPRoute", "UDPRoute", "TLSRoute"},
		"gateway.networking.k8s.io/v1alpha3": {"TLSRoute", "BackendTLSPolicy"},
		"v1":                                 {"Secret", "ConfigMap"},
	} {
		for _, kind := range kinds {
			c, known, err := kube.Decode(map[string]any{"apiVersion": apiVersion, "kind": kind, "metadata": map[string]any{"name": "x", "namespace": "a"}})
			if err != nil || !known || c.Kind.String() != kind || c.Name != name("a", "x") {
				t.Errorf("%s %s: %+v, %v, %v", apiVersion, kind, c, known, err)
			}
		}
	}
	c, _, err := kube.Decode(map[string]any{"apiVersion": "v1", "kind": "Secret", "metadata": map[string]any{"name": "x"}, "data": map[string]any{"tls.crt": "aGk="}})
	if err != nil || string(c.Object.(*corev1.Secret).Data["tls.crt"]) != "hi" {
		t.Errorf("%+v, %v", c.Object, err)
	}
}
