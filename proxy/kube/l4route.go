package kube

import gwv1 "sigs.k8s.io/gateway-api/apis/v1"

func newTCPRoute() Object { return &gwv1.TCPRoute{} }
func newUDPRoute() Object { return &gwv1.UDPRoute{} }
func newTLSRoute() Object { return &gwv1.TLSRoute{} }

func compareTCPRoute(old, now *gwv1.TCPRoute) difference {
	return bySpecAndStatus(&old.Spec, &now.Spec, &old.Status, &now.Status)
}

func compareUDPRoute(old, now *gwv1.UDPRoute) difference {
	return bySpecAndStatus(&old.Spec, &now.Spec, &old.Status, &now.Status)
}

func compareTLSRoute(old, now *gwv1.TLSRoute) difference {
	return bySpecAndStatus(&old.Spec, &now.Spec, &old.Status, &now.Status)
}

func linksOfTCPRoute(r *gwv1.TCPRoute) []link {
	b := newRouteLinks(r.Namespace, r.Spec.ParentRefs)
	for i := range r.Spec.Rules {
		b.backends(r.Spec.Rules[i].BackendRefs)
	}
	return b.links
}

func linksOfUDPRoute(r *gwv1.UDPRoute) []link {
	b := newRouteLinks(r.Namespace, r.Spec.ParentRefs)
	for i := range r.Spec.Rules {
		b.backends(r.Spec.Rules[i].BackendRefs)
	}
	return b.links
}

func linksOfTLSRoute(r *gwv1.TLSRoute) []link {
	b := newRouteLinks(r.Namespace, r.Spec.ParentRefs)
	for i := range r.Spec.Rules {
		b.backends(r.Spec.Rules[i].BackendRefs)
	}
	return b.links
}

func (b *routeLinks) backends(refs []gwv1.BackendRef) {
	for i := range refs {
		b.backend(&refs[i].BackendObjectReference)
	}
}
