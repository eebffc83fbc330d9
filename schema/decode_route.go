package schema

import (
	"strconv"
	"strings"

	"headgate.dev/schema/source"
)

var routeFields = []field[Route]{
	{name: "name", decode: func(d *decoder, n *Node, r *Route) { r.Name = d.label(n, "a rule's name") }},
	{name: "path", decode: func(d *decoder, n *Node, r *Route) {
		r.Path = oneOrList(d, n, 0, decodePath)
		unique(d, n, r.Path, PathMatch.String)
	}},
	{name: "methods", decode: func(d *decoder, n *Node, r *Route) {
		r.Methods = list(d, n, 0, decodeMethod)
		unique(d, n, r.Methods, func(m Method) string { return string(m) })
	}},
	{name: "headers", decode: func(d *decoder, n *Node, r *Route) { r.Headers = d.valueMatches(n, "a map of headers", 4096) }},
	{name: "query", decode: func(d *decoder, n *Node, r *Route) { r.Query = d.valueMatches(n, "a map of query parameters", 1024) }},
	{name: "to", decode: func(d *decoder, n *Node, r *Route) { r.To = decodeBackends(d, n, backendFields) }},
	{name: "timeout", decode: func(d *decoder, n *Node, r *Route) { r.Timeout = d.duration(n) }},
	{name: "backendTimeout", decode: func(d *decoder, n *Node, r *Route) { r.BackendTimeout = d.duration(n) }},
	{name: "retry", decode: func(d *decoder, n *Node, r *Route) { r.Retry = pointer(d, n, retryFields) }},
	{name: "redirect", decode: func(d *decoder, n *Node, r *Route) { r.Redirect = decodeRedirect(d, n) }},
	{name: "rewrite", decode: func(d *decoder, n *Node, r *Route) { r.Rewrite = decodeRewrite(d, n) }},
	{name: "requestHeaders", decode: func(d *decoder, n *Node, r *Route) { r.RequestHeaders = decodeHeaderChange(d, n) }},
	{name: "responseHeaders", decode: func(d *decoder, n *Node, r *Route) { r.ResponseHeaders = decodeHeaderChange(d, n) }},
	{name: "mirror", decode: func(d *decoder, n *Node, r *Route) { r.Mirror = list(d, n, 12, decodeMirror) }},
	{name: "cors", decode: func(d *decoder, n *Node, r *Route) { r.CORS = pointer(d, n, corsFields) }},
}

// pointer decodes a struct that may be left out.
func pointer[T any](d *decoder, n *Node, fields []field[T]) *T {
	into := new(T)
	structure(d, n, into, fields)
	return into
}

func decodeRoute(d *decoder, n *Node) Route {
	var r Route
	structure(d, n, &r, routeFields)
	if n.Kind == MapNode {
		d.checkRoute(n, &r)
	}
	return r
}

// checkRoute checks what needs several fields of a route.
func (d *decoder) checkRoute(n *Node, r *Route) {
	if r.Redirect != nil {
		for _, other := range []string{"to", "rewrite", "retry", "timeout", "backendTimeout", "mirror"} {
			if n.Lookup(other) != nil {
				d.errorAt(n, other, "not possible together with redirect: a redirect is answered without a backend")
			}
		}
		d.checkPrefix(n, "/redirect/prefix", r.Redirect.Prefix, r.Path)
	}
	if r.Rewrite != nil {
		d.checkPrefix(n, "/rewrite/prefix", r.Rewrite.Prefix, r.Path)
	}
	for i, b := range r.To {
		if b.Rewrite != nil {
			d.checkPrefix(n, "/to/"+strconv.Itoa(i)+"/rewrite/prefix", b.Rewrite.Prefix, r.Path)
			if r.Rewrite != nil {
				d.errorAt(n, "rewrite", "not possible together with a rewrite of a single backend")
			}
		}
	}
	if r.BackendTimeout.Value > r.Timeout.Value && r.Timeout.Value > 0 {
		d.errorAt(n, "backendTimeout", "%s is longer than the timeout of the whole request, %s", r.BackendTimeout.Text, r.Timeout.Text)
	}
}

// checkPrefix: a prefix can be replaced only where one matched.
func (d *decoder) checkPrefix(n *Node, pointer string, prefix *NewPath, paths []PathMatch) {
	if prefix == nil {
		return
	}
	for _, p := range paths {
		if p.Kind != Prefix && p.Value != "" {
			length := len(d.path)
			for token := range source.Tokens(pointer) {
				d.push(token)
			}
			d.errorf(n.At(pointer), "the path %q is no prefix, so there is none to replace; use path, or routes of their own", p)
			d.path = d.path[:length]
			return
		}
	}
}

// String gives the path in its short form.
func (p PathMatch) String() string {
	switch {
	case p.Value == "":
		return ""
	case p.Kind == Exact:
		return "=" + p.Value
	case p.Kind == Regex:
		return "~" + p.Value
	}
	return p.Value
}

func decodePath(d *decoder, n *Node) PathMatch {
	if n.Kind == MapNode {
		return decodeLongPath(d, n)
	}
	text, ok := d.textUpTo(n, "a path", 1024)
	if !ok {
		return PathMatch{}
	}
	p := PathMatch{Kind: Prefix, Value: text}
	switch {
	case strings.HasPrefix(text, "="):
		p = PathMatch{Kind: Exact, Value: text[1:]}
	case strings.HasPrefix(text, "~"):
		p = PathMatch{Kind: Regex, Value: text[1:]}
	}
	return d.checkPath(n, p)
}

var longPathFields = []field[PathMatch]{
	{name: "prefix", decode: func(d *decoder, n *Node, p *PathMatch) { *p = d.longPath(n, Prefix) }},
	{name: "exact", decode: func(d *decoder, n *Node, p *PathMatch) { *p = d.longPath(n, Exact) }},
	{name: "regex", decode: func(d *decoder, n *Node, p *PathMatch) { *p = d.longPath(n, Regex) }},
}

func decodeLongPath(d *decoder, n *Node) PathMatch {
	var p PathMatch
	if len(n.Entries) == 1 {
		structure(d, n, &p, longPathFields)
		return p
	}
	d.errorf(n.Pos, "expected a path, or a map with one of prefix, exact and regex%s", trapIn(n))
	return p
}

func (d *decoder) longPath(n *Node, kind MatchKind) PathMatch {
	text, ok := d.textUpTo(n, "a path", 1024)
	if !ok {
		return PathMatch{}
	}
	return d.checkPath(n, PathMatch{Kind: kind, Value: text})
}

// checkPath gives the path if it is one and the empty one otherwise.
func (d *decoder) checkPath(n *Node, p PathMatch) PathMatch {
	problem := ""
	if p.Kind == Regex {
		problem = regexProblem(p.Value)
	} else {
		problem = pathProblem(p.Value)
	}
	if problem != "" {
		d.errorf(n.Pos, "%q is not a path: %s", source.Shorten(n.Text), problem)
		return PathMatch{}
	}
	return p
}

// pathProblem is Gateway API's rule for exact and prefix paths.
func pathProblem(path string) string {
	if !strings.HasPrefix(path, "/") {
		return "it does not begin with \"/\"; \"=/x\" is an exact path, \"~/x[0-9]+\" a regular expression"
	}
	for _, part := range []string{"//", "/./", "/../", "%2f", "%2F", "#"} {
		if strings.Contains(path, part) {
			return "it has \"" + part + "\" in it"
		}
	}
	if strings.HasSuffix(path, "/..") || strings.HasSuffix(path, "/.") {
		return "it ends with a dot segment"
	}
	return pathByteProblem(path)
}

func pathByteProblem(path string) string {
	for i := range len(path) {
		c := path[i]
		switch {
		case c == '%' && (i+2 >= len(path) || !isHex(path[i+1]) || !isHex(path[i+2])):
			return "\"%\" is not followed by two hexadecimal digits"
		case c == '?':
			return "a query is matched by query"
		case c != '%' && !isPathByte(c):
			return strconv.QuoteToASCII(string([]rune(path[i:])[:1])) + " is not possible in it; write it percent-encoded"
		}
	}
	return ""
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

func isPathByte(c byte) bool {
	return isAlphanumeric(c) || strings.IndexByte("-/._~!$&'()*+,;=:@", c) >= 0
}

func decodeMethod(d *decoder, n *Node) Method { return choice(d, n, "a method", methods...) }

var methods = []Method{"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"}
