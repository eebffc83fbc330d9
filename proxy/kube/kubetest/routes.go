package kubetest

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/proxy/kube"
)

// parents names Gateways and ListenerSets, whole or in part.
func (w *World) parents() []gwv1.ParentReference {
	var out []gwv1.ParentReference
	for range 1 + w.rng.IntN(2) {
		p := gwv1.ParentReference{
			Name:        gwv1.ObjectName(pick(w, gateways)),
			Namespace:   w.namespace(),
			SectionName: pick(w, []*gwv1.SectionName{nil, nil, nil, ptr(gwv1.SectionName("l0")), ptr(gwv1.SectionName("l1"))}),
			Port:        pick(w, []*int32{nil, nil, nil, nil, ptr(int32(80))}),
		}
		if w.one(4) {
			p.Kind, p.Name = ptr(gwv1.Kind("ListenerSet")), gwv1.ObjectName(pick(w, sets))
		}
		out = append(out, p)
	}
	return out
}

func (w *World) hostnames() []gwv1.Hostname {
	return some(w, 3, []gwv1.Hostname{
		"shop.example.com", "x.a.example.com", "*.a.example.com", "*.example.com", "*.com", "Cart.Example.com", "not a host",
	})
}

func (w *World) grpcRoute(m metav1.ObjectMeta) *gwv1.GRPCRoute {
	r := &gwv1.GRPCRoute{ObjectMeta: m}
	r.Spec.ParentRefs, r.Spec.Hostnames = w.parents(), w.hostnames()
	for range 1 + w.rng.IntN(3) {
		var rule gwv1.GRPCRouteRule
		for range w.rng.IntN(3) {
			match := gwv1.GRPCRouteMatch{Method: pick(w, []*gwv1.GRPCMethodMatch{
				nil, {Service: ptr("shop.Cart")}, {Service: ptr("shop.Cart"), Method: ptr("Add")}, {Method: ptr("Add")},
				{Type: ptr(gwv1.GRPCMethodMatchRegularExpression), Service: ptr("shop[.].*")}, {Service: ptr("no service")},
			})}
			for _, name := range some(w, 1, []gwv1.GRPCHeaderName{"X-A", "x-b"}) {
				match.Headers = append(match.Headers, gwv1.GRPCHeaderMatch{Name: name, Value: "v"})
			}
			rule.Matches = append(rule.Matches, match)
		}
		for _, b := range w.backends() {
			rule.BackendRefs = append(rule.BackendRefs, gwv1.GRPCBackendRef{BackendRef: b})
		}
		if w.one(4) {
			rule.Filters = []gwv1.GRPCRouteFilter{{Type: gwv1.GRPCRouteFilterRequestMirror, RequestMirror: &gwv1.HTTPRequestMirrorFilter{BackendRef: w.backend()}}}
		}
		r.Spec.Rules = append(r.Spec.Rules, rule)
	}
	return r
}

// l4Route makes a TCPRoute, UDPRoute or TLSRoute.
func (w *World) l4Route(k kube.Kind, m metav1.ObjectMeta) kube.Object {
	common, backends := gwv1.CommonRouteSpec{ParentRefs: w.parents()}, w.backends()
	switch k {
	case kube.TCPRoute:
		return &gwv1.TCPRoute{ObjectMeta: m, Spec: gwv1.TCPRouteSpec{CommonRouteSpec: common, Rules: []gwv1.TCPRouteRule{{BackendRefs: backends}}}}
	case kube.UDPRoute:
		return &gwv1.UDPRoute{ObjectMeta: m, Spec: gwv1.UDPRouteSpec{CommonRouteSpec: common, Rules: []gwv1.UDPRouteRule{{BackendRefs: backends}}}}
	default:
		return &gwv1.TLSRoute{ObjectMeta: m, Spec: gwv1.TLSRouteSpec{CommonRouteSpec: common, Hostnames: w.hostnames(), Rules: []gwv1.TLSRouteRule{{BackendRefs: backends}}}}
	}
}

func (w *World) backends() []gwv1.BackendRef {
	out := make([]gwv1.BackendRef, w.rng.IntN(4))
	for i := range out {
		out[i] = gwv1.BackendRef{BackendObjectReference: w.backend(), Weight: pick(w, []*int32{nil, nil, ptr(int32(0)), ptr(int32(3))})}
	}
	return out
}
