package gateway

import (
	"fmt"
	"strings"

	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/proxy/model"
	"headgate.dev/proxy/resolve/condition"
	"headgate.dev/proxy/resolve/hostname"
)

// conflicts marks the API listeners that are not distinct from another one. Of one object, none is the winner (Gateway API,
// GatewaySpec.listeners: "MUST NOT pick one conflicting Listener as the winner"); of two, the one of the object that goes
// first (GEP-1713). Listeners that were not accepted conflict with nobody, nor do those that lost against an object before.
func (g *Result) conflicts() {
	claims := map[int32][]*Listener{} // by port
	for from := 0; from < len(g.all); {
		to := from
		for to < len(g.all) && g.all[to].Set == g.all[from].Set {
			to++
		}
		var own []*Listener
		for _, l := range g.all[from:to] {
			if l.accepted() && !l.loses(claims[l.Port]) {
				own = append(own, l)
			}
		}
		conflictsWithin(own)
		for _, l := range own {
			claims[l.Port] = append(claims[l.Port], l)
		}
		from = to
	}
}

// loses marks a listener that is not distinct from one of an object before. The message does not say whose that is: it may be
// of another namespace.
func (l *Listener) loses(claims []*Listener) bool {
	for _, c := range claims {
		if reason, what := clash(l, c); reason != "" {
			l.conflicted(reason, what+" by a listener of the Gateway or of a ListenerSet that goes before this one")
			return true
		}
	}
	return false
}

// conflictsWithin compares the listeners of one object.
func conflictsWithin(ls []*Listener) {
	type found struct {
		reason gwv1.ListenerConditionReason
		what   string
		names  []string
	}
	all := make([]found, len(ls))
	for i, a := range ls {
		for j, b := range ls {
			if i == j || a.Port != b.Port {
				continue
			}
			reason, what := clash(a, b)
			switch {
			case reason == "":
			case all[i].reason == reason:
				all[i].names = append(all[i].names, b.Name)
			case all[i].reason == "" || reason == gwv1.ListenerReasonProtocolConflict:
				all[i] = found{reason, what, []string{b.Name}}
			}
		}
	}
	for i, l := range ls {
		if all[i].reason != "" {
			l.conflicted(all[i].reason, all[i].what+" by "+strings.Join(all[i].names, ", "))
		}
	}
}

func (l *Listener) conflicted(reason gwv1.ListenerConditionReason, message string) {
	l.reject(reason, message)
	condition.Set(&l.Conditions, condition.True(gwv1.ListenerConditionConflicted, reason, message))
}

// family is what speaks together on a socket.
var family = map[model.Protocol]model.Protocol{
	model.HTTP: model.HTTP, model.HTTPS: model.TLS, model.TLS: model.TLS, model.TCP: model.TCP, model.UDP: model.UDP,
}

// clash tells why two listeners of one port cannot both be served; reason is empty when they can. UDP has ports of its own.
func clash(a, b *Listener) (reason gwv1.ListenerConditionReason, what string) {
	fa, fb := family[a.Protocol], family[b.Protocol]
	switch {
	case fa != fb && (fa == model.UDP || fb == model.UDP):
		return "", ""
	case fa != fb:
		return gwv1.ListenerReasonProtocolConflict, fmt.Sprintf("port %d is also used with another protocol", a.Port)
	case fa == model.TCP || fa == model.UDP:
		return gwv1.ListenerReasonProtocolConflict, fmt.Sprintf("port %d is also used, and %s knows no hostnames,", a.Port, fa)
	case a.Hostname == b.Hostname && a.Hostname == "":
		return gwv1.ListenerReasonHostnameConflict, fmt.Sprintf("port %d with no hostname is also used", a.Port)
	case a.Hostname == b.Hostname:
		return gwv1.ListenerReasonHostnameConflict, fmt.Sprintf("port %d with hostname %s is also used", a.Port, a.Hostname)
	}
	return "", ""
}

// overlaps marks usable listeners that end TLS for hostnames which another one of their port also matches: a client that reuses
// a connection may meet the certificate and the settings of the other (Gateway API, ListenerConditionOverlappingTLSConfig).
func (g *Result) overlaps() {
	byPort := map[int32][]*Listener{}
	for _, l := range g.all {
		if l.Terminate != nil {
			byPort[l.Port] = append(byPort[l.Port], l)
		}
	}
	for _, ls := range byPort {
		for i, a := range ls {
			for _, b := range ls[i+1:] {
				if _, common := hostname.Intersect(a.Hostname, b.Hostname); common {
					a.overlapping(b)
					b.overlapping(a)
				}
			}
		}
	}
}

// overlapping names the hostname of the first one found, which is no secret: it is on the same port.
func (l *Listener) overlapping(other *Listener) {
	for i := range l.Conditions {
		if l.Conditions[i].Type == string(gwv1.ListenerConditionOverlappingTLSConfig) {
			return
		}
	}
	message := fmt.Sprintf("another listener of port %d has the hostname %s, which overlaps", l.Port, other.ServerName())
	if l.Protocol == model.HTTPS {
		message += "; requests for one on a connection for the other are answered 421"
	}
	l.Conditions = append(l.Conditions, condition.True(gwv1.ListenerConditionOverlappingTLSConfig, gwv1.ListenerReasonOverlappingHostnames, message))
}

// Owner gives the API listener that requests for the name on the port of l belong to, among those that compete with it: usable
// ones of its protocol, and for TLS of HTTPS too, since both are told apart by the server name (GEP-3155). It may be l itself;
// nil when no usable listener matches.
func (g *Result) Owner(l *Listener, name string) *Listener {
	var best *Listener
	var rank int32
	for _, c := range g.all {
		if c.Port != l.Port || !c.Usable || !competes(l, c) || !hostname.Covers(c.Hostname, name) {
			continue
		}
		if r := hostname.Specificity(c.Hostname); best == nil || r > rank {
			best, rank = c, r
		}
	}
	return best
}

// HostOwner gives the API listener that requests for a host belong to; nil when no usable listener of the table matches it.
func (g *Result) HostOwner(id model.HostID) *Listener {
	for _, l := range g.all {
		if l.Table == id.Table && l.Usable {
			return g.Owner(l, id.Name)
		}
	}
	return nil
}

func competes(l, c *Listener) bool {
	return l.Protocol == c.Protocol || (l.Protocol == model.TLS && c.Protocol == model.HTTPS)
}
