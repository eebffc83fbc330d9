package engine

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"headgate.dev/proxy/kube"
	"headgate.dev/proxy/model"
	"headgate.dev/proxy/resolve"
)

// Claim is something that a route would ask for and that another route has: the very same requests of a host, the connections of a
// port, or those for a server name. Only one of the two can answer.
type Claim struct {
	Gateway types.NamespacedName
	// Source is the rule that asks.
	Source model.Source
	// Host and Route are those of requests; nil for connections, for which Listener and ServerName (empty: any) are set.
	Host       *model.Host
	Route      *model.Route
	Listener   *model.Listener
	ServerName string
	// By has it.
	By kube.Ref
}

// Ask names what only one route can have: requests of a host, or a socket below HTTP.
type Ask struct {
	host       model.HostID
	match      string // by matchKey
	listener   model.ListenerID
	serverName string
}

// Claims lists what routes would ask for that other routes have, in the order of the changes. What a route asks for today already is no
// claim, nor is what only routes of the changes ask for. Gateways are those that there are. Taken tells which route is about to have
// something, and asks is all that the routes would ask for anew, and by which.
func (e *Engine) Claims(changes []kube.Change, taken func(Ask) (kube.Ref, bool)) (list []Claim, asks map[Ask]kube.Ref) {
	c := claims{
		step: &step{Engine: e}, changed: e.snapshot.With(changes), ours: map[kube.Ref]bool{}, hosts: map[model.HostID]claimed{},
		taken: taken, asks: map[Ask]kube.Ref{},
	}
	for _, change := range changes {
		c.ours[kube.Ref{Kind: change.Kind, Name: change.Name}] = true
	}
	for _, change := range changes {
		if change.Object != nil && slices.Contains(kube.RouteKinds, change.Kind) {
			c.of(kube.Ref{Kind: change.Kind, Name: change.Name})
		}
	}
	return c.out, c.asks
}

// claimed is who asks for what at a host; the keys are those of matchKey.
type claimed map[string][]kube.Ref

type claims struct {
	*step
	changed *kube.Snapshot
	ours    map[kube.Ref]bool
	hosts   map[model.HostID]claimed
	taken   func(Ask) (kube.Ref, bool)
	asks    map[Ask]kube.Ref
	out     []Claim
}

// by tells who else has what a route asks for, or is about to: the first of users that is not ours.
func (c *claims) by(ref kube.Ref, a Ask, users []kube.Ref) (kube.Ref, bool) {
	c.asks[a] = ref
	for _, by := range users {
		if !c.ours[by] {
			return by, true
		}
	}
	by, ok := c.taken(a)
	return by, ok && !c.ours[by]
}

func (c *claims) of(ref kube.Ref) {
	r := resolve.Route(c.changed, ref, c.gatewayOf)
	if r == nil {
		return
	}
	for i := range r.Attachments {
		c.host(ref, r, &r.Attachments[i])
	}
	for i := range r.L4 {
		c.socket(ref, &r.L4[i])
	}
}

// host compares what a route would ask for at a host with what is there.
func (c *claims) host(ref kube.Ref, r *resolve.RouteResult, a *resolve.Attachment) {
	h := c.Host(a.Host)
	if h == nil { // there will be one
		h = resolve.Host(c.gateways[a.Gateway], a.Host, []resolve.Contribution{{Route: r, Specificity: a.Specificity}})
	}
	there := c.at(a.Host)
	for i := range r.Rules {
		key := matchKey(&r.Rules[i].Match)
		if slices.Contains(there[key], ref) {
			continue
		}
		if by, found := c.by(ref, Ask{host: a.Host, match: key}, there[key]); found {
			c.out = append(c.out, Claim{Gateway: a.Gateway, Source: r.Rules[i].Source, Host: h, Route: &r.Rules[i], By: by})
		}
	}
}

func (c *claims) at(id model.HostID) claimed {
	if known, ok := c.hosts[id]; ok {
		return known
	}
	out := claimed{}
	h := c.Host(id)
	for i := 0; h != nil && i < len(h.Routes); i++ {
		key := matchKey(&h.Routes[i].Match)
		kind, _ := kube.KindOf("gateway.networking.k8s.io", h.Routes[i].Source.Kind)
		out[key] = append(out[key], kube.Ref{Kind: kind, Name: types.NamespacedName(h.Routes[i].Source.Name)})
	}
	c.hosts[id] = out
	return out
}

// socket is host for what is below HTTP.
func (c *claims) socket(ref kube.Ref, at *resolve.L4Attachment) {
	l := c.listeners[at.Listener]
	if l == nil || l.model == nil {
		return
	}
	var users []kube.Ref
	for _, o := range c.ListenerRoutes(l.model) {
		if o.Attachment.ServerName == at.ServerName {
			users = append(users, kube.Ref{Kind: o.Route.Kind, Name: o.Route.Name})
		}
	}
	if slices.Contains(users, ref) {
		return
	}
	if by, found := c.by(ref, Ask{listener: at.Listener, serverName: at.ServerName}, users); found {
		c.out = append(c.out, Claim{
			Gateway: at.Gateway, Source: model.Source{Kind: ref.Kind.String(), Name: model.Name(ref.Name)},
			Listener: l.model, ServerName: at.ServerName, By: by,
		})
	}
}

// matchKey is the same for matches that take the very same requests.
func matchKey(m *model.Match) string {
	if len(m.Headers)+len(m.Query) == 0 && !m.GRPC {
		return string(rune('0'+m.PathKind)) + m.Method + " " + m.Path
	}
	return fmt.Sprintf("%d %q %q %t %q %q", m.PathKind, m.Path, m.Method, m.GRPC, fmt.Sprint(m.Headers), fmt.Sprint(m.Query))
}
