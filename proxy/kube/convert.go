package kube

import (
	corev1 "k8s.io/api/core/v1"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"
	gwv1alpha2 "sigs.k8s.io/gateway-api/apis/v1alpha2"
	gwv1alpha3 "sigs.k8s.io/gateway-api/apis/v1alpha3"
	gwv1beta1 "sigs.k8s.io/gateway-api/apis/v1beta1"
)

// kept brings an object to the form in which it is kept: the Go type of its kind, and of Secrets and ConfigMaps only what
// matters. What cannot be converted is returned as it is.
func kept(o Object) Object {
	switch o := o.(type) {
	case *corev1.Secret:
		return trimSecret(o)
	case *corev1.ConfigMap:
		return trimConfigMap(o)
	case *gwv1beta1.GatewayClass:
		return (*gwv1.GatewayClass)(o)
	case *gwv1beta1.Gateway:
		return (*gwv1.Gateway)(o)
	case *gwv1beta1.HTTPRoute:
		return (*gwv1.HTTPRoute)(o)
	case *gwv1beta1.ReferenceGrant:
		return (*gwv1.ReferenceGrant)(o)
	case *gwv1alpha2.GRPCRoute:
		return (*gwv1.GRPCRoute)(o)
	case *gwv1alpha3.BackendTLSPolicy:
		return (*gwv1.BackendTLSPolicy)(o)
	default:
		return keptL4(o)
	}
}

// keptL4 converts the routes whose older types are built of named types of their own.
func keptL4(o Object) Object {
	switch o := o.(type) {
	case *gwv1alpha2.TCPRoute:
		out := &gwv1.TCPRoute{ObjectMeta: o.ObjectMeta, Status: gwv1.TCPRouteStatus(o.Status)}
		out.Spec.CommonRouteSpec = o.Spec.CommonRouteSpec
		for _, r := range o.Spec.Rules {
			out.Spec.Rules = append(out.Spec.Rules, gwv1.TCPRouteRule(r))
		}
		return out
	case *gwv1alpha2.UDPRoute:
		out := &gwv1.UDPRoute{ObjectMeta: o.ObjectMeta, Status: gwv1.UDPRouteStatus(o.Status)}
		out.Spec.CommonRouteSpec = o.Spec.CommonRouteSpec
		for _, r := range o.Spec.Rules {
			out.Spec.Rules = append(out.Spec.Rules, gwv1.UDPRouteRule(r))
		}
		return out
	case *gwv1alpha2.TLSRoute:
		out := &gwv1.TLSRoute{ObjectMeta: o.ObjectMeta, Status: gwv1.TLSRouteStatus(o.Status)}
		out.Spec.CommonRouteSpec, out.Spec.Hostnames = o.Spec.CommonRouteSpec, o.Spec.Hostnames
		for _, r := range o.Spec.Rules {
			out.Spec.Rules = append(out.Spec.Rules, gwv1.TLSRouteRule(r))
		}
		return out
	case *gwv1alpha3.TLSRoute:
		return (*gwv1.TLSRoute)(o)
	default:
		return o
	}
}
