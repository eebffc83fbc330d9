package engine

import (
	"k8s.io/apimachinery/pkg/types"

	"headgate.dev/proxy/incr"
	"headgate.dev/proxy/kube"
	"headgate.dev/proxy/resolve/gateway"
)

var routeKinds = []kube.Kind{kube.HTTPRoute, kube.GRPCRoute, kube.TCPRoute, kube.UDPRoute, kube.TLSRoute}

// mark finds what a change of an object concerns at first hand.
func (s *step) mark(t *kube.Touched) {
	s.markClasses(t)
	s.gatewaysDirty.Add(t.Changed[kube.Gateway]...)
	s.statusDirty.Add(t.Status[kube.Gateway]...)
	for _, k := range routeKinds {
		for _, name := range t.Changed[k] {
			s.routesDirty.Add(kube.Ref{Kind: k, Name: name})
		}
		for _, name := range t.Status[k] {
			s.routeStatus.Add(kube.Ref{Kind: k, Name: name})
		}
	}
	for _, name := range t.Changed[kube.Service] {
		s.service(name)
	}
	for _, name := range t.Backends {
		s.backend(name)
	}
	for _, name := range t.Changed[kube.Namespace] {
		s.routesAmong(s.snapshot.RoutesInNamespace(name.Name))
		s.gatewaysDirty.Add(s.snapshot.GatewaysOfSetsIn(name.Name)...)
	}
	for _, name := range t.Changed[kube.ReferenceGrant] {
		s.routesAmong(s.snapshot.ReferencesInto(name.Namespace))
		s.gatewaysDirty.Add(s.snapshot.GatewaysReferringInto(name.Namespace)...)
	}
	s.markTLS(t)
}

// markClasses finds what a change of classes and ProxyConfigs concerns.
func (s *step) markClasses(t *kube.Touched) {
	var classes incr.Set[types.NamespacedName]
	classes.Add(t.Changed[kube.GatewayClass]...)
	for _, config := range t.Changed[kube.ProxyConfig] {
		classes.Add(s.snapshot.ClassesOfConfig(config)...)
		s.gatewaysDirty.Add(s.snapshot.GatewaysOfConfig(config)...)
	}
	for _, class := range classes.Sorted(kube.CompareNames) {
		s.gatewaysDirty.Add(s.snapshot.GatewaysOfClass(class.Name)...)
	}
	classes.Add(t.Status[kube.GatewayClass]...)
	for _, class := range classes.Sorted(kube.CompareNames) {
		s.Classes = append(s.Classes, gateway.ResolveClass(s.snapshot, class.Name, s.options.Controller))
	}
}

// markTLS finds what a change of ListenerSets, certificates and policies concerns.
func (s *step) markTLS(t *kube.Touched) {
	s.gatewaysDirty.Add(t.Parents...)
	for _, name := range t.Status[kube.ListenerSet] {
		if g, ok := kube.GatewayOfSet(s.snapshot.ListenerSet(name)); ok {
			s.statusDirty.Add(g)
		}
	}
	for _, name := range t.Changed[kube.Secret] {
		s.gatewaysDirty.Add(s.snapshot.GatewaysOfSecret(name)...)
		s.policies(s.snapshot.PoliciesOfSecret(name))
	}
	for _, name := range t.Changed[kube.ConfigMap] {
		s.gatewaysDirty.Add(s.snapshot.GatewaysOfConfigMap(name)...)
		s.policies(s.snapshot.PoliciesOfConfigMap(name))
	}
	s.policiesDirty.Add(t.Changed[kube.BackendTLSPolicy]...)
	s.policiesDirty.Add(t.Status[kube.BackendTLSPolicy]...)
	for _, service := range t.Targets {
		s.service(service)
	}
}

// service marks what depends on what a Service is and on which policies there are for it.
func (s *step) service(name types.NamespacedName) {
	s.routesAmong(s.snapshot.RoutesOfService(name))
	s.policiesDirty.Add(s.snapshot.PoliciesOfService(name)...)
	s.backend(name)
}

// policies marks policies of which something changed that they name, and what depends on whether they can be honoured.
func (s *step) policies(names []types.NamespacedName) {
	s.policiesDirty.Add(names...)
	for _, name := range names {
		p := s.snapshot.BackendTLSPolicy(name)
		for i := range p.Spec.TargetRefs {
			if service, ok := kube.TargetService(p.Namespace, &p.Spec.TargetRefs[i]); ok {
				s.service(service)
			}
		}
	}
}

// routesAmong marks the routes among refs.
func (s *step) routesAmong(refs []kube.Ref) {
	for _, ref := range refs {
		if isRoute[ref.Kind] {
			s.routesDirty.Add(ref)
		}
	}
}

var isRoute = func() (is [kube.NumKinds]bool) {
	for _, k := range routeKinds {
		is[k] = true
	}
	return is
}()

// backend marks the clusters of a Service that are in use, and the mixes that its endpoints are part of.
func (s *step) backend(service types.NamespacedName) {
	for c := range s.backends[service] {
		s.clustersDirty.Add(c)
	}
	s.mixesDirty.Add(s.mixes.Users(service, compareListeners)...)
}
