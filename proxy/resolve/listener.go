package resolve

import (
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/proxy/kube"
	"headgate.dev/proxy/model"
)

// protocols are the listener protocols that are served, each with the kinds of routes it takes.
var protocols = map[gwv1.ProtocolType][]kube.Kind{
	gwv1.HTTPProtocolType: {kube.HTTPRoute},
}

// newListener resolves one API listener without regard to the others.
func newListener(spec *gwv1.Listener) Listener {
	l := Listener{Name: string(spec.Name), Port: spec.Port, Protocol: model.Protocol(spec.Protocol)}
	if spec.Hostname != nil {
		l.Hostname = strings.ToLower(string(*spec.Hostname))
	}
	l.Conditions = []Condition{
		{string(gwv1.ListenerConditionAccepted), metav1.ConditionTrue, string(gwv1.ListenerReasonAccepted), "the listener is valid"},
		{string(gwv1.ListenerConditionConflicted), metav1.ConditionFalse, string(gwv1.ListenerReasonNoConflicts),
			"no other listener has this port and hostname"},
		{string(gwv1.ListenerConditionProgrammed), metav1.ConditionTrue, string(gwv1.ListenerReasonProgrammed),
			"the configuration is with the proxies"},
		{string(gwv1.ListenerConditionResolvedRefs), metav1.ConditionTrue, string(gwv1.ListenerReasonResolvedRefs),
			"every reference is resolved"},
	}
	kinds, served := protocols[spec.Protocol]
	l.check(spec, served)
	l.allow(spec.AllowedRoutes, kinds)
	return l
}

// check sets Accepted.
func (l *Listener) check(spec *gwv1.Listener, served bool) {
	reject := func(reason gwv1.ListenerConditionReason, message string) {
		l.set(gwv1.ListenerConditionAccepted, metav1.ConditionFalse, reason, message)
	}
	switch {
	case !served:
		reject(gwv1.ListenerReasonUnsupportedProtocol, fmt.Sprintf("protocol %q is not supported; write HTTP", spec.Protocol))
	case spec.Port < 1 || spec.Port > 65535:
		reject(gwv1.ListenerReasonPortUnavailable, fmt.Sprintf("port %d is not a port; write 1 to 65535", spec.Port))
	case l.Hostname != "" && !validHostname(l.Hostname):
		reject(gwv1.ListenerReasonUnsupportedValue,
			fmt.Sprintf("hostname %q is not a DNS name, nor one that begins with \"*.\"", *spec.Hostname))
	case spec.Filters != nil:
		reject(gwv1.ListenerReasonUnsupportedValue, "filters of listeners are not supported; use the filters of a route")
	}
}

// allow reads allowedRoutes: which kinds, from which namespaces (Gateway API, AllowedRoutes; the default is all kinds of
// the protocol from the Gateway's namespace).
func (l *Listener) allow(a *gwv1.AllowedRoutes, kinds []kube.Kind) {
	l.from = gwv1.NamespacesFromSame
	l.Kinds = []gwv1.RouteGroupKind{}
	if a == nil || len(a.Kinds) == 0 {
		for _, k := range kinds {
			l.Kinds = append(l.Kinds, groupKind(k))
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
			l.set(gwv1.ListenerConditionAccepted, metav1.ConditionFalse, gwv1.ListenerReasonUnsupportedValue,
				"allowedRoutes.namespaces.selector: "+err.Error())
			selector = labels.Nothing()
		}
		l.selector = selector
	default:
		l.set(gwv1.ListenerConditionAccepted, metav1.ConditionFalse, gwv1.ListenerReasonUnsupportedValue,
			fmt.Sprintf("allowedRoutes.namespaces.from: %q is not supported; write Same, All or Selector", l.from))
	}
}

func (l *Listener) allowKinds(wanted []gwv1.RouteGroupKind, kinds []kube.Kind) {
	var invalid []string
	for _, w := range wanted {
		if k, ok := routeKind(w, kinds); ok {
			l.Kinds = append(l.Kinds, groupKind(k))
		} else {
			invalid = append(invalid, string(w.Kind))
		}
	}
	if len(invalid) > 0 {
		l.set(gwv1.ListenerConditionResolvedRefs, metav1.ConditionFalse, gwv1.ListenerReasonInvalidRouteKinds,
			fmt.Sprintf("allowedRoutes.kinds: %s cannot attach to a listener of protocol %s", quoted(invalid), l.Protocol))
	}
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

// takes tells whether a route of the kind from the namespace may attach to the listener of a Gateway in gateway.
func (l *Listener) takes(s *kube.Snapshot, k kube.Kind, namespace, gateway string) bool {
	kind := false
	for i := range l.Kinds {
		kind = kind || string(l.Kinds[i].Kind) == k.String()
	}
	if !kind {
		return false
	}
	switch l.from {
	case gwv1.NamespacesFromAll:
		return true
	case gwv1.NamespacesFromSame:
		return namespace == gateway
	case gwv1.NamespacesFromSelector:
		set := namespaceLabels{name: namespace}
		if o := s.Namespace(namespace); o != nil {
			set.labels = o.Labels
		}
		return l.selector.Matches(set)
	default:
		return false
	}
}

// namespaceLabels are the labels of a namespace, with the one that the API server gives to each, also where there is no API
// server or the Namespace is not among our objects.
type namespaceLabels struct {
	labels map[string]string
	name   string
}

func (n namespaceLabels) Lookup(label string) (string, bool) {
	if label == "kubernetes.io/metadata.name" {
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

func (l *Listener) accepted() bool { return l.is(gwv1.ListenerConditionAccepted) }

// is tells whether a condition is true.
func (l *Listener) is(t gwv1.ListenerConditionType) bool {
	for i := range l.Conditions {
		if l.Conditions[i].Type == string(t) {
			return l.Conditions[i].Status == metav1.ConditionTrue
		}
	}
	return false
}

func (l *Listener) set(t gwv1.ListenerConditionType, status metav1.ConditionStatus, reason gwv1.ListenerConditionReason, message string) {
	for i := range l.Conditions {
		if l.Conditions[i].Type == string(t) {
			l.Conditions[i] = Condition{string(t), status, string(reason), message}
		}
	}
}
