// Package model is what the Gateway API objects of a cluster mean once every rule of the specification has been
// applied: listeners, hosts, routes, backends. It has no Kubernetes and no Envoy type in it, so that the rules
// (package resolve), the translation (package envoy) and the explanations (package traffic) share one vocabulary.
//
// A Listener is one socket of a gateway: every Gateway API listener of that port shares it. A Chain is what a listener
// that speaks TLS does with the connections for one server name. A Table is one space of hostnames served on a listener;
// plain HTTP has one table per listener, HTTPS one per chain. A Host is one hostname of a table with its routes in the order in
// which they are tried. A Cluster is one port of one Service with one protocol. A Secret is a certificate with its key, or
// the certificates of those that are trusted. A Share is what one backend gets of the connections of a listener or chain.
//
// Values are immutable once made. Slices are in the order that matters, or sorted where none does.
package model

import (
	"fmt"
	"net/netip"
	"time"
)

// Name is namespace and name of a Kubernetes object.
type Name struct {
	Namespace, Name string
}

// String gives "namespace/name".
func (n Name) String() string { return n.Namespace + "/" + n.Name }

// Protocol is what is spoken on a listener or to a backend.
type Protocol string

// The protocols of listeners, and, from H2C on, those only backends have.
const (
	HTTP  Protocol = "HTTP"
	HTTPS Protocol = "HTTPS"
	TLS   Protocol = "TLS"
	TCP   Protocol = "TCP"
	UDP   Protocol = "UDP"
	H2C   Protocol = "H2C" // HTTP/2 with prior knowledge, appProtocol kubernetes.io/h2c (GEP-1911)
)

// TableID names a table: "namespace/gateway/80" for the plain HTTP listener of a port, and with "/HOSTNAME" behind it
// ("*" where the listener names none) for one of the HTTPS listeners of a port. It is the first half of the scope key of every
// host and never a position in a list.
type TableID string

// Table is one space of hostnames.
type Table struct {
	ID       TableID
	Gateway  Name
	Port     int32
	Protocol Protocol // HTTP or HTTPS
	// Misdirected are hostnames (exact, "*.example.com", or "*") that other tables of the same port serve. Requests for them
	// are answered 421 on a connection of this table (RFC 9110, 15.5.20; GEP-3567), unless one of its own hosts is more
	// specific. Sorted; empty for HTTP.
	Misdirected []string
}

// Listener is one socket of a gateway.
type Listener struct {
	Gateway  Name
	Port     int32    // as the Gateway says, 1 to 65535
	Protocol Protocol // HTTP, TLS (HTTPS too, which shares the port), TCP or UDP
	// Table is the table that requests of a plain HTTP listener are looked up in; empty for all others.
	Table TableID
	// Chains of a TLS listener, sorted by ServerName, each of which is there once. Connections for other names are closed.
	Chains []Chain
	// Forward is where the connections of a TCP listener and the sessions of a UDP listener go; nil closes and drops them.
	Forward *L4Forward
}

// Chain is what a TLS listener does with the connections for one server name (SNI, RFC 6066).
type Chain struct {
	// ServerName is exact, "*.example.com" (one or more labels), or "*": any name and none.
	ServerName string
	// Terminate says how TLS ends here; nil passes the connection on as it is.
	Terminate *Termination
	// Table has the hosts of an HTTPS chain, which has a Terminate; empty for all others.
	Table TableID
	// Forward is where the connections of a chain without a Table go; nil closes them.
	Forward *L4Forward
}

// Termination is how a listener speaks TLS with clients.
type Termination struct {
	// Certificates of which the proxy picks one by the client's abilities; at least one.
	Certificates []SecretID
	// Client says which certificates clients must show; nil asks for none.
	Client *ClientValidation
}

// ClientValidation says which certificates of clients are good (GEP-91).
type ClientValidation struct {
	// CA is the secret with the certificates that are trusted.
	CA SecretID
	// Optional takes clients without a certificate, and those with one that is not good, too (AllowInsecureFallback).
	Optional bool
}

// L4Forward spreads connections or UDP sessions over backends.
type L4Forward struct {
	Source Source
	// Shares has at least one entry with a weight above zero.
	Shares []Share
}

// Share is one share of connections.
type Share struct {
	// Cluster is the zero value for a share that has no valid backend: its connections are closed, its datagrams dropped.
	Cluster ClusterID
	Weight  uint32
}

// ListenerID names a listener.
type ListenerID struct {
	Gateway Name
	Port    int32
	UDP     bool
}

// ID gives the identity of l.
func (l *Listener) ID() ListenerID {
	return ListenerID{Gateway: l.Gateway, Port: l.Port, UDP: l.Protocol == UDP}
}

// HostID names one hostname of one table.
type HostID struct {
	Table TableID
	// Name is an exact hostname in lower case ("shop.example.com"), a wildcard ("*.example.com", matching one or
	// more labels), or "*": any host.
	Name string
}

// Wildcard tells whether the host stands for more than one name.
func (h HostID) Wildcard() bool { return h.Name != "" && h.Name[0] == '*' }

// Host is one hostname of a table. A host without routes answers 404: a listener that offers a hostname shields it
// from the wildcards of other listeners (GEP-3155, listener isolation).
type Host struct {
	ID HostID
	// Gateway, Port and Protocol (HTTP or HTTPS) are those of the table, for redirects that name neither scheme nor port.
	Gateway  Name
	Port     int32
	Protocol Protocol
	// Routes in the order they are tried; the first that matches answers.
	Routes []Route
}

// Source is the rule of the object that a route comes from.
type Source struct {
	Kind string // HTTPRoute, GRPCRoute, ...
	Name        // of the object
	Rule int    // index in spec.rules, for people and for origins; never part of an xDS name
	// RuleName is spec.rules[].name, or empty.
	RuleName string
	Match    int // index in spec.rules[].matches
}

// Object gives "HTTPRoute namespace/name".
func (s Source) Object() string { return s.Kind + " " + s.Name.String() }

// Route answers the requests of its host that match. Exactly one of Forward, Redirect and Status is set.
type Route struct {
	Source          Source
	Match           Match
	Forward         *Forward
	Redirect        *Redirect
	Status          int // answer with this status and no backend: 500 where a rule has no valid backend, 503 for gRPC
	RequestHeaders  *HeaderEdit
	ResponseHeaders *HeaderEdit
	CORS            *CORS
}

// PathKind is how a path is compared.
type PathKind uint8

// The kinds of path comparison.
const (
	PathPrefix PathKind = iota // whole segments: "/api" matches "/api", "/api/x", not "/apis"; "/" matches everything
	PathExact
	PathRegex // RE2 over the whole path without the query
)

// Match is what a request must have: all fields together.
type Match struct {
	PathKind PathKind
	Path     string // begins with "/"; no trailing "/" for PathPrefix except "/" itself
	Method   string // empty: any
	GRPC     bool   // only gRPC requests: content-type application/grpc, with or without a suffix
	Headers  []ValueMatch
	Query    []ValueMatch
}

// PathRank orders matches by what they say of the path, which comes before all else: the lower one is tried first. It is 0 for an exact path, 1 for a
// regular expression, 2 for a prefix, 3 for a method of any gRPC service, which is a regular expression too, and 4 for what fits every path.
func (m *Match) PathRank() int {
	switch {
	case m.PathKind == PathExact:
		return 0
	case m.PathKind == PathRegex && !m.GRPC:
		return 1
	case m.PathKind == PathPrefix && m.Path != "/":
		return 2
	case m.PathKind == PathRegex:
		return 3
	default:
		return 4
	}
}

// ValueMatch is one header (name in lower case) or one query parameter (name as written).
type ValueMatch struct {
	Name  string
	Value string
	Regex bool // Value is an RE2 expression over the whole value
}

// Forward sends the request to backends.
type Forward struct {
	// Backends has at least one entry with a weight above zero.
	Backends []Backend
	Rewrite  *Rewrite
	// Timeout bounds the whole request, BackendTimeout one attempt; nil says nothing, 0 means no bound (GEP-1742).
	Timeout, BackendTimeout *time.Duration
	Retry                   *Retry
	Mirrors                 []Mirror
}

// Backend is one share of a rule's traffic.
type Backend struct {
	// Cluster is the zero value for a share that has no valid backend: its requests are answered 500, those of a Route with
	// Match.GRPC 503 (which gRPC calls UNAVAILABLE).
	Cluster ClusterID
	Weight  uint32
	// The edits of this share alone, after those of the route.
	RequestHeaders  *HeaderEdit
	ResponseHeaders *HeaderEdit
	Rewrite         *Rewrite
}

// Rewrite changes the request before it is forwarded.
type Rewrite struct {
	Host string // the new Host header; empty: unchanged
	Path *PathEdit
}

// PathEdit replaces the whole path, or the matched prefix of it.
type PathEdit struct {
	Prefix bool
	Value  string
}

// Redirect answers with a Location. Empty and zero fields keep what the request had, but see Host.Port.
type Redirect struct {
	Scheme string
	Host   string
	Port   int32 // 0: the well-known port of Scheme if that is set, else the listener's
	Path   *PathEdit
	Code   int // 301, 302, 303, 307 or 308
}

// Retry says when an attempt is repeated. Connection failures always count.
type Retry struct {
	Attempts uint32 // further attempts after the first
	Codes    []int  // response codes that count, sorted
	Backoff  time.Duration
}

// Mirror sends a copy of some requests and drops the answers.
type Mirror struct {
	Cluster ClusterID
	// Numerator of Denominator requests are mirrored, at random.
	Numerator, Denominator uint32
}

// HeaderEdit changes headers: Remove first, then Set, then Add. Names are lower case; each slice is in the order written.
type HeaderEdit struct {
	Set, Add []Header
	Remove   []string
}

// Header is one header field.
type Header struct {
	Name, Value string
}

// CORS answers preflight requests and marks answers (GEP-1767). Origins are "*", exact ("https://a.example"), or with a
// wildcard label ("https://*.example.com").
type CORS struct {
	Origins, Methods, Headers, Expose []string
	Credentials                       bool
	MaxAge                            time.Duration
}

// ClusterID names a cluster by what it is, so that health and connections survive every edit of a route.
type ClusterID struct {
	Service Name
	Port    int32
	// Protocol is HTTP, H2C, TCP, UDP or TLS. TLS is what a listener has decrypted: TCP for which Cluster.TLS counts, while TCP
	// passes on what it got, encrypted or not.
	Protocol Protocol
	// Mix is true for the cluster that a UDP listener with several shares sends to: Service and Port are then its Gateway and
	// port, and its endpoints are those of the shares, with weights.
	Mix bool
}

// String gives "namespace/service/8080/HTTP", with "/mix" behind it for a mix.
func (c ClusterID) String() string {
	if c.Mix {
		return fmt.Sprintf("%s/%d/%s/mix", c.Service, c.Port, c.Protocol)
	}
	return fmt.Sprintf("%s/%d/%s", c.Service, c.Port, c.Protocol)
}

// Cluster is a backend that at least one route of a fleet names.
type Cluster struct {
	ID ClusterID
	// TLS is how the proxy speaks TLS with the endpoints; nil: not at all.
	TLS *BackendTLS
	// Zones is true where a proxy prefers the endpoints of its own zone, and goes to others when it has none there.
	Zones bool
}

// BackendTLS is TLS with a backend (BackendTLSPolicy, GEP-1897).
type BackendTLS struct {
	// Hostname is the SNI, and the name that the backend's certificate must have where Names is empty.
	Hostname string
	// CA is the secret with the certificates that are trusted; empty for those of the system.
	CA SecretID
	// Names are the subject alternative names of which the backend's certificate must have one; sorted.
	Names []SubjectName
	// Client is the secret with the certificate that the proxy shows; empty: none.
	Client SecretID
}

// SubjectName is a subject alternative name.
type SubjectName struct {
	URI  bool // a URI, else a DNS name, which may begin with a wildcard label
	Name string
}

// Endpoints is where a cluster's requests go. None is a state of its own: 503.
type Endpoints struct {
	Cluster ClusterID
	List    []Endpoint // sorted by address
}

// Endpoint is one address of a cluster.
type Endpoint struct {
	Address netip.AddrPort
	// Draining endpoints take no new connection unless nothing else is left (KEP-1669).
	Draining bool
	// Weight of an endpoint of a mix, above zero; 0 in all other clusters, where all are equal.
	Weight uint32
	// Zone whose proxies prefer the endpoint; empty unless Cluster.Zones.
	Zone string
}
