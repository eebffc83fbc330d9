package resolve

import (
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/proxy/kube"
	"headgate.dev/proxy/model"
)

// HTTPRoute applies the rules of an HTTPRoute. gateways gives our Gateways, and nil for all others. A route that does not
// exist gives nil; one that names no Gateway of ours has no Parents, and then nothing else.
//
// The result depends on the route, the Gateways it names, the labels of its namespace, the Services it names and the
// ReferenceGrants of their namespaces, never on endpoints.
func HTTPRoute(s *kube.Snapshot, name types.NamespacedName, gateways func(types.NamespacedName) *GatewayResult) *RouteResult {
	o := s.HTTPRoute(name)
	if o == nil {
		return nil
	}
	r := &RouteResult{Kind: kube.HTTPRoute, Name: name, Generation: o.Generation, Created: o.CreationTimestamp.Time}
	hostnames, bad := routeHostnames(o.Spec.Hostnames)
	a := attacher{s: s, kind: kube.HTTPRoute, namespace: name.Namespace, hostnames: hostnames, gateways: gateways}
	a.attach(o.Spec.ParentRefs)
	if len(a.parents) == 0 {
		return r
	}
	b := httpRules{ruleBuilder: ruleBuilder{s: s, kind: kube.HTTPRoute, name: name}}
	b.whole = bad
	b.build(o.Spec.Rules)
	r.finish(&a, &b.ruleBuilder)
	return r
}

// routeHostnames brings hostnames to lower case and checks them.
func routeHostnames(in []gwv1.Hostname) ([]string, *fault) {
	out := make([]string, len(in))
	for i, h := range in {
		out[i] = strings.ToLower(string(h))
		if !validHostname(out[i]) {
			return out, unsupported("hostnames[%d]: %q is not a DNS name, nor one that begins with \"*.\"", i, h)
		}
	}
	return out, nil
}

// finish puts parents, attachments and templates of a route of any kind together.
func (r *RouteResult) finish(a *attacher, b *ruleBuilder) {
	r.Parents, r.verdict = a.parents, b.verdict
	for i := range r.Parents {
		p := &r.Parents[i]
		p.attached, p.Conditions = p.Conditions, b.conditions(p.Conditions)
		if p.Conditions[0].Status != metav1.ConditionTrue {
			p.Listeners = nil
		}
	}
	if b.whole != nil || len(a.attachments) == 0 {
		return
	}
	r.Attachments = a.attachments
	r.Rules = b.routes
	if len(r.Rules) > 1 {
		slices.SortStableFunc(r.Rules, func(x, y model.Route) int { return comparePrecedence(&x.Match, &y.Match) })
	}
	r.Clusters = b.clusters
	if len(r.Clusters) > 1 {
		slices.SortFunc(r.Clusters, CompareClusters)
		r.Clusters = slices.Compact(r.Clusters)
	}
}
