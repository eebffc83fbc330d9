package kubetest

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/proxy/kube"
)

func (w *World) object(r kube.Ref, old kube.Object) kube.Object {
	m := w.meta(r, old)
	switch r.Kind {
	case kube.GatewayClass:
		return &gwv1.GatewayClass{ObjectMeta: m, Spec: gwv1.GatewayClassSpec{
			ControllerName: pick(w, []gwv1.GatewayController{Controller, Controller, Controller, "example.com/other"}),
		}}
	case kube.Gateway:
		return w.gateway(m)
	case kube.HTTPRoute:
		return w.httpRoute(m)
	case kube.ReferenceGrant:
		return w.grant(m)
	case kube.Service:
		return w.service(m)
	case kube.EndpointSlice:
		return w.slice(m)
	case kube.Namespace:
		m.Labels = pick(w, []map[string]string{nil, {"team": "x"}, {"team": "y", "other": "z"}})
		return &corev1.Namespace{ObjectMeta: m}
	default:
		return w.further(r.Kind, m)
	}
}

func (w *World) gateway(m metav1.ObjectMeta) *gwv1.Gateway {
	g := &gwv1.Gateway{ObjectMeta: m, Spec: gwv1.GatewaySpec{
		GatewayClassName: pick(w, []gwv1.ObjectName{Class, Class, Class, "other"}),
	}}
	for i := range 1 + w.rng.IntN(4) {
		g.Spec.Listeners = append(g.Spec.Listeners, w.listener(i))
	}
	g.Spec.AllowedListeners = pick(w, []*gwv1.AllowedListeners{
		nil, {Namespaces: &gwv1.ListenerNamespaces{From: ptr(gwv1.NamespacesFromAll)}}, {Namespaces: &gwv1.ListenerNamespaces{From: ptr(gwv1.NamespacesFromAll)}},
		{Namespaces: &gwv1.ListenerNamespaces{From: ptr(gwv1.NamespacesFromSame)}},
		{Namespaces: &gwv1.ListenerNamespaces{From: ptr(gwv1.NamespacesFromSelector), Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"team": "x"}}}},
	})
	if w.one(3) {
		g.Spec.TLS = w.gatewayTLS()
	}
	return g
}

// listener makes the i-th of a Gateway or ListenerSet.
func (w *World) listener(i int) gwv1.Listener {
	l := pick(w, []gwv1.Listener{
		{Port: 80, Protocol: "HTTP"}, {Port: 80, Protocol: "HTTP"}, {Port: 8080, Protocol: "HTTP"}, {Port: 443, Protocol: "HTTPS"}, {Port: 443, Protocol: "HTTPS"},
		{Port: 443, Protocol: "TLS"}, {Port: 443, Protocol: "TLS"}, {Port: 5432, Protocol: "TCP"}, {Port: 5432, Protocol: "UDP"}, {Port: 80, Protocol: "TCP"}, {Port: 80, Protocol: "SCTP"},
	})
	l.Name = gwv1.SectionName(fmt.Sprintf("l%d", i))
	l.Hostname = pick(w, []*gwv1.Hostname{nil, ptr(gwv1.Hostname("*.example.com")), ptr(gwv1.Hostname("*.a.example.com")), ptr(gwv1.Hostname("shop.example.com"))})
	if l.Protocol == "HTTPS" || l.Protocol == "TLS" {
		l.TLS = &gwv1.ListenerTLSConfig{}
		if l.Protocol == "TLS" {
			l.TLS.Mode = pick(w, []*gwv1.TLSModeType{ptr(gwv1.TLSModePassthrough), ptr(gwv1.TLSModeTerminate)})
		}
		for range 1 + w.rng.IntN(2) {
			l.TLS.CertificateRefs = append(l.TLS.CertificateRefs, w.certificate())
		}
	}
	l.AllowedRoutes = &gwv1.AllowedRoutes{
		Namespaces: pick(w, []*gwv1.RouteNamespaces{
			nil, {From: ptr(gwv1.NamespacesFromAll)}, {From: ptr(gwv1.NamespacesFromAll)},
			{From: ptr(gwv1.NamespacesFromSelector), Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"team": "x"}}},
		}),
		Kinds: pick(w, [][]gwv1.RouteGroupKind{nil, nil, nil, nil, nil, {{Kind: "HTTPRoute"}}, {{Kind: "TCPRoute"}}}),
	}
	return l
}

func (w *World) httpRoute(m metav1.ObjectMeta) *gwv1.HTTPRoute {
	r := &gwv1.HTTPRoute{ObjectMeta: m}
	r.Spec.ParentRefs = w.parents()
	r.Spec.Hostnames = w.hostnames()
	for range 1 + w.rng.IntN(3) {
		r.Spec.Rules = append(r.Spec.Rules, w.rule())
	}
	return r
}

func (w *World) rule() gwv1.HTTPRouteRule {
	var rule gwv1.HTTPRouteRule
	for range w.rng.IntN(3) {
		m := gwv1.HTTPRouteMatch{
			Path: &gwv1.HTTPPathMatch{
				Type:  pick(w, []*gwv1.PathMatchType{nil, nil, ptr(gwv1.PathMatchExact), ptr(gwv1.PathMatchRegularExpression)}),
				Value: ptr(pick(w, []string{"/", "/a", "/a/b", "/a/", "/(", "/api"})),
			},
			Method: pick(w, []*gwv1.HTTPMethod{nil, nil, nil, ptr(gwv1.HTTPMethodGet)}),
		}
		for _, name := range some(w, 2, []gwv1.HTTPHeaderName{"X-A", "x-b"}) {
			m.Headers = append(m.Headers, gwv1.HTTPHeaderMatch{Name: name, Value: "v"})
		}
		rule.Matches = append(rule.Matches, m)
	}
	for range w.rng.IntN(3) {
		rule.BackendRefs = append(rule.BackendRefs, gwv1.HTTPBackendRef{BackendRef: gwv1.BackendRef{
			BackendObjectReference: w.backend(), Weight: pick(w, []*int32{nil, nil, ptr(int32(0)), ptr(int32(3))}),
		}})
	}
	rule.Filters = w.filters(len(rule.BackendRefs) == 0)
	rule.Timeouts = pick(w, []*gwv1.HTTPRouteTimeouts{nil, nil, nil, {Request: ptr(gwv1.Duration("10s"))}, {Request: ptr(gwv1.Duration("soon"))}})
	return rule
}

func (w *World) filters(redirect bool) []gwv1.HTTPRouteFilter {
	set := &gwv1.HTTPHeaderFilter{Set: []gwv1.HTTPHeader{{Name: "X-Set", Value: pick(w, []string{"one", "two"})}}}
	switch w.rng.IntN(8) {
	case 0:
		return []gwv1.HTTPRouteFilter{{Type: gwv1.HTTPRouteFilterRequestHeaderModifier, RequestHeaderModifier: set}}
	case 1:
		return []gwv1.HTTPRouteFilter{{Type: gwv1.HTTPRouteFilterResponseHeaderModifier, ResponseHeaderModifier: set}}
	case 2:
		return []gwv1.HTTPRouteFilter{{Type: gwv1.HTTPRouteFilterRequestMirror, RequestMirror: &gwv1.HTTPRequestMirrorFilter{BackendRef: w.backend()}}}
	case 3:
		return []gwv1.HTTPRouteFilter{{Type: gwv1.HTTPRouteFilterExtensionRef, ExtensionRef: &gwv1.LocalObjectReference{Group: "example.com", Kind: "Filter", Name: "x"}}}
	case 4, 5:
		if redirect {
			return []gwv1.HTTPRouteFilter{{Type: gwv1.HTTPRouteFilterRequestRedirect, RequestRedirect: &gwv1.HTTPRequestRedirectFilter{Scheme: ptr("https")}}}
		}
	}
	return nil
}

func (w *World) backend() gwv1.BackendObjectReference {
	return gwv1.BackendObjectReference{
		Name: gwv1.ObjectName(pick(w, services)), Namespace: w.namespace(),
		Kind: pick(w, []*gwv1.Kind{nil, nil, nil, nil, nil, nil, ptr(gwv1.Kind("Secret"))}),
		Port: pick(w, []*int32{ptr(int32(80)), ptr(int32(80)), ptr(int32(81)), nil}),
	}
}

// namespace is the own one half of the time.
func (w *World) namespace() *gwv1.Namespace {
	if w.one(2) {
		return nil
	}
	return ptr(gwv1.Namespace(pick(w, namespaces)))
}

func (w *World) grant(m metav1.ObjectMeta) *gwv1.ReferenceGrant {
	g := &gwv1.ReferenceGrant{ObjectMeta: m}
	for range 1 + w.rng.IntN(2) {
		g.Spec.From = append(g.Spec.From, gwv1.ReferenceGrantFrom{
			Group: gwv1.GroupName, Kind: pick(w, []gwv1.Kind{"HTTPRoute", "HTTPRoute", "GRPCRoute", "TCPRoute", "UDPRoute", "TLSRoute", "Gateway", "Gateway", "ListenerSet"}), Namespace: gwv1.Namespace(pick(w, namespaces)),
		})
	}
	g.Spec.To = []gwv1.ReferenceGrantTo{
		{Kind: "Service", Name: pick(w, []*gwv1.ObjectName{nil, nil, ptr(gwv1.ObjectName("shop"))})},
		{Kind: pick(w, []gwv1.Kind{"Secret", "Secret", "ConfigMap"}), Name: pick(w, []*gwv1.ObjectName{nil, nil, ptr(gwv1.ObjectName("certificate"))})},
	}
	return g
}

func (w *World) service(m metav1.ObjectMeta) *corev1.Service {
	s := &corev1.Service{ObjectMeta: m, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{
		{Name: "web", Port: 80, AppProtocol: pick(w, []*string{nil, nil, ptr("kubernetes.io/h2c"), ptr("https")})},
	}}}
	if w.one(2) {
		s.Spec.Ports = append(s.Spec.Ports, corev1.ServicePort{Name: "dns", Port: 80, Protocol: corev1.ProtocolUDP})
	}
	if w.one(2) {
		s.Spec.Ports = append(s.Spec.Ports, corev1.ServicePort{Name: "admin", Port: 81})
	}
	if w.one(12) {
		s.Spec.Type = corev1.ServiceTypeExternalName
	}
	return s
}

func (w *World) slice(m metav1.ObjectMeta) *discoveryv1.EndpointSlice {
	m.Labels = map[string]string{discoveryv1.LabelServiceName: pick(w, services)}
	if w.one(12) {
		m.Labels = nil
	}
	e := &discoveryv1.EndpointSlice{ObjectMeta: m, AddressType: discoveryv1.AddressTypeIPv4, Ports: []discoveryv1.EndpointPort{
		{Name: ptr("web"), Port: ptr(int32(8080))},
		{Name: ptr("admin"), Port: ptr(int32(9090))},
		{Name: ptr("dns"), Port: ptr(int32(5353)), Protocol: ptr(corev1.ProtocolUDP)},
	}}
	for _, a := range some(w, 3, []string{"10.0.0.1", "10.0.0.2", "10.0.0.3"}) {
		e.Endpoints = append(e.Endpoints, discoveryv1.Endpoint{Addresses: []string{a}, Conditions: pick(w, []discoveryv1.EndpointConditions{
			{}, {Ready: ptr(true)}, {Ready: ptr(false)}, {Ready: ptr(false), Serving: ptr(true), Terminating: ptr(true)},
		})})
	}
	return e
}
