package kube

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// GatewayClass gives the class of that name, or nil.
func (s *Snapshot) GatewayClass(name string) *gwv1.GatewayClass {
	return s.classes[types.NamespacedName{Name: name}]
}

// Gateway gives the Gateway of that name, or nil.
func (s *Snapshot) Gateway(name types.NamespacedName) *gwv1.Gateway { return s.gateways[name] }

// HTTPRoute gives the HTTPRoute of that name, or nil.
func (s *Snapshot) HTTPRoute(name types.NamespacedName) *gwv1.HTTPRoute { return s.httpRoutes[name] }

// ReferenceGrant gives the grant of that name, or nil.
func (s *Snapshot) ReferenceGrant(name types.NamespacedName) *gwv1.ReferenceGrant {
	return s.grants[name]
}

// Service gives the Service of that name, or nil.
func (s *Snapshot) Service(name types.NamespacedName) *corev1.Service { return s.services[name] }

// EndpointSlice gives the slice of that name, or nil.
func (s *Snapshot) EndpointSlice(name types.NamespacedName) *discoveryv1.EndpointSlice {
	return s.slices[name]
}

// Namespace gives the Namespace of that name, or nil.
func (s *Snapshot) Namespace(name string) *corev1.Namespace {
	return s.namespaces[types.NamespacedName{Name: name}]
}

// Names lists all objects of a kind, sorted.
func (s *Snapshot) Names(k Kind) []types.NamespacedName {
	switch k {
	case GatewayClass:
		return s.classes.names()
	case Gateway:
		return s.gateways.names()
	case HTTPRoute:
		return s.httpRoutes.names()
	case ReferenceGrant:
		return s.grants.names()
	case Service:
		return s.services.names()
	case EndpointSlice:
		return s.slices.names()
	case Namespace:
		return s.namespaces.names()
	default:
		return nil
	}
}

func (t table[T]) names() []types.NamespacedName {
	out := make([]types.NamespacedName, 0, len(t))
	for n := range t {
		out = append(out, n)
	}
	slices.SortFunc(out, CompareNames)
	return out
}

// RoutesOfGateway lists the routes that name the Gateway as a parent, whether it takes them or not. Sorted, like
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

// GatewaysSelectingNamespaces lists the Gateways with a listener that selects namespaces by label.
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
