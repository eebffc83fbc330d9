package resolve

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/proxy/kube"
	"headgate.dev/proxy/model"
)

// Gateway applies the rules of a Gateway. It does not ask whose class it is. A Gateway that does not exist gives nil.
func Gateway(s *kube.Snapshot, name types.NamespacedName) *GatewayResult {
	o := s.Gateway(name)
	if o == nil {
		return nil
	}
	g := &GatewayResult{Name: name, Generation: o.Generation, Addresses: o.Spec.Addresses}
	repeated := g.listeners(o.Spec.Listeners)
	g.conflicts()
	reason, message := unsupportedFields(o)
	for i := range g.Listeners {
		g.finish(&g.Listeners[i], reason == "")
	}
	g.sockets()
	g.Conditions = g.conditions(repeated)
	if reason != "" {
		c := &g.Conditions[0]
		c.Status, c.Reason, c.Message = metav1.ConditionFalse, string(reason), message
	}
	return g
}

// listeners resolves each entry of spec.listeners by itself. Names are unique in a valid Gateway; the first of each counts,
// and repeated names are returned for the Gateway's condition.
func (g *GatewayResult) listeners(specs []gwv1.Listener) (repeated []string) {
	g.Listeners = make([]Listener, 0, len(specs))
	for i := range specs {
		if g.Listener(string(specs[i].Name)) != nil {
			repeated = append(repeated, string(specs[i].Name))
			continue
		}
		g.Listeners = append(g.Listeners, newListener(&specs[i]))
	}
	return repeated
}

// Listener finds an API listener by name; nil when there is none.
func (g *GatewayResult) Listener(name string) *Listener {
	for i := range g.Listeners {
		if g.Listeners[i].Name == name {
			return &g.Listeners[i]
		}
	}
	return nil
}

// conflicts marks the API listeners that are not distinct from another one (Gateway API, GatewaySpec.listeners: "MUST
// NOT pick one conflicting Listener as the winner"). Listeners that were not accepted conflict with nobody.
func (g *GatewayResult) conflicts() {
	for i := range g.Listeners {
		a := &g.Listeners[i]
		var hostname, protocol []string
		for j := range g.Listeners {
			b := &g.Listeners[j]
			if i == j || a.Port != b.Port || !a.accepted() || !b.accepted() {
				continue
			}
			switch {
			case a.Protocol != b.Protocol:
				protocol = append(protocol, b.Name)
			case a.Hostname == b.Hostname:
				hostname = append(hostname, b.Name)
			}
		}
		if len(protocol) > 0 {
			a.set(gwv1.ListenerConditionConflicted, metav1.ConditionTrue, gwv1.ListenerReasonProtocolConflict,
				fmt.Sprintf("port %d is used with another protocol by %s", a.Port, quoted(protocol)))
		} else if len(hostname) > 0 {
			a.set(gwv1.ListenerConditionConflicted, metav1.ConditionTrue, gwv1.ListenerReasonHostnameConflict,
				fmt.Sprintf("port %d with %s is also that of %s", a.Port, hostnameWords(a.Hostname), quoted(hostname)))
		}
	}
}

func hostnameWords(h string) string {
	if h == "" {
		return "no hostname"
	}
	return "hostname " + h
}

// finish decides whether the listener is served, and says so.
func (g *GatewayResult) finish(l *Listener, gateway bool) {
	switch {
	case !gateway:
		l.set(gwv1.ListenerConditionProgrammed, metav1.ConditionFalse, gwv1.ListenerReasonInvalid,
			"not served: the Gateway is not accepted, see its conditions")
	case !l.accepted(), l.is(gwv1.ListenerConditionConflicted):
		l.set(gwv1.ListenerConditionProgrammed, metav1.ConditionFalse, gwv1.ListenerReasonInvalid,
			"not served: see the conditions Accepted and Conflicted")
	case len(l.Kinds) == 0:
		l.set(gwv1.ListenerConditionProgrammed, metav1.ConditionFalse, gwv1.ListenerReasonInvalid,
			"not served: no kind of route may attach, see the condition ResolvedRefs")
	default:
		l.Usable = true
		l.Table = model.TableID(fmt.Sprintf("%s/%s/%d", g.Name.Namespace, g.Name.Name, l.Port))
	}
}

// sockets collects what the usable listeners share: their ports, and the hosts that exist because a listener names them.
func (g *GatewayResult) sockets() {
	for i := range g.Listeners {
		l := &g.Listeners[i]
		if !l.Usable {
			continue
		}
		g.Hosts = append(g.Hosts, model.HostID{Table: l.Table, Name: cmp.Or(l.Hostname, anyHost)})
		if g.socket(l.Table) == nil {
			g.Sockets = append(g.Sockets, &model.Listener{
				Gateway: model.Name(g.Name), Port: l.Port, Protocol: l.Protocol, Table: l.Table,
			})
		}
	}
	slices.SortFunc(g.Hosts, compareHosts)
	slices.SortFunc(g.Sockets, func(a, b *model.Listener) int { return cmp.Compare(a.Port, b.Port) })
}

func (g *GatewayResult) socket(t model.TableID) *model.Listener {
	for _, s := range g.Sockets {
		if s.Table == t {
			return s
		}
	}
	return nil
}

func compareHosts(a, b model.HostID) int {
	return cmp.Or(cmp.Compare(a.Table, b.Table), cmp.Compare(a.Name, b.Name))
}

// Owner gives the API listener that requests for the host belong to (GEP-3155); nil when no usable listener of the
// table matches it.
func (g *GatewayResult) Owner(id model.HostID) *Listener {
	var best *Listener
	for i := range g.Listeners {
		l := &g.Listeners[i]
		if l.Table == id.Table && covers(l.Hostname, id.Name) &&
			(best == nil || specificity(l.Hostname) > specificity(best.Hostname)) {
			best = l
		}
	}
	return best
}

// conditions gives the Gateway's own conditions: Accepted, then Programmed.
func (g *GatewayResult) conditions(repeated []string) []Condition {
	accepted := Condition{
		Type: string(gwv1.GatewayConditionAccepted), Status: metav1.ConditionTrue,
		Reason: string(gwv1.GatewayReasonAccepted), Message: "every listener is accepted",
	}
	good, bad := 0, repeatedNames(repeated)
	for i := range g.Listeners {
		if l := &g.Listeners[i]; l.accepted() && !l.is(gwv1.ListenerConditionConflicted) {
			good++
		} else {
			bad = append(bad, l.Name)
		}
	}
	if len(bad) > 0 || good == 0 {
		accepted.Reason = string(gwv1.GatewayReasonListenersNotValid)
		accepted.Message = "listeners that are not accepted: " + quoted(bad) + "; see their conditions"
		if good == 0 {
			accepted.Status = metav1.ConditionFalse
		}
		if len(g.Listeners) == 0 {
			accepted.Message = "spec.listeners is empty; add a listener"
		}
	}
	programmed := Condition{
		Type: string(gwv1.GatewayConditionProgrammed), Status: metav1.ConditionTrue,
		Reason: string(gwv1.GatewayReasonProgrammed), Message: "the configuration is with the proxies",
	}
	if len(g.Sockets) == 0 {
		programmed.Status, programmed.Reason = metav1.ConditionFalse, string(gwv1.GatewayReasonInvalid)
		programmed.Message = "no listener can be served; see the condition Accepted and those of the listeners"
	}
	return []Condition{accepted, programmed}
}

func repeatedNames(names []string) []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = n + " (the name is used twice)"
	}
	return out
}

// unsupportedFields finds what the Gateway asks for as a whole and cannot have.
func unsupportedFields(o *gwv1.Gateway) (gwv1.GatewayConditionReason, string) {
	if inf := o.Spec.Infrastructure; inf != nil && inf.ParametersRef != nil {
		p := inf.ParametersRef
		return gwv1.GatewayReasonInvalidParameters, fmt.Sprintf(
			"spec.infrastructure.parametersRef: parameters of kind %s (group %q) are not supported; remove it", p.Kind, p.Group)
	}
	for i := range o.Spec.Addresses {
		t := o.Spec.Addresses[i].Type
		if t != nil && *t != gwv1.IPAddressType && *t != gwv1.HostnameAddressType {
			return gwv1.GatewayReasonUnsupportedAddress, fmt.Sprintf(
				"spec.addresses[%d]: type %q is not supported; write IPAddress or Hostname", i, *t)
		}
	}
	return "", ""
}

func quoted(names []string) string {
	var b strings.Builder
	for i, n := range names {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(n)
	}
	return b.String()
}
