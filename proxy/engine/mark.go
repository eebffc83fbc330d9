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
	s.changed(t, kube.Gateway, func(name types.NamespacedName) { s.gatewaysDirty.Add(name) })
	s.statusDirty.Add(t.Status[kube.Gateway]...)
	for _, k := range routeKinds {
		s.changed(t, k, func(name types.NamespacedName) { s.routesDirty.Add(kube.Ref{Kind: k, Name: name}) })
		for _, name := range t.Status[k] {
			s.routeStatus.Add(kube.Ref{Kind: k, Name: name})
		}
	}
	s.changed(t, kube.Service, s.service)
	s.related(t.Backends, s.backend)
	s.changed(t, kube.Namespace, func(name types.NamespacedName) {
		s.routesAmong(s.snapshot.RoutesInNamespace(name.Name))
		s.gatewaysDirty.Add(s.snapshot.GatewaysOfSetsIn(name.Name)...)
	})
	s.changed(t, kube.ReferenceGrant, func(name types.NamespacedName) {
		s.routesAmong(s.snapshot.ReferencesInto(name.Namespace))
		s.gatewaysDirty.Add(s.snapshot.GatewaysReferringInto(name.Namespace)...)
	})
	s.markTLS(t)
	s.by()
}

// changed marks for every changed object of a kind what it concerns, and it as the reason.
func (s *step) changed(t *kube.Touched, k kube.Kind, mark func(types.NamespacedName)) {
	for _, name := range t.Changed[k] {
		s.by(kube.Ref{Kind: k, Name: name})
		mark(name)
	}
}

// related marks what changed objects lead to or led to, and these as the reason.
func (s *step) related(all []kube.Related, mark func(types.NamespacedName)) {
	for _, r := range all {
		s.by(r.From...)
		mark(r.To)
	}
}

// markClasses finds what a change of classes and ProxyConfigs concerns.
func (s *step) markClasses(t *kube.Touched) {
	var classes incr.Set[types.NamespacedName]
	class := func(name types.NamespacedName) {
		classes.Add(name)
		s.gatewaysDirty.Add(s.snapshot.GatewaysOfClass(name.Name)...)
	}
	s.changed(t, kube.GatewayClass, class)
	s.changed(t, kube.ProxyConfig, func(config types.NamespacedName) {
		for _, name := range s.snapshot.ClassesOfConfig(config) {
			class(name)
		}
		s.gatewaysDirty.Add(s.snapshot.GatewaysOfConfig(config)...)
	})
	classes.Add(t.Status[kube.GatewayClass]...)
	for _, class := range classes.Sorted(kube.CompareNames) {
		s.Classes = append(s.Classes, gateway.ResolveClass(s.snapshot, class.Name, s.options.Controller))
	}
}

// markTLS finds what a change of ListenerSets, certificates and policies concerns.
func (s *step) markTLS(t *kube.Touched) {
	s.related(t.Parents, func(name types.NamespacedName) { s.gatewaysDirty.Add(name) })
	for _, name := range t.Status[kube.ListenerSet] {
		if g, ok := kube.GatewayOfSet(s.snapshot.ListenerSet(name)); ok {
			s.statusDirty.Add(g)
		}
	}
	s.changed(t, kube.Secret, func(name types.NamespacedName) {
		s.gatewaysDirty.Add(s.snapshot.GatewaysOfSecret(name)...)
		s.policies(s.snapshot.PoliciesOfSecret(name))
	})
	s.changed(t, kube.ConfigMap, func(name types.NamespacedName) {
		s.gatewaysDirty.Add(s.snapshot.GatewaysOfConfigMap(name)...)
		s.policies(s.snapshot.PoliciesOfConfigMap(name))
	})
	s.policiesDirty.Add(t.Changed[kube.BackendTLSPolicy]...)
	s.policiesDirty.Add(t.Status[kube.BackendTLSPolicy]...)
	s.related(t.Targets, s.service)
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
