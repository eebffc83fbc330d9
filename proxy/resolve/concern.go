package resolve

import (
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"headgate.dev/proxy/kube"
)

// Concern is what may mean something else after a batch of changes, at first hand, and so has to be resolved again. Everything is
// sorted and without repeats. What depends on results follows from them: the routes of a Gateway whose result is another one
// (RoutesOf), and hosts, sockets and policies from where routes attach.
type Concern struct {
	Classes  []types.NamespacedName // GatewayClasses; the Gateways of each are among Gateways
	Gateways []types.NamespacedName
	Routes   []kube.Ref
	Services []types.NamespacedName // Services of which the clusters, with TLS, or the endpoints may differ
	Policies []types.NamespacedName // BackendTLSPolicies
}

// Concerned works out what the changes concern. s is the snapshot after them.
func Concerned(s *kube.Snapshot, t *kube.Touched) Concern {
	var c Concern
	c.Classes = t.Changed[kube.GatewayClass]
	for _, class := range c.Classes {
		c.Gateways = append(c.Gateways, s.GatewaysOfClass(class.Name)...)
	}
	c.Gateways = append(append(c.Gateways, t.Changed[kube.Gateway]...), t.Parents...)
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

// namespaces adds what hangs on labels and grants.
func (c *Concern) namespaces(s *kube.Snapshot, t *kube.Touched) {
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
func (c *Concern) services(s *kube.Snapshot, t *kube.Touched) {
	c.Services = append(c.Services, t.Backends...)
	for _, names := range [][]types.NamespacedName{t.Changed[kube.Service], t.Targets} {
		for _, n := range names {
			c.Routes = append(c.Routes, s.RoutesOfService(n)...)
			c.Services = append(c.Services, n)
			c.Policies = append(c.Policies, s.PoliciesOfService(n)...)
		}
	}
}

// policies adds what hangs on certificates, and on policies themselves.
func (c *Concern) policies(s *kube.Snapshot, t *kube.Touched) {
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

// RoutesOf lists the routes that name the Gateway, or a ListenerSet that names it, as a parent: those to resolve again when the
// Gateway's result is another one. Sorted, without repeats.
func RoutesOf(s *kube.Snapshot, gateway types.NamespacedName) []kube.Ref {
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
