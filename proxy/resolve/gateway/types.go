package gateway

import (
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/proxy/kube"
	"headgate.dev/proxy/model"
	"headgate.dev/proxy/resolve/condition"
)

// Class is a GatewayClass as the rules see it.
type Class struct {
	Name       string
	Generation int64
	// Ours is true when spec.controllerName is our controller's name. Without it, Conditions is empty: another
	// controller's class is not ours to write.
	Ours bool
	// Served tells whether Gateways of the class are served. A class whose ProxyConfig is missing is not accepted, and served all
	// the same: what runs goes on as it is.
	Served     bool
	Conditions []condition.Condition
}

// Result is a Gateway as the rules see it. It depends on the Gateway, the ListenerSets that name it and the labels of their
// namespaces, and the Secrets, ConfigMaps and ReferenceGrants that these refer to; never on routes.
type Result struct {
	Name       types.NamespacedName
	Generation int64
	// Listeners are the Gateway's own API listeners in the order of its spec.
	Listeners []Listener
	// Sets are the ListenerSets that name the Gateway, in the order of their precedence.
	Sets []ListenerSet
	// Sockets are the ports that are to be opened, sorted by port, UDP last; each has at least one usable API listener. They
	// are complete but for what routes of TCP, UDP and TLS add: a chain of a TLS listener without a Table, and a TCP or UDP
	// listener, has no Forward.
	Sockets []*model.Listener
	// Tables are those of the Sockets, sorted by ID.
	Tables []*model.Table
	// Hosts are the hosts that exist without any route, because a usable API listener names them, sorted.
	Hosts []model.HostID
	// Secrets are those that Sockets and BackendClient name, with their contents, sorted by ID.
	Secrets []*model.Secret
	// BackendClient is the certificate that backends with TLS are shown (GEP-3155); empty: none.
	BackendClient model.SecretID
	// Addresses are the addresses that the spec asks for.
	Addresses []gwv1.GatewaySpecAddress
	// Conditions of the Gateway: Accepted, Programmed, ResolvedRefs, and InsecureFrontendValidationMode where it applies.
	// Programmed here means "as far as the specification goes": whether proxies run and have an address is for the caller to
	// add (Facts).
	Conditions []condition.Condition

	takesSets bool        // spec.allowedListeners is set
	all       []*Listener // of the Gateway and of the attached sets, in the order of their precedence
}

// ListenerSet is a ListenerSet as the rules see it.
type ListenerSet struct {
	Name       types.NamespacedName
	Generation int64
	// Attached is true when the Gateway takes the set.
	Attached bool
	// Listeners are its API listeners in the order of its spec; none when it is not attached.
	Listeners  []Listener
	Conditions []condition.Condition // Accepted, Programmed
}

// Accepted tells whether the set counts in the Gateway's attachedListenerSets.
func (s *ListenerSet) Accepted() bool {
	return condition.Is(s.Conditions, gwv1.ListenerSetConditionAccepted)
}

// Listener is an API listener.
type Listener struct {
	// Set is the ListenerSet that the listener is of; zero for one of the Gateway itself.
	Set      types.NamespacedName
	Name     string // unique within the Gateway or the set
	Port     int32
	Protocol model.Protocol // HTTP, HTTPS, TLS, TCP or UDP
	Hostname string         // in lower case; empty: any
	// Table is where its requests are looked up; empty for a listener that is not usable, or not of HTTP or HTTPS.
	Table model.TableID
	// Terminate is how TLS ends here; nil for passthrough and for what is not TLS.
	Terminate *model.Termination
	// Kinds are the kinds of routes that may attach, for status.supportedKinds.
	Kinds []gwv1.RouteGroupKind
	// Usable listeners are served.
	Usable     bool
	Conditions []condition.Condition // Accepted, Conflicted, Programmed, ResolvedRefs, and OverlappingTLSConfig where it applies

	namespace string                  // of the Gateway or the set
	tls       *gwv1.ListenerTLSConfig // with Terminate
	kinds     [kube.NumKinds]bool
	from      gwv1.FromNamespaces
	selector  labels.Selector // with NamespacesFromSelector
	refs      []refFault
}

// refFault is a reason why ResolvedRefs is false.
type refFault struct {
	reason  gwv1.ListenerConditionReason
	message string
}

// Listener finds one of the Gateway's own API listeners by name; nil when there is none.
func (g *Result) Listener(name string) *Listener { return find(g.Listeners, name) }

// Set finds a ListenerSet of the Gateway; nil when it does not name the Gateway.
func (g *Result) Set(name types.NamespacedName) *ListenerSet {
	for i := range g.Sets {
		if g.Sets[i].Name == name {
			return &g.Sets[i]
		}
	}
	return nil
}

// Find finds an API listener of the set, or of the Gateway itself where set is zero.
func (g *Result) Find(set types.NamespacedName, name string) *Listener {
	if set == (types.NamespacedName{}) {
		return g.Listener(name)
	}
	if s := g.Set(set); s != nil {
		return find(s.Listeners, name)
	}
	return nil
}

func find(ls []Listener, name string) *Listener {
	for i := range ls {
		if ls[i].Name == name {
			return &ls[i]
		}
	}
	return nil
}
