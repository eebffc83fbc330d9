package resolve

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/proxy/kube"
	"headgate.dev/proxy/model"
)

// Condition is a status condition before it is written: without a time, and with the generation of its owner. Messages
// are stable: the same objects give the same text.
type Condition struct {
	Type    string
	Status  metav1.ConditionStatus
	Reason  string
	Message string
}

// ClassResult is a GatewayClass as the rules see it.
type ClassResult struct {
	Name       string
	Generation int64
	// Ours is true when spec.controllerName is our controller's name. Without it, Conditions is empty: another
	// controller's class is not ours to write.
	Ours       bool
	Conditions []Condition
}

// Accepted tells whether Gateways of the class are served.
func (c ClassResult) Accepted() bool { return c.Ours && allTrue(c.Conditions) }

// GatewayResult is a Gateway as the rules see it. It depends on the Gateway object alone.
type GatewayResult struct {
	Name       types.NamespacedName
	Generation int64
	// Listeners are the API listeners in the order of the spec.
	Listeners []Listener
	// Sockets are the ports that are to be opened, sorted; each has at least one usable API listener.
	Sockets []*model.Listener
	// Hosts are the hosts that exist without any route, because a usable API listener names them, sorted.
	Hosts []model.HostID
	// Addresses are the addresses that the spec asks for.
	Addresses []gwv1.GatewaySpecAddress
	// Conditions of the Gateway: Accepted and Programmed. Programmed here means "as far as the specification goes": whether
	// proxies run and have an address is for the caller to add (GatewayFacts).
	Conditions []Condition
}

// Listener is an API listener.
type Listener struct {
	Name     string
	Port     int32
	Protocol model.Protocol
	Hostname string // in lower case; empty: any
	// Table is where its requests are looked up; empty for a listener that is not usable.
	Table model.TableID
	// Kinds are the kinds of routes that may attach, for status.supportedKinds.
	Kinds []gwv1.RouteGroupKind
	// Usable listeners are served: accepted and without a conflict.
	Usable     bool
	Conditions []Condition // Accepted, Conflicted, Programmed, ResolvedRefs

	from     gwv1.FromNamespaces
	selector labels.Selector // with NamespacesFromSelector
}

// RouteResult is a route of any kind as the rules see it.
type RouteResult struct {
	Kind       kube.Kind
	Name       types.NamespacedName
	Generation int64
	Created    time.Time
	// Parents has an entry for each parentRef that names one of our Gateways, in the order of the spec.
	Parents []Parent
	// Attachments are the hosts that the route answers, sorted by Gateway, host, and without repeats.
	Attachments []Attachment
	// Rules are the templates, one for each match of each rule, in the order in which they are tried within the route.
	// They are shared by every host: read only.
	Rules []model.Route
	// Clusters are the backends and mirrors that Rules name, sorted, without repeats. Empty when nothing is attached.
	Clusters []model.ClusterID

	verdict verdict
}

// Parent is what became of one parentRef.
type Parent struct {
	Ref     gwv1.ParentReference
	Gateway types.NamespacedName
	// Listeners are the names of the API listeners that count the route in their attachedRoutes, sorted. Empty unless the
	// route is accepted.
	Listeners  []string
	Conditions []Condition // Accepted, ResolvedRefs, and PartiallyInvalid where it applies

	attached []Condition // what is to be said about the parent alone
}

// Attachment is one host that a route answers.
type Attachment struct {
	Gateway types.NamespacedName
	Host    model.HostID
	// Listener is the API listener that owns the host.
	Listener string
	// Specificity orders routes that answer the same host: of the hostname as the route wrote it, not of its intersection
	// with the listener's (Gateway API, HTTPRouteSpec.hostnames). Higher goes first.
	Specificity int32
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

func allTrue(cs []Condition) bool {
	for i := range cs {
		if cs[i].Status != metav1.ConditionTrue {
			return false
		}
	}
	return true
}
