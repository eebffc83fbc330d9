package schema

import (
	"slices"
	"strconv"
	"strings"

	"headgate.dev/schema/source"
)

var serviceSpecFields = append(headerFields(func(s *ServiceSpec) *Metadata { return &s.Metadata }), field[ServiceSpec]{
	name: "spec", required: true, decode: func(d *decoder, n *Node, s *ServiceSpec) { structure(d, n, &s.Spec, serviceFields) },
})

var serviceFields = []field[Service]{
	{name: "gateway", decode: func(d *decoder, n *Node, s *Service) {
		s.Gateway = oneOrList(d, n, 32, decodeGatewayRef)
		unique(d, n, s.Gateway, GatewayRef.String)
	}},
	{name: "hosts", decode: func(d *decoder, n *Node, s *Service) {
		s.Hosts = list(d, n, 0, serviceHost)
		unique(d, n, s.Hosts, func(h Hostname) string { return string(h) })
	}},
	{name: "port", decode: func(d *decoder, n *Node, s *Service) { s.Port = d.port(n) }},
	{name: "service", decode: func(d *decoder, n *Node, s *Service) { s.Service = d.serviceName(n) }},
	{name: "routes", decode: func(d *decoder, n *Node, s *Service) {
		s.Routes = list(d, n, 0, decodeRoute)
		unique(d, n, s.Routes, func(r Route) string { return string(r.Name) })
	}},
	{name: "grpc", decode: func(d *decoder, n *Node, s *Service) {
		s.GRPC = list(d, n, 0, decodeGRPC)
		unique(d, n, s.GRPC, func(g GRPC) string { return string(g.Name) })
	}},
	{name: "tcp", decode: func(d *decoder, n *Node, s *Service) { s.TCP = decodeStreams(d, n) }},
	{name: "udp", decode: func(d *decoder, n *Node, s *Service) { s.UDP = decodeStreams(d, n) }},
	{name: "tls", decode: func(d *decoder, n *Node, s *Service) { s.TLS = list(d, n, 0, decodeTLS) }},
	{name: "backendTLS", decode: func(d *decoder, n *Node, s *Service) { s.BackendTLS = pointer(d, n, backendTLSFields) }},
	{name: "allowFrom", decode: func(d *decoder, n *Node, s *Service) {
		s.AllowFrom = list(d, n, 0, func(d *decoder, n *Node) Label { return d.label(n, "a namespace") })
		unique(d, n, s.AllowFrom, func(l Label) string { return string(l) })
	}},
	{name: "patches", decode: func(d *decoder, n *Node, s *Service) { s.Patches = list(d, n, 0, decodePatch) }},
}

func serviceHost(d *decoder, n *Node) Hostname {
	if n.Kind == StringNode && n.Text == "*" {
		d.errorf(n.Pos, "\"*\" is not a hostname; leave hosts out to answer to every host")
		return ""
	}
	return d.host(n, true)
}

// serviceName decodes the name of a Service and explains the mistake of writing its port along.
func (d *decoder) serviceName(n *Node) Label {
	if n.Kind == StringNode && strings.ContainsAny(n.Text, ":/") {
		d.errorf(n.Pos, "%q is not a Service name; the port belongs into port, the namespace into namespace or to", source.Shorten(n.Text))
		return ""
	}
	return d.label(n, "a Service name")
}

// String gives the reference in its short form.
func (r GatewayRef) String() string {
	name := r.Name
	if r.Namespace != "" {
		name = r.Namespace + "/" + name
	}
	switch {
	case r.Listener != "":
		return name + "#" + r.Listener
	case r.Port != 0:
		return name + "#" + strconv.Itoa(int(r.Port))
	}
	return name
}

func decodeGatewayRef(d *decoder, n *Node) GatewayRef {
	text, ok := d.text(n, "a gateway")
	if !ok {
		return GatewayRef{}
	}
	ref, problem := ParseGatewayRef(text)
	if problem != "" {
		d.errorf(n.Pos, "%q is not a gateway: %s; write \"name\", \"namespace/name\", \"namespace/name#listener\" or \"#443\"", source.Shorten(text), problem)
		return GatewayRef{}
	}
	return ref
}

// ParseGatewayRef reads the short form of a gateway reference. problem is "" when it is one.
func ParseGatewayRef(text string) (ref GatewayRef, problem string) {
	name, part, narrowed := strings.Cut(text, "#")
	if name != "" || !narrowed {
		if problem = ref.readName(name); problem != "" {
			return GatewayRef{}, problem
		}
	}
	if narrowed {
		if problem = ref.readPart(part); problem != "" {
			return GatewayRef{}, problem
		}
	}
	return ref, ""
}

func (r *GatewayRef) readName(text string) (problem string) {
	r.Name = text
	if namespace, name, ok := strings.Cut(text, "/"); ok {
		r.Namespace, r.Name = namespace, name
		if problem := labelProblem(namespace); problem != "" {
			return "in its namespace: " + problem
		}
	}
	if problem := subdomainProblem(r.Name); problem != "" {
		return "in its name: " + problem
	}
	return ""
}

// readPart reads what stands after "#": a port if it is a number, else the name of a listener.
func (r *GatewayRef) readPart(text string) (problem string) {
	if text != "" && onlyDigits(text) {
		port, err := strconv.ParseUint(text, 10, 16)
		if err != nil || port == 0 {
			return "its port is not from 1 to 65535"
		}
		r.Port = Port(port)
		return ""
	}
	if problem := subdomainProblem(text); problem != "" {
		return "in its listener: " + problem
	}
	r.Listener = text
	return ""
}

// checkService checks what needs several fields of the spec.
func (d *decoder) checkService(root *Node, s *Service) {
	spec := root.Lookup("spec")
	if spec == nil || spec.Kind != MapNode {
		return
	}
	d.push("spec")
	defer d.pop()
	given := func(name string) bool { return spec.Lookup(name) != nil }
	if !slices.ContainsFunc([]string{"port", "routes", "grpc", "tcp", "udp", "tls"}, given) {
		d.errorf(spec.Pos, "needs port, the port of the Service, or routes, grpc, tcp, udp or tls")
	}
	d.checkTLS(spec, s)
	for i := range s.Routes {
		d.checkLoop(spec, s, i)
	}
	d.checkParents(spec, s.Gateway)
}

// checkParents refuses what Gateway API's standard channel refuses: one gateway twice, unless both name a listener.
func (d *decoder) checkParents(spec *Node, refs []GatewayRef) {
	for i, ref := range refs {
		for _, other := range refs[:i] {
			if ref == other || ref.Namespace != other.Namespace || ref.Name != other.Name || ref.Listener != "" && other.Listener != "" {
				continue
			}
			d.push("gateway")
			d.push(strconv.Itoa(i))
			d.errorf(spec.At("/gateway/"+strconv.Itoa(i)), "%q and %q attach to one gateway twice; that is possible only by the names of listeners, as in %q",
				other, ref, GatewayRef{Namespace: ref.Namespace, Name: ref.Name, Listener: "http"})
			d.pop()
			d.pop()
		}
	}
}
