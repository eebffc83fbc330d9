package local

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/types"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/proxy/kube"
	"headgate.dev/proxy/model"
	"headgate.dev/proxy/resolve"
	"headgate.dev/proxy/traffic"
	"headgate.dev/schema"
)

// Hidden is a rule that no request, or a route that no connection can reach.
type Hidden struct {
	traffic.Hidden
	Object string `json:"object"`
	From   string `json:"from"`
	By     string `json:"by"` // the object whose rule takes the requests
	ByFrom string `json:"byFrom"`

	at schema.Position // From
}

// hiddenKey is what makes two Hidden one: a route is hidden on each listener of its host in the same way.
type hiddenKey struct {
	host, request, object, by string
}

func (h *Hidden) key() hiddenKey { return hiddenKey{h.Host, h.Request, h.Object, h.By} }

// NewlyHidden lists what can never match since the last Apply, on the hosts and listeners that it changed.
func (s *Stack) NewlyHidden() []Hidden {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.newlyHidden()
}

func (s *Stack) newlyHidden() []Hidden {
	var out []Hidden
	seen := map[hiddenKey]bool{}
	add := func(h Hidden) {
		if k := h.key(); !seen[k] {
			seen[k] = true
			out = append(out, h)
		}
	}
	for _, h := range s.effects.Hosts {
		before := traffic.FindHidden(h.Before)
		for _, f := range traffic.FindHidden(h.After) {
			known := slices.ContainsFunc(before, func(b traffic.Hidden) bool {
				return b.Request == f.Request && b.Route.Object() == f.Route.Object() && b.By.Object() == f.By.Object()
			})
			if !known && !s.isAlias(&f.Route) && !s.isAlias(&f.By) {
				add(s.hidden(s.byHosts(h.After.ID, f)))
			}
		}
	}
	for _, l := range s.effects.Listeners {
		for _, f := range s.hiddenConnections(l.After) {
			add(s.hidden(f))
		}
	}
	return out
}

func (s *Stack) isAlias(r *model.Source) bool {
	return s.world.isAlias(r.Kind, types.NamespacedName(r.Name))
}

func (s *Stack) hidden(f traffic.Hidden) Hidden {
	at := s.originOf(f.Route.Kind, types.NamespacedName(f.Route.Name), f.Route.Rule)
	return Hidden{
		Hidden: f, Object: f.Route.Object(), From: at.String(), at: at,
		By: f.By.Object(), ByFrom: s.originOf(f.By.Kind, types.NamespacedName(f.By.Name), f.By.Rule).String(),
	}
}

// byHosts says of a tie whether it is one in view of the hosts that the routes name, which go before age and name.
func (s *Stack) byHosts(id model.HostID, f traffic.Hidden) traffic.Hidden {
	if f.Tie && s.specificity(&f.By, id) > s.specificity(&f.Route, id) {
		f.Tie, f.Why = false, traffic.LessSpecificHost
	}
	return f
}

// specificity is that of the hostname by which a route has a host.
func (s *Stack) specificity(source *model.Source, id model.HostID) int32 {
	r := s.engine.Route(refOf(source))
	if r == nil {
		return 0
	}
	for i := range r.Attachments {
		if r.Attachments[i].Host == id {
			return r.Attachments[i].Specificity
		}
	}
	return 0
}

func refOf(source *model.Source) kube.Ref {
	kind, _ := kube.KindOf(gwv1.GroupName, source.Kind)
	return kube.Ref{Kind: kind, Name: types.NamespacedName(source.Name)}
}

// hiddenConnections lists the routes of a listener below HTTP that get no connection, because another one gets those of the
// port or of the server name.
func (s *Stack) hiddenConnections(l *model.Listener) (out []traffic.Hidden) {
	if l == nil {
		return nil
	}
	all := s.engine.ListenerRoutes(l)
	for i, first := 1, 0; i < len(all); i++ {
		if all[i].Attachment.ServerName != all[first].Attachment.ServerName {
			first = i
			continue
		}
		by, route := l4Source(&all[first]), l4Source(&all[i])
		if by == route {
			continue // several listeners of one name
		}
		f := traffic.Hidden{Host: "*", Request: l4Place(l), Same: true, Route: route, By: by, Why: l4Lost(&all[first], &all[i])}
		if name := all[i].Attachment.ServerName; name != "" {
			f.Host = name
		}
		f.Tie = f.Why != traffic.LessSpecificHost
		out = append(out, f)
	}
	return out
}

// l4Place names a listener below HTTP as rows do: "tcp:5432".
func l4Place(l *model.Listener) string {
	return fmt.Sprintf("%s:%d", strings.ToLower(string(l.Protocol)), l.Port)
}

func l4Source(c *resolve.L4Contribution) model.Source {
	return model.Source{Kind: c.Route.Kind.String(), Name: model.Name(c.Route.Name)}
}

func l4Lost(winner, loser *resolve.L4Contribution) string {
	if winner.Attachment.Specificity > loser.Attachment.Specificity {
		return traffic.LessSpecificHost
	}
	by, route := l4Source(winner), l4Source(loser)
	return traffic.Younger(&by, &route)
}

// Unserved lists what of the last Apply is not served, and why.
func (s *Stack) Unserved() schema.Errors {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.unserved()
}
