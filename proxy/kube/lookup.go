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

// GRPCRoute gives the GRPCRoute of that name, or nil.
func (s *Snapshot) GRPCRoute(name types.NamespacedName) *gwv1.GRPCRoute { return s.grpcRoutes[name] }

// TCPRoute gives the TCPRoute of that name, or nil.
func (s *Snapshot) TCPRoute(name types.NamespacedName) *gwv1.TCPRoute { return s.tcpRoutes[name] }

// UDPRoute gives the UDPRoute of that name, or nil.
func (s *Snapshot) UDPRoute(name types.NamespacedName) *gwv1.UDPRoute { return s.udpRoutes[name] }

// TLSRoute gives the TLSRoute of that name, or nil.
func (s *Snapshot) TLSRoute(name types.NamespacedName) *gwv1.TLSRoute { return s.tlsRoutes[name] }

// ListenerSet gives the ListenerSet of that name, or nil.
func (s *Snapshot) ListenerSet(name types.NamespacedName) *gwv1.ListenerSet { return s.sets[name] }

// BackendTLSPolicy gives the policy of that name, or nil.
func (s *Snapshot) BackendTLSPolicy(name types.NamespacedName) *gwv1.BackendTLSPolicy {
	return s.policies[name]
}

// Secret gives the Secret of that name with what is kept of it, or nil.
func (s *Snapshot) Secret(name types.NamespacedName) *corev1.Secret { return s.secrets[name] }

// ConfigMap gives the ConfigMap of that name with what is kept of it, or nil.
func (s *Snapshot) ConfigMap(name types.NamespacedName) *corev1.ConfigMap { return s.configMaps[name] }

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
		return s.namesFurther(k)
	}
}

func (s *Snapshot) namesFurther(k Kind) []types.NamespacedName {
	switch k {
	case GRPCRoute:
		return s.grpcRoutes.names()
	case TCPRoute:
		return s.tcpRoutes.names()
	case UDPRoute:
		return s.udpRoutes.names()
	case TLSRoute:
		return s.tlsRoutes.names()
	case ListenerSet:
		return s.sets.names()
	case BackendTLSPolicy:
		return s.policies.names()
	case Secret:
		return s.secrets.names()
	case ConfigMap:
		return s.configMaps.names()
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

// Object gives the object of any kind as it is kept, or nil.
func (s *Snapshot) Object(r Ref) Object {
	switch r.Kind {
	case GatewayClass:
		return s.classes.object(r.Name)
	case Gateway:
		return s.gateways.object(r.Name)
	case HTTPRoute:
		return s.httpRoutes.object(r.Name)
	case ReferenceGrant:
		return s.grants.object(r.Name)
	case Service:
		return s.services.object(r.Name)
	case EndpointSlice:
		return s.slices.object(r.Name)
	case Namespace:
		return s.namespaces.object(r.Name)
	default:
		return s.objectFurther(r)
	}
}

func (s *Snapshot) objectFurther(r Ref) Object {
	switch r.Kind {
	case GRPCRoute:
		return s.grpcRoutes.object(r.Name)
	case TCPRoute:
		return s.tcpRoutes.object(r.Name)
	case UDPRoute:
		return s.udpRoutes.object(r.Name)
	case TLSRoute:
		return s.tlsRoutes.object(r.Name)
	case ListenerSet:
		return s.sets.object(r.Name)
	case BackendTLSPolicy:
		return s.policies.object(r.Name)
	case Secret:
		return s.secrets.object(r.Name)
	case ConfigMap:
		return s.configMaps.object(r.Name)
	case ProxyConfig:
		return s.configs.object(r.Name)
	default:
		return nil
	}
}

// object gives nil, and not a pointer that is nil, for what is not there.
func (t table[T]) object(name types.NamespacedName) Object {
	if o, ok := t[name]; ok {
		return o
	}
	return nil
}
