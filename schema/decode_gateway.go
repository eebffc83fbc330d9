package schema

import (
	"cmp"
	"net/netip"
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
	{name: "hosts", decode: func(d *decoder, n *Node, g *Gateway) { g.Hosts = gatewayHosts(d, n) }},
	{name: "ports", decode: func(d *decoder, n *Node, g *Gateway) { g.Ports = list(d, n, 0, decodeGatewayPort) }},
	{name: "allow", decode: func(d *decoder, n *Node, g *Gateway) { g.Allow = pointer(d, n, allowFields) }},
	{name: "default", decode: func(d *decoder, n *Node, g *Gateway) { g.Default = decodeDefaultFor(d, n) }},
	{name: "addresses", decode: func(d *decoder, n *Node, g *Gateway) {
		g.Addresses = list(d, n, 16, decodeAddress)
		unique(d, n, g.Addresses, func(a Address) string { return a.Value })
	}},
	{name: "infrastructure", decode: func(d *decoder, n *Node, g *Gateway) { g.Infrastructure = pointer(d, n, infrastructureFields) }},
	{name: "patches", decode: func(d *decoder, n *Node, g *Gateway) { g.Patches = list(d, n, 0, decodePatch) }},
}

func gatewayHosts(d *decoder, n *Node) []GatewayHost {
	hosts := list(d, n, 0, decodeGatewayHost)
	unique(d, n, hosts, func(h GatewayHost) string { return string(h.Host) })
	return hosts
}

var gatewayHostFields = []field[GatewayHost]{
	{name: "host", required: true, decode: func(d *decoder, n *Node, h *GatewayHost) { h.Host = d.listenerHost(n) }},
	{name: "namespaces", decode: func(d *decoder, n *Node, h *GatewayHost) { h.Namespaces = decodeNamespaces(d, n) }},
}

func decodeGatewayHost(d *decoder, n *Node) GatewayHost {
	var h GatewayHost
	switch n.Kind {
	case StringNode:
		h.Host = d.listenerHost(n)
	case MapNode:
		structure(d, n, &h, gatewayHostFields)
	default:
		d.expected(n, "a hostname or a map of "+listNames(gatewayHostFields))
	}
	return h
}

func (d *decoder) listenerHost(n *Node) ListenerHost {
	if n.Kind == StringNode && n.Text == "*" {
		return "*"
	}
	return ListenerHost(d.host(n, true))
}

var gatewayPortFields = []field[GatewayPort]{
	{name: "port", required: true, decode: func(d *decoder, n *Node, p *GatewayPort) { p.Port = d.port(n) }},
	{name: "protocol", decode: func(d *decoder, n *Node, p *GatewayPort) { p.Protocol = choice(d, n, "a protocol", ProtocolHTTP) }},
	{name: "hosts", decode: func(d *decoder, n *Node, p *GatewayPort) { p.Hosts = gatewayHosts(d, n) }},
}

func decodeGatewayPort(d *decoder, n *Node) GatewayPort {
	var p GatewayPort
	structure(d, n, &p, gatewayPortFields)
	return p
}

var allowFields = []field[Allow]{
	{name: "namespaces", required: true, decode: func(d *decoder, n *Node, a *Allow) { a.Namespaces = decodeNamespaces(d, n) }},
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

var addressFields = []field[Address]{
	{name: "type", decode: func(d *decoder, n *Node, a *Address) {
		text, ok := d.textUpTo(n, "an address type", 253)
		if ok && !strings.Contains(text, "/") {
			text = string(choice[AddressType](d, n, "an address type", "IPAddress", "Hostname", "NamedAddress"))
		}
		a.Type = AddressType(text)
	}},
	{name: "value", required: true, decode: func(d *decoder, n *Node, a *Address) { a.Value, _ = d.textUpTo(n, "an address", 253) }},
}

func decodeAddress(d *decoder, n *Node) Address {
	var a Address
	if n.Kind == MapNode {
		structure(d, n, &a, addressFields)
	} else {
		a.Value, _ = d.textUpTo(n, "an address", 253)
	}
	if a.Value == "" {
		return a
	}
	_, err := netip.ParseAddr(a.Value)
	switch {
	case a.Type == "" && err == nil:
		a.Type = "IPAddress"
	case a.Type == "":
		a.Type = "Hostname"
	}
	switch {
	case a.Type == "IPAddress" && err != nil:
		d.errorf(n.Pos, "%q is not an IP address", source.Shorten(a.Value))
	case a.Type == "Hostname":
		if problem := hostProblem(a.Value, true); problem != "" {
			d.errorf(n.Pos, "%q is neither an IP address nor a hostname: %s", source.Shorten(a.Value), problem)
		}
	}
	return a
}

var infrastructureFields = []field[Infrastructure]{
	{name: "labels", decode: func(d *decoder, n *Node, i *Infrastructure) {
		i.Labels = d.stringMap(n, "a map of labels", checkLabel)
		d.atMost(n, 8)
	}},
	{name: "annotations", decode: func(d *decoder, n *Node, i *Infrastructure) {
		i.Annotations = d.stringMap(n, "a map of annotations", checkAnnotation)
		d.atMost(n, 16)
	}},
	{name: "parameters", decode: func(d *decoder, n *Node, i *Infrastructure) { i.Parameters = decodeParameters(d, n) }},
}

func (d *decoder) atMost(n *Node, most int) {
	if len(n.Entries) > most {
		d.errorf(n.Pos, "at most %d are possible, found %d", most, len(n.Entries))
	}
}

var parametersFields = []field[ParametersRef]{
	{name: "group", decode: func(d *decoder, n *Node, r *ParametersRef) { r.Group, _ = d.textUpTo(n, "an API group", 253) }},
	{name: "kind", decode: func(d *decoder, n *Node, r *ParametersRef) { r.Kind, _ = d.textUpTo(n, "a kind", 63) }},
	{name: "name", required: true, decode: func(d *decoder, n *Node, r *ParametersRef) { r.Name, _ = d.textUpTo(n, "a name", 253) }},
}

func decodeParameters(d *decoder, n *Node) *ParametersRef {
	r := &ParametersRef{Group: Group, Kind: "ProxyConfig"}
	if n.Kind == MapNode {
		structure(d, n, r, parametersFields)
		return r
	}
	r.Name, _ = d.textUpTo(n, "the name of a ProxyConfig", 253)
	if n.Kind == StringNode && subdomainProblem(r.Name) != "" {
		d.errorf(n.Pos, "%q is not a name: %s", source.Shorten(r.Name), subdomainProblem(r.Name))
	}
	return r
}
