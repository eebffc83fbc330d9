package resolve

import (
	"cmp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/types"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/proxy/kube"
	"headgate.dev/proxy/model"
	"headgate.dev/proxy/resolve/condition"
	"headgate.dev/proxy/resolve/gateway"
	"headgate.dev/proxy/resolve/hostname"
)

// attacher works out which listeners and hosts a route of any kind attaches to.
type attacher struct {
	s         *kube.Snapshot
	kind      kube.Kind
	namespace string
	hostnames []string // in lower case
	gateways  func(types.NamespacedName) *gateway.Result

	parents     []Parent
	attachments []Attachment
	l4          []L4Attachment
	denied      []denial // of the parent that is being looked at
}

// denial is a host that belongs to a listener which does not take the route.
type denial struct {
	host  string
	owner *gateway.Listener
}

// attach looks at each parentRef. Those that name no Gateway of ours leave no trace: their status belongs to others.
func (a *attacher) attach(refs []gwv1.ParentReference) {
	for i := range refs {
		g, set := a.gateway(&refs[i])
		if g == nil {
			continue
		}
		if a.parents == nil {
			a.parents = make([]Parent, 0, len(refs)-i)
		}
		a.parents = append(a.parents, a.parent(g, set, refs[i]))
	}
	if len(a.attachments) > 1 {
		a.attachments = dedupe(a.attachments)
	}
	if len(a.l4) > 1 {
		a.l4 = dedupeL4(a.l4)
	}
}

// gateway finds the Gateway of a parentRef, nil when it is none of ours, and the set where the parentRef names one.
func (a *attacher) gateway(ref *gwv1.ParentReference) (*gateway.Result, *gateway.ListenerSet) {
	if name, ok := kube.ParentGateway(a.namespace, ref); ok {
		return a.gateways(name), nil
	}
	name, ok := kube.ParentSet(a.namespace, ref)
	if !ok {
		return nil, nil
	}
	o := a.s.ListenerSet(name)
	if o == nil {
		return nil, nil
	}
	owner, ok := kube.GatewayOfSet(o)
	if !ok {
		return nil, nil
	}
	g := a.gateways(owner)
	if g == nil {
		return nil, nil
	}
	set := g.Set(name)
	if set == nil {
		return nil, nil
	}
	return g, set
}

// parent decides about one parentRef. Without a section, a Gateway stands for its own listeners and not for those of its sets
// (GEP-1713).
func (a *attacher) parent(g *gateway.Result, set *gateway.ListenerSet, ref gwv1.ParentReference) Parent {
	p := Parent{Ref: ref, Gateway: g.Name}
	listeners := g.Listeners
	if set != nil {
		p.Set, listeners = set.Name, set.Listeners
	}
	named, allowed := false, false
	a.denied = a.denied[:0]
	before, beforeL4 := len(a.attachments), len(a.l4)
	for i := range listeners {
		l := &listeners[i]
		if !names(ref, l) {
			continue
		}
		named = true
		if !l.Takes(a.s, a.kind, a.namespace) {
			continue
		}
		allowed = true
		if a.hosts(g, l) {
			p.Listeners = append(p.Listeners, l.Name)
		}
	}
	p.Conditions = a.accepted(&p, got{a.attachments[before:], a.l4[beforeL4:]})
	if p.Conditions == nil && set != nil && !set.Attached {
		p.Conditions = notAccepted(gwv1.RouteReasonNotAllowedByListeners,
			"ListenerSet "+set.Name.String()+" is not taken by its Gateway; see the conditions there")
	}
	if p.Conditions == nil {
		p.Conditions = a.refused(&p, listeners, named, allowed)
	}
	return p
}

// names tells whether a parentRef leads to a listener of its Gateway or set.
func names(ref gwv1.ParentReference, l *gateway.Listener) bool {
	return (ref.SectionName == nil || string(*ref.SectionName) == l.Name) && (ref.Port == nil || *ref.Port == l.Port)
}

// got is what a route answers by one parent.
type got struct {
	hosts   []Attachment
	sockets []L4Attachment
}

// accepted says that a parent takes the route, or that all its hosts there are denied; nil where no listener has a hostname in common with it.
func (a *attacher) accepted(p *Parent, what got) []condition.Condition {
	denied := a.deniedWords(p, what)
	switch {
	case denied != "" && len(what.hosts)+len(what.sockets) == 0:
		return notAccepted(gwv1.RouteReasonNotAllowedByListeners, denied)
	case len(p.Listeners) == 0:
		return nil
	}
	slices.Sort(p.Listeners)
	if denied != "" {
		return []condition.Condition{condition.True(gwv1.RouteConditionAccepted, gwv1.RouteReasonAccepted, "the route is attached, but not for all its hosts: "+denied)}
	}
	return acceptedRoute
}

// deniedWords says which hosts of a parent the route does not get, and by which rule: they are those of a listener that does not take the
// route. Empty where it gets them on another port.
func (a *attacher) deniedWords(p *Parent, what got) string {
	var words []string
	for _, d := range a.denied {
		if slices.ContainsFunc(what.hosts, func(x Attachment) bool { return x.Host.Name == d.host }) ||
			slices.ContainsFunc(what.sockets, func(x L4Attachment) bool { return x.ServerName == d.host }) {
			continue
		}
		text := "host " + cmp.Or(d.host, "*") + " of Gateway " + p.Gateway.String() + " belongs to listener " + d.owner.Name + ", which takes " + d.owner.Admits()
		if !slices.Contains(words, text) {
			words = append(words, text)
		}
	}
	return condition.Bounded(len(words), func(i int) string { return words[i] })
}

// rules says which routes the listeners take that a parentRef may mean, those with a hostname in common with the route alone where there are such.
func (a *attacher) rules(listeners []gateway.Listener, ref *gwv1.ParentReference) string {
	var all, common []string
	for i := range listeners {
		l := &listeners[i]
		if (ref.SectionName != nil && string(*ref.SectionName) != l.Name) || (ref.Port != nil && *ref.Port != l.Port) {
			continue
		}
		text := l.Name + " takes " + l.Admits()
		all = append(all, text)
		if slices.ContainsFunc(a.hostnames, func(h string) bool { _, ok := hostname.Intersect(l.Hostname, h); return ok }) {
			common = append(common, text)
		}
	}
	if len(common) > 0 {
		all = common
	}
	return condition.Bounded(len(all), func(i int) string { return all[i] })
}

// refused says why no listener of a parent takes the route, in the order in which the reasons exclude each other: there is none of
// that name and port, none that takes such a route, none with a hostname in common.
func (a *attacher) refused(p *Parent, listeners []gateway.Listener, named, allowed bool) []condition.Condition {
	title := "Gateway " + p.Gateway.String()
	if p.Set != (types.NamespacedName{}) {
		title = "ListenerSet " + p.Set.String()
	}
	switch {
	case !named:
		return notAccepted(gwv1.RouteReasonNoMatchingParent,
			title+" has no listener"+wanted(&p.Ref)+"; it has "+listenerNames(listeners))
	case !allowed:
		return notAccepted(gwv1.RouteReasonNotAllowedByListeners, "no listener of "+title+
			wanted(&p.Ref)+" takes routes of kind "+a.kind.String()+" from namespace "+a.namespace+": "+a.rules(listeners, &p.Ref))
	default:
		return notAccepted(gwv1.RouteReasonNoMatchingListenerHostname, "no hostname of the route ("+
			strings.Join(a.hostnames, ", ")+") is one of the listeners of "+title+wanted(&p.Ref))
	}
}

// acceptedRoute is the beginning of the conditions of every route that is all right; shared, because nearly all are.
var acceptedRoute = []condition.Condition{condition.True(gwv1.RouteConditionAccepted, gwv1.RouteReasonAccepted, "the route is attached")}

func notAccepted(reason gwv1.RouteConditionReason, message string) []condition.Condition {
	return []condition.Condition{condition.False(gwv1.RouteConditionAccepted, reason, message)}
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

func listenerNames(listeners []gateway.Listener) string {
	names := make([]string, len(listeners))
	for i := range listeners {
		names[i] = listeners[i].Name + " (port " + itoa(listeners[i].Port) + ")"
	}
	return strings.Join(names, ", ")
}

// hosts adds the hosts that the route answers through the listener, and tells whether they have a hostname in common at all. A
// listener that is not served, and a host that another listener owns, count for that, and carry no traffic.
func (a *attacher) hosts(g *gateway.Result, l *gateway.Listener) (common bool) {
	if l.Protocol == model.TCP || l.Protocol == model.UDP {
		a.socket(g, l, "", "")
		return true
	}
	if len(a.hostnames) == 0 {
		a.host(g, l, l.ServerName(), "")
		return true
	}
	for _, h := range a.hostnames {
		if name, ok := hostname.Intersect(l.Hostname, h); ok {
			common = true
			a.host(g, l, name, h)
		}
	}
	return common
}

func (a *attacher) host(g *gateway.Result, l *gateway.Listener, name, original string) {
	if !l.Usable {
		return
	}
	if owner := g.Owner(l, name); owner != l {
		if owner != nil && !owner.Takes(a.s, a.kind, a.namespace) {
			a.denied = append(a.denied, denial{name, owner})
		}
		return
	}
	if l.Protocol == model.TLS {
		a.socket(g, l, name, original)
		return
	}
	if a.attachments == nil {
		a.attachments = make([]Attachment, 0, max(len(a.hostnames), 1))
	}
	a.attachments = append(a.attachments, Attachment{
		Gateway: g.Name, Host: model.HostID{Table: l.Table, Name: name}, Set: l.Set, Listener: l.Name, Specificity: hostname.Specificity(original),
	})
}

// socket adds what a route answers below HTTP.
func (a *attacher) socket(g *gateway.Result, l *gateway.Listener, name, original string) {
	if !l.Usable {
		return
	}
	a.l4 = append(a.l4, L4Attachment{
		Gateway: g.Name, Listener: l.Socket(g.Name), ServerName: name, Set: l.Set, Name: l.Name, Specificity: hostname.Specificity(original),
	})
}

// dedupe sorts, and keeps of several attachments to one host the most specific.
func dedupe(as []Attachment) []Attachment {
	slices.SortFunc(as, func(x, y Attachment) int {
		return cmp.Or(kube.CompareNames(x.Gateway, y.Gateway), gateway.CompareHosts(x.Host, y.Host), cmp.Compare(y.Specificity, x.Specificity))
	})
	return slices.CompactFunc(as, func(x, y Attachment) bool { return x.Host == y.Host })
}

func dedupeL4(as []L4Attachment) []L4Attachment {
	slices.SortFunc(as, func(x, y L4Attachment) int {
		return cmp.Or(kube.CompareNames(x.Gateway, y.Gateway), compareListeners(x.Listener, y.Listener),
			cmp.Compare(x.ServerName, y.ServerName), cmp.Compare(y.Specificity, x.Specificity))
	})
	return slices.CompactFunc(as, func(x, y L4Attachment) bool { return x.Listener == y.Listener && x.ServerName == y.ServerName })
}

// compareListeners orders the sockets of one Gateway by port, UDP last.
func compareListeners(a, b model.ListenerID) int {
	switch {
	case a.Port != b.Port || a.UDP == b.UDP:
		return cmp.Compare(a.Port, b.Port)
	case b.UDP:
		return -1
	default:
		return 1
	}
}
