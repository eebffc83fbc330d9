package resolve

import (
	"slices"
	"strings"

	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/proxy/model"
)

// httpMatch reads rules[].matches[j].
func httpMatch(in *gwv1.HTTPRouteMatch, j int) (model.Match, *fault) {
	m := model.Match{PathKind: model.PathPrefix, Path: "/"}
	if in.Path != nil {
		if f := httpPath(in.Path, &m, j); f != nil {
			return m, f
		}
	}
	if in.Method != nil {
		m.Method = string(*in.Method)
		if !slices.Contains(methods, m.Method) {
			return m, unsupported("matches[%d].method: %q is not one of %s", j, m.Method, strings.Join(methods, ", "))
		}
	}
	f := headerMatches(in.Headers, &m, j)
	if f == nil {
		f = queryMatches(in.QueryParams, &m, j)
	}
	return m, f
}

func headerMatches(in []gwv1.HTTPHeaderMatch, m *model.Match, j int) *fault {
	for i := range in {
		h := &in[i]
		name := strings.ToLower(string(h.Name))
		if !validToken(name) {
			return unsupported("matches[%d].headers[%d].name: %q is not a header name", j, i, h.Name)
		}
		regex := h.Type != nil && *h.Type == gwv1.HeaderMatchRegularExpression
		known := h.Type == nil || *h.Type == gwv1.HeaderMatchExact || regex
		v, f := valueMatch(name, h.Value, regex, known)
		if f != nil {
			return unsupported("matches[%d].headers[%d].%s", j, i, f.message)
		}
		m.Headers = appendMatch(m.Headers, v)
	}
	return nil
}

func queryMatches(in []gwv1.HTTPQueryParamMatch, m *model.Match, j int) *fault {
	for i := range in {
		q := &in[i]
		if !validToken(string(q.Name)) {
			return unsupported("matches[%d].queryParams[%d].name: %q is not a parameter name", j, i, q.Name)
		}
		regex := q.Type != nil && *q.Type == gwv1.QueryParamMatchRegularExpression
		known := q.Type == nil || *q.Type == gwv1.QueryParamMatchExact || regex
		v, f := valueMatch(string(q.Name), q.Value, regex, known)
		if f != nil {
			return unsupported("matches[%d].queryParams[%d].%s", j, i, f.message)
		}
		m.Query = appendMatch(m.Query, v)
	}
	return nil
}

// methods are those of the API (HTTPMethod).
var methods = []string{"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"}

// valueMatch checks the value of a header or a query parameter.
func valueMatch(name, value string, regex, known bool) (model.ValueMatch, *fault) {
	v := model.ValueMatch{Name: name, Value: value, Regex: regex}
	switch {
	case !known:
		return v, unsupported("type: it is neither Exact nor RegularExpression")
	case value == "" || len(value) > 4096 || hasControl(value):
		return v, unsupported("value: %q is empty, longer than 4096 bytes or has control characters", shorten(value))
	case regex:
		if f := checkRegex(value); f != nil {
			return v, unsupported("value: %s", f.message)
		}
	}
	return v, nil
}

// appendMatch keeps matches sorted by name, as all of them have to hold; of two with one name the first counts
// (HTTPHeaderMatch.name, HTTPQueryParamMatch.name).
func appendMatch(ms []model.ValueMatch, v model.ValueMatch) []model.ValueMatch {
	i, found := slices.BinarySearchFunc(ms, v.Name, func(m model.ValueMatch, name string) int { return strings.Compare(m.Name, name) })
	if found {
		return ms
	}
	return slices.Insert(ms, i, v)
}

// httpPath reads a path match. The rules for exact paths and prefixes are those of the API's validation
// (HTTPPathMatch): such a value would match nothing, or what it does not say.
func httpPath(in *gwv1.HTTPPathMatch, m *model.Match, j int) *fault {
	if in.Value != nil {
		m.Path = *in.Value
	}
	if len(m.Path) > 1024 {
		return unsupported("matches[%d].path.value: it is longer than 1024 bytes", j)
	}
	kind := gwv1.PathMatchPathPrefix
	if in.Type != nil {
		kind = *in.Type
	}
	switch kind {
	case gwv1.PathMatchExact:
		m.PathKind = model.PathExact
	case gwv1.PathMatchPathPrefix:
		m.PathKind = model.PathPrefix
	case gwv1.PathMatchRegularExpression:
		m.PathKind = model.PathRegex
		if f := checkRegex(m.Path); f != nil {
			return unsupported("matches[%d].path.value: %s", j, f.message)
		}
		return nil
	default:
		return unsupported("matches[%d].path.type: %q is not one of Exact, PathPrefix, RegularExpression", j, kind)
	}
	if why := badPath(m.Path); why != "" {
		return unsupported("matches[%d].path.value: %q %s", j, m.Path, why)
	}
	// "When specified, a trailing / is ignored" (PathMatchPathPrefix).
	if m.PathKind == model.PathPrefix && len(m.Path) > 1 {
		m.Path = strings.TrimSuffix(m.Path, "/")
	}
	return nil
}

func badPath(p string) string {
	switch {
	case p == "" || p[0] != '/':
		return "does not begin with /"
	case strings.Contains(p, "//"):
		return "has an empty segment"
	case strings.Contains(p+"/", "/./") || strings.Contains(p+"/", "/../"):
		return "has a segment . or .."
	}
	if low := strings.ToLower(p); strings.Contains(low, "%2f") {
		return "has an encoded slash"
	}
	for i := range len(p) {
		if !pathByte(p, i) {
			return "has a character that a path cannot have unencoded"
		}
	}
	return ""
}

// pathByte tells whether the byte may stand there (RFC 3986, pchar and "/").
func pathByte(p string, i int) bool {
	if p[i] == '%' {
		return i+2 < len(p) && isHex(p[i+1]) && isHex(p[i+2])
	}
	return isAlnum(p[i]) || strings.IndexByte("-/._~!$&'()*+,;=:@", p[i]) >= 0
}

func isAlnum(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

// validToken checks a header name (RFC 9110, section 5.6.2), up to the 256 bytes of the API.
func validToken(s string) bool {
	if s == "" || len(s) > 256 {
		return false
	}
	for i := range len(s) {
		if !isAlnum(s[i]) && strings.IndexByte("!#$%&'*+-.^_`|~", s[i]) < 0 {
			return false
		}
	}
	return true
}

// hasControl tells whether a value has what no header value may have (RFC 9110, section 5.5), tabs excepted.
func hasControl(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' && s[i] != '\t' || s[i] == 0x7f {
			return true
		}
	}
	return false
}

// shorten cuts a value for a message.
func shorten(s string) string {
	const most = 64
	if len(s) > most {
		return s[:most] + "..."
	}
	return s
}
