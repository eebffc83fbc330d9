package resolve

import (
	"k8s.io/apimachinery/pkg/types"

	"headgate.dev/proxy/kube"
	"headgate.dev/proxy/resolve/backend"
)

func httpRoute(s *kube.Snapshot, name types.NamespacedName, gateways gatewaysOf) *RouteResult {
	o := s.HTTPRoute(name)
	if o == nil {
		return nil
	}
	r := newResult(kube.HTTPRoute, o)
	hostnames, bad := routeHostnames(o.Spec.Hostnames)
	a := attacher{s: s, kind: kube.HTTPRoute, namespace: name.Namespace, hostnames: hostnames, gateways: gateways}
	a.attach(o.Spec.ParentRefs)
	if len(a.parents) == 0 {
		return r
	}
	b := httpRules{ruleBuilder: ruleBuilder{s: s, kind: kube.HTTPRoute, name: name}, use: backend.ForHTTP, unavailable: statusInternalServerError, notFound: notFound(o)}
	b.whole = bad
	b.build(o.Spec.Rules)
	r.finish(&a, &b.ruleBuilder)
	return r
}
