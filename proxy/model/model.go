// Package model is what the Gateway API objects of a cluster mean once every rule of the specification has been
// applied: listeners, hosts, routes, backends. It has no Kubernetes and no Envoy type in it, so that the rules
// (package resolve), the translation (package envoy) and the explanations (package traffic) share one vocabulary.
//
// A Listener is one socket of a gateway: every Gateway API listener of that port shares it. A Table is one space of
// hostnames served on it; plain HTTP has one table per listener, HTTPS one per Gateway API listener. A Host is one
// hostname of a table with its routes in the order in which they are tried. A Cluster is one port of one Service
// with one protocol.
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

// TableID names a table: "namespace/gateway/80" for the plain HTTP listener of a port. It is the first half of the
// scope key of every host and never a position in a list.
type TableID string

// Listener is one socket of a gateway.
type Listener struct {
	Gateway  Name
	Port     int32 // as the Gateway says, 1 to 65535
	Protocol Protocol
	// Table is the table that requests of a plain HTTP listener are looked up in.
	Table TableID
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
	// Port is the listener port, for redirects that name none.
	Port int32
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
	Status          int // answer with this status and no backend: 500 where a rule has no valid backend
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
	Headers  []ValueMatch
	Query    []ValueMatch
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
	// Cluster is the zero value for a share that has no valid backend: its requests are answered 500.
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
	Service  Name
	Port     int32
	Protocol Protocol // HTTP or H2C, TCP, UDP
}

// String gives "namespace/service/8080/HTTP".
func (c ClusterID) String() string {
	return fmt.Sprintf("%s/%d/%s", c.Service, c.Port, c.Protocol)
}

// Cluster is a backend that at least one route of a fleet names.
type Cluster struct {
	ID ClusterID
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
}
