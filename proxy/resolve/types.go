package resolve

import (
	"time"

	"k8s.io/apimachinery/pkg/types"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/proxy/kube"
	"headgate.dev/proxy/model"
	"headgate.dev/proxy/resolve/condition"
)

// RouteResult is a route of any kind as the rules see it.
type RouteResult struct {
	Kind       kube.Kind
	Name       types.NamespacedName
	Generation int64
	Created    time.Time
	// Parents has an entry for each parentRef that names one of our Gateways, or a ListenerSet of one, in the order of the spec.
	Parents []Parent
	// Attachments are the hosts that the route answers, sorted by Gateway, host, and without repeats.
	Attachments []Attachment
	// Rules are the templates, one for each match of each rule, in the order in which they are tried within the route.
	// They are shared by every host: read only.
	Rules []model.Route
	// L4 are the sockets and server names that a TCPRoute, UDPRoute or TLSRoute answers, sorted by Gateway, listener, server name,
	// and without repeats. Routes of HTTP have none; those of other kinds no Attachments and Rules.
	L4 []L4Attachment
	// Clusters are the backends and mirrors that Rules and L4 name, sorted, without repeats. Empty when nothing is attached.
	Clusters []model.ClusterID

	verdict verdict
}

// Parent is what became of one parentRef.
type Parent struct {
	Ref     gwv1.ParentReference
	Gateway types.NamespacedName
	// Set is the ListenerSet that the parentRef names; zero when it names the Gateway itself.
	Set types.NamespacedName
	// Listeners are the names of the API listeners, of the Gateway itself or of the Set, that count the route in their
	// attachedRoutes, sorted. Empty unless the route is accepted.
	Listeners  []string
	Conditions []condition.Condition // Accepted, ResolvedRefs, and PartiallyInvalid where it applies

	attached []condition.Condition // what is to be said about the parent alone
}

// Attachment is one host that a route answers.
type Attachment struct {
	Gateway types.NamespacedName
	Host    model.HostID
	// Set and Listener name the API listener that owns the host, as gateway.Result.Find takes them.
	Set      types.NamespacedName
	Listener string
	// Specificity orders routes that answer the same host: of the hostname as the route wrote it, not of its intersection
	// with the listener's (Gateway API, HTTPRouteSpec.hostnames). Higher goes first.
	Specificity int32
}

// L4Attachment is one part of a socket that a route answers: all of a TCP or UDP socket, one server name of a TLS one.
type L4Attachment struct {
	Gateway  types.NamespacedName
	Listener model.ListenerID
	// ServerName is exact, "*.example.com" or "*" for a TLS socket; empty for the others.
	ServerName string
	// Set and Name are the API listener that owns it, as gateway.Result.Find takes them.
	Set  types.NamespacedName
	Name string
	// Specificity orders routes that answer the same server name, as in Attachment.
	Specificity int32
	// Forward is where the connections go; nil when no backend is valid and has a weight: they are closed.
	Forward *model.L4Forward
}

// L4Contribution is one route's part of a socket.
type L4Contribution struct {
	Route      *RouteResult
	Attachment *L4Attachment // one of Route.L4
}

// Contribution is one route's part of a host.
type Contribution struct {
	Route       *RouteResult
	Specificity int32 // of the Attachment
}

// Problem is a template that could not be translated, as the translation reports it.
type Problem struct {
	Source  model.Source
	Message string
}
