package schema

import (
	"net/netip"
	"strings"

	"headgate.dev/schema/source"
)

var addressFields = []field[Address]{
	{name: "type", decode: func(d *decoder, n *Node, a *Address) {
		text, ok := d.textUpTo(n, "an address type", 253)
		if ok && !strings.Contains(text, "/") {
			text = string(choice[AddressType](d, n, "an address type", "IPAddress", "Hostname", "NamedAddress"))
		}
		a.Type = AddressType(text)
	}},
	{name: "value", required: true, decode: func(d *decoder, n *Node, a *Address) { a.Value = d.address(n) }},
}

func (d *decoder) address(n *Node) string {
	text, ok := d.textUpTo(n, "an address", 253)
	if ok && text == "" {
		d.errorf(n.Pos, "expected an address, found the empty text; leave addresses out to have one chosen")
	}
	return text
}

func decodeAddress(d *decoder, n *Node) Address {
	var a Address
	if n.Kind == MapNode {
		structure(d, n, &a, addressFields)
	} else {
		a.Value = d.address(n)
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
