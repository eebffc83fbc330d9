package resolve_test

import (
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"

	"headgate.dev/proxy/kube"
	"headgate.dev/proxy/kube/kubetest"
	"headgate.dev/proxy/model"
	"headgate.dev/proxy/resolve"
	"headgate.dev/proxy/resolve/backend"
	"headgate.dev/proxy/resolve/gateway"
)

// kept holds every result, as somebody does who resolves again only what is concerned.
type kept struct {
	Gateways  map[types.NamespacedName]*gateway.Result
	Routes    map[kube.Ref]*resolve.RouteResult
	Clusters  map[model.ClusterID]*model.Cluster
	Secrets   map[model.ClusterID][]*model.Secret
	Endpoints map[model.ClusterID]*model.Endpoints
	Policies  map[types.NamespacedName]*backend.PolicyResult
}

func newKept() *kept {
	return &kept{
		Gateways: map[types.NamespacedName]*gateway.Result{}, Routes: map[kube.Ref]*resolve.RouteResult{}, Clusters: map[model.ClusterID]*model.Cluster{},
		Secrets: map[model.ClusterID][]*model.Secret{}, Endpoints: map[model.ClusterID]*model.Endpoints{}, Policies: map[types.NamespacedName]*backend.PolicyResult{},
	}
}

func put[K comparable, V any](m map[K]*V, k K, v *V) {
	if v == nil {
		delete(m, k)
		return
	}
	m[k] = v
}

// step resolves again what is concerned.
func (k *kept) step(s *kube.Snapshot, c resolve.Concern) {
	routes := c.Routes
	for _, n := range c.Gateways {
		before := k.Gateways[n]
		put(k.Gateways, n, gateway.Resolve(s, n))
		if !reflect.DeepEqual(before, k.Gateways[n]) {
			routes = append(routes, resolve.RoutesOf(s, n)...)
		}
	}
	for _, ref := range routes {
		put(k.Routes, ref, resolve.Route(s, ref, func(n types.NamespacedName) *gateway.Result { return k.Gateways[n] }))
	}
	for _, n := range c.Services {
		k.service(s, n)
	}
	for _, n := range c.Policies {
		put(k.Policies, n, backend.Policy(s, n, everyGateway))
	}
}

// service looks at every cluster that the Service could have.
func (k *kept) service(s *kube.Snapshot, n types.NamespacedName) {
	for _, port := range []int32{80, 81} {
		for _, p := range []model.Protocol{model.HTTP, model.H2C, model.TCP, model.TLS, model.UDP} {
			id := model.ClusterID{Service: model.Name(n), Port: port, Protocol: p}
			cluster, secrets := backend.Cluster(s, id, "")
			put(k.Clusters, id, cluster)
			delete(k.Secrets, id)
			delete(k.Endpoints, id)
			if cluster != nil {
				k.Secrets[id], k.Endpoints[id] = secrets, backend.Endpoints(s, id)
			}
		}
	}
}

func everyGateway(types.NamespacedName) []types.NamespacedName {
	return []types.NamespacedName{{Namespace: "a", Name: "gw"}}
}

// TestConcernIsEnough takes random worlds through random changes: who resolves again only what is concerned has, after each of
// them, what comes of all objects at once.
func TestConcernIsEnough(t *testing.T) {
	for seed := range uint64(12) {
		w, s, stepped := kubetest.NewWorld(seed), kube.NewSnapshot(), newKept()
		apply := func(s *kube.Snapshot, k *kept, changes []kube.Change) {
			touched := s.Apply(changes)
			k.step(s, resolve.Concerned(s, &touched))
		}
		apply(s, stepped, w.Fill())
		for n := range 40 {
			changes := w.Changes(n%2 + 1)
			apply(s, stepped, changes)
			all, full := kube.NewSnapshot(), newKept()
			apply(all, full, w.All())
			if reflect.DeepEqual(full, stepped) {
				continue
			}
			deep := cmp.Exporter(func(reflect.Type) bool { return true })
			t.Fatalf("seed %d, after a change of %s %s: all at once -, in steps +:\n%s", seed, changes[0].Kind, changes[0].Name, cmp.Diff(full, stepped, deep))
		}
	}
}
