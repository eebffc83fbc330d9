package expand

import (
	"strconv"

	"headgate.dev/render/object"
	"headgate.dev/schema"
)

// maxHostnames is how many hostnames a route may have (Gateway API v1.7, HTTPRouteSpec).
const maxHostnames = 16

// Service expands a ServiceSpec: HTTPRoutes and GRPCRoutes NAME, NAME-2, ..., TCPRoutes and UDPRoutes NAME-PORT, TLSRoutes
// NAME, NAME-2, ..., a BackendTLSPolicy NAME and, with allowFrom, ReferenceGrants. An object has no namespace where the
// spec has none.
func Service(s *schema.ServiceSpec, c Context) ([]*object.Object, schema.Errors) {
	if err := checkSize(s); err != nil {
		return nil, schema.Errors{err}
	}
	refs, err := gateways(s, c)
	if err != nil {
		return nil, schema.Errors{err}
	}
	var drafts []*draft
	var errs schema.Errors
	add := func(more []*draft, wrong schema.Errors) {
		drafts, errs = append(drafts, more...), append(errs, wrong...)
	}
	add(requestRoutes(s, c, refs))
	add(streamRoutes(s, refs, "TCPRoute", "tcp", s.Spec.TCP))
	add(streamRoutes(s, refs, "UDPRoute", "udp", s.Spec.UDP))
	add(tlsRoutes(s, refs))
	if len(errs) > 0 {
		return nil, errs
	}
	drafts = append(drafts, backendTLS(s)...)
	return finish(s, append(drafts, grants(s)...), s.Spec.Patches)
}

// requestRoutes gives the HTTPRoutes and GRPCRoutes of a spec. Without a route of any kind, the spec has one for HTTP that
// goes to the own service.
func requestRoutes(s *schema.ServiceSpec, c Context, refs []schema.GatewayRef) ([]*draft, schema.Errors) {
	if len(s.Spec.Routes)+len(s.Spec.GRPC) == 0 && len(s.Spec.TCP)+len(s.Spec.UDP)+len(s.Spec.TLS) > 0 {
		return nil, nil
	}
	parents, err := requestParents(s, c, refs)
	if err != nil {
		return nil, schema.Errors{err}
	}
	var drafts []*draft
	var errs schema.Errors
	if len(s.Spec.Routes) > 0 || len(s.Spec.GRPC) == 0 {
		drafts, errs = httpRoutes(s, parents)
	}
	calls, wrong := grpcRoutes(s, parents)
	return append(drafts, calls...), append(errs, wrong...)
}

// route is what all routes of one kind have in common.
type route struct {
	kind    string
	parents []any
}

// routes makes an object of each group of rules, for each 16 hosts. origins records where a rule comes from.
func routes[M matching[M]](s *schema.ServiceSpec, r route, groups [][]rule[M], origins func(d *draft, pointer string, r *rule[M])) []*draft {
	var drafts []*draft
	for _, hosts := range chunks(s.Spec.Hosts, maxHostnames) {
		for _, rules := range groups {
			d := newDraft(s, r.kind, numbered(s.Metadata.Name, len(drafts)))
			spec := map[string]any{"parentRefs": r.parents}
			d.from(s, "/spec/parentRefs", "/spec/gateway")
			if len(hosts) > 0 {
				spec["hostnames"] = anyList(hosts)
				d.from(s, "/spec/hostnames", "/spec/hosts")
			}
			out := make([]any, len(rules))
			for i := range rules {
				out[i] = rules[i].object()
				origins(d, "/spec/rules/"+strconv.Itoa(i), &rules[i])
			}
			spec["rules"] = out
			d.content["spec"] = spec
			drafts = append(drafts, d)
		}
	}
	return drafts
}

// maxObjects is how many routes of one kind a spec may become: enough for anything written by hand, and a bound for what a small
// file can make of itself, because hosts, paths and methods multiply.
const maxObjects = 64

// checkSize refuses a spec that would become too much, before it does.
func checkSize(s *schema.ServiceSpec) *schema.Error {
	matches, calls := 0, 0
	for i := range s.Spec.Routes {
		r := &s.Spec.Routes[i]
		matches += max(1, len(r.Path)) * max(1, len(r.Methods))
	}
	for i := range s.Spec.GRPC {
		calls += max(1, len(s.Spec.GRPC[i].Method))
	}
	// Groups of rules are at least half full: a rule that does not fit has at most half the matches of a group.
	for _, kind := range []struct {
		name           string
		rules, matches int
	}{{"HTTPRoutes", len(s.Spec.Routes), matches}, {"GRPCRoutes", len(s.Spec.GRPC), calls}} {
		routes := max(1, kind.rules/maxRules, kind.matches/maxMatches) * max(1, len(s.Spec.Hosts)/maxHostnames)
		if routes > maxObjects {
			return s.Errorf("/spec", "would become about %d %s (%d hosts, %d matches), at most %d are possible; split the spec", routes, kind.name, len(s.Spec.Hosts), kind.matches, maxObjects)
		}
	}
	if streams := max(len(s.Spec.TCP), len(s.Spec.UDP), len(s.Spec.TLS)); streams > maxObjects {
		return s.Errorf("/spec", "would become %d routes of one kind, at most %d are possible; split the spec", streams, maxObjects)
	}
	return nil
}

// grantKinds are the kinds of routes a grant lets in: who may reach a service does not depend on how.
var grantKinds = []string{"HTTPRoute", "GRPCRoute", "TCPRoute", "TLSRoute", "UDPRoute"}

// maxGrantFrom is how many entries spec.from of a ReferenceGrant may have.
const maxGrantFrom = 16

// grants gives the ReferenceGrants of allowFrom.
func grants(s *schema.ServiceSpec) []*draft {
	if len(s.Spec.AllowFrom) == 0 {
		return nil
	}
	var drafts []*draft
	for _, namespaces := range chunks(s.Spec.AllowFrom, maxGrantFrom/len(grantKinds)) {
		d := newDraft(s, "ReferenceGrant", numbered(s.Metadata.Name, len(drafts)))
		var from []any
		for _, namespace := range namespaces {
			for _, kind := range grantKinds {
				from = append(from, map[string]any{"group": gatewayGroup, "kind": kind, "namespace": string(namespace)})
			}
		}
		d.content["spec"] = map[string]any{
			"from": from,
			"to":   []any{map[string]any{"group": "", "kind": "Service", "name": string(ownService(s))}},
		}
		d.from(s, "/spec", "/spec/allowFrom")
		drafts = append(drafts, d)
	}
	return drafts
}

func ownService(s *schema.ServiceSpec) schema.Label {
	if s.Spec.Service != "" {
		return s.Spec.Service
	}
	return schema.Label(s.Metadata.Name)
}
