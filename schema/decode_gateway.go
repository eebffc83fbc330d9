package schema

import (
	"cmp"
	"slices"
	"strings"

	"headgate.dev/schema/source"
)

// DefaultForAnnotation stands on a Gateway that is the default of some namespaces; DefaultFor.String gives its value.
const DefaultForAnnotation = Group + "/default-for"

var gatewaySpecFields = append(headerFields(func(s *GatewaySpec) *Metadata { return &s.Metadata }), field[GatewaySpec]{
	name: "spec", required: true, decode: func(d *decoder, n *Node, s *GatewaySpec) { structure(d, n, &s.Spec, gatewayFields) },
})

var gatewayFields = []field[Gateway]{
	{name: "class", decode: func(d *decoder, n *Node, g *Gateway) {
		text, ok := d.text(n, "the name of a GatewayClass")
		if problem := subdomainProblem(text); ok && problem != "" {
			d.errorf(n.Pos, "%q is not the name of a GatewayClass: %s", source.Shorten(text), problem)
		}
		g.Class = ClassName(text)
	}},
	{name: "hosts", decode: func(d *decoder, n *Node, g *Gateway) {
		g.Hosts = hostList(d, n, gatewayHostFields, func(h *GatewayHost) *ListenerHost { return &h.Host })
	}},
	{name: "tls", decode: func(d *decoder, n *Node, g *Gateway) { g.TLS = decodeCertificates(d, n) }},
	{name: "redirect", decode: func(d *decoder, n *Node, g *Gateway) { g.Redirect = d.optional(n) }},
	{name: "ports", decode: func(d *decoder, n *Node, g *Gateway) { g.Ports = list(d, n, 0, decodeGatewayPort) }},
	{name: "allow", decode: func(d *decoder, n *Node, g *Gateway) {
		g.Allow = pointer(d, n, allowFields)
		d.notEmpty(n)
	}},
	{name: "default", decode: func(d *decoder, n *Node, g *Gateway) { g.Default = decodeDefaultFor(d, n) }},
	{name: "addresses", decode: func(d *decoder, n *Node, g *Gateway) {
		g.Addresses = list(d, n, 16, decodeAddress)
		unique(d, n, g.Addresses, func(a Address) string { return a.Value })
	}},
	{name: "clientAuth", decode: func(d *decoder, n *Node, g *Gateway) { g.ClientAuth = oneOrList(d, n, 65, decodeClientAuth) }},
	{name: "clientCertificate", decode: func(d *decoder, n *Node, g *Gateway) {
		name := decodeSecretName(d, n)
		g.ClientCertificate = &name
	}},
	{name: "infrastructure", decode: func(d *decoder, n *Node, g *Gateway) { g.Infrastructure = pointer(d, n, infrastructureFields) }},
	{name: "patches", decode: func(d *decoder, n *Node, g *Gateway) { g.Patches = list(d, n, 0, decodePatch) }},
}

// hostList decodes hosts in their short and long forms.
func hostList[T any](d *decoder, n *Node, fields []field[T], host func(*T) *ListenerHost) []T {
	hosts := list(d, n, 0, func(d *decoder, n *Node) T {
		var h T
		switch n.Kind {
		case StringNode:
			*host(&h) = d.listenerHost(n)
		case MapNode:
			structure(d, n, &h, fields)
		default:
			d.expected(n, "a hostname or a map of "+listNames(fields))
		}
		return h
	})
	unique(d, n, hosts, func(h T) string { return string(*host(&h)) })
	return hosts
}

var gatewayHostFields = []field[GatewayHost]{
	{name: "host", required: true, decode: func(d *decoder, n *Node, h *GatewayHost) { h.Host = d.listenerHost(n) }},
	{name: "namespaces", decode: func(d *decoder, n *Node, h *GatewayHost) { h.Namespaces = decodeNamespaces(d, n) }},
	{name: "tls", decode: func(d *decoder, n *Node, h *GatewayHost) { h.TLS = secretNames(d, n) }},
	{name: "redirect", decode: func(d *decoder, n *Node, h *GatewayHost) { h.Redirect = d.optional(n) }},
}

var portHostFields = []field[PortHost]{
	{name: "host", required: true, decode: func(d *decoder, n *Node, h *PortHost) { h.Host = d.listenerHost(n) }},
	{name: "namespaces", decode: func(d *decoder, n *Node, h *PortHost) { h.Namespaces = decodeNamespaces(d, n) }},
	{name: "tls", decode: func(d *decoder, n *Node, h *PortHost) { h.TLS = secretNames(d, n) }},
	{name: "redirect", refused: "only hosts of the gateway itself, on port 80, are redirected to HTTPS"},
}

// optional decodes true or false, nil for anything else.
func (d *decoder) optional(n *Node) *bool {
	value, ok := d.boolean(n)
	if !ok {
		return nil
	}
	return &value
}

func (d *decoder) listenerHost(n *Node) ListenerHost {
	if n.Kind == StringNode && n.Text == "*" {
		return "*"
	}
	return ListenerHost(d.host(n, true))
}

var allowFields = []field[Allow]{
	{name: "namespaces", decode: func(d *decoder, n *Node, a *Allow) { a.Namespaces = decodeNamespaces(d, n) }},
	{name: "listenerSets", decode: func(d *decoder, n *Node, a *Allow) { a.ListenerSets = decodeNamespaces(d, n) }},
}

// decodeNamespaces takes same, all, a list of names, or a map with labels.
func decodeNamespaces(d *decoder, n *Node) *Namespaces {
	out := &Namespaces{}
	switch n.Kind {
	case StringNode:
		switch strings.ToLower(n.Text) {
		case "same", "all":
			chosen := choice(d, n, "a choice of namespaces", "same", "all")
			out.Same, out.All = chosen == "same", chosen == "all"
		default:
			d.errorf(n.Pos, "expected same, all, a list of namespaces or {labels: {...}}, found %s; write [%s] for one namespace", n.Describe(), source.Shorten(n.Text))
		}
	case ListNode:
		out.Names = namespaceList(d, n)
	case MapNode:
		structure(d, n, out, namespacesFields)
		d.notEmpty(n)
	default:
		d.expected(n, "same, all, a list of namespaces or {labels: {...}}")
	}
	return out
}

var namespacesFields = []field[Namespaces]{
	{name: "labels", decode: func(d *decoder, n *Node, s *Namespaces) {
		s.Labels = d.stringMap(n, "a map of labels", checkLabel)
		d.notEmpty(n)
	}},
}

func namespaceList(d *decoder, n *Node) []Label {
	out := list(d, n, 64, func(d *decoder, n *Node) Label { return d.label(n, "a namespace") })
	unique(d, n, out, func(l Label) string { return string(l) })
	slices.SortFunc(out, func(a, b Label) int { return cmp.Compare(a, b) })
	return out
}

func decodeDefaultFor(d *decoder, n *Node) *DefaultFor {
	if n.Kind == ListNode {
		return &DefaultFor{Names: namespaceList(d, n)}
	}
	if n.Kind != BoolNode {
		d.expected(n, "true, false or a list of namespaces")
		return nil
	}
	all, _ := d.boolean(n)
	return &DefaultFor{All: all}
}

// String gives the value of DefaultForAnnotation: "*", or the namespaces separated by commas.
func (f DefaultFor) String() string {
	if f.All {
		return "*"
	}
	names := make([]string, len(f.Names))
	for i, name := range f.Names {
		names[i] = string(name)
	}
	return strings.Join(names, ",")
}

// IsDefaultFor tells whether a value of DefaultForAnnotation takes in a namespace.
func IsDefaultFor(value, namespace string) bool {
	for name := range strings.SplitSeq(value, ",") {
		if name = strings.TrimSpace(name); name == "*" || name != "" && name == namespace {
			return true
		}
	}
	return false
}
