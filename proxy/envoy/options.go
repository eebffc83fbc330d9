package envoy

import (
	"net/netip"

	"headgate.dev/proxy/model"
)

// Options is what the translation must know about the place where the proxy runs. The zero value is a proxy in a
// cluster: listeners are bound on every address of their own port, and clients use the ports that the Gateway names.
type Options struct {
	// Bind tells where a listener is bound on this proxy. Nil binds [::]:PORT, for IPv4 too.
	Bind func(model.ListenerID) netip.AddrPort
	// PublicPort gives the port by which clients reach a port of a gateway, for redirects. Nil is the identity. host is where
	// they are led to, which need not be this gateway; empty: where they are.
	PublicPort func(gateway model.Name, port int32, host string) int32
	// Exclusive has another process refused that binds the address of a TCP listener too. Without it, processes of one user
	// that take the same port at the same time share its connections (SO_REUSEPORT).
	Exclusive bool
	// SystemCA is the file on the proxy with the certificates that its system trusts. Empty:
	// /etc/ssl/certs/ca-certificates.crt.
	SystemCA string
}

func (o Options) bind(id model.ListenerID) netip.AddrPort {
	if o.Bind == nil {
		return netip.AddrPortFrom(netip.IPv6Unspecified(), uint16(id.Port))
	}
	return o.Bind(id)
}

func (o Options) systemCA() string {
	if o.SystemCA == "" {
		return systemCA
	}
	return o.SystemCA
}

// publicPort gives the port that clients of a gateway use for port at a host, empty: where they are.
func (o Options) publicPort(gateway model.Name, port int32, host string) int32 {
	if o.PublicPort == nil {
		return port
	}
	return o.PublicPort(gateway, port, host)
}

// Problem is a route that Envoy would reject. Its requests are answered 500 where its match is sound; a route whose
// match cannot be expressed (a bad regular expression) is left out, as nobody can tell which requests it meant.
type Problem struct {
	Source  model.Source
	Message string // what is wrong, for the status of the object
}

// HostResult is what one host of the model is in Envoy.
type HostResult struct {
	// Resources of an exact host: its scope and its RouteConfiguration. None for a wildcard host.
	Resources []Resource
	// Part of a wildcard host, for Wildcards. Nil for an exact host.
	Part *Part
	// Problems in the order of the host's routes.
	Problems []Problem
}

// Part is the encoded virtual host of one wildcard hostname.
type Part struct {
	ID      model.HostID
	Version string // a digest: parts of the same ID and Version are equal
	body    []byte
}
