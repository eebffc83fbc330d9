package schema

import (
	"strconv"
	"strings"

	"headgate.dev/schema/source"
)

// decodeBackends takes the three forms of to: one text, a map of texts to weights, a list of texts and long forms. Which
// fields the long form has depends on the kind of route.
func decodeBackends(d *decoder, n *Node, fields []field[Backend]) []Backend {
	switch {
	case n.Kind == StringNode:
		return []Backend{d.shortBackend(n.Pos, n.Text)}
	case n.Kind == ListNode:
		out := list(d, n, 16, func(d *decoder, n *Node) Backend { return decodeBackend(d, n, fields) })
		d.checkWeights(n, out)
		return out
	case n.Kind == MapNode && n.Lookup("service") != nil && n.Lookup("service").Kind == StringNode:
		out := []Backend{decodeBackend(d, n, fields)}
		d.checkWeights(n, out)
		return out
	case n.Kind == MapNode:
		return d.weightedBackends(n)
	}
	d.expected(n, "a backend (\"service:port\"), a map of backends to weights, or a list")
	return nil
}

func (d *decoder) weightedBackends(n *Node) []Backend {
	var out []Backend
	d.eachEntry(n, "a map of backends to weights", func(e *Entry) {
		if e.Value.Kind == NullNode {
			i := strings.LastIndexByte(e.Key, ':')
			if i > 0 && strings.Count(e.Key, ":") > 1 {
				d.errorf(e.Pos, "expected a weight; a space is missing after the last colon: {%s: %s}", e.Key[:i], e.Key[i+1:])
				return
			}
			d.errorf(e.Pos, "expected a weight: {%s: 1}", e.Key)
			return
		}
		b := d.shortBackend(e.Pos, e.Key)
		if weight, ok := d.integer(e.Value, "a weight", 0, 1_000_000); ok {
			w := Weight(weight)
			b.Weight = &w
		}
		out = append(out, b)
	})
	if len(out) > 16 {
		d.errorf(n.Pos, "at most 16 backends are possible, found %d", len(out))
	}
	d.checkWeights(n, out)
	return out
}

// checkWeights refuses a route none of whose backends would ever get a request.
func (d *decoder) checkWeights(n *Node, backends []Backend) {
	for _, b := range backends {
		if b.Weight == nil || *b.Weight > 0 {
			return
		}
	}
	if len(backends) > 0 {
		d.errorf(n.Pos, "every weight is 0, so every request would fail")
	}
}

// shortBackend reads "service", "service:port", "namespace/service:port".
func (d *decoder) shortBackend(at Position, text string) Backend {
	var b Backend
	name := text
	if namespace, rest, ok := strings.Cut(name, "/"); ok {
		b.Namespace, name = Label(namespace), rest
		if problem := labelProblem(namespace); problem != "" {
			d.badBackend(at, text, "in its namespace: "+problem)
			return Backend{}
		}
	}
	if service, port, ok := strings.Cut(name, ":"); ok {
		name = service
		v, err := strconv.ParseUint(port, 10, 16)
		if err != nil || v == 0 || port[0] == '0' {
			d.badBackend(at, text, "its port is not a number from 1 to 65535")
			return Backend{}
		}
		b.Port = Port(v)
	}
	if problem := labelProblem(name); problem != "" {
		d.badBackend(at, text, "in its Service name: "+problem)
		return Backend{}
	}
	b.Service = Label(name)
	return b
}

func (d *decoder) badBackend(at Position, text, problem string) {
	d.errorf(at, "%q is not a backend: %s; write \"service\", \"service:port\" or \"namespace/service:port\"", source.Shorten(text), problem)
}

var backendFields = []field[Backend]{
	{name: "service", required: true, decode: func(d *decoder, n *Node, b *Backend) { b.Service = d.serviceName(n) }},
	{name: "namespace", decode: func(d *decoder, n *Node, b *Backend) { b.Namespace = d.label(n, "a namespace") }},
	{name: "port", decode: func(d *decoder, n *Node, b *Backend) { b.Port = d.port(n) }},
	{name: "weight", decode: func(d *decoder, n *Node, b *Backend) {
		if v, ok := d.integer(n, "a weight", 0, 1_000_000); ok {
			w := Weight(v)
			b.Weight = &w
		}
	}},
	{name: "requestHeaders", decode: func(d *decoder, n *Node, b *Backend) { b.RequestHeaders = decodeHeaderChange(d, n) }},
	{name: "responseHeaders", decode: func(d *decoder, n *Node, b *Backend) { b.ResponseHeaders = decodeHeaderChange(d, n) }},
	{name: "rewrite", decode: func(d *decoder, n *Node, b *Backend) { b.Rewrite = decodeRewrite(d, n) }},
}

var (
	grpcBackendFields   = refuse(backendFields, "GRPCRoute has no rewrite", "rewrite")
	streamBackendFields = refuse(backendFields, "there are no requests to change in a stream; routes has this", "requestHeaders", "responseHeaders", "rewrite")
)

func streamBackends(d *decoder, n *Node) []StreamBackend {
	backends := decodeBackends(d, n, streamBackendFields)
	out := make([]StreamBackend, len(backends))
	for i, b := range backends {
		out[i] = StreamBackend(b)
	}
	return out
}

func decodeBackend(d *decoder, n *Node, fields []field[Backend]) Backend {
	if n.Kind == StringNode {
		return d.shortBackend(n.Pos, n.Text)
	}
	var b Backend
	if n.Kind != MapNode {
		d.expected(n, "a backend (\"service:port\") or a map of "+listNames(fields))
		return b
	}
	structure(d, n, &b, fields)
	return b
}

var mirrorFields = []field[Mirror]{
	{name: "to", required: true, decode: func(d *decoder, n *Node, m *Mirror) {
		if n.Kind == MapNode {
			structure(d, n, &m.To, mirrorBackendFields)
			return
		}
		if text, ok := d.text(n, "a backend (\"service:port\")"); ok {
			b := d.shortBackend(n.Pos, text)
			m.To = MirrorBackend{Service: b.Service, Namespace: b.Namespace, Port: b.Port}
		}
	}},
	{name: "percent", decode: func(d *decoder, n *Node, m *Mirror) {
		if v, ok := d.integer(n, "a percentage", 0, 100); ok {
			p := Percent(v)
			m.Percent = &p
		}
	}},
}

var mirrorBackendFields = []field[MirrorBackend]{
	{name: "service", required: true, decode: func(d *decoder, n *Node, b *MirrorBackend) { b.Service = d.serviceName(n) }},
	{name: "namespace", decode: func(d *decoder, n *Node, b *MirrorBackend) { b.Namespace = d.label(n, "a namespace") }},
	{name: "port", decode: func(d *decoder, n *Node, b *MirrorBackend) { b.Port = d.port(n) }},
}

func decodeMirror(d *decoder, n *Node) Mirror {
	var m Mirror
	structure(d, n, &m, mirrorFields)
	return m
}
