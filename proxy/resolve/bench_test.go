package resolve_test

import (
	"fmt"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/proxy/kube"
	"headgate.dev/proxy/kube/kubetest"
	"headgate.dev/proxy/model"
	"headgate.dev/proxy/resolve"
	"headgate.dev/proxy/resolve/gateway"

	corev1 "k8s.io/api/core/v1"
)

// largeGateway has 64 HTTPS listeners on a port, a certificate for each, and n routes over them, each with a host of its own.
func largeGateway(n int) *kube.Snapshot {
	s := kube.NewSnapshot()
	g := &gwv1.Gateway{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "gw"}}
	changes := []kube.Change{kube.ChangeOf(kube.Service, &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "shop"}, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}},
	})}
	for i := range 64 {
		name := fmt.Sprintf("l%d", i)
		host := gwv1.Hostname(fmt.Sprintf("*.team-%d.example.com", i))
		g.Spec.Listeners = append(g.Spec.Listeners, gwv1.Listener{Name: gwv1.SectionName(name), Port: 443, Protocol: "HTTPS", Hostname: &host,
			TLS: &gwv1.ListenerTLSConfig{CertificateRefs: []gwv1.SecretObjectReference{{Name: gwv1.ObjectName(name)}}}})
		changes = append(changes, kube.ChangeOf(kube.Secret, &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: name},
			Data:       map[string][]byte{"tls.crt": []byte(kubetest.ShopCertificate), "tls.key": []byte(kubetest.ShopKey)},
		}))
	}
	changes = append(changes, kube.ChangeOf(kube.Gateway, g))
	port := int32(80)
	for i := range n {
		r := &gwv1.HTTPRoute{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: fmt.Sprintf("r%d", i)}}
		r.Spec.ParentRefs = []gwv1.ParentReference{{Name: "gw"}}
		r.Spec.Hostnames = []gwv1.Hostname{gwv1.Hostname(fmt.Sprintf("r%d.team-%d.example.com", i, i%64))}
		r.Spec.Rules = []gwv1.HTTPRouteRule{{BackendRefs: []gwv1.HTTPBackendRef{{BackendRef: gwv1.BackendRef{
			BackendObjectReference: gwv1.BackendObjectReference{Name: "shop", Port: &port}}}}}}
		changes = append(changes, kube.ChangeOf(kube.HTTPRoute, r))
	}
	s.Apply(changes)
	return s
}

// BenchmarkLargeGateway: what one route costs beside 5,000 others, and what the Gateway itself costs, which is resolved again only
// when something it names changes.
func BenchmarkLargeGateway(b *testing.B) {
	s := largeGateway(5000)
	name := types.NamespacedName{Namespace: "a", Name: "gw"}
	g := gateway.Resolve(s, name)
	gateways := func(types.NamespacedName) *gateway.Result { return g }
	b.Run("route", func(b *testing.B) {
		b.ReportAllocs()
		i := 0
		for b.Loop() {
			i++
			r := resolve.Route(s, kube.Ref{Kind: kube.HTTPRoute, Name: types.NamespacedName{Namespace: "a", Name: fmt.Sprintf("r%d", i%5000)}}, gateways)
			h := resolve.Host(g, r.Attachments[0].Host, []resolve.Contribution{{Route: r, Specificity: r.Attachments[0].Specificity}})
			if len(h.Routes) != 1 {
				b.Fatalf("%+v", h)
			}
		}
	})
	b.Run("gateway", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if r := gateway.Resolve(s, name); len(r.Tables) != 64 {
				b.Fatalf("%d tables", len(r.Tables))
			}
		}
	})
}

// BenchmarkListener: a TLS socket with 500 routes, one server name each.
func BenchmarkListener(b *testing.B) {
	s := kube.NewSnapshot()
	mode := gwv1.TLSModePassthrough
	g := &gwv1.Gateway{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "gw"}}
	g.Spec.Listeners = []gwv1.Listener{{Name: "tls", Port: 443, Protocol: "TLS", TLS: &gwv1.ListenerTLSConfig{Mode: &mode}}}
	changes := []kube.Change{kube.ChangeOf(kube.Gateway, g)}
	for i := range 500 {
		r := &gwv1.TLSRoute{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: fmt.Sprintf("r%d", i)}}
		r.Spec.ParentRefs = []gwv1.ParentReference{{Name: "gw"}}
		r.Spec.Hostnames = []gwv1.Hostname{gwv1.Hostname(fmt.Sprintf("r%d.example.com", i))}
		changes = append(changes, kube.ChangeOf(kube.TLSRoute, r))
	}
	s.Apply(changes)
	w := worldOf(s)
	var cs []resolve.L4Contribution
	for _, r := range w.routes {
		cs = append(cs, resolve.L4Contribution{Route: r, Attachment: &r.L4[0]})
	}
	result := w.gateways[types.NamespacedName{Namespace: "a", Name: "gw"}]
	id := model.ListenerID{Gateway: model.Name{Namespace: "a", Name: "gw"}, Port: 443}
	b.ReportAllocs()
	for b.Loop() {
		if l := resolve.Listener(result, id, cs); len(l.Chains) != 501 {
			b.Fatalf("%d chains", len(l.Chains))
		}
	}
}
