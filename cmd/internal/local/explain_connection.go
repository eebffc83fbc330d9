package local

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/proxy/engine"
	"headgate.dev/proxy/model"
	"headgate.dev/proxy/resolve"
	"headgate.dev/proxy/resolve/condition"
	gatewayrules "headgate.dev/proxy/resolve/gateway"
	"headgate.dev/proxy/traffic"
)

// explainConnection says what becomes of a connection that carries no HTTP, or that nobody takes.
func (s *Stack) explainConnection(l engine.ListenerChange, q Query, c traffic.Connection) Explanation {
	g, socket := s.gatewayOf(l.Gateway), l.After
	out := Explanation{Closed: c.Closed(), Reason: c.Reason}
	name := strings.ToLower(q.ServerName)
	if c.Chain != nil {
		out.ServerName, name = c.Chain.ServerName, c.Chain.ServerName
	}
	out.Listener = s.listener(g, socket, socketOwner(g, socket, name))
	for _, route := range s.engine.ListenerRoutes(socket) {
		at := route.Attachment
		rule := s.l4Rule(socket, &route)
		switch {
		case at.ServerName != "" && !coversName(at.ServerName, q.ServerName):
			rule.Why = "the server name is not " + at.ServerName
			out.Others = append(out.Others, rule)
		case at.ServerName != "" && (c.Chain == nil || at.ServerName != c.Chain.ServerName):
			rule.Why = "less specific server name"
			out.RunnersUp = append(out.RunnersUp, rule)
		case out.Rule == nil:
			rule.Why = cmp.Or(c.Reason, "it is the route of the port")
			if at.Forward == nil {
				out.Reason, rule.Why = "the route has no backend that is good", "it is the first of the port"
			}
			out.Rule, out.Listener = &rule, s.listener(g, socket, g.Find(at.Set, at.Name))
		default:
			rule.Why = l4Lost(firstOf(s.engine.ListenerRoutes(socket), at.ServerName), &route)
			out.RunnersUp = append(out.RunnersUp, rule)
		}
	}
	if !out.Closed {
		out.Reason = ""
	}
	return out
}

func firstOf(routes []resolve.L4Contribution, serverName string) *resolve.L4Contribution {
	i := slices.IndexFunc(routes, func(c resolve.L4Contribution) bool { return c.Attachment.ServerName == serverName })
	return &routes[i]
}

// coversName tells whether a server name, which may be a wildcard, stands for another.
func coversName(pattern, name string) bool {
	name = strings.ToLower(name)
	return pattern == name || pattern == "*" || pattern[0] == '*' && strings.HasSuffix(name, pattern[1:]) && len(name) > len(pattern)-1
}

// socketOwner finds the API listener that has a server name on a socket.
func socketOwner(g *gatewayrules.Result, socket *model.Listener, serverName string) *gatewayrules.Listener {
	for l := range apiListeners(g) {
		if l.Usable && l.Socket(g.Name) == socket.ID() && (socket.Protocol != model.TLS || l.ServerName() == serverName) {
			return l
		}
	}
	return nil
}

// apiListeners goes through the listeners of a Gateway and of its sets.
func apiListeners(g *gatewayrules.Result) func(func(*gatewayrules.Listener) bool) {
	return func(yield func(*gatewayrules.Listener) bool) {
		for i := range g.Listeners {
			if !yield(&g.Listeners[i]) {
				return
			}
		}
		for i := range g.Sets {
			for j := range g.Sets[i].Listeners {
				if !yield(&g.Sets[i].Listeners[j]) {
					return
				}
			}
		}
	}
}

// l4Rule is a route below HTTP.
func (s *Stack) l4Rule(socket *model.Listener, c *resolve.L4Contribution) Rule {
	source := l4Source(c)
	out := Rule{
		Object: source.Object(), From: s.originOf(source.Kind, types.NamespacedName(source.Name), 0).String(),
		Request: cmp.Or(c.Attachment.ServerName, l4Place(socket)),
	}
	if f := c.Attachment.Forward; f != nil {
		row := traffic.ListenerRows(&model.Listener{Protocol: model.TCP, Port: socket.Port, Forward: f})[0]
		out.Name, out.Answer, out.Backends = f.Source.RuleName, row.Answer, percent(f.Shares)
		return out
	}
	out.Answer = "closed"
	for i := range c.Route.Parents {
		if p := &c.Route.Parents[i]; p.Gateway == c.Attachment.Gateway && out.Problem == "" {
			out.Problem = untrue(p.Conditions)
		}
	}
	return out
}

// untrue gives the first condition that does not hold, in words. Programmed only repeats the others, if one of them does.
func untrue(conditions []condition.Condition) (text string) {
	for _, c := range conditions {
		if c.Status == metav1.ConditionTrue || c.Type == string(gwv1.ListenerConditionConflicted) {
			continue
		}
		text = fmt.Sprintf("%s is %s (%s): %s", c.Type, c.Status, c.Reason, c.Message)
		if c.Type != string(gwv1.ListenerConditionProgrammed) {
			break
		}
	}
	return text
}

// explainUnusable tells of listeners that a request would arrive at if they were served.
func (s *Stack) explainUnusable(q Query) (out []Explanation) {
	name := cmp.Or(q.ServerName, traffic.ServerName(q.Host))
	for _, g := range s.engine.ListGateways() {
		for l := range apiListeners(g) {
			socket := &model.Listener{Gateway: model.Name(g.Name), Port: l.Port, Protocol: l.Protocol}
			if l.Protocol == model.HTTPS {
				socket.Protocol = model.TLS
			}
			if l.Usable || !q.arrivesAt(socket) || name != "" && !coversName(l.ServerName(), name) {
				continue
			}
			out = append(out, Explanation{Listener: s.listener(g, socket, l), Closed: true,
				Reason: "the listener is not served: " + untrue(l.Conditions)})
		}
	}
	return out
}
