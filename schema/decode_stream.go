package schema

import (
	"net/url"
	"strconv"
	"strings"

	"headgate.dev/schema/source"
)

var streamFields = []field[Stream]{
	{name: "port", required: true, decode: func(d *decoder, n *Node, s *Stream) { s.Port = d.port(n) }},
	{name: "to", decode: func(d *decoder, n *Node, s *Stream) { s.To = streamBackends(d, n) }},
	{name: "hosts", refused: "a stream of bytes or datagrams names no host; the port alone decides"},
}

func decodeStreams(d *decoder, n *Node) []Stream {
	streams := list(d, n, 0, func(d *decoder, n *Node) Stream {
		var s Stream
		structure(d, n, &s, streamFields)
		return s
	})
	unique(d, n, streams, func(s Stream) string {
		if s.Port == 0 {
			return ""
		}
		return strconv.Itoa(int(s.Port))
	})
	return streams
}

var tlsFields = []field[TLS]{
	{name: "hosts", decode: func(d *decoder, n *Node, t *TLS) { t.Hosts = list(d, n, 1024, serviceHost) }},
	{name: "to", decode: func(d *decoder, n *Node, t *TLS) { t.To = streamBackends(d, n) }},
	{name: "port", refused: "TLS connections are told apart by host; the port is the gateway's, which gateway can narrow: \"#8443\""},
}

func decodeTLS(d *decoder, n *Node) TLS {
	var t TLS
	structure(d, n, &t, tlsFields)
	return t
}

// checkTLS: every entry has hosts, and no host is in two, because nothing else tells them apart.
func (d *decoder) checkTLS(spec *Node, s *Service) {
	first := map[Hostname]string{}
	for i, t := range s.TLS {
		at, hosts, from := "/tls/"+strconv.Itoa(i), t.Hosts, "/hosts/"
		if len(hosts) == 0 {
			hosts = s.Hosts
			if len(hosts) == 0 && spec.Get("/hosts") == nil && spec.Get(at+"/hosts") == nil {
				d.errorIn(spec, at, "needs hosts: the names connections ask for")
			}
		} else {
			from = at + from
		}
		for j, host := range hosts {
			pointer := from + strconv.Itoa(j)
			if other, there := first[host]; there && host != "" {
				if len(t.Hosts) == 0 {
					pointer = at
				}
				d.errorIn(spec, pointer, "%q is already there on line %d; nothing but the host tells TLS connections apart", host, spec.At(other).Line)
				continue
			}
			first[host] = pointer
		}
		if len(hosts) > 1024 {
			d.errorIn(spec, at, "at most 1024 hosts are possible, found %d", len(hosts))
		}
	}
}

// errorIn reports something wrong at a pointer below the current path, whose node is n.
func (d *decoder) errorIn(n *Node, pointer, format string, args ...any) {
	length := len(d.path)
	for token := range source.Tokens(pointer) {
		d.push(token)
	}
	d.errorf(n.At(pointer), format, args...)
	d.path = d.path[:length]
}

var backendTLSFields = []field[BackendTLS]{
	{name: "hostname", required: true, decode: func(d *decoder, n *Node, b *BackendTLS) { b.Hostname = d.host(n, false) }},
	{name: "ca", required: true, decode: func(d *decoder, n *Node, b *BackendTLS) {
		b.CA = oneOrList(d, n, 8, decodeCARef)
		unique(d, n, b.CA, func(c CARef) string { return c.ConfigMap })
		for _, c := range b.CA {
			if c.System && len(b.CA) > 1 {
				d.errorf(n.Pos, "system stands alone; a ConfigMap of that name is {configMap: system}")
				break
			}
		}
	}},
	{name: "sans", decode: func(d *decoder, n *Node, b *BackendTLS) {
		b.SANs = list(d, n, 5, decodeSAN)
		unique(d, n, b.SANs, func(s SAN) string { return string(s.Hostname) + string(s.URI) })
	}},
}

var caRefFields = []field[CARef]{
	{name: "configMap", required: true, decode: func(d *decoder, n *Node, c *CARef) { c.ConfigMap = d.subdomain(n, "the name of a ConfigMap") }},
}

func decodeCARef(d *decoder, n *Node) CARef {
	var c CARef
	switch {
	case n.Kind == MapNode:
		structure(d, n, &c, caRefFields)
	case n.Kind == StringNode && n.Text == "system":
		c.System = true
	default:
		c.ConfigMap = d.subdomain(n, "the name of a ConfigMap, or system")
	}
	return c
}

// subdomain decodes a DNS subdomain; what says whose name it is.
func (d *decoder) subdomain(n *Node, what string) string {
	text, ok := d.text(n, what)
	if !ok {
		return ""
	}
	if problem := subdomainProblem(text); problem != "" {
		d.errorf(n.Pos, "%q is not %s: %s", source.Shorten(text), what, problem)
		return ""
	}
	return text
}

var sanFields = []field[SAN]{
	{name: "hostname", decode: func(d *decoder, n *Node, s *SAN) { s.Hostname = d.host(n, true) }},
	{name: "uri", decode: func(d *decoder, n *Node, s *SAN) { s.URI = d.uri(n) }},
}

func decodeSAN(d *decoder, n *Node) SAN {
	var s SAN
	switch {
	case n.Kind == MapNode:
		structure(d, n, &s, sanFields)
		if len(n.Entries) != 1 {
			d.errorf(n.Pos, "expected one of hostname and uri%s", trapIn(n))
		}
	case n.Kind == StringNode && strings.Contains(n.Text, "://"):
		s.URI = d.uri(n)
	default:
		s.Hostname = d.host(n, true)
	}
	return s
}

func (d *decoder) uri(n *Node) URI {
	text, ok := d.textUpTo(n, "a URI", 253)
	if !ok {
		return ""
	}
	if u, err := url.Parse(text); err != nil || u.Scheme == "" || u.Host == "" {
		d.errorf(n.Pos, "%q is not a URI with scheme and authority, as in \"spiffe://example.com/shop\"", source.Shorten(text))
		return ""
	}
	return URI(text)
}
