package resolve

import (
	"cmp"
	"slices"

	"headgate.dev/proxy/model"
	"headgate.dev/proxy/resolve/gateway"
)

// Listener puts the routes of one socket of the gateway into it: for TCP and UDP the one that goes first, for TLS one for each
// server name. The order of the contributions does not matter; a route contributes once for each of its L4Attachments on
// the socket. A socket that is not open gives nil; one of HTTP is what it is.
//
// The more specific hostname as the route wrote it goes first, then the older route, then namespace and name (Gateway API,
// TLSRouteSpec.hostnames; for TCP and UDP "only the oldest route is bound to the listener"). The server name of a listener that
// no route answers closes its connections: it shields them from the wildcards of other listeners.
func Listener(g *gateway.Result, id model.ListenerID, contributions []L4Contribution) *model.Listener {
	base := g.Socket(id)
	if base == nil || len(contributions) == 0 {
		return base
	}
	cs := slices.Clone(contributions)
	SortL4(cs)
	out := *base
	if base.Protocol == model.TCP || base.Protocol == model.UDP {
		out.Forward = cs[0].Attachment.Forward
		return &out
	}
	out.Chains = slices.Clone(base.Chains)
	cs = slices.CompactFunc(cs, func(a, b L4Contribution) bool { return a.Attachment.ServerName == b.Attachment.ServerName })
	for _, c := range cs {
		l := g.Find(c.Attachment.Set, c.Attachment.Name)
		if l == nil {
			continue
		}
		chain := model.Chain{ServerName: c.Attachment.ServerName, Terminate: l.Terminate, Forward: c.Attachment.Forward}
		i, found := slices.BinarySearchFunc(out.Chains, chain.ServerName, func(x model.Chain, name string) int { return cmp.Compare(x.ServerName, name) })
		if found {
			out.Chains[i] = chain
		} else {
			out.Chains = slices.Insert(out.Chains, i, chain)
		}
	}
	return &out
}

// SortL4 puts the routes of one socket in the order in which they are asked, those of one server name beside each other: the
// first of each gets the connections.
func SortL4(cs []L4Contribution) {
	slices.SortFunc(cs, func(a, b L4Contribution) int {
		return cmp.Or(cmp.Compare(a.Attachment.ServerName, b.Attachment.ServerName),
			cmp.Compare(b.Attachment.Specificity, a.Attachment.Specificity), compareRoutes(a.Route, b.Route))
	})
}
