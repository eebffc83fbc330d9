package resolve

import (
	"cmp"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/proxy/kube"
	"headgate.dev/proxy/model"
	"headgate.dev/proxy/resolve/backend"
)

// What requests get that are matched and cannot be forwarded.
const (
	statusInternalServerError = 500
	statusUnavailable         = 503
	statusNotFound            = 404
)

// noBackendAnnotation on a route says what requests get whose rule names no backend at all. Gateway API has no answer of one's own, and 500 says that
// something is broken where something is gone; 404 is the one value that is known.
const noBackendAnnotation = "headgate.dev/no-backend"

// notFound tells whether rules without a backend are answered 404.
func notFound(o metav1.Object) bool { return o.GetAnnotations()[noBackendAnnotation] == "404" }

// ruleBuilder collects the templates of a route of any kind, the clusters they name, and what is wrong.
type ruleBuilder struct {
	verdict
	s        *kube.Snapshot
	kind     kube.Kind
	name     types.NamespacedName
	routes   []model.Route
	clusters []model.ClusterID
}

// CompareClusters orders by Service, port and protocol. Routes name no mixes.
func CompareClusters(a, b model.ClusterID) int {
	return cmp.Or(
		cmp.Compare(a.Service.Namespace, b.Service.Namespace), cmp.Compare(a.Service.Name, b.Service.Name),
		cmp.Compare(a.Port, b.Port), cmp.Compare(a.Protocol, b.Protocol))
}

// httpRules builds the templates of an HTTPRoute, and those of a GRPCRoute, whose rules are read as those of an HTTPRoute
// apart from their matches.
type httpRules struct {
	ruleBuilder
	use backend.Use
	// unavailable is what requests get that a rule matches and no backend may have (HTTPRouteRule.backendRefs: 500;
	// GRPCRouteRule.backendRefs: UNAVAILABLE, which is 503).
	unavailable int
	// notFound: a rule that names no backend is answered 404.
	notFound bool
}

// matchReader reads match j of a rule.
type matchReader func(j int) (model.Match, *fault)

// everything is what a rule without a match, and a match without a path, stand for (Gateway API, HTTPRouteRule.matches).
var everything = []gwv1.HTTPRouteMatch{{}}

func (b *httpRules) build(rules []gwv1.HTTPRouteRule) {
	b.rules = len(rules)
	n := 0
	for i := range rules {
		n += max(len(rules[i].Matches), 1)
	}
	b.routes = make([]model.Route, 0, n)
	for i := range rules {
		matches := rules[i].Matches
		if len(matches) == 0 {
			matches = everything
		}
		b.rule(i, &rules[i], len(matches), func(j int) (model.Match, *fault) { return httpMatch(&matches[j], j) })
	}
}

// rule makes a template of each of its matches, of which read gives the one of an index. One fault drops the whole rule, and
// whatever can be matched of it is answered 500.
func (b *httpRules) rule(i int, rule *gwv1.HTTPRouteRule, matches int, read matchReader) {
	name := ""
	if rule.Name != nil {
		name = string(*rule.Name)
	}
	first, marked := len(b.routes), len(b.clusters)
	var bad *fault
	prefixes := true
	for j := range matches {
		m, f := read(j)
		if f != nil {
			bad = cmp.Or(bad, f)
			continue
		}
		prefixes = prefixes && m.PathKind == model.PathPrefix
		b.routes = append(b.routes, model.Route{
			Source: model.Source{Kind: b.kind.String(), Name: model.Name(b.name), Rule: i, RuleName: name, Match: j},
			Match:  m,
		})
	}
	act, f := b.action(i, rule, prefixes)
	if bad = cmp.Or(bad, f); bad != nil {
		b.add(i, name, bad)
		act = model.Route{Status: statusInternalServerError}
	}
	if act.Status != 0 {
		b.clusters = b.clusters[:marked]
	}
	for j := first; j < len(b.routes); j++ {
		act.Source, act.Match = b.routes[j].Source, b.routes[j].Match
		b.routes[j] = act
	}
}

// unforwarded is what requests get where there is no backend at all, none that is valid, or none with a weight (HTTPRouteRule.backendRefs).
func (b *httpRules) unforwarded(rule *gwv1.HTTPRouteRule) int {
	if b.notFound && len(rule.BackendRefs) == 0 {
		return statusNotFound
	}
	return b.unavailable
}

// action is a rule's template without source and match. prefixes tells whether every match compares a prefix.
func (b *httpRules) action(i int, rule *gwv1.HTTPRouteRule, prefixes bool) (model.Route, *fault) {
	var out model.Route
	if rule.SessionPersistence != nil { //nolint:staticcheck // the field is deprecated, but whoever sets it must not be ignored
		return out, unsupported("sessionPersistence: not supported")
	}
	where := place{rule: i, backend: -1}
	fs, f := b.filters(rule.Filters, where)
	if f != nil {
		return out, f
	}
	forward, f := b.forward(i, rule)
	if f != nil {
		return out, f
	}
	if fs.redirect != nil && len(rule.BackendRefs) > 0 {
		return out, incompatible("filters: RequestRedirect cannot stand beside backendRefs; remove one")
	}
	if !prefixes && (editsPrefix(fs.redirectPath()) || editsPrefix(fs.rewritePath()) || backendEditsPrefix(forward)) {
		return out, unsupported("filters: ReplacePrefixMatch needs matches of type PathPrefix only")
	}
	switch {
	case fs.redirect != nil:
		out.Redirect = fs.redirect
	case forward == nil:
		return model.Route{Status: b.unforwarded(rule)}, nil
	default:
		forward.Rewrite, forward.Mirrors = fs.rewrite, append(fs.mirrors, forward.Mirrors...)
		hoist(forward)
		out.Forward = forward
	}
	out.RequestHeaders, out.ResponseHeaders, out.CORS = fs.request, fs.response, fs.cors
	return out, nil
}

// hoist moves the rewrite of the only backend to the rule: for one backend it is the same, and a proxy can do more there.
// What the backend says replaces what the rule says, as it would in this order.
func hoist(f *model.Forward) {
	if len(f.Backends) != 1 || f.Backends[0].Rewrite == nil {
		return
	}
	own := f.Backends[0].Rewrite
	f.Backends[0].Rewrite = nil
	if f.Rewrite != nil {
		own = &model.Rewrite{Host: cmp.Or(own.Host, f.Rewrite.Host), Path: cmp.Or(own.Path, f.Rewrite.Path)}
	}
	f.Rewrite = own
}

func editsPrefix(p *model.PathEdit) bool { return p != nil && p.Prefix }

func backendEditsPrefix(f *model.Forward) bool {
	if f == nil {
		return false
	}
	for i := range f.Backends {
		if r := f.Backends[i].Rewrite; r != nil && editsPrefix(r.Path) {
			return true
		}
	}
	return false
}

// forward reads backends, timeouts and retries. It is nil when no backend is valid and has a weight.
func (b *httpRules) forward(i int, rule *gwv1.HTTPRouteRule) (*model.Forward, *fault) {
	out := &model.Forward{}
	var f *fault
	if out.Timeout, out.BackendTimeout, f = timeouts(rule.Timeouts); f != nil {
		return nil, f
	}
	if out.Retry, f = retry(rule.Retry); f != nil {
		return nil, f
	}
	served := false
	if len(rule.BackendRefs) > 0 {
		out.Backends = make([]model.Backend, len(rule.BackendRefs))
	}
	for j := range rule.BackendRefs {
		be, f := b.backendShare(&rule.BackendRefs[j], place{rule: i, backend: j}, out, len(rule.BackendRefs) == 1)
		if f != nil {
			return nil, f
		}
		out.Backends[j] = be
		served = served || (be.Weight > 0 && be.Cluster != model.ClusterID{})
	}
	if !served {
		return nil, nil
	}
	return out, nil
}

// backendShare reads one backendRef with its filters. A mirror of the only backend belongs to the rule; that of one among
// several cannot be had.
func (b *httpRules) backendShare(ref *gwv1.HTTPBackendRef, at place, rule *model.Forward, only bool) (model.Backend, *fault) {
	var be model.Backend
	var f *fault
	if be.Weight, f = weight(ref.Weight, at.backend); f != nil {
		return be, f
	}
	fs, f := b.filters(ref.Filters, at)
	switch {
	case f != nil:
		return be, f
	case fs.redirect != nil || fs.cors != nil:
		return be, unsupported("backendRefs[%d].filters: RequestRedirect and CORS are supported in a rule's filters only", at.backend)
	case len(fs.mirrors) > 0 && !only:
		return be, unsupported("backendRefs[%d].filters: RequestMirror is supported in a rule's filters, and where there is one backend", at.backend)
	}
	rule.Mirrors = fs.mirrors
	be.RequestHeaders, be.ResponseHeaders, be.Rewrite = fs.request, fs.response, fs.rewrite
	be.Cluster = b.backend(&ref.BackendObjectReference, b.use, func() string { return at.field("") })
	return be, nil
}

// timeouts reads rules[].timeouts (GEP-1742). A zero duration means no bound.
func timeouts(t *gwv1.HTTPRouteTimeouts) (request, backend *time.Duration, f *fault) {
	if t == nil {
		return nil, nil, nil
	}
	if request, f = duration(t.Request, "timeouts.request"); f != nil {
		return nil, nil, f
	}
	if backend, f = duration(t.BackendRequest, "timeouts.backendRequest"); f != nil {
		return nil, nil, f
	}
	if request != nil && backend != nil && *request != 0 && *backend > *request {
		return nil, nil, unsupported("timeouts.backendRequest: %s is longer than timeouts.request, %s", *backend, *request)
	}
	return request, backend, nil
}

// defaultAttempts is how often is retried where rules[].retry does not say (GEP-1731 leaves it open).
const defaultAttempts = 2

// retry reads rules[].retry (GEP-1731). Zero attempts switch retries off.
func retry(r *gwv1.HTTPRouteRetry) (*model.Retry, *fault) {
	if r == nil || (r.Attempts != nil && *r.Attempts == 0) {
		return nil, nil
	}
	out := &model.Retry{Attempts: defaultAttempts}
	if r.Attempts != nil {
		if *r.Attempts < 0 || *r.Attempts > 1000 {
			return nil, unsupported("retry.attempts: %d is not between 0 and 1000", *r.Attempts)
		}
		out.Attempts = uint32(*r.Attempts)
	}
	for _, c := range r.Codes {
		if c < 400 || c > 599 {
			return nil, unsupported("retry.codes: %d is not between 400 and 599", c)
		}
		out.Codes = insertSorted(out.Codes, int(c))
	}
	backoff, f := duration(r.Backoff, "retry.backoff")
	if f != nil {
		return nil, f
	}
	if backoff != nil {
		out.Backoff = *backoff
	}
	return out, nil
}
