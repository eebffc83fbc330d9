package preview

import (
	"cmp"
	"maps"
	"slices"

	"headgate.dev/render/object"
)

// headerRoutes makes the routes at production's hosts that answer requests with the preview's header.
//
// In Gateway API a longer path goes before any number of headers. So all routes of a host are repeated with the header, and each match that production has and
// the outcome has not gets a rule too: what would answer it, else 404.
func (p *planner) headerRoutes() {
	if p.rules.Mode == ByHost {
		return
	}
	if p.rules.Fork != nil {
		for _, s := range p.sites {
			p.refuse(RuleHeader, s.place, "", "a fork answers at hosts of its own alone")
		}
		return
	}
	before, after := map[object.ID]*object.Object{}, map[object.ID]*object.Object{}
	for _, s := range p.sites {
		for _, o := range s.before {
			before[o.ID] = o
		}
		for _, o := range s.after {
			after[o.ID] = o
		}
	}
	for _, id := range sortedIDs(after) {
		p.headerRoute(after[id])
	}
	for _, id := range sortedIDs(before) {
		p.lost(before[id], after)
	}
}

// headerRoute repeats a route with the header.
func (p *planner) headerRoute(o *object.Object) {
	if o.ID.Kind == "TLSRoute" {
		if p.rules.Mode == ByHeader && p.changed[o.ID] {
			p.refuse(RuleHeader, o, "", "a TLS connection that is passed through shows no header; it stays as it is in production")
		}
		return
	}
	spec := p.spec(o, nil)
	for i, rule := range listAt(spec, "rules") {
		m, ok := rule.(map[string]any)
		if !ok {
			continue
		}
		matches := listAt(m, "matches")
		if len(matches) == 0 {
			matches = []any{map[string]any{}}
		}
		for j, match := range matches {
			headers := listAt(match, "headers")
			if len(headers) == 16 {
				p.refuse(RuleHeader, o, pointer("spec", "rules", i, "matches", j), "a match has 16 headers at most, and the preview's is one of them")
				return
			}
			withHeader, _ := object.Clone(match).(map[string]any)
			withHeader["headers"] = append(slices.Clip(headers), p.headerMatch())
			matches[j] = withHeader
		}
		m["matches"] = matches
	}
	p.add(o, p.route(o, ".header", spec))
}

func (p *planner) headerMatch() map[string]any {
	return map[string]any{"type": "Exact", "name": Header, "value": p.rules.Name}
}

// lost makes the rules for what a route of production matches and the outcome does not.
func (p *planner) lost(old *object.Object, after map[object.ID]*object.Object) {
	if old.ID.Kind == "TLSRoute" {
		return
	}
	answers := answersOf(old, after)
	rules := map[string][]any{} // by the namespace whose Services they name
	for _, m := range matchesOf(old) {
		if slices.ContainsFunc(answers, func(a answer) bool { return a.match.equal(m) }) {
			continue
		}
		p.answer(old.ID.Namespace, m, answers, rules)
	}
	for _, namespace := range slices.Sorted(maps.Keys(rules)) {
		part := 0
		for chunk := range slices.Chunk(rules[namespace], maxRules) {
			part++
			spec := map[string]any{"rules": chunk, "parentRefs": p.parentsFrom(old, namespace)}
			if hosts := hostnames(old); len(hosts) > 0 {
				spec["hostnames"] = texts(hosts)
			}
			content := p.route(old, ".header-lost"+part2(part), spec)
			metadata := mapAt(content, "metadata")
			metadata["namespace"], metadata["annotations"] = namespace, map[string]any{AnnotationNoBackend: "404"}
			p.add(old, content)
		}
	}
}

// parentsFrom gives the parents of a route as they are named from a namespace.
func (p *planner) parentsFrom(o *object.Object, namespace string) []any {
	parents, _ := object.Clone(listAt(o.Content, "spec", "parentRefs")).([]any)
	for _, parent := range parents {
		if m, ok := parent.(map[string]any); ok && textAt(m, "namespace") == "" && namespace != o.ID.Namespace {
			m["namespace"] = o.ID.Namespace
		}
	}
	return parents
}

// answer is a match of the outcome with the rule it is in.
type answer struct {
	match     match
	rule      map[string]any
	namespace string
}

// answersOf gives the matches of the outcome's routes of the same kind at a host of a route, those first that go first in Gateway API.
func answersOf(old *object.Object, after map[object.ID]*object.Object) []answer {
	var out []answer
	for _, id := range sortedIDs(after) {
		o := after[id]
		if id.Kind != old.ID.Kind || !shareHost(old, o) {
			continue
		}
		for _, m := range matchesOf(o) {
			out = append(out, answer{m, m.rule, id.Namespace})
		}
	}
	slices.SortStableFunc(out, func(a, b answer) int { return a.match.compare(b.match) })
	return out
}

func shareHost(a, b *object.Object) bool {
	x, y := hostnames(a), hostnames(b)
	return len(x) == 0 && len(y) == 0 || slices.ContainsFunc(x, func(host string) bool { return slices.Contains(y, host) })
}

// answer adds the rules by which a match of production, in a namespace, is answered as the outcome answers it.
func (p *planner) answer(namespace string, m match, answers []answer, rules map[string][]any) {
	for _, a := range answers {
		both, ok := m.and(a.match)
		if !ok {
			continue
		}
		rule := object.CloneMap(a.rule)
		delete(rule, "name") // a name is there once in a route
		p.rewrite(rule, a.namespace)
		extendPrefix(rule, a.match, m)
		rule["matches"] = []any{both.content(p.headerMatch())}
		rules[a.namespace] = append(rules[a.namespace], rule)
		if a.match.covers(m) {
			return
		}
	}
	rules[namespace] = append(rules[namespace], map[string]any{"matches": []any{m.content(p.headerMatch())}})
}

// extendPrefix lets a rule that replaces the prefix it matched do the same where a longer one is matched.
func extendPrefix(rule map[string]any, from, to match) {
	if from.pathKind != pathPrefix || to.pathKind != pathPrefix {
		return
	}
	rest := to.path[min(len(from.trimmed()), len(to.path)):]
	for _, f := range listAt(rule, "filters") {
		for _, key := range []string{"urlRewrite", "requestRedirect"} {
			path := mapAt(f, key, "path")
			if textAt(path, "type") == "ReplacePrefixMatch" {
				path["replacePrefixMatch"] = cmp.Or(trimSlash(textAt(path, "replacePrefixMatch"))+rest, "/")
			}
		}
	}
}
