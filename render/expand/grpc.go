package expand

import (
	"strconv"
	"strings"

	"headgate.dev/schema"
)

// grpcMatch is one way a call can fit a rule.
type grpcMatch struct {
	method schema.GRPCMethod
	rule   *schema.GRPC // has headers
}

// grpcRoutes gives the GRPCRoutes of a spec.
func grpcRoutes(s *schema.ServiceSpec, parents []any) ([]*draft, schema.Errors) {
	if len(s.Spec.GRPC) == 0 {
		return nil, nil
	}
	rules := make([]rule[grpcMatch], 0, len(s.Spec.GRPC))
	names := map[string]bool{}
	for i := range s.Spec.GRPC {
		names[string(s.Spec.GRPC[i].Name)] = true
	}
	var errs schema.Errors
	for i := range s.Spec.GRPC {
		g := &s.Spec.GRPC[i]
		at := "/spec/grpc/" + strconv.Itoa(i)
		content, wrong := grpcContent(s, g, at)
		errs = append(errs, wrong...)
		rules = appendRules(rules, rule[grpcMatch]{name: string(g.Name), content: content, matches: grpcMatches(g), at: at}, maxRuleMatches, names)
	}
	if len(errs) > 0 {
		return nil, errs
	}
	groups := pack(rules)
	if errs := checkOrder(s, "GRPCRoute", groups); len(errs) > 0 {
		return nil, errs
	}
	origins := func(d *draft, pointer string, r *rule[grpcMatch]) { grpcOrigins(s, d, pointer, r) }
	return routes(s, route{"GRPCRoute", parents}, groups, origins), nil
}

func grpcContent(s *schema.ServiceSpec, g *schema.GRPC, at string) (map[string]any, schema.Errors) {
	out := map[string]any{}
	backends := make([]schema.Backend, len(g.To))
	for i, b := range g.To {
		backends[i] = schema.Backend(b)
	}
	refs, errs := backendRefs(s, backends, at)
	out["backendRefs"] = refs
	filters := appendHeaderFilters(nil, g.RequestHeaders, g.ResponseHeaders)
	filters, wrong := appendMirrors(filters, s, g.Mirror, at)
	if len(filters) > 0 {
		out["filters"] = filters
	}
	return out, append(errs, wrong...)
}

func grpcMatches(g *schema.GRPC) []grpcMatch {
	methods := g.Method
	if len(methods) == 0 {
		methods = []schema.GRPCMethod{{}}
	}
	out := make([]grpcMatch, len(methods))
	for i, method := range methods {
		out[i] = grpcMatch{method: method, rule: g}
	}
	return out
}

func grpcOrigins(s *schema.ServiceSpec, d *draft, pointer string, r *rule[grpcMatch]) {
	d.from(s, pointer, r.at)
	g := r.matches[0].rule
	if len(g.Method) > 0 {
		d.from(s, pointer+"/matches", r.at+"/method")
	}
	if len(g.To) > 0 {
		d.from(s, pointer+"/backendRefs", r.at+"/to")
	}
}

func (m grpcMatch) content() map[string]any {
	out := map[string]any{}
	method := map[string]any{}
	if m.method.Service != "" {
		method["service"] = m.method.Service
	}
	if m.method.Method != "" {
		method["method"] = m.method.Method
	}
	if len(method) > 0 {
		if m.method.Regex {
			method["type"] = "RegularExpression"
		}
		out["method"] = method
	}
	if len(m.rule.Headers) > 0 {
		out["headers"] = valueMatches(m.rule.Headers)
	}
	return out
}

// rank tells matches apart by what Gateway API decides precedence by. Regular expressions all get one rank.
func (m grpcMatch) rank() string {
	var b strings.Builder
	if m.method.Regex {
		b.WriteByte('R')
	} else {
		b.WriteString(m.method.Service)
		b.WriteByte('/')
		b.WriteString(m.method.Method)
	}
	b.WriteByte(' ')
	b.WriteString(strconv.Itoa(len(m.rule.Headers)))
	return b.String()
}

func (m grpcMatch) overlaps(o grpcMatch) bool {
	return !contradict(m.rule.Headers, o.rule.Headers, strings.EqualFold)
}
