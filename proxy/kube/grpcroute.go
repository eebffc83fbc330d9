package kube

import gwv1 "sigs.k8s.io/gateway-api/apis/v1"

func newGRPCRoute() Object { return &gwv1.GRPCRoute{} }

func compareGRPCRoute(old, now *gwv1.GRPCRoute) difference {
	return bySpecAndStatus(&old.Spec, &now.Spec, &old.Status, &now.Status)
}

func linksOfGRPCRoute(r *gwv1.GRPCRoute) []link {
	b := newRouteLinks(r.Namespace, r.Spec.ParentRefs)
	for i := range r.Spec.Rules {
		rule := &r.Spec.Rules[i]
		b.grpcFilters(rule.Filters)
		for j := range rule.BackendRefs {
			b.backend(&rule.BackendRefs[j].BackendObjectReference)
			b.grpcFilters(rule.BackendRefs[j].Filters)
		}
	}
	return b.links
}

func (b *routeLinks) grpcFilters(filters []gwv1.GRPCRouteFilter) {
	for i := range filters {
		if m := filters[i].RequestMirror; m != nil {
			b.backend(&m.BackendRef)
		}
	}
}
