package local

import (
	"fmt"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/proxy/kube"
)

// BenchmarkWorld is what one changed route costs in a tree of a hundred, aliases included.
func BenchmarkWorld(b *testing.B) {
	w := newWorld()
	port := gwv1.PortNumber(80)
	route := func(i int) kube.Change {
		r := &gwv1.HTTPRoute{}
		r.Namespace, r.Name = DefaultNamespace, fmt.Sprintf("svc-%d", i)
		r.Spec.ParentRefs = []gwv1.ParentReference{{Name: "local"}}
		r.Spec.Hostnames = []gwv1.Hostname{gwv1.Hostname(r.Name + ".test")}
		backend := gwv1.HTTPBackendRef{}
		backend.Name, backend.Port = gwv1.ObjectName(r.Name), &port
		r.Spec.Rules = []gwv1.HTTPRouteRule{{BackendRefs: []gwv1.HTTPBackendRef{backend}}}
		return kube.Change{Kind: kube.HTTPRoute, Name: types.NamespacedName{Namespace: r.Namespace, Name: r.Name}, Object: r}
	}
	var all []kube.Change
	for i := range 100 {
		all = append(all, route(i))
	}
	w.complete(all, time.Time{})
	b.ReportAllocs()
	for b.Loop() {
		if got := len(w.complete([]kube.Change{route(7)}, time.Time{})); got != 2 {
			b.Fatalf("%d changes", got)
		}
	}
}
