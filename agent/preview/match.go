package preview

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"headgate.dev/render/object"
)

// Kinds of paths.
const (
	pathPrefix = "PathPrefix"
	pathExact  = "Exact"
)

// match is one match of a rule of an HTTPRoute, or of a GRPCRoute read as the path that it means.
type match struct {
	kind                   string // of the route
	pathKind, path, method string
	headers, query         map[string]string // name → type and value
	of                     map[string]any    // as it is written
	rule                   map[string]any    // it is in
}

// matchesOf gives the matches of a route's rules, in their order.
func matchesOf(o *object.Object) []match {
	var out []match
	for _, r := range listAt(o.Content, "spec", "rules") {
		rule, ok := r.(map[string]any)
		if !ok {
			continue
		}
		matches := listAt(rule, "matches")
		if len(matches) == 0 {
			matches = []any{map[string]any{}}
		}
		for _, of := range matches {
			if content, ok := of.(map[string]any); ok {
				out = append(out, newMatch(o.ID.Kind, content, rule))
			}
		}
	}
	return out
}

func newMatch(kind string, of, rule map[string]any) match {
	m := match{kind: kind, of: of, rule: rule, headers: pairs(of, "headers"), query: pairs(of, "queryParams")}
	if kind == "GRPCRoute" {
		service, method := textAt(of, "method", "service"), textAt(of, "method", "method")
		switch {
		case textAt(of, "method", "type") == "RegularExpression", service == "" && method != "":
			m.pathKind, m.path = "RegularExpression", service+"/"+method
		case method == "" && service == "":
			m.pathKind, m.path = pathPrefix, "/"
		case method == "":
			m.pathKind, m.path = pathPrefix, "/"+service
		default:
			m.pathKind, m.path = pathExact, "/"+service+"/"+method
		}
		return m
	}
	m.pathKind, m.path = cmp.Or(textAt(of, "path", "type"), pathPrefix), cmp.Or(textAt(of, "path", "value"), "/")
	m.method = textAt(of, "method")
	return m
}

// pairs reads headers or query parameters. Names of headers are the same in any case.
func pairs(of map[string]any, key string) map[string]string {
	out := map[string]string{}
	for _, h := range listAt(of, key) {
		name := textAt(h, "name")
		if key == "headers" {
			name = strings.ToLower(name)
		}
		if _, has := out[name]; !has {
			out[name] = cmp.Or(textAt(h, "type"), "Exact") + " " + textAt(h, "value")
		}
	}
	return out
}

func trimSlash(path string) string { return strings.TrimRight(path, "/") }

func (m match) trimmed() string { return trimSlash(m.path) }

func (m match) equal(n match) bool {
	path := m.path == n.path || m.pathKind == pathPrefix && m.trimmed() == n.trimmed()
	return path && m.pathKind == n.pathKind && m.method == n.method && maps.Equal(m.headers, n.headers) && maps.Equal(m.query, n.query)
}

// pathCovers tells whether every path that n matches is one that m matches, as far as can be said.
func (m match) pathCovers(n match) bool {
	if m.pathKind != pathPrefix {
		return m.pathKind == n.pathKind && m.path == n.path
	}
	if m.trimmed() == "" {
		return true
	}
	return n.pathKind != "RegularExpression" && (n.trimmed() == m.trimmed() || strings.HasPrefix(n.path, m.trimmed()+"/"))
}

// covers tells whether every request that n matches is one that m matches.
func (m match) covers(n match) bool {
	return m.pathCovers(n) && (m.method == "" || m.method == n.method) && within(m.headers, n.headers) && within(m.query, n.query)
}

func within(a, b map[string]string) bool {
	for key, value := range a {
		if b[key] != value {
			return false
		}
	}
	return true
}

// and gives the requests of m that n matches too; ok is false where there are none, and where n's path is narrower, because n has a rule for those itself.
func (m match) and(n match) (both match, ok bool) {
	if !n.pathCovers(m) || m.method != "" && n.method != "" && m.method != n.method || clash(m.headers, n.headers) || clash(m.query, n.query) {
		return both, false
	}
	both = m
	both.of = object.CloneMap(m.of)
	if n.method != "" {
		both.of["method"] = n.of["method"]
	}
	for _, key := range []string{"headers", "queryParams"} {
		if list := joined(m.of, n.of, key); len(list) > 0 {
			both.of[key] = list
		}
	}
	return both, true
}

// joined gives the headers or query parameters of two matches, those of both once.
func joined(a, b map[string]any, key string) []any {
	have := pairs(a, key)
	list := slices.Clone(listAt(a, key))
	for _, h := range listAt(b, key) {
		name := textAt(h, "name")
		if key == "headers" {
			name = strings.ToLower(name)
		}
		if _, has := have[name]; !has {
			list = append(list, object.Clone(h))
		}
	}
	return list
}

func clash(a, b map[string]string) bool {
	for key, value := range a {
		if other, has := b[key]; has && other != value {
			return true
		}
	}
	return false
}

// content gives the match with one header more.
func (m match) content(header map[string]any) map[string]any {
	out := object.CloneMap(m.of)
	out["headers"] = append(slices.Clip(listAt(out, "headers")), header)
	return out
}

// compare orders matches as Gateway API does: an exact path, the longer one, a method, more headers, more query parameters.
func (m match) compare(n match) int {
	return cmp.Or(
		cmp.Compare(rank(n), rank(m)), cmp.Compare(len(n.path), len(m.path)),
		cmp.Compare(min(len(n.method), 1), min(len(m.method), 1)),
		cmp.Compare(len(n.headers), len(m.headers)), cmp.Compare(len(n.query), len(m.query)))
}

func rank(m match) int {
	switch m.pathKind {
	case pathExact:
		return 2
	case pathPrefix:
		return 1
	}
	return 0
}
