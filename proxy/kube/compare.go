package kube

import (
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/schema"
)

// difference is how two states of one object differ.
type difference uint8

const (
	same difference = iota
	statusOnly
	differ
)

// compare tells two states of one object apart. Identity, age and generation always count: precedence depends on the
// creation time, and the status we write carries the generation.
func compare(k Kind, old, now Object) difference {
	if old == now || (old.GetResourceVersion() != "" && old.GetResourceVersion() == now.GetResourceVersion() &&
		old.GetUID() == now.GetUID()) {
		return same
	}
	before, after := old.GetCreationTimestamp(), now.GetCreationTimestamp()
	if old.GetUID() != now.GetUID() || old.GetGeneration() != now.GetGeneration() || !before.Equal(&after) {
		return differ
	}
	return compareContent(k, old, now)
}

// compareContent compares what matters of each kind. The status of kinds that have none, or where nobody asks for it, is
// not looked at.
func compareContent(k Kind, old, now Object) difference {
	switch k {
	case GatewayClass:
		return compareGatewayClass(old.(*gwv1.GatewayClass), now.(*gwv1.GatewayClass))
	case Gateway:
		return compareGateway(old.(*gwv1.Gateway), now.(*gwv1.Gateway))
	case HTTPRoute:
		return compareHTTPRoute(old.(*gwv1.HTTPRoute), now.(*gwv1.HTTPRoute))
	case ReferenceGrant:
		return compareReferenceGrant(old.(*gwv1.ReferenceGrant), now.(*gwv1.ReferenceGrant))
	case Service:
		return compareService(old.(*corev1.Service), now.(*corev1.Service))
	case EndpointSlice:
		return compareEndpointSlice(old.(*discoveryv1.EndpointSlice), now.(*discoveryv1.EndpointSlice))
	case Namespace:
		return compareNamespace(old.(*corev1.Namespace), now.(*corev1.Namespace))
	default:
		return compareFurther(k, old, now)
	}
}

func compareFurther(k Kind, old, now Object) difference {
	switch k {
	case GRPCRoute:
		return compareGRPCRoute(old.(*gwv1.GRPCRoute), now.(*gwv1.GRPCRoute))
	case TCPRoute:
		return compareTCPRoute(old.(*gwv1.TCPRoute), now.(*gwv1.TCPRoute))
	case UDPRoute:
		return compareUDPRoute(old.(*gwv1.UDPRoute), now.(*gwv1.UDPRoute))
	case TLSRoute:
		return compareTLSRoute(old.(*gwv1.TLSRoute), now.(*gwv1.TLSRoute))
	case ListenerSet:
		return compareListenerSet(old.(*gwv1.ListenerSet), now.(*gwv1.ListenerSet))
	case BackendTLSPolicy:
		return compareBackendTLSPolicy(old.(*gwv1.BackendTLSPolicy), now.(*gwv1.BackendTLSPolicy))
	case Secret:
		return compareSecret(old.(*corev1.Secret), now.(*corev1.Secret))
	case ProxyConfig:
		return compareProxyConfig(old.(*schema.ProxyConfig), now.(*schema.ProxyConfig))
	default:
		return compareConfigMap(old.(*corev1.ConfigMap), now.(*corev1.ConfigMap))
	}
}

// bySpecAndStatus is the comparison of kinds with a spec and a status we write.
func bySpecAndStatus(oldSpec, nowSpec, oldStatus, nowStatus any) difference {
	switch {
	case !equality.Semantic.DeepEqual(oldSpec, nowSpec):
		return differ
	case !equality.Semantic.DeepEqual(oldStatus, nowStatus):
		return statusOnly
	default:
		return same
	}
}

func differWhen(changed bool) difference {
	if changed {
		return differ
	}
	return same
}

// linksOf lists where an object leads.
func linksOf(k Kind, o Object) []link {
	switch k {
	case GatewayClass:
		return linksOfGatewayClass(o.(*gwv1.GatewayClass))
	case Gateway:
		return linksOfGateway(o.(*gwv1.Gateway))
	case HTTPRoute:
		return linksOfHTTPRoute(o.(*gwv1.HTTPRoute))
	case ReferenceGrant:
		return linksOfReferenceGrant(o.(*gwv1.ReferenceGrant))
	case EndpointSlice:
		return linksOfEndpointSlice(o.(*discoveryv1.EndpointSlice))
	case GRPCRoute:
		return linksOfGRPCRoute(o.(*gwv1.GRPCRoute))
	case TCPRoute:
		return linksOfTCPRoute(o.(*gwv1.TCPRoute))
	case UDPRoute:
		return linksOfUDPRoute(o.(*gwv1.UDPRoute))
	case TLSRoute:
		return linksOfTLSRoute(o.(*gwv1.TLSRoute))
	case ListenerSet:
		return linksOfListenerSet(o.(*gwv1.ListenerSet))
	case BackendTLSPolicy:
		return linksOfBackendTLSPolicy(o.(*gwv1.BackendTLSPolicy))
	default:
		return nil
	}
}
