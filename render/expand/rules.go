package expand

import (
	"strconv"

	"headgate.dev/schema"
)

// Limits of Gateway API v1.7 on an HTTPRoute.
const (
	maxRules        = 16
	maxMatches      = 128 // over all rules
	maxRuleMatches  = 64
	specRoutes      = "/spec/routes"
	defaultRuleFrom = "/spec"
)

// matching is what a rule's matches have to say about themselves.
type matching[M any] interface {
	content() map[string]any
	// rank is the same for matches of the same precedence, as far as that is about the match itself.
	rank() string
	// overlaps tells whether a request could fit both, given the same rank. In doubt it could.
	overlaps(M) bool
}

// rule is one rule to be. The content is shared by the rules made from one route.
type rule[M matching[M]] struct {
	name    string
	content map[string]any // what comes after the matches
	matches []M
	at      string // pointer of the route in the spec
}

// match is one way a request can fit a rule.
type match struct {
	path   schema.PathMatch
	method schema.Method
	route  *schema.Route // has headers and query
}

// httpRoutes gives the HTTPRoutes of a spec: one route to the own service where it has none.
func httpRoutes(s *schema.ServiceSpec, parents []any) ([]*draft, schema.Errors) {
	all := s.Spec.Routes
	implied := len(all) == 0
	if implied {
		all = []schema.Route{{}}
	}
	rules := make([]rule[match], 0, len(all))
	names := map[string]bool{}
	for i := range all {
		names[string(all[i].Name)] = true
	}
	var errs schema.Errors
	for i := range all {
		at := defaultRuleFrom
		if !implied {
			at = specRoutes + "/" + strconv.Itoa(i)
		}
		content, wrong := ruleContent(s, &all[i], at)
		errs = append(errs, wrong...)
		rules = appendRules(rules, rule[match]{name: string(all[i].Name), content: content, matches: matchesOf(&all[i]), at: at}, perRule(&all[i]), names)
	}
	if len(errs) > 0 {
		return nil, errs
	}
	groups := pack(rules)
	if errs := checkOrder(s, "HTTPRoute", groups); len(errs) > 0 {
		return nil, errs
	}
	origins := func(d *draft, pointer string, r *rule[match]) { d.ruleOrigins(s, pointer, r) }
	return routes(s, route{"HTTPRoute", parents}, groups, origins), nil
}

// perRule is how many matches a rule of this route may have: one where a prefix is replaced, because Gateway API knows
// only then which prefix matched.
func perRule(r *schema.Route) int {
	replaces := r.Redirect != nil && r.Redirect.Prefix != nil || r.Rewrite != nil && r.Rewrite.Prefix != nil
	for _, b := range r.To {
		replaces = replaces || b.Rewrite != nil && b.Rewrite.Prefix != nil
	}
	if replaces {
		return 1
	}
	return maxRuleMatches
}

// appendRules cuts a rule into rules of at most size matches, each with a name of its own if it has one. Their order
// keeps who wins between equals.
func appendRules[M matching[M]](rules []rule[M], r rule[M], size int, names map[string]bool) []rule[M] {
	n := 0
	for _, part := range chunks(r.matches, size) {
		next := r
		next.matches = part
		if r.name != "" && n > 0 {
			for next.name = numbered(r.name, n); names[next.name]; next.name = numbered(r.name, n) {
				n++
			}
			names[next.name] = true
		}
		n++
		rules = append(rules, next)
	}
	return rules
}

// matchesOf gives every combination of path and method.
func matchesOf(r *schema.Route) []match {
	paths := r.Path
	if len(paths) == 0 {
		paths = []schema.PathMatch{{Kind: schema.Prefix, Value: "/"}}
	}
	methods := r.Methods
	if len(methods) == 0 {
		methods = []schema.Method{""}
	}
	out := make([]match, 0, len(paths)*len(methods))
	for _, path := range paths {
		for _, method := range methods {
			out = append(out, match{path: path, method: method, route: r})
		}
	}
	return out
}

// pack fills one object after the other, in order.
func pack[M matching[M]](rules []rule[M]) [][]rule[M] {
	var groups [][]rule[M]
	start, matches := 0, 0
	for i, r := range rules {
		if i-start == maxRules || matches+len(r.matches) > maxMatches {
			groups = append(groups, rules[start:i])
			start, matches = i, 0
		}
		matches += len(r.matches)
	}
	return append(groups, rules[start:])
}

// object gives the rule as content.
func (r *rule[M]) object() map[string]any {
	content := make(map[string]any, len(r.content)+2)
	for k, v := range r.content {
		content[k] = v
	}
	if r.name != "" {
		content["name"] = r.name
	}
	matches := make([]any, 0, len(r.matches))
	for _, m := range r.matches {
		if c := m.content(); len(c) > 0 {
			matches = append(matches, c)
		}
	}
	if len(matches) > 0 {
		content["matches"] = matches
	}
	return content
}

// ruleOrigins records where the parts of a rule come from, as finely as the route was written.
func (d *draft) ruleOrigins(s *schema.ServiceSpec, pointer string, r *rule[match]) {
	d.from(s, pointer, r.at)
	if r.at == defaultRuleFrom {
		d.from(s, pointer+"/backendRefs", "/spec/port")
		return
	}
	route := r.matches[0].route
	record := func(given bool, part, field string) {
		if given {
			d.from(s, pointer+part, r.at+field)
		}
	}
	record(len(route.Path) > 0, "/matches", "/path")
	record(len(route.To) > 0, "/backendRefs", "/to")
	record(route.Timeout.Given(), "/timeouts/request", "/timeout")
	record(route.BackendTimeout.Given(), "/timeouts/backendRequest", "/backendTimeout")
	record(route.Retry != nil, "/retry", "/retry")
}

func (m match) content() map[string]any {
	out := map[string]any{"path": map[string]any{"type": pathTypes[m.path.Kind], "value": m.path.Value}}
	if m.method != "" {
		out["method"] = string(m.method)
	}
	if len(m.route.Headers) > 0 {
		out["headers"] = valueMatches(m.route.Headers)
	}
	if len(m.route.Query) > 0 {
		out["queryParams"] = valueMatches(m.route.Query)
	}
	return out
}

var pathTypes = map[schema.MatchKind]string{schema.Exact: "Exact", schema.Prefix: "PathPrefix", schema.Regex: "RegularExpression"}

func valueMatches(matches []schema.ValueMatch) []any {
	out := make([]any, len(matches))
	for i, m := range matches {
		content := map[string]any{"name": m.Name, "value": m.Value}
		if m.Kind == schema.Regex {
			content["type"] = pathTypes[schema.Regex]
		}
		out[i] = content
	}
	return out
}
