package schema

import (
	"regexp"
	"strings"

	"headgate.dev/schema/source"
)

// grpcFields has, with the reason, what people look for because routes has it.
var grpcFields = append([]field[GRPC]{
	{name: "name", decode: func(d *decoder, n *Node, g *GRPC) { g.Name = d.label(n, "a rule's name") }},
	{name: "method", decode: func(d *decoder, n *Node, g *GRPC) {
		g.Method = oneOrList(d, n, 0, decodeGRPCMethod)
		unique(d, n, g.Method, GRPCMethod.String)
	}},
	{name: "headers", decode: func(d *decoder, n *Node, g *GRPC) { g.Headers = d.valueMatches(n, "a map of headers", 4096) }},
	{name: "to", decode: func(d *decoder, n *Node, g *GRPC) {
		for _, b := range decodeBackends(d, n, grpcBackendFields) {
			g.To = append(g.To, GRPCBackend(b))
		}
	}},
	{name: "requestHeaders", decode: func(d *decoder, n *Node, g *GRPC) { g.RequestHeaders = decodeHeaderChange(d, n) }},
	{name: "responseHeaders", decode: func(d *decoder, n *Node, g *GRPC) { g.ResponseHeaders = decodeHeaderChange(d, n) }},
	{name: "mirror", decode: func(d *decoder, n *Node, g *GRPC) { g.Mirror = list(d, n, 12, decodeMirror) }},
}, grpcLacks...)

var grpcLacks = []field[GRPC]{
	{name: "timeout", refused: "GRPCRoute has no timeout; a call's deadline is the client's (grpc-timeout)"},
	{name: "backendTimeout", refused: "GRPCRoute has no timeout; a call's deadline is the client's (grpc-timeout)"},
	{name: "retry", refused: "GRPCRoute has no retry; gRPC clients retry by their service config"},
	{name: "path", refused: "GRPCRoute has no path; write method, as in \"pkg.Service/Method\""},
	{name: "methods", refused: "GRPCRoute has no HTTP methods; write method, as in \"pkg.Service/Method\""},
	{name: "query", refused: "GRPCRoute has no query parameters"},
	{name: "redirect", refused: "GRPCRoute has no redirect; gRPC clients follow none"},
	{name: "rewrite", refused: "GRPCRoute has no rewrite"},
	{name: "cors", refused: "GRPCRoute has no cors"},
}

func decodeGRPC(d *decoder, n *Node) GRPC {
	var g GRPC
	structure(d, n, &g, grpcFields)
	return g
}

// String gives the method in its short form, "" for one that was wrong.
func (m GRPCMethod) String() string {
	part := func(text string) string {
		if text == "" {
			return "*"
		}
		return text
	}
	switch {
	case m.Service == "" && m.Method == "":
		return ""
	case m.Regex:
		return "~" + part(m.Service) + "/" + part(m.Method)
	}
	return part(m.Service) + "/" + part(m.Method)
}

func decodeGRPCMethod(d *decoder, n *Node) GRPCMethod {
	var m GRPCMethod
	if n.Kind == MapNode {
		structure(d, n, &m, grpcMethodFields)
		if n.Lookup("service") == nil && n.Lookup("method") == nil {
			d.errorf(n.Pos, "expected service, method or both; leave the whole field out for every method%s", trapIn(n))
		}
		return d.checkGRPCMethod(n, m)
	}
	text, ok := d.text(n, "a method (\"pkg.Service/Method\")")
	if !ok {
		return m
	}
	m, problem := parseGRPCMethod(text)
	if problem != "" {
		d.badGRPCMethod(n, text, problem)
		return GRPCMethod{}
	}
	return d.checkGRPCMethod(n, m)
}

// parseGRPCMethod reads the short form. problem is "" when it is one.
func parseGRPCMethod(text string) (m GRPCMethod, problem string) {
	names, regex := strings.CutPrefix(text, "~")
	service, method, both := strings.Cut(names, "/")
	switch {
	case !both:
		return m, "it has no \"/\""
	case service == "" || method == "":
		return m, "a part of it is empty"
	case strings.Contains(method, "/"):
		return m, "it has more than one \"/\""
	case service == "*" && method == "*":
		return m, "leave the field out for every method"
	case service == "*":
		service = ""
	case method == "*":
		method = ""
	}
	return GRPCMethod{Service: service, Method: method, Regex: regex}, ""
}

var grpcMethodFields = []field[GRPCMethod]{
	{name: "service", decode: func(d *decoder, n *Node, m *GRPCMethod) { m.Service = d.grpcName(n, "the name of a gRPC service") }},
	{name: "method", decode: func(d *decoder, n *Node, m *GRPCMethod) { m.Method = d.grpcName(n, "the name of a gRPC method") }},
	{name: "regex", decode: func(d *decoder, n *Node, m *GRPCMethod) { m.Regex, _ = d.boolean(n) }},
}

func (d *decoder) grpcName(n *Node, what string) string {
	text, ok := d.text(n, what)
	if ok && text == "" {
		d.errorf(n.Pos, "expected %s, found the empty text; leave the field out for all", what)
	}
	return text
}

var (
	grpcService = regexp.MustCompile(`^\.?[A-Za-z_][A-Za-z_0-9]*(\.[A-Za-z_][A-Za-z_0-9]*)*$`)
	grpcMethod  = regexp.MustCompile(`^[A-Za-z_][A-Za-z_0-9]*$`)
)

// checkGRPCMethod gives the method if it is one and the empty one otherwise.
func (d *decoder) checkGRPCMethod(n *Node, m GRPCMethod) GRPCMethod {
	problem := ""
	switch {
	case len(m.Service) > 1024 || len(m.Method) > 1024:
		problem = "at most 1024 characters are possible"
	case m.Regex:
		for _, text := range []string{m.Service, m.Method} {
			if text != "" && problem == "" {
				problem = regexProblem(text)
			}
		}
	case m.Service != "" && !grpcService.MatchString(m.Service):
		problem = "its service is not the name of one; a regular expression begins with \"~\""
	case m.Method != "" && !grpcMethod.MatchString(m.Method):
		problem = "its method is not the name of one; a regular expression begins with \"~\""
	}
	if problem != "" {
		d.badGRPCMethod(n, m.String(), problem)
		return GRPCMethod{}
	}
	return m
}

func (d *decoder) badGRPCMethod(n *Node, text, problem string) {
	d.errorf(n.Pos, "%q is not a gRPC method: %s; write \"pkg.Service/Method\", \"pkg.Service/*\" or \"*/Method\"", source.Shorten(text), problem)
}
