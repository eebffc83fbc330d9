package resolve

import (
	"cmp"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/proxy/kube"
	"headgate.dev/proxy/model"
)

// attacher works out which listeners and hosts a route of any kind attaches to.
type attacher struct {
	s         *kube.Snapshot
	kind      kube.Kind
	namespace string
	hostnames []string // in lower case
	gateways  func(types.NamespacedName) *GatewayResult

	parents     []Parent
	attachments []Attachment
}

// attach looks at each parentRef. Those that name no Gateway of ours leave no trace: their status belongs to others.
func (a *attacher) attach(refs []gwv1.ParentReference) {
	for i := range refs {
		name, ok := kube.ParentGateway(a.namespace, &refs[i])
		if !ok {
			continue
		}
		if g := a.gateways(name); g != nil {
			if a.parents == nil {
				a.parents = make([]Parent, 0, len(refs)-i)
			}
			a.parents = append(a.parents, a.parent(g, refs[i]))
		}
	}
	if len(a.attachments) > 1 {
		a.attachments = dedupe(a.attachments)
	}
}

// parent decides about one parentRef, in the order in which the reasons exclude each other: no listener of that name
// and port, none that takes such a route, none with a hostname in common.
func (a *attacher) parent(g *GatewayResult, ref gwv1.ParentReference) Parent {
	p := Parent{Ref: ref, Gateway: g.Name}
	named, allowed := false, false
	for i := range g.Listeners {
		l := &g.Listeners[i]
		if (ref.SectionName != nil && string(*ref.SectionName) != l.Name) || (ref.Port != nil && *ref.Port != l.Port) {
			continue
		}
		named = true
		if !l.takes(a.s, a.kind, a.namespace, g.Name.Namespace) {
			continue
		}
		allowed = true
		if a.hosts(g, l) {
			p.Listeners = append(p.Listeners, l.Name)
		}
	}
	if len(p.Listeners) > 1 {
		slices.Sort(p.Listeners)
	}
	switch {
	case len(p.Listeners) > 0:
		p.Conditions = acceptedRoute
	case !named:
		p.Conditions = notAccepted(gwv1.RouteReasonNoMatchingParent,
			"Gateway "+g.Name.String()+" has no listener"+wanted(&ref)+"; it has "+g.listenerNames())
	case !allowed:
		p.Conditions = notAccepted(gwv1.RouteReasonNotAllowedByListeners, "no listener of Gateway "+g.Name.String()+
			wanted(&ref)+" takes routes of kind "+a.kind.String()+" from namespace "+a.namespace+"; see allowedRoutes there")
	default:
		p.Conditions = notAccepted(gwv1.RouteReasonNoMatchingListenerHostname, "no hostname of the route ("+
			strings.Join(a.hostnames, ", ")+") is one of the listeners of Gateway "+g.Name.String()+wanted(&ref))
	}
	return p
}

// acceptedRoute is the beginning of the conditions of every route that is all right; shared, because nearly all are.
var acceptedRoute = []Condition{{
	Type: string(gwv1.RouteConditionAccepted), Status: metav1.ConditionTrue,
	Reason: string(gwv1.RouteReasonAccepted), Message: "the route is attached",
}}

func notAccepted(reason gwv1.RouteConditionReason, message string) []Condition {
	return []Condition{{
		Type: string(gwv1.RouteConditionAccepted), Status: metav1.ConditionFalse,
		Reason: string(reason), Message: message,
	}}
}

// wanted says which listeners a parentRef asks for, for a message.
func wanted(ref *gwv1.ParentReference) string {
	var b strings.Builder
	if ref.SectionName != nil {
		b.WriteString(" named " + string(*ref.SectionName))
	}
	if ref.Port != nil {
		b.WriteString(" on port " + itoa(*ref.Port))
	}
	return b.String()
}

func (g *GatewayResult) listenerNames() string {
	names := make([]string, len(g.Listeners))
	for i := range g.Listeners {
		names[i] = g.Listeners[i].Name + " (port " + itoa(g.Listeners[i].Port) + ")"
	}
	return strings.Join(names, ", ")
}

// hosts adds the hosts that the route answers through the listener, and tells whether they have a hostname in common at all. A
// listener that is not served, and a host that another listener owns, count for that, and carry no traffic.
func (a *attacher) hosts(g *GatewayResult, l *Listener) (common bool) {
	if len(a.hostnames) == 0 {
		a.host(g, l, cmp.Or(l.Hostname, anyHost), "")
		return true
	}
	for _, h := range a.hostnames {
		if name, ok := intersect(l.Hostname, h); ok {
			common = true
			a.host(g, l, name, h)
		}
	}
	return common
}

func (a *attacher) host(g *GatewayResult, l *Listener, name, original string) {
	if !l.Usable {
		return
	}
	id := model.HostID{Table: l.Table, Name: name}
	if g.Owner(id) != l {
		return
	}
	if a.attachments == nil {
		a.attachments = make([]Attachment, 0, max(len(a.hostnames), 1))
	}
	a.attachments = append(a.attachments, Attachment{
		Gateway: g.Name, Host: id, Listener: l.Name, Specificity: specificity(original),
	})
}

// dedupe sorts, and keeps of several attachments to one host the most specific.
func dedupe(as []Attachment) []Attachment {
	slices.SortFunc(as, func(x, y Attachment) int {
		return cmp.Or(kube.CompareNames(x.Gateway, y.Gateway), compareHosts(x.Host, y.Host), cmp.Compare(y.Specificity, x.Specificity))
	})
	return slices.CompactFunc(as, func(x, y Attachment) bool { return x.Host == y.Host })
}
