package resolve_test

import (
	"reflect"
	"slices"
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
func (k *kept) step(s *kube.Snapshot, c concern) {
	routes := c.Routes
	for _, n := range c.Gateways {
		before := k.Gateways[n]
		put(k.Gateways, n, gateway.Resolve(s, n))
		if !gateway.SameForRoutes(before, k.Gateways[n]) {
			routes = append(routes, routesOfGateway(s, n)...)
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
			k.step(s, concerned(s, &touched))
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

// concern is what may mean something else after a batch of changes, at first hand, and so has to be resolved again. Everything is
// sorted and without repeats. What depends on results follows from them: the routes of a Gateway whose result is another one
// (routesOfGateway), and hosts, sockets and policies from where routes attach.
type concern struct {
	Classes  []types.NamespacedName // GatewayClasses; the Gateways of each are among Gateways
	Gateways []types.NamespacedName
	Routes   []kube.Ref
	Services []types.NamespacedName // Services of which the clusters, with TLS, or the endpoints may differ
	Policies []types.NamespacedName // BackendTLSPolicies
}

// concerned works out what the changes concern. s is the snapshot after them.
func concerned(s *kube.Snapshot, t *kube.Touched) concern {
	var c concern
	c.Classes = t.Changed[kube.GatewayClass]
	for _, class := range c.Classes {
		c.Gateways = append(c.Gateways, s.GatewaysOfClass(class.Name)...)
	}
	c.Gateways = append(append(c.Gateways, t.Changed[kube.Gateway]...), related(t.Parents)...)
	for _, k := range kube.RouteKinds {
		for _, n := range t.Changed[k] {
			c.Routes = append(c.Routes, kube.Ref{Kind: k, Name: n})
		}
	}
	for _, set := range t.Changed[kube.ListenerSet] {
		c.Routes = append(c.Routes, s.RoutesOfSet(set)...)
	}
	c.namespaces(s, t)
	c.services(s, t)
	c.policies(s, t)
	slices.SortFunc(c.Routes, kube.CompareRefs)
	c.Routes = slices.Compact(c.Routes)
	for _, names := range []*[]types.NamespacedName{&c.Gateways, &c.Services, &c.Policies} {
		slices.SortFunc(*names, kube.CompareNames)
		*names = slices.Compact(*names)
	}
	return c
}

// related lists what others lead to.
func related(all []kube.Related) (names []types.NamespacedName) {
	for _, r := range all {
		names = append(names, r.To)
	}
	return names
}

// namespaces adds what hangs on labels and grants.
func (c *concern) namespaces(s *kube.Snapshot, t *kube.Touched) {
	for _, n := range t.Changed[kube.Namespace] {
		c.Routes = append(c.Routes, s.RoutesInNamespace(n.Name)...)
		c.Gateways = append(c.Gateways, s.GatewaysOfSetsIn(n.Name)...)
	}
	for _, n := range t.Changed[kube.ReferenceGrant] {
		for _, ref := range s.ReferencesInto(n.Namespace) {
			if slices.Contains(kube.RouteKinds, ref.Kind) {
				c.Routes = append(c.Routes, ref)
			}
		}
		c.Gateways = append(c.Gateways, s.GatewaysReferringInto(n.Namespace)...)
	}
}

// services adds what hangs on Services: whether a route may use one depends on its ports, and on whether a policy names it.
func (c *concern) services(s *kube.Snapshot, t *kube.Touched) {
	c.Services = append(c.Services, related(t.Backends)...)
	for _, names := range [][]types.NamespacedName{t.Changed[kube.Service], related(t.Targets)} {
		for _, n := range names {
			c.Routes = append(c.Routes, s.RoutesOfService(n)...)
			c.Services = append(c.Services, n)
			c.Policies = append(c.Policies, s.PoliciesOfService(n)...)
		}
	}
}

// policies adds what hangs on certificates, and on policies themselves.
func (c *concern) policies(s *kube.Snapshot, t *kube.Touched) {
	c.Policies = append(c.Policies, t.Changed[kube.BackendTLSPolicy]...)
	var renewed []types.NamespacedName
	for _, n := range t.Changed[kube.Secret] {
		c.Gateways = append(c.Gateways, s.GatewaysOfSecret(n)...)
		renewed = append(renewed, s.PoliciesOfSecret(n)...)
	}
	for _, n := range t.Changed[kube.ConfigMap] {
		c.Gateways = append(c.Gateways, s.GatewaysOfConfigMap(n)...)
		renewed = append(renewed, s.PoliciesOfConfigMap(n)...)
	}
	c.Policies = append(c.Policies, renewed...)
	for _, n := range renewed {
		p := s.BackendTLSPolicy(n)
		for i := range p.Spec.TargetRefs {
			if service, ok := kube.TargetService(p.Namespace, &p.Spec.TargetRefs[i]); ok {
				c.Services = append(c.Services, service)
			}
		}
	}
}

// routesOfGateway lists the routes that name the Gateway, or a ListenerSet that names it, as a parent: those to resolve again when the
// Gateway's result is another one. Sorted, without repeats.
func routesOfGateway(s *kube.Snapshot, gateway types.NamespacedName) []kube.Ref {
	out := s.RoutesOfGateway(gateway)
	sets := s.SetsOfGateway(gateway)
	if len(sets) == 0 {
		return out
	}
	for _, set := range sets {
		out = append(out, s.RoutesOfSet(set)...)
	}
	slices.SortFunc(out, kube.CompareRefs)
	return slices.Compact(out)
}
