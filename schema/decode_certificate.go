package schema

import (
	"strconv"
	"strings"

	"headgate.dev/schema/source"
)

// maxCertificates is how many Secrets a listener may have (Gateway API v1.7, ListenerTLSConfig).
const maxCertificates = 64

// objectName decodes "name" or "namespace/name"; what says whose name it is.
func (d *decoder) objectName(n *Node, what string) ObjectName {
	text, ok := d.text(n, what)
	if !ok {
		return ObjectName{}
	}
	name := ObjectName{Name: text}
	problem := ""
	if namespace, rest, cut := strings.Cut(text, "/"); cut {
		name = ObjectName{Namespace: namespace, Name: rest}
		if problem = labelProblem(namespace); problem != "" {
			problem = "in its namespace: " + problem
		}
	}
	if problem == "" {
		problem = subdomainProblem(name.Name)
	}
	if problem != "" {
		d.errorf(n.Pos, "%q is not %s: %s; write \"name\" or \"namespace/name\"", source.Shorten(text), what, problem)
		return ObjectName{}
	}
	return name
}

// String gives the name in its short form.
func (n ObjectName) String() string {
	if n.Namespace == "" {
		return n.Name
	}
	return n.Namespace + "/" + n.Name
}

func decodeSecretName(d *decoder, n *Node) ObjectName { return d.objectName(n, "the name of a Secret") }

func secretNames(d *decoder, n *Node) []ObjectName {
	names := oneOrList(d, n, maxCertificates, decodeSecretName)
	unique(d, n, names, ObjectName.String)
	return names
}

// decodeCertificates takes the Secrets for all hosts, or a map from hosts to Secrets.
func decodeCertificates(d *decoder, n *Node) *Certificates {
	if n.Kind != MapNode {
		return &Certificates{All: secretNames(d, n)}
	}
	out := &Certificates{}
	d.eachEntry(n, "a map of hosts to Secrets", func(e *Entry) {
		if problem := hostProblem(e.Key, true); e.Key != "*" && problem != "" {
			d.errorf(e.Pos, "%q is not a hostname: %s", source.Shorten(e.Key), problem)
			return
		}
		out.ByHost = append(out.ByHost, HostCertificates{Host: ListenerHost(e.Key), Secrets: secretNames(d, e.Value)})
	})
	return out
}

// Of gives the Secrets of a host, and the host of the map they stand for: the host itself, else the wildcard of the names
// beside it, as certificates have it, else "*". The host is empty where the Secrets are for all; without Secrets there is no
// certificate.
func (c *Certificates) Of(host ListenerHost) (secrets []ObjectName, from ListenerHost) {
	if c == nil || len(c.All) > 0 {
		return c.all(), ""
	}
	beside := host
	if _, above, more := strings.Cut(string(host), "."); more {
		beside = ListenerHost("*." + above)
	}
	for _, candidate := range []ListenerHost{host, beside, "*"} {
		for _, h := range c.ByHost {
			if h.Host == candidate {
				return h.Secrets, h.Host
			}
		}
	}
	return nil, ""
}

func (c *Certificates) all() []ObjectName {
	if c == nil {
		return nil
	}
	return c.All
}

var clientAuthFields = []field[ClientAuth]{
	{name: "ca", required: true, decode: func(d *decoder, n *Node, c *ClientAuth) {
		c.CA = oneOrList(d, n, 16, func(d *decoder, n *Node) ObjectName { return d.objectName(n, "the name of a ConfigMap") })
		unique(d, n, c.CA, ObjectName.String)
	}},
	{name: "mode", decode: func(d *decoder, n *Node, c *ClientAuth) {
		c.Mode = choice(d, n, "a mode", ClientValidOnly, ClientInsecureFallback)
	}},
	{name: "ports", decode: func(d *decoder, n *Node, c *ClientAuth) {
		c.Ports = list(d, n, 64, (*decoder).port)
	}},
}

func decodeClientAuth(d *decoder, n *Node) ClientAuth {
	var c ClientAuth
	structure(d, n, &c, clientAuthFields)
	return c
}

// checkGateway checks what needs several fields of the spec.
func (d *decoder) checkGateway(root *Node, g *Gateway) {
	spec := root.Lookup("spec")
	if spec == nil || spec.Kind != MapNode {
		return
	}
	d.push("spec")
	defer d.pop()
	general := false
	ports := map[Port]bool{}
	for i, c := range g.ClientAuth {
		at := "/clientAuth"
		if spec.Lookup("clientAuth").Kind == ListNode {
			at += "/" + strconv.Itoa(i)
		}
		if len(c.Ports) == 0 {
			if general {
				d.errorIn(spec, at, "needs ports, because another entry is for all ports already")
			}
			general = true
		}
		for j, port := range c.Ports {
			if port != 0 && ports[port] {
				d.errorIn(spec, at+"/ports/"+strconv.Itoa(j), "port %d is already there", port)
			}
			ports[port] = true
		}
	}
	if len(ports) > 64 {
		d.errorIn(spec, "/clientAuth", "at most 64 ports are possible, found %d", len(ports))
	}
}
