package resolve

import (
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/proxy/kube"
	"headgate.dev/proxy/model"
	"headgate.dev/proxy/resolve/gateway"
	"headgate.dev/proxy/resolve/hostname"
)

// gatewaysOf gives our Gateways by name, and nil for all others.
type gatewaysOf = func(types.NamespacedName) *gateway.Result

// Route applies the rules of a route of any kind. gateways gives our Gateways, and nil for all others. A route that does not
// exist, and a kind that is no route, give nil; one that names no Gateway of ours has no Parents, and then nothing else.
//
// The result depends on the route, the Gateways and ListenerSets it names, the labels of its namespace, the Services it names,
// which BackendTLSPolicies name these, and the ReferenceGrants of their namespaces; never on endpoints and on other routes.
func Route(s *kube.Snapshot, ref kube.Ref, gateways func(types.NamespacedName) *gateway.Result) *RouteResult {
	switch ref.Kind {
	case kube.HTTPRoute:
		return httpRoute(s, ref.Name, gateways)
	case kube.GRPCRoute:
		return grpcRoute(s, ref.Name, gateways)
	case kube.TCPRoute, kube.UDPRoute, kube.TLSRoute:
		return l4Route(s, ref, gateways)
	default:
		return nil
	}
}

func newResult(k kube.Kind, o kube.Object) *RouteResult {
	return &RouteResult{
		Kind: k, Name: types.NamespacedName{Namespace: o.GetNamespace(), Name: o.GetName()},
		Generation: o.GetGeneration(), Created: o.GetCreationTimestamp().Time,
	}
}

// routeHostnames brings hostnames to lower case and checks them.
func routeHostnames(in []gwv1.Hostname) ([]string, *fault) {
	out := make([]string, len(in))
	for i, h := range in {
		out[i] = strings.ToLower(string(h))
		if !hostname.Valid(out[i]) {
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
	// A route of HTTP whose every rule is dropped answers 500 for what it matches; one below HTTP must not keep others from a
	// socket.
	if b.whole != nil || (b.l4 && b.lost()) || len(a.attachments)+len(a.l4) == 0 {
		return
	}
	r.Attachments, r.L4 = a.attachments, a.l4
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
