package engine

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/proxy/kube"
)

const benchController = "headgate.dev/bench"

func ptr[T any](v T) *T { return &v }

func benchRoute(i, backend int) kube.Change {
	r := &gwv1.HTTPRoute{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: fmt.Sprintf("route-%d", i), Generation: int64(backend)}}
	r.Spec.ParentRefs = []gwv1.ParentReference{{Name: "edge", Namespace: ptr(gwv1.Namespace("infra"))}}
	r.Spec.Hostnames = []gwv1.Hostname{gwv1.Hostname(fmt.Sprintf("host-%d.test", i))}
	r.Spec.Rules = []gwv1.HTTPRouteRule{{BackendRefs: []gwv1.HTTPBackendRef{{BackendRef: gwv1.BackendRef{
		BackendObjectReference: gwv1.BackendObjectReference{Name: gwv1.ObjectName(fmt.Sprintf("svc-%d", backend)), Port: ptr(gwv1.PortNumber(80))},
	}}}}}
	return kube.ChangeOf(kube.HTTPRoute, r)
}

func benchSlice(i, address int) kube.Change {
	name := fmt.Sprintf("svc-%d", i)
	return kube.ChangeOf(kube.EndpointSlice, &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name + "-x", Labels: map[string]string{discoveryv1.LabelServiceName: name}},
		Endpoints:  []discoveryv1.Endpoint{{Addresses: []string{fmt.Sprintf("10.0.%d.%d", address/250, address%250+1)}}},
		Ports:      []discoveryv1.EndpointPort{{Port: ptr(int32(8080)), Name: ptr("http")}},
	})
}

// benchWorld is n routes, each with a host and a Service of its own, on one Gateway.
func benchWorld(n int) []kube.Change {
	all := gwv1.NamespacesFromAll
	changes := []kube.Change{
		kube.ChangeOf(kube.GatewayClass, &gwv1.GatewayClass{
			ObjectMeta: metav1.ObjectMeta{Name: "headgate"}, Spec: gwv1.GatewayClassSpec{ControllerName: benchController}}),
		kube.ChangeOf(kube.Gateway, &gwv1.Gateway{
			ObjectMeta: metav1.ObjectMeta{Namespace: "infra", Name: "edge"},
			Spec: gwv1.GatewaySpec{GatewayClassName: "headgate", Listeners: []gwv1.Listener{{Name: "http", Port: 80, Protocol: gwv1.HTTPProtocolType,
				AllowedRoutes: &gwv1.AllowedRoutes{Namespaces: &gwv1.RouteNamespaces{From: &all}}}}}}),
	}
	for i := range n {
		changes = append(changes, benchRoute(i, i), benchSlice(i, i), kube.ChangeOf(kube.Service, &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: fmt.Sprintf("svc-%d", i)},
			Spec:       corev1.ServiceSpec{Ports: []corev1.ServicePort{{Name: "http", Port: 80}}},
		}))
	}
	return changes
}

func benchEngine() *Engine {
	return New(Options{Controller: benchController, Fleet: func(types.NamespacedName) string { return "all" }})
}

func BenchmarkFull(b *testing.B) {
	for _, n := range []int{100, 5000} {
		world := benchWorld(n)
		b.Run(fmt.Sprintf("routes=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if e := benchEngine().Step(world); len(e.XDS) < 4*n {
					b.Fatalf("%d resources", len(e.XDS))
				}
			}
		})
	}
}

func BenchmarkStep(b *testing.B) {
	for _, n := range []int{100, 5000} {
		e := benchEngine()
		e.Step(benchWorld(n))
		i := 0
		b.Run(fmt.Sprintf("route/routes=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				i++
				// Another backend, which other routes use already, and back.
				if fx := e.Step([]kube.Change{benchRoute(i/2%n, (i/2+i%2)%n)}); len(fx.XDS) > 8 {
					b.Fatalf("%d resources", len(fx.XDS))
				}
			}
		})
		b.Run(fmt.Sprintf("endpoints/routes=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				i++
				if fx := e.Step([]kube.Change{benchSlice(i%n, i%50000)}); len(fx.XDS) > 1 {
					b.Fatalf("%d resources", len(fx.XDS))
				}
			}
		})
	}
}
