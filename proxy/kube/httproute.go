package kube

import gwv1 "sigs.k8s.io/gateway-api/apis/v1"

func newHTTPRoute() Object { return &gwv1.HTTPRoute{} }

func compareHTTPRoute(old, now *gwv1.HTTPRoute) difference {
	return bySpecAndStatus(&old.Spec, &now.Spec, &old.Status, &now.Status)
}

func linksOfHTTPRoute(r *gwv1.HTTPRoute) []link {
	b := newRouteLinks(r.Namespace, r.Spec.ParentRefs)
	for i := range r.Spec.Rules {
		rule := &r.Spec.Rules[i]
		b.filters(rule.Filters)
		for j := range rule.BackendRefs {
			b.backend(&rule.BackendRefs[j].BackendObjectReference)
			b.filters(rule.BackendRefs[j].Filters)
		}
	}
	return b.links
}
