package traffic

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"headgate.dev/proxy/model"
)

// misses says what of a match the request lacks, in the order path, method, headers, query; nothing when it matches.
func (s *seen) misses(m *model.Match) []string {
	var out []string
	if m.GRPC && !s.grpc {
		out = append(out, "it is no gRPC request: its content-type does not say application/grpc")
	}
	if !s.onPath(m) {
		out = append(out, "the path is not "+pathWords(m))
	}
	if m.Method != "" && m.Method != s.method {
		out = append(out, fmt.Sprintf("the method is not %s", m.Method))
	}
	for _, h := range m.Headers {
		out = miss(out, "header", h, s.headers[h.Name])
	}
	return append(out, s.queryMisses(m)...)
}

func (s *seen) queryMisses(m *model.Match) (out []string) {
	for _, q := range m.Query {
		var values []string
		if v, has := s.parameter(q.Name); has {
			values = []string{v}
		}
		out = miss(out, "query parameter", q, values)
	}
	return out
}

// miss compares the values of one name: one of them has to match. A name that is not there never matches.
func miss(out []string, what string, m model.ValueMatch, values []string) []string {
	for _, v := range values {
		if holds(m, v) {
			return out
		}
	}
	switch {
	case len(values) == 0:
		return append(out, fmt.Sprintf("%s %s is missing", what, m.Name))
	default:
		return append(out, fmt.Sprintf("%s %s is %q, not %s", what, m.Name, strings.Join(values, ", "), value(m)))
	}
}

func holds(m model.ValueMatch, v string) bool {
	if m.Regex {
		return whole(m.Value, v)
	}
	return m.Value == v
}

func (s *seen) onPath(m *model.Match) bool { return onPath(m, s.path) }

func onPath(m *model.Match, path string) bool {
	switch m.PathKind {
	case model.PathExact:
		return path == m.Path
	case model.PathRegex:
		return whole(m.Path, path)
	default:
		return below(path, m.Path)
	}
}

// below compares whole segments.
func below(path, prefix string) bool {
	if prefix == "/" || prefix == "" {
		return true
	}
	rest, ok := strings.CutPrefix(path, prefix)
	return ok && (rest == "" || rest[0] == '/')
}

func pathWords(m *model.Match) string {
	switch m.PathKind {
	case model.PathExact:
		return "exactly " + m.Path
	case model.PathRegex:
		return "one of ~" + m.Path
	default:
		return m.Path + " nor below it"
	}
}

// why says in words what of the request a match takes: "prefix /api and header x-ring match".
func why(m *model.Match) string {
	kind := [...]string{model.PathPrefix: "prefix ", model.PathExact: "exact path ", model.PathRegex: "regular expression "}[m.PathKind]
	parts := []string{kind + m.Path}
	if m.GRPC {
		parts = []string{"call " + grpcRequest(m)}
	}
	if m.Method != "" {
		parts = append(parts, "method "+m.Method)
	}
	for _, h := range m.Headers {
		parts = append(parts, "header "+h.Name)
	}
	for _, q := range m.Query {
		parts = append(parts, "query parameter "+q.Name)
	}
	if len(parts) == 1 {
		return parts[0] + " matches"
	}
	last := len(parts) - 1
	return strings.Join(parts[:last], ", ") + " and " + parts[last] + " match"
}

// What a browser sends in a preflight request as in the request that is to come; all other headers it announces by name.
var sentInPreflight = []string{"accept-language", "host", "origin", "referer", "user-agent"}

const (
	requestMethod  = "access-control-request-method"
	requestHeaders = "access-control-request-headers"
)

// preflight tells whether the request asks beforehand for one that r would match (GEP-1767): an OPTIONS request with an
// origin, that announces the method and the header names.
func (s *seen) preflight(r *model.Route) bool {
	announced, asks := s.headers[requestMethod]
	if r.CORS == nil || s.method != "OPTIONS" || !asks || len(s.headers["origin"]) == 0 {
		return false
	}
	m := &r.Match
	if !s.onPath(m) || len(s.queryMisses(m)) > 0 || m.Method != "" && !slices.Contains(announced, m.Method) {
		return false
	}
	for _, h := range m.Headers {
		if !s.foretells(h) {
			return false
		}
	}
	return true
}

// foretells tells whether a preflight request has, or announces, a header of the request to come.
func (s *seen) foretells(h model.ValueMatch) bool {
	if slices.Contains(sentInPreflight, h.Name) {
		return len(miss(nil, "", h, s.headers[h.Name])) == 0
	}
	return s.announces(h.Name)
}

func (s *seen) announces(name string) bool {
	for _, list := range s.headers[requestHeaders] {
		for part := range strings.SplitSeq(list, ",") {
			if strings.EqualFold(strings.Trim(part, " \t"), name) {
				return true
			}
		}
	}
	return false
}

// answeredByCORS tells whether the CORS policy of a route that matches as it is answers the request itself: it does for
// every preflight request from an origin that is allowed, where the route forwards.
func (s *seen) answeredByCORS(r *model.Route) bool {
	if r.CORS == nil || r.Forward == nil || s.method != "OPTIONS" || strings.Join(s.headers[requestMethod], "") == "" {
		return false
	}
	origin := strings.Join(s.headers["origin"], ",")
	return origin != "" && slices.ContainsFunc(r.CORS.Origins, func(o string) bool { return allows(o, origin) })
}

func allows(pattern, origin string) bool {
	if pattern == "*" || !strings.Contains(pattern, "*") {
		return pattern == "*" || pattern == origin
	}
	expr := strings.ReplaceAll(regexp.QuoteMeta(pattern), `\*`, `[A-Za-z0-9._-]+`)
	if strings.HasSuffix(pattern, "*") {
		expr += `(:[0-9]+)?`
	}
	return whole(expr, origin)
}
