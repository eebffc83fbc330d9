package backend_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/proxy/kube"
	"headgate.dev/proxy/model"
	"headgate.dev/proxy/resolve/backend"
)

var (
	early = metav1.NewTime(time.Unix(1000, 0))
	late  = metav1.NewTime(time.Unix(2000, 0))
)

// dns makes a Service with the given endpoints, each with its state: "" ready, "draining".
func dns(name string, endpoints map[string]string) []kube.Change {
	yes, no, udp, port, portName := true, false, corev1.ProtocolUDP, int32(5353), "dns"
	slice := &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: name, Labels: map[string]string{discoveryv1.LabelServiceName: name}},
		Ports:      []discoveryv1.EndpointPort{{Name: &portName, Port: &port, Protocol: &udp}},
	}
	for a, state := range endpoints {
		e := discoveryv1.Endpoint{Addresses: []string{a}}
		if state == "draining" {
			e.Conditions = discoveryv1.EndpointConditions{Ready: &no, Serving: &yes, Terminating: &yes}
		}
		slice.Endpoints = append(slice.Endpoints, e)
	}
	return []kube.Change{
		kube.ChangeOf(kube.Service, &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: name}, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Name: "dns", Port: 53, Protocol: udp}}}}),
		kube.ChangeOf(kube.EndpointSlice, slice),
	}
}

func share(name string, weight uint32) model.Share {
	return model.Share{Cluster: model.ClusterID{Service: model.Name{Namespace: "a", Name: name}, Port: 53, Protocol: model.UDP}, Weight: weight}
}

// TestMixEndpoints: each share keeps its part, whatever endpoints it has.
func TestMixEndpoints(t *testing.T) {
	s := kube.NewSnapshot()
	s.Apply(dns("two", map[string]string{"10.0.0.1": "", "10.0.0.2": ""}))
	s.Apply(dns("three", map[string]string{"10.0.1.1": "", "10.0.1.2": "", "10.0.1.3": "draining"}))
	s.Apply(dns("leaving", map[string]string{"10.0.2.1": "draining"}))
	s.Apply(dns("shared", map[string]string{"10.0.0.1": ""}))
	s.Apply(dns("empty", nil))
	id := model.ClusterID{Service: model.Name{Namespace: "a", Name: "gw"}, Port: 53, Protocol: model.UDP, Mix: true}
	for _, c := range []struct {
		shares []model.Share
		want   map[string]uint32
	}{
		{nil, map[string]uint32{}},
		{[]model.Share{share("two", 1)}, map[string]uint32{"10.0.0.1": 32768, "10.0.0.2": 32768}},
		{[]model.Share{share("two", 90), share("three", 10)}, map[string]uint32{"10.0.0.1": 32768, "10.0.0.2": 32768, "10.0.1.1": 3640, "10.0.1.2": 3640}},
		{[]model.Share{share("two", 1), share("shared", 1)}, map[string]uint32{"10.0.0.1": 98304, "10.0.0.2": 32768}},
		{[]model.Share{share("leaving", 1), share("three", 0)}, map[string]uint32{"10.0.2.1": 65536}},
		{[]model.Share{share("two", 8), share("empty", 1), {Weight: 1}}, map[string]uint32{"10.0.0.1": 32768, "10.0.0.2": 32768, "void": 16384}},
		{[]model.Share{share("two", 1000000), share("leaving", 1)}, map[string]uint32{"10.0.0.1": 32768, "10.0.0.2": 32768, "10.0.2.1": 1}},
	} {
		t.Run(fmt.Sprint(c.shares), func(t *testing.T) {
			got := map[string]uint32{}
			list := backend.MixEndpoints(s, id, c.shares).List
			for i, e := range list {
				name := e.Address.Addr().String()
				if backend.Void(e.Address) {
					name = "void"
				}
				got[name] = e.Weight
				if i > 0 && list[i-1].Address.Compare(e.Address) >= 0 {
					t.Errorf("not sorted: %v", list)
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
	if backend.Void(netip.MustParseAddrPort("10.0.0.1:9")) {
		t.Error("an address is taken for the void")
	}
	if c, secrets := backend.Cluster(s, id, "x"); c != nil || secrets != nil {
		t.Error("a mix is no Service")
	}
}

// policy is one for Service a/two with the certificates of the system.
func policy(name string) kube.Change {
	o := &gwv1.BackendTLSPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: name, Generation: 4}}
	o.Spec.TargetRefs = []gwv1.LocalPolicyTargetReferenceWithSectionName{{LocalPolicyTargetReference: gwv1.LocalPolicyTargetReference{Kind: "Service", Name: "two"}}}
	system := gwv1.WellKnownCACertificatesSystem
	o.Spec.Validation = gwv1.BackendTLSPolicyValidation{Hostname: "a.b", WellKnownCACertificates: &system}
	return kube.ChangeOf(kube.BackendTLSPolicy, o)
}

func gateways(names ...string) func(types.NamespacedName) []types.NamespacedName {
	var out []types.NamespacedName
	for _, n := range names {
		out = append(out, types.NamespacedName{Namespace: "a", Name: n})
	}
	return func(service types.NamespacedName) []types.NamespacedName {
		if service.Name != "two" {
			return nil
		}
		return out
	}
}

// TestPolicyStatus: entries of others stay, entries of ours for Gateways that have nothing to do with it go, and the second
// writing changes nothing.
func TestPolicyStatus(t *testing.T) {
	s := kube.NewSnapshot()
	s.Apply(append(dns("two", nil), policy("p")))
	p := backend.Policy(s, types.NamespacedName{Namespace: "a", Name: "p"}, gateways("one", "two"))
	theirs := gwv1.PolicyAncestorStatus{AncestorRef: gwv1.ParentReference{Name: "theirs"}, ControllerName: "example.com/other"}
	mine := gwv1.PolicyAncestorStatus{AncestorRef: gwv1.ParentReference{Name: "two"}, ControllerName: "headgate.dev/gateway", Conditions: []metav1.Condition{
		{Type: "example.com/Theirs", Status: "True", LastTransitionTime: early}, {Type: "Accepted", Status: "True", LastTransitionTime: early, ObservedGeneration: 3},
	}}
	stale := gwv1.PolicyAncestorStatus{AncestorRef: gwv1.ParentReference{Name: "stale"}, ControllerName: "headgate.dev/gateway"}
	before := gwv1.PolicyStatus{Ancestors: []gwv1.PolicyAncestorStatus{stale, theirs, mine}}
	copied := *before.DeepCopy()
	got := backend.PolicyStatus(p, "headgate.dev/gateway", before, late)
	if len(got.Ancestors) != 3 || !cmp.Equal(got.Ancestors[0], theirs) || got.Ancestors[1].AncestorRef.Name != "two" || got.Ancestors[2].AncestorRef.Name != "one" {
		t.Fatalf("ancestors %+v", got.Ancestors)
	}
	if c := got.Ancestors[1].Conditions; len(c) != 3 || c[0].Type != "example.com/Theirs" || c[1].ObservedGeneration != 4 || c[1].LastTransitionTime != early || c[2].Type != "ResolvedRefs" {
		t.Errorf("conditions %+v", c)
	}
	if diff := cmp.Diff(copied, before); diff != "" {
		t.Errorf("the existing status was written to:\n%s", diff)
	}
	if diff := cmp.Diff(got, backend.PolicyStatus(p, "headgate.dev/gateway", got, early)); diff != "" {
		t.Errorf("written again:\n%s", diff)
	}
}

// TestPolicyStatusIsBounded: the API server takes 16 ancestors.
func TestPolicyStatusIsBounded(t *testing.T) {
	s := kube.NewSnapshot()
	s.Apply(append(dns("two", nil), policy("p")))
	var names []string
	for i := range 20 {
		names = append(names, fmt.Sprintf("gw-%02d", i))
	}
	p := backend.Policy(s, types.NamespacedName{Namespace: "a", Name: "p"}, gateways(names...))
	theirs := gwv1.PolicyAncestorStatus{AncestorRef: gwv1.ParentReference{Name: "theirs"}, ControllerName: "example.com/other"}
	got := backend.PolicyStatus(p, "headgate.dev/gateway", gwv1.PolicyStatus{Ancestors: []gwv1.PolicyAncestorStatus{theirs}}, late)
	if len(p.Ancestors) != 20 || len(got.Ancestors) != 16 || got.Ancestors[15].AncestorRef.Name != "gw-14" {
		t.Errorf("%d of %d ancestors", len(got.Ancestors), len(p.Ancestors))
	}
	if backend.Policy(s, types.NamespacedName{Namespace: "a", Name: "nobody"}, gateways()) != nil {
		t.Error("something came of nothing")
	}
}

// TestClusterClient: the certificate of the Gateway is shown where there is TLS, and nowhere else.
func TestClusterClient(t *testing.T) {
	s := kube.NewSnapshot()
	s.Apply([]kube.Change{policy("p"), kube.ChangeOf(kube.Service, &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "two"}, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 53}}},
	})})
	id := share("two", 1).Cluster
	for protocol, want := range map[model.Protocol]*model.BackendTLS{
		model.HTTP: {Hostname: "a.b", Client: "certificate/a/b"}, model.H2C: {Hostname: "a.b", Client: "certificate/a/b"}, model.TLS: {Hostname: "a.b", Client: "certificate/a/b"}, model.TCP: nil,
	} {
		id.Protocol = protocol
		got, _ := backend.Cluster(s, id, "certificate/a/b")
		if diff := cmp.Diff(want, got.TLS); diff != "" {
			t.Errorf("%s: %s", protocol, diff)
		}
	}
}
