package expand

import (
	"headgate.dev/render/object"
	"headgate.dev/schema"
)

// maxHostnames is how many hostnames a route may have (Gateway API v1.7, HTTPRouteSpec).
const maxHostnames = 16

// Service expands a ServiceSpec: HTTPRoutes NAME, NAME-2, ... and, with allowFrom, ReferenceGrants. An object has no
// namespace where the spec has none.
func Service(s *schema.ServiceSpec, c Context) ([]*object.Object, schema.Errors) {
	if err := checkSize(s); err != nil {
		return nil, schema.Errors{err}
	}
	parents, errs := parentRefs(s, c)
	groups, more := routeRules(s)
	if errs = append(errs, more...); len(errs) > 0 {
		return nil, errs
	}
	var drafts []*draft
	for _, hosts := range chunks(s.Spec.Hosts, maxHostnames) {
		for _, rules := range groups {
			d := newDraft(s, "HTTPRoute", numbered(s.Metadata.Name, len(drafts)))
			spec := map[string]any{"parentRefs": parents}
			d.from(s, "/spec/parentRefs", "/spec/gateway")
			if len(hosts) > 0 {
				spec["hostnames"] = anyList(hosts)
				d.from(s, "/spec/hostnames", "/spec/hosts")
			}
			spec["rules"] = d.rules(s, rules)
			d.content["spec"] = spec
			drafts = append(drafts, d)
		}
	}
	return finish(s, append(drafts, grants(s)...), s.Spec.Patches)
}

// maxObjects is how many HTTPRoutes a spec may become: enough for anything written by hand, and a bound for what a small
// file can make of itself, because hosts, paths and methods multiply.
const maxObjects = 64

// checkSize refuses a spec that would become too much, before it does.
func checkSize(s *schema.ServiceSpec) *schema.Error {
	matches := 0
	for i := range s.Spec.Routes {
		r := &s.Spec.Routes[i]
		matches += max(1, len(r.Path)) * max(1, len(r.Methods))
	}
	// Groups of rules are at least half full: a rule that does not fit has at most half the matches of a group.
	routes := max(1, len(s.Spec.Routes)/maxRules, matches/maxMatches) * max(1, len(s.Spec.Hosts)/maxHostnames)
	if routes > maxObjects {
		return s.Errorf("/spec", "would become about %d HTTPRoutes (%d hosts, %d matches), at most %d are possible; split the spec", routes, len(s.Spec.Hosts), matches, maxObjects)
	}
	return nil
}

// parentRefs gives the gateways to attach to. The namespace is written only where the spec or the context says one.
func parentRefs(s *schema.ServiceSpec, c Context) ([]any, schema.Errors) {
	var base schema.GatewayRef
	if c.Gateway != "" {
		ref, problem := schema.ParseGatewayRef(c.Gateway)
		if problem != "" {
			return nil, schema.Errors{s.Errorf("/spec/gateway", "the default gateway %q is none: %s", c.Gateway, problem)}
		}
		base = ref
	}
	refs := s.Spec.Gateway
	if len(refs) == 0 {
		refs = []schema.GatewayRef{base}
	}
	out := make([]any, 0, len(refs))
	for _, ref := range refs {
		if ref.Name == "" {
			ref.Namespace, ref.Name = base.Namespace, base.Name
		}
		if ref.Name == "" {
			return nil, schema.Errors{s.Errorf("/spec/gateway", "there is no default gateway; name one, as in \"infra/public\", or add a GatewaySpec with default: true")}
		}
		out = append(out, parentRef(ref))
	}
	return out, nil
}

func parentRef(ref schema.GatewayRef) map[string]any {
	out := map[string]any{"name": ref.Name}
	if ref.Namespace != "" {
		out["namespace"] = ref.Namespace
	}
	if ref.Listener != "" {
		out["sectionName"] = ref.Listener
	}
	if ref.Port != 0 {
		out["port"] = int64(ref.Port)
	}
	return out
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
