package resolve

import (
	"strings"

	"k8s.io/apimachinery/pkg/types"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/proxy/kube"
	"headgate.dev/proxy/model"
	"headgate.dev/proxy/resolve/backend"
)

func grpcRoute(s *kube.Snapshot, name types.NamespacedName, gateways gatewaysOf) *RouteResult {
	o := s.GRPCRoute(name)
	if o == nil {
		return nil
	}
	r := newResult(kube.GRPCRoute, o)
	hostnames, bad := routeHostnames(o.Spec.Hostnames)
	a := attacher{s: s, kind: kube.GRPCRoute, namespace: name.Namespace, hostnames: hostnames, gateways: gateways}
	a.attach(o.Spec.ParentRefs)
	if len(a.parents) == 0 {
		return r
	}
	b := httpRules{ruleBuilder: ruleBuilder{s: s, kind: kube.GRPCRoute, name: name}, use: backend.ForGRPC, unavailable: statusUnavailable, notFound: notFound(o)}
	b.whole = bad
	b.buildGRPC(o.Spec.Rules)
	r.finish(&a, &b.ruleBuilder)
	return r
}

// everyCall is what a rule without a match stands for (GRPCRouteRule.matches).
var everyCall = []gwv1.GRPCRouteMatch{{}}

func (b *httpRules) buildGRPC(rules []gwv1.GRPCRouteRule) {
	b.rules = len(rules)
	for i := range rules {
		matches := rules[i].Matches
		if len(matches) == 0 {
			matches = everyCall
		}
		b.rule(i, httpRuleOf(&rules[i]), len(matches), func(j int) (model.Match, *fault) { return grpcMatch(&matches[j], j) })
	}
}

// httpRuleOf gives the parts of a rule that HTTPRoutes have too.
func httpRuleOf(in *gwv1.GRPCRouteRule) *gwv1.HTTPRouteRule {
	out := &gwv1.HTTPRouteRule{
		Name: in.Name, Filters: httpFilters(in.Filters),
		SessionPersistence: in.SessionPersistence, //nolint:staticcheck // the field is deprecated, but whoever sets it must not be ignored
	}
	for i := range in.BackendRefs {
		out.BackendRefs = append(out.BackendRefs, gwv1.HTTPBackendRef{
			BackendRef: in.BackendRefs[i].BackendRef, Filters: httpFilters(in.BackendRefs[i].Filters),
		})
	}
	return out
}

func httpFilters(in []gwv1.GRPCRouteFilter) []gwv1.HTTPRouteFilter {
	var out []gwv1.HTTPRouteFilter
	for i := range in {
		f := &in[i]
		out = append(out, gwv1.HTTPRouteFilter{
			Type: gwv1.HTTPRouteFilterType(f.Type), RequestHeaderModifier: f.RequestHeaderModifier,
			ResponseHeaderModifier: f.ResponseHeaderModifier, RequestMirror: f.RequestMirror, ExtensionRef: f.ExtensionRef,
		})
	}
	return out
}

// grpcMatch reads rules[].matches[j]. A call of a method has the path "/SERVICE/METHOD".
func grpcMatch(in *gwv1.GRPCRouteMatch, j int) (model.Match, *fault) {
	m := model.Match{GRPC: true, PathKind: model.PathPrefix, Path: "/"}
	if in.Method != nil {
		if f := grpcMethod(in.Method, &m, j); f != nil {
			return m, f
		}
	}
	headers := make([]gwv1.HTTPHeaderMatch, len(in.Headers))
	for i := range in.Headers {
		h := &in.Headers[i]
		headers[i] = gwv1.HTTPHeaderMatch{Name: gwv1.HTTPHeaderName(h.Name), Value: h.Value}
		if h.Type != nil {
			t := gwv1.HeaderMatchType(*h.Type)
			headers[i].Type = &t
		}
	}
	return m, headerMatches(headers, &m, j)
}

func grpcMethod(in *gwv1.GRPCMethodMatch, m *model.Match, j int) *fault {
	service, method := deref(in.Service), deref(in.Method)
	kind := gwv1.GRPCMethodMatchExact
	if in.Type != nil {
		kind = *in.Type
	}
	switch {
	case service == "" && method == "":
		return unsupported("matches[%d].method: it has neither a service nor a method", j)
	case kind == gwv1.GRPCMethodMatchRegularExpression:
		return grpcRegex(service, method, m, j)
	case kind != gwv1.GRPCMethodMatchExact:
		return unsupported("matches[%d].method.type: %q is neither Exact nor RegularExpression", j, kind)
	case service != "" && !validGRPCName(service, "."):
		return unsupported("matches[%d].method.service: %q is not the name of a service", j, shorten(service))
	case method != "" && !validGRPCName(method, ""):
		return unsupported("matches[%d].method.method: %q is not the name of a method", j, shorten(method))
	}
	switch {
	case method == "":
		m.Path = "/" + service
	case service == "":
		m.PathKind, m.Path = model.PathRegex, "/[^/]+/"+method
	default:
		m.PathKind, m.Path = model.PathExact, "/"+service+"/"+method
	}
	return nil
}

// grpcRegex makes one expression for the path of those for its parts.
func grpcRegex(service, method string, m *model.Match, j int) *fault {
	parts := [2]string{"[^/]+", "[^/]+"}
	for i, expr := range []string{service, method} {
		if expr == "" {
			continue
		}
		if f := checkRegex(expr); f != nil {
			return unsupported("matches[%d].method.%s: %s", j, []string{"service", "method"}[i], f.message)
		}
		parts[i] = "(?:" + expr + ")"
	}
	m.PathKind, m.Path = model.PathRegex, "/"+parts[0]+"/"+parts[1]
	if f := checkRegex(m.Path); f != nil {
		return unsupported("matches[%d].method: %s", j, f.message)
	}
	return nil
}

// validGRPCName checks an exact name: letters, digits, "_", and what else is allowed; not beginning with a digit, nor with a dot at an
// end (GRPCMethodMatch).
func validGRPCName(s, also string) bool {
	if len(s) > 1024 {
		return false
	}
	for _, label := range strings.Split(s, ".") {
		if label == "" || (label[0] >= '0' && label[0] <= '9') {
			return false
		}
	}
	for i := range len(s) {
		if c := s[i]; !isAlnum(c) && c != '_' && !strings.Contains(also, string(rune(c))) {
			return false
		}
	}
	return true
}
