package kube

import "k8s.io/apimachinery/pkg/types"

// RoutesOfGateway lists the routes that name the Gateway itself as a parent, whether it takes them or not. Sorted, like
// all that follow.
func (s *Snapshot) RoutesOfGateway(gateway types.NamespacedName) []Ref {
	return s.links.refs(link{toParent, gateway})
}

// RoutesOfService lists the routes that name the Service as a backend or a mirror, whether they may or not.
func (s *Snapshot) RoutesOfService(service types.NamespacedName) []Ref {
	return s.links.refs(link{toBackend, service})
}

// RoutesInNamespace lists the routes that live in the namespace: those whose attachment may depend on its labels.
func (s *Snapshot) RoutesInNamespace(namespace string) []Ref {
	return s.links.refs(link{inNamespace, types.NamespacedName{Name: namespace}})
}

// ReferencesInto lists the objects with a reference into the namespace from another one: those that depend on its
// ReferenceGrants.
func (s *Snapshot) ReferencesInto(namespace string) []Ref {
	return s.links.refs(link{intoNamespace, types.NamespacedName{Name: namespace}})
}

// GatewaysOfClass lists the Gateways that name the class.
func (s *Snapshot) GatewaysOfClass(class string) []types.NamespacedName {
	return s.links.names(link{toClass, types.NamespacedName{Name: class}})
}

// GatewaysSelectingNamespaces lists the Gateways that select namespaces by label, for routes or for ListenerSets.
func (s *Snapshot) GatewaysSelectingNamespaces() []types.NamespacedName {
	return s.links.names(link{toLabels, types.NamespacedName{}})
}

// SlicesOfService lists the EndpointSlices that belong to the Service.
func (s *Snapshot) SlicesOfService(service types.NamespacedName) []types.NamespacedName {
	return s.links.names(link{toService, service})
}

// GrantsIn lists the ReferenceGrants of the namespace.
func (s *Snapshot) GrantsIn(namespace string) []types.NamespacedName {
	return s.links.names(link{grantIn, types.NamespacedName{Name: namespace}})
}

// RoutesOfSet lists the routes that name the ListenerSet as a parent.
func (s *Snapshot) RoutesOfSet(set types.NamespacedName) []Ref {
	return s.links.refs(link{toSet, set})
}

// SetsOfGateway lists the ListenerSets that name the Gateway, whether it takes them or not.
func (s *Snapshot) SetsOfGateway(gateway types.NamespacedName) []types.NamespacedName {
	return s.links.names(link{setTo, gateway})
}

// SetsInNamespace lists the ListenerSets that live in the namespace: whether their Gateways take them may depend on its
// labels.
func (s *Snapshot) SetsInNamespace(namespace string) []types.NamespacedName {
	return s.links.names(link{setIn, types.NamespacedName{Name: namespace}})
}

// GatewaysOfSecret lists the Gateways that name the Secret, themselves or in one of their ListenerSets.
func (s *Snapshot) GatewaysOfSecret(secret types.NamespacedName) []types.NamespacedName {
	return s.gatewaysOf(s.links.refs(link{toSecret, secret}))
}

// GatewaysOfConfigMap lists the Gateways that name the ConfigMap.
func (s *Snapshot) GatewaysOfConfigMap(configMap types.NamespacedName) []types.NamespacedName {
	return s.gatewaysOf(s.links.refs(link{toConfigMap, configMap}))
}

// GatewaysReferringInto lists the Gateways that refer into the namespace from another one, themselves or in one of their
// ListenerSets: those that depend on its ReferenceGrants. Their routes are not looked at.
func (s *Snapshot) GatewaysReferringInto(namespace string) []types.NamespacedName {
	return s.gatewaysOf(s.ReferencesInto(namespace))
}

// GatewaysOfSetsIn lists the Gateways of the ListenerSets that live in the namespace.
func (s *Snapshot) GatewaysOfSetsIn(namespace string) []types.NamespacedName {
	return s.gatewaysOf(s.links.refs(link{setIn, types.NamespacedName{Name: namespace}}))
}

// gatewaysOf gives the Gateways among refs, and those of the ListenerSets among them.
func (s *Snapshot) gatewaysOf(refs []Ref) []types.NamespacedName {
	var out []types.NamespacedName
	for _, r := range refs {
		switch r.Kind {
		case Gateway:
			out = append(out, r.Name)
		case ListenerSet:
			if g, ok := GatewayOfSet(s.sets[r.Name]); ok {
				out = append(out, g)
			}
		}
	}
	return sortNames(out)
}

// PoliciesOfService lists the BackendTLSPolicies that name the Service.
func (s *Snapshot) PoliciesOfService(service types.NamespacedName) []types.NamespacedName {
	return s.links.names(link{toTarget, service})
}

// PoliciesOfSecret lists the BackendTLSPolicies that name the Secret.
func (s *Snapshot) PoliciesOfSecret(secret types.NamespacedName) []types.NamespacedName {
	return s.links.namesOf(link{toSecret, secret}, BackendTLSPolicy)
}

// PoliciesOfConfigMap lists the BackendTLSPolicies that name the ConfigMap.
func (s *Snapshot) PoliciesOfConfigMap(configMap types.NamespacedName) []types.NamespacedName {
	return s.links.namesOf(link{toConfigMap, configMap}, BackendTLSPolicy)
}

// ServicesOf lists the Services that a route names as backends or mirrors, whether it may or not, in the order in which it names
// them. Nothing for a route that does not exist.
func (s *Snapshot) ServicesOf(route Ref) []types.NamespacedName {
	var out []types.NamespacedName
	for _, l := range s.linksOf(route) {
		if l.relation == toBackend {
			out = append(out, l.to)
		}
	}
	return out
}

// linksOf gives the links of a route; nil for one that does not exist.
func (s *Snapshot) linksOf(r Ref) []link {
	switch r.Kind {
	case HTTPRoute:
		return of(s.httpRoutes, r)
	case GRPCRoute:
		return of(s.grpcRoutes, r)
	case TCPRoute:
		return of(s.tcpRoutes, r)
	case UDPRoute:
		return of(s.udpRoutes, r)
	case TLSRoute:
		return of(s.tlsRoutes, r)
	default:
		return nil
	}
}

func of[T Object](t table[T], r Ref) []link {
	o, ok := t[r.Name]
	if !ok {
		return nil
	}
	return linksOf(r.Kind, o)
}
