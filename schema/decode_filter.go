package schema

import (
	"strings"

	"headgate.dev/schema/source"
)

var retryFields = []field[Retry]{
	{name: "attempts", decode: func(d *decoder, n *Node, r *Retry) {
		if v, ok := d.integer(n, "a number of attempts", 0, 100); ok {
			a := Attempts(v)
			r.Attempts = &a
		}
	}},
	{name: "codes", decode: func(d *decoder, n *Node, r *Retry) {
		r.Codes = list(d, n, 0, func(d *decoder, n *Node) RetryCode {
			v, _ := d.integer(n, "a status code", 400, 599)
			return RetryCode(v)
		})
	}},
	{name: "backoff", decode: func(d *decoder, n *Node, r *Retry) { r.Backoff = d.duration(n) }},
}

var redirectFields = []field[Redirect]{
	{name: "scheme", decode: func(d *decoder, n *Node, r *Redirect) { r.Scheme = choice[Scheme](d, n, "a scheme", "http", "https") }},
	{name: "host", decode: func(d *decoder, n *Node, r *Redirect) { r.Host = d.host(n, false) }},
	{name: "port", decode: func(d *decoder, n *Node, r *Redirect) { r.Port = d.port(n) }},
	{name: "path", decode: func(d *decoder, n *Node, r *Redirect) { r.Path = d.newPath(n) }},
	{name: "prefix", decode: func(d *decoder, n *Node, r *Redirect) { r.Prefix = d.newPath(n) }},
	{name: "code", decode: func(d *decoder, n *Node, r *Redirect) {
		v, ok := d.integer(n, "a status code", 300, 399)
		switch v {
		case 301, 302, 303, 307, 308:
			r.Code = RedirectCode(v)
		default:
			if ok {
				d.errorf(n.Pos, "expected 301, 302, 303, 307 or 308, found %d", v)
			}
		}
	}},
}

func decodeRedirect(d *decoder, n *Node) *Redirect {
	r := pointer(d, n, redirectFields)
	if n.Kind != MapNode {
		return r
	}
	d.notBoth(n)
	changes := 0
	for _, name := range []string{"scheme", "host", "port", "path", "prefix"} {
		if n.Lookup(name) != nil {
			changes++
		}
	}
	if changes == 0 {
		d.errorf(n.Pos, "a redirect that changes nothing is a loop; give scheme, host, port, path or prefix")
	}
	return r
}

var rewriteFields = []field[Rewrite]{
	{name: "host", decode: func(d *decoder, n *Node, r *Rewrite) { r.Host = d.host(n, false) }},
	{name: "path", decode: func(d *decoder, n *Node, r *Rewrite) { r.Path = d.newPath(n) }},
	{name: "prefix", decode: func(d *decoder, n *Node, r *Rewrite) { r.Prefix = d.newPath(n) }},
}

func decodeRewrite(d *decoder, n *Node) *Rewrite {
	r := pointer(d, n, rewriteFields)
	d.notBoth(n)
	d.notEmpty(n)
	return r
}

func (d *decoder) notBoth(n *Node) {
	if n.Kind == MapNode && n.Lookup("path") != nil && n.Lookup("prefix") != nil {
		d.errorAt(n, "prefix", "not possible together with path: one replaces the matched prefix, the other the whole path")
	}
}

// newPath decodes the path of a redirect or rewrite.
func (d *decoder) newPath(n *Node) *NewPath {
	text, ok := d.textUpTo(n, "a path", 1024)
	if !ok {
		return nil
	}
	switch {
	case text == "" || strings.HasPrefix(text, "/"):
	case strings.HasPrefix(text, "="), strings.HasPrefix(text, "~"):
		d.errorf(n.Pos, "%q is not a path: a new path is plain text that begins with \"/\"", source.Shorten(text))
		return nil
	default:
		d.errorf(n.Pos, "%q is not a path: it does not begin with \"/\"", source.Shorten(text))
		return nil
	}
	if i := strings.IndexAny(text, "?# \r\n\t"); i >= 0 {
		d.errorf(n.Pos, "%q is not a path: %q is not possible in it", source.Shorten(text), text[i:i+1])
		return nil
	}
	path := NewPath(text)
	return &path
}

var headerChangeFields = []field[HeaderChange]{
	{name: "set", decode: func(d *decoder, n *Node, c *HeaderChange) { c.Set = d.headerValues(n) }},
	{name: "add", decode: func(d *decoder, n *Node, c *HeaderChange) { c.Add = d.headerValues(n) }},
	{name: "remove", decode: func(d *decoder, n *Node, c *HeaderChange) { c.Remove = list(d, n, 16, (*decoder).headerName) }},
}

func decodeHeaderChange(d *decoder, n *Node) *HeaderChange {
	c := pointer(d, n, headerChangeFields)
	d.notEmpty(n)
	if n.Kind != MapNode {
		return c
	}
	seen := map[string]bool{}
	once := func(field string, name HeaderName) {
		if key := strings.ToLower(string(name)); key != "" && seen[key] {
			d.errorAt(n, field, "the header %s is changed twice; name it in one place only", name)
		} else {
			seen[key] = true
		}
	}
	for _, v := range c.Set {
		once("set", v.Name)
	}
	for _, v := range c.Add {
		once("add", v.Name)
	}
	for _, name := range c.Remove {
		once("remove", name)
	}
	return c
}

func (d *decoder) headerValues(n *Node) HeaderValues {
	var out HeaderValues
	d.eachEntry(n, "a map of headers", func(e *Entry) {
		text, ok := d.textUpTo(e.Value, "a header value", 4096)
		if !ok || !d.checkToken(e.Pos, e.Key, "a header name") {
			return
		}
		if strings.ContainsAny(text, "\r\n\x00") {
			d.errorf(e.Value.Pos, "a line break is not possible in a header value")
		}
		out = append(out, HeaderValue{Name: HeaderName(e.Key), Value: text})
	})
	if len(out) > 16 {
		d.errorf(n.Pos, "at most 16 are possible, found %d", len(out))
	}
	return out
}

var corsFields = []field[CORS]{
	{name: "origins", required: true, decode: func(d *decoder, n *Node, c *CORS) {
		c.Origins = list(d, n, 64, decodeOrigin)
		starAlone(d, n, c.Origins)
	}},
	{name: "methods", decode: func(d *decoder, n *Node, c *CORS) {
		known := []CORSMethod{"*"}
		for _, m := range methods {
			known = append(known, CORSMethod(m))
		}
		c.Methods = list(d, n, 9, func(d *decoder, n *Node) CORSMethod { return choice(d, n, "a method or \"*\"", known...) })
		starAlone(d, n, c.Methods)
	}},
	{name: "headers", decode: func(d *decoder, n *Node, c *CORS) { c.Headers = corsHeaders(d, n) }},
	{name: "expose", decode: func(d *decoder, n *Node, c *CORS) { c.Expose = corsHeaders(d, n) }},
	{name: "credentials", decode: func(d *decoder, n *Node, c *CORS) {
		if v, ok := d.boolean(n); ok {
			c.Credentials = &v
		}
	}},
	{name: "maxAge", decode: func(d *decoder, n *Node, c *CORS) { c.MaxAge = d.seconds(n) }},
}

func corsHeaders(d *decoder, n *Node) []HeaderName {
	out := list(d, n, 64, (*decoder).headerName)
	starAlone(d, n, out)
	return out
}

// starAlone reports items beside "*" and items that are there twice.
func starAlone[T ~string](d *decoder, n *Node, items []T) {
	unique(d, n, items, func(item T) string { return string(item) })
	for _, item := range items {
		if item == "*" && len(items) > 1 {
			d.errorf(n.Pos, "\"*\" takes everything; leave the others out")
			return
		}
	}
}

func (d *decoder) seconds(n *Node) Seconds {
	const most = 1<<31 - 1
	if n.Kind == IntNode {
		v, _ := d.integer(n, "a number of seconds", 1, most)
		return Seconds(v)
	}
	v := d.duration(n)
	seconds := v.Value.Seconds()
	if v.Given() && (seconds < 1 || seconds != float64(int64(seconds)) || seconds > most) {
		d.errorf(n.Pos, "expected whole seconds, at least 1s, found %q", n.Text)
		return 0
	}
	return Seconds(seconds)
}
