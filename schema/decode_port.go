package schema

var gatewayPortFields = []field[GatewayPort]{
	{name: "port", required: true, decode: func(d *decoder, n *Node, p *GatewayPort) { p.Port = d.port(n) }},
	{name: "protocol", decode: func(d *decoder, n *Node, p *GatewayPort) {
		p.Protocol = choice(d, n, "a protocol", ProtocolHTTP, ProtocolHTTPS, ProtocolTLS, ProtocolTCP, ProtocolUDP)
	}},
	{name: "hosts", decode: func(d *decoder, n *Node, p *GatewayPort) {
		p.Hosts = hostList(d, n, portHostFields, func(h *PortHost) *ListenerHost { return &h.Host })
	}},
	{name: "namespaces", decode: func(d *decoder, n *Node, p *GatewayPort) { p.Namespaces = decodeNamespaces(d, n) }},
	{name: "tls", decode: func(d *decoder, n *Node, p *GatewayPort) { p.TLS = secretNames(d, n) }},
	{name: "mode", decode: func(d *decoder, n *Node, p *GatewayPort) {
		p.Mode = choice(d, n, "a mode", TLSPassthrough, TLSTerminate)
	}},
}

func decodeGatewayPort(d *decoder, n *Node) GatewayPort {
	var p GatewayPort
	structure(d, n, &p, gatewayPortFields)
	if n.Kind != MapNode {
		return p
	}
	p.complete(n)
	d.checkPort(n, &p)
	return p
}

// certified tells whether a certificate is named for the port or one of its hosts.
func (p *GatewayPort) certified() bool {
	for _, h := range p.Hosts {
		if len(h.TLS) > 0 {
			return true
		}
	}
	return len(p.TLS) > 0
}

// complete fills in protocol and mode where they are not given.
func (p *GatewayPort) complete(n *Node) {
	if p.Protocol == "" && n.Lookup("protocol") == nil {
		switch {
		case n.Lookup("mode") != nil:
			p.Protocol = ProtocolTLS
		case p.certified():
			p.Protocol = ProtocolHTTPS
		default:
			p.Protocol = ProtocolHTTP
		}
	}
	if p.Protocol == ProtocolTLS && n.Lookup("mode") == nil {
		p.Mode = TLSPassthrough
		if p.certified() {
			p.Mode = TLSTerminate
		}
	}
}

// checkPort refuses what the protocol of the port has no use for.
func (d *decoder) checkPort(n *Node, p *GatewayPort) {
	refuse := func(name, reason string) {
		if n.Lookup(name) != nil {
			d.errorAt(n, name, "not possible with protocol %s: %s", p.Protocol, reason)
		}
	}
	switch p.Protocol {
	case ProtocolTCP, ProtocolUDP:
		const reason = "a stream of bytes or datagrams names no host"
		refuse("hosts", reason)
		refuse("tls", reason+"; TLS connections have protocol TLS")
		refuse("mode", "it is for protocol TLS")
	case ProtocolHTTP:
		refuse("tls", "it is for HTTPS and TLS")
		refuse("mode", "it is for protocol TLS")
		if p.certified() && n.Lookup("tls") == nil {
			d.errorAt(n, "hosts", "not possible with protocol HTTP: a host has a certificate, which is for HTTPS and TLS")
		}
	case ProtocolHTTPS:
		refuse("mode", "HTTPS is always decrypted here; TLS is passed on with protocol TLS")
	case ProtocolTLS:
		if p.Mode == TLSPassthrough && p.certified() {
			d.errorAt(n, "mode", "passthrough is not possible together with tls: what is passed on as it is needs no certificate here")
		}
	}
}
