package gateway

import (
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/apimachinery/pkg/types"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/proxy/kube"
	"headgate.dev/proxy/model"
	"headgate.dev/proxy/resolve/condition"
	"headgate.dev/proxy/resolve/hostname"
)

// protocols are the listener protocols that are served, each with the kinds of routes it takes.
var protocols = map[gwv1.ProtocolType][]kube.Kind{
	gwv1.HTTPProtocolType:  {kube.HTTPRoute, kube.GRPCRoute},
	gwv1.HTTPSProtocolType: {kube.HTTPRoute, kube.GRPCRoute},
	gwv1.TLSProtocolType:   {kube.TLSRoute},
	gwv1.TCPProtocolType:   {kube.TCPRoute},
	gwv1.UDPProtocolType:   {kube.UDPRoute},
}

// newListener resolves one API listener without regard to the others, and without its references. namespace is that of its
// Gateway or ListenerSet.
func newListener(spec *gwv1.Listener, namespace string) Listener {
	l := Listener{Name: string(spec.Name), Port: spec.Port, Protocol: model.Protocol(spec.Protocol), namespace: namespace}
	// "This field is ignored for protocols that don't require hostname based matching" (Listener.hostname).
	if spec.Hostname != nil && l.Protocol != model.TCP && l.Protocol != model.UDP {
		l.Hostname = strings.ToLower(string(*spec.Hostname))
	}
	l.Conditions = []condition.Condition{
		condition.True(gwv1.ListenerConditionAccepted, gwv1.ListenerReasonAccepted, "the listener is valid"),
		condition.False(gwv1.ListenerConditionConflicted, gwv1.ListenerReasonNoConflicts, "no other listener has this port and hostname"),
		condition.True(gwv1.ListenerConditionProgrammed, gwv1.ListenerReasonProgrammed, "the configuration is with the proxies"),
		condition.True(gwv1.ListenerConditionResolvedRefs, gwv1.ListenerReasonResolvedRefs, "every reference is resolved"),
	}
	kinds, served := protocols[spec.Protocol]
	l.check(spec, served)
	l.terminate(spec)
	l.allow(spec.AllowedRoutes, kinds)
	return l
}

// check sets Accepted.
func (l *Listener) check(spec *gwv1.Listener, served bool) {
	switch {
	case !served:
		l.reject(gwv1.ListenerReasonUnsupportedProtocol,
			fmt.Sprintf("protocol %q is not supported; write HTTP, HTTPS, TLS, TCP or UDP", spec.Protocol))
	case spec.Port < 1 || spec.Port > 65535:
		l.reject(gwv1.ListenerReasonPortUnavailable, fmt.Sprintf("port %d is not a port; write 1 to 65535", spec.Port))
	case l.Hostname != "" && !hostname.Valid(l.Hostname):
		l.reject(gwv1.ListenerReasonUnsupportedValue,
			fmt.Sprintf("hostname %q is not a DNS name, nor one that begins with \"*.\"", *spec.Hostname))
	case spec.Filters != nil:
		l.reject(gwv1.ListenerReasonUnsupportedValue, "filters of listeners are not supported; use the filters of a route")
	}
}

// terminate reads the mode of TLS; the certificates come later.
func (l *Listener) terminate(spec *gwv1.Listener) {
	if l.Protocol != model.HTTPS && l.Protocol != model.TLS {
		if spec.TLS != nil && l.accepted() {
			l.reject(gwv1.ListenerReasonUnsupportedValue, fmt.Sprintf("tls cannot stand beside protocol %s; remove it", spec.Protocol))
		}
		return
	}
	l.Terminate = &model.Termination{}
	if spec.TLS == nil || spec.TLS.Mode == nil || *spec.TLS.Mode == gwv1.TLSModeTerminate {
		l.tls = spec.TLS
		return
	}
	l.Terminate = nil
	switch {
	case *spec.TLS.Mode != gwv1.TLSModePassthrough:
		l.reject(gwv1.ListenerReasonUnsupportedValue, fmt.Sprintf("tls.mode: %q is neither Terminate nor Passthrough", *spec.TLS.Mode))
	case l.Protocol == model.HTTPS:
		l.reject(gwv1.ListenerReasonUnsupportedValue, "tls.mode: Passthrough is for protocol TLS; write Terminate")
	}
}

// allow reads allowedRoutes: which kinds, from which namespaces (Gateway API, AllowedRoutes; the default is all kinds of
// the protocol from the namespace of the Gateway or ListenerSet).
func (l *Listener) allow(a *gwv1.AllowedRoutes, kinds []kube.Kind) {
	l.from = gwv1.NamespacesFromSame
	l.Kinds = []gwv1.RouteGroupKind{}
	if a == nil || len(a.Kinds) == 0 {
		for _, k := range kinds {
			l.take(k)
		}
	} else {
		l.allowKinds(a.Kinds, kinds)
	}
	if a == nil || a.Namespaces == nil {
		return
	}
	if a.Namespaces.From != nil {
		l.from = *a.Namespaces.From
	}
	switch l.from {
	case gwv1.NamespacesFromSame, gwv1.NamespacesFromAll, gwv1.NamespacesFromNone:
	case gwv1.NamespacesFromSelector:
		selector, err := metav1.LabelSelectorAsSelector(a.Namespaces.Selector)
		if err != nil {
			l.reject(gwv1.ListenerReasonUnsupportedValue,
				"allowedRoutes.namespaces.selector: "+err.Error())
			selector = labels.Nothing()
		}
		l.selector = selector
	default:
		l.reject(gwv1.ListenerReasonUnsupportedValue,
			fmt.Sprintf("allowedRoutes.namespaces.from: %q is not supported; write Same, All or Selector", l.from))
	}
}

func (l *Listener) allowKinds(wanted []gwv1.RouteGroupKind, kinds []kube.Kind) {
	var invalid []string
	for _, w := range wanted {
		if k, ok := routeKind(w, kinds); ok {
			l.take(k)
		} else {
			invalid = append(invalid, string(w.Kind))
		}
	}
	if len(invalid) > 0 {
		l.unresolved(gwv1.ListenerReasonInvalidRouteKinds,
			fmt.Sprintf("allowedRoutes.kinds: %s cannot attach to a listener of protocol %s", strings.Join(invalid, ", "), l.Protocol))
	}
}

func (l *Listener) take(k kube.Kind) {
	l.Kinds = append(l.Kinds, groupKind(k))
	l.kinds[k] = true
}

func routeKind(w gwv1.RouteGroupKind, kinds []kube.Kind) (kube.Kind, bool) {
	group := gwv1.GroupName
	if w.Group != nil {
		group = string(*w.Group)
	}
	for _, k := range kinds {
		if k.Group() == group && k.String() == string(w.Kind) {
			return k, true
		}
	}
	return 0, false
}

func groupKind(k kube.Kind) gwv1.RouteGroupKind {
	group := gwv1.Group(k.Group())
	return gwv1.RouteGroupKind{Group: &group, Kind: gwv1.Kind(k.String())}
}

// Takes tells whether a route of the kind from the namespace may attach.
func (l *Listener) Takes(s *kube.Snapshot, k kube.Kind, namespace string) bool {
	if !l.kinds[k] {
		return false
	}
	switch l.from {
	case gwv1.NamespacesFromAll:
		return true
	case gwv1.NamespacesFromSame:
		return namespace == l.namespace
	case gwv1.NamespacesFromSelector:
		return selects(s, l.selector, namespace)
	default:
		return false
	}
}

// Admits says which routes Takes takes, in the words of allowedRoutes: "HTTPRoutes and GRPCRoutes from namespaces team-a, team-b".
func (l *Listener) Admits() string {
	var kinds []string
	for _, k := range kube.RouteKinds {
		if l.kinds[k] {
			kinds = append(kinds, k.String()+"s")
		}
	}
	if len(kinds) == 0 {
		return "no routes"
	}
	what := strings.Join(kinds, " and ")
	switch l.from {
	case gwv1.NamespacesFromAll:
		return what + " from all namespaces"
	case gwv1.NamespacesFromSame:
		return what + " from namespace " + l.namespace
	case gwv1.NamespacesFromSelector:
		return what + " from " + selected(l.selector)
	default:
		return "no routes"
	}
}

// selected names the namespaces that a selector selects.
func selected(selector labels.Selector) string {
	requirements, selectable := selector.Requirements()
	if selectable && len(requirements) == 1 && requirements[0].Key() == namespaceName && requirements[0].Operator() == selection.In {
		names := requirements[0].Values().List()
		return "namespaces " + strings.Join(names, ", ")
	}
	return "namespaces with labels " + selector.String()
}

// namespaceName is the label that the API server gives to each namespace.
const namespaceName = "kubernetes.io/metadata.name"

// namespaceLabels are the labels of a namespace, with the one that the API server gives to each, also where there is no API
// server or the Namespace is not among our objects.
type namespaceLabels struct {
	labels map[string]string
	name   string
}

func (n namespaceLabels) Lookup(label string) (string, bool) {
	if label == namespaceName {
		return n.name, true
	}
	v, ok := n.labels[label]
	return v, ok
}

func (n namespaceLabels) Has(label string) bool {
	_, ok := n.Lookup(label)
	return ok
}

func (n namespaceLabels) Get(label string) string {
	v, _ := n.Lookup(label)
	return v
}

func (l *Listener) accepted() bool { return condition.Is(l.Conditions, gwv1.ListenerConditionAccepted) }

func (l *Listener) reject(reason gwv1.ListenerConditionReason, message string) {
	condition.Set(&l.Conditions, condition.False(gwv1.ListenerConditionAccepted, reason, message))
}

// unresolved notes why ResolvedRefs is false.
func (l *Listener) unresolved(reason gwv1.ListenerConditionReason, message string) {
	l.refs = append(l.refs, refFault{reason, message})
}

// finish decides whether the listener is served, and says so. gateway tells whether the Gateway as a whole is accepted.
func (l *Listener) finish(gateway bool) {
	if len(l.refs) > 0 {
		condition.Set(&l.Conditions, condition.False(gwv1.ListenerConditionResolvedRefs, l.refs[0].reason,
			condition.Bounded(len(l.refs), func(i int) string { return l.refs[i].message })))
	}
	reason, message := gwv1.ListenerReasonInvalid, ""
	switch {
	case !gateway:
		message = "the Gateway is not accepted, see its conditions"
	case condition.Is(l.Conditions, gwv1.ListenerConditionConflicted):
		for i := range l.Conditions {
			if l.Conditions[i].Type == string(gwv1.ListenerConditionConflicted) {
				reason = gwv1.ListenerConditionReason(l.Conditions[i].Reason)
			}
		}
		message = "see the condition Conflicted"
	case !l.accepted():
		message = "see the condition Accepted"
	case l.Terminate != nil && len(l.Terminate.Certificates) == 0:
		message = "there is no certificate that can be used, see the condition ResolvedRefs"
	case len(l.Kinds) == 0:
		message = "no kind of route may attach, see the condition ResolvedRefs"
	default:
		l.Usable = true
		return
	}
	condition.Set(&l.Conditions, condition.False(gwv1.ListenerConditionProgrammed, reason, "not served: "+message))
}

// serve gives a usable listener its table.
func (l *Listener) serve(gateway types.NamespacedName) {
	switch {
	case !l.Usable:
		l.Terminate = nil
	case l.Protocol == model.HTTP:
		l.Table = model.TableID(fmt.Sprintf("%s/%s/%d", gateway.Namespace, gateway.Name, l.Port))
	case l.Protocol == model.HTTPS:
		l.Table = model.TableID(fmt.Sprintf("%s/%s/%d/%s", gateway.Namespace, gateway.Name, l.Port, l.ServerName()))
	}
}

// ServerName gives the hostname, "*" for any.
func (l *Listener) ServerName() string {
	if l.Hostname == "" {
		return hostname.Any
	}
	return l.Hostname
}

// Socket names the socket that serves the listener in the Gateway.
func (l *Listener) Socket(gateway types.NamespacedName) model.ListenerID {
	return model.ListenerID{Gateway: model.Name(gateway), Port: l.Port, UDP: l.Protocol == model.UDP}
}
