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

// Claims lists what routes would ask for that other routes have, in the order of the changes. What a route asks for today already is no
// claim, nor is what only routes of the changes ask for. Gateways are those that there are.
func (e *Engine) Claims(changes []kube.Change) []Claim {
	c := claims{step: &step{Engine: e}, changed: e.snapshot.With(changes), ours: map[kube.Ref]bool{}, hosts: map[model.HostID]claimed{}}
	for _, change := range changes {
		c.ours[kube.Ref{Kind: change.Kind, Name: change.Name}] = true
	}
	for _, change := range changes {
		if change.Object != nil && slices.Contains(kube.RouteKinds, change.Kind) {
			c.of(kube.Ref{Kind: change.Kind, Name: change.Name})
		}
	}
	return c.out
}

// claimed is who asks for what at a host; the keys are those of matchKey.
type claimed map[string][]kube.Ref

type claims struct {
	*step
	changed *kube.Snapshot
	ours    map[kube.Ref]bool
	hosts   map[model.HostID]claimed
	out     []Claim
}

func (c *claims) of(ref kube.Ref) {
	r := resolve.Route(c.changed, ref, c.gatewayOf)
	if r == nil {
		return
	}
	for i := range r.Attachments {
		if h := c.Host(r.Attachments[i].Host); h != nil {
			c.host(ref, r, r.Attachments[i].Gateway, h)
		}
	}
	for i := range r.L4 {
		c.socket(ref, &r.L4[i])
	}
}

// host compares what a route would ask for at a host with what is there.
func (c *claims) host(ref kube.Ref, r *resolve.RouteResult, gateway types.NamespacedName, h *model.Host) {
	there := c.at(h)
	for i := range r.Rules {
		users := there[matchKey(&r.Rules[i].Match)]
		if slices.Contains(users, ref) {
			continue
		}
		for _, by := range users {
			if !c.ours[by] {
				c.out = append(c.out, Claim{Gateway: gateway, Source: r.Rules[i].Source, Host: h, Route: &r.Rules[i], By: by})
				break
			}
		}
	}
}

func (c *claims) at(h *model.Host) claimed {
	if known, ok := c.hosts[h.ID]; ok {
		return known
	}
	out := make(claimed, len(h.Routes))
	for i := range h.Routes {
		key := matchKey(&h.Routes[i].Match)
		kind, _ := kube.KindOf("gateway.networking.k8s.io", h.Routes[i].Source.Kind)
		out[key] = append(out[key], kube.Ref{Kind: kind, Name: types.NamespacedName(h.Routes[i].Source.Name)})
	}
	c.hosts[h.ID] = out
	return out
}

// socket is host for what is below HTTP.
func (c *claims) socket(ref kube.Ref, at *resolve.L4Attachment) {
	l := c.listeners[at.Listener]
	if l == nil || l.model == nil {
		return
	}
	found := Claim{
		Gateway: at.Gateway, Source: model.Source{Kind: ref.Kind.String(), Name: model.Name(ref.Name)}, Listener: l.model, ServerName: at.ServerName,
	}
	has := false
	for _, o := range c.ListenerRoutes(l.model) {
		by := kube.Ref{Kind: o.Route.Kind, Name: o.Route.Name}
		switch {
		case o.Attachment.ServerName != at.ServerName:
		case by == ref:
			return
		case !has && !c.ours[by]:
			found.By, has = by, true
		}
	}
	if has {
		c.out = append(c.out, found)
	}
}

// matchKey is the same for matches that take the very same requests.
func matchKey(m *model.Match) string {
	if len(m.Headers)+len(m.Query) == 0 && !m.GRPC {
		return string(rune('0'+m.PathKind)) + m.Method + " " + m.Path
	}
	return fmt.Sprintf("%d %q %q %t %q %q", m.PathKind, m.Path, m.Method, m.GRPC, fmt.Sprint(m.Headers), fmt.Sprint(m.Query))
}
