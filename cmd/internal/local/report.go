package local

import (
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/proxy/engine"
	"headgate.dev/proxy/envoy"
	"headgate.dev/proxy/model"
	"headgate.dev/proxy/resolve/condition"
	gatewayrules "headgate.dev/proxy/resolve/gateway"
	"headgate.dev/proxy/traffic"
	"headgate.dev/render/object"
	"headgate.dev/schema"
)

// Row is one line of what is served.
type Row struct {
	Gateway  string      `json:"gateway"`
	Listener string      `json:"listener"` // "http :8080", "https :8443", "tcp :5432": the protocol and the local port
	Row      traffic.Row `json:"row"`
	From     string      `json:"from"` // file:line
	URL      string      `json:"url,omitempty"`
	// Resolves tells whether the URL leads to this machine without further ado.
	Resolves bool `json:"-"`
	// Alias is the URL at NAME.localhost, where that is another one.
	Alias string `json:"alias,omitempty"`
}

// Place is a port of a Gateway and where it is served on this machine.
type Place struct {
	Gateway  string `json:"gateway"`
	Port     int32  `json:"port"`
	Protocol string `json:"protocol"` // "tcp" or "udp"
	Address  string `json:"address"`  // "127.0.0.1:8080"
}

// NewListeners lists the ports of Gateways that got their place on this machine with the last Apply.
func (s *Stack) NewListeners() []Place {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Place, len(s.ports.fresh))
	for i, id := range s.ports.fresh {
		at := s.ports.at(id, s.ports.assigned[id])
		out[i] = Place{Gateway: id.Gateway.String(), Port: id.Port, Protocol: at.network(), Address: at.addr.String()}
	}
	return out
}

// UnusedEndpoints warns of every --endpoint that no route leads to: a name that is misspelt, most of the time.
func (s *Stack) UnusedEndpoints() schema.Errors {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs schema.Errors
	for _, e := range s.options.Endpoints {
		ports := s.backends.ports[e.Service]
		if len(ports) == 0 || e.Port != 0 && !slices.ContainsFunc(ports, func(p servicePort) bool { return p.port == e.Port }) {
			errs = append(errs, &schema.Error{Message: fmt.Sprintf("--endpoint %s: no route leads there", e)})
		}
	}
	return errs
}

// Change is a Row that is not what it was. Before is nil for one that came, After for one that went.
type Change struct {
	Before, After *Row
}

// Rows lists everything that is served, up to limit rows, and tells how many there are.
func (s *Stack) Rows(limit int) (rows []Row, total int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range s.engine.ListHosts() {
		for _, r := range s.rows(h.After) {
			if total++; len(rows) < limit {
				rows = append(rows, s.row(s.set, h.After, r))
			}
		}
	}
	for _, l := range s.engine.ListListeners() {
		for _, r := range traffic.ListenerRows(l.After) {
			if r.Source.Kind == "" {
				continue // its hosts say it, or nothing is to be had there
			}
			r.Request = "-" // the listener says it
			if total++; len(rows) < limit {
				rows = append(rows, s.connectionRow(s.set, l.After, r))
			}
		}
	}
	return rows, total
}

// Changed lists what the last Apply changed, up to limit rows, and tells how many there are. Each row says where it
// stands in the tree it belongs to, before or after.
func (s *Stack) Changed(limit int) (changes []Change, total int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	add := func(diff []traffic.Change, before, after func(traffic.Row) Row) {
		for _, c := range diff {
			if total++; len(changes) >= limit {
				continue
			}
			var change Change
			if c.Before != nil {
				row := before(*c.Before)
				change.Before = &row
			}
			if c.After != nil {
				row := after(*c.After)
				change.After = &row
			}
			changes = append(changes, change)
		}
	}
	for _, h := range s.effects.Hosts {
		add(traffic.Diff(s.rows(h.Before), s.rows(h.After)),
			func(r traffic.Row) Row { return s.row(s.before, h.Before, r) },
			func(r traffic.Row) Row { return s.row(s.set, h.After, r) })
	}
	for _, l := range s.effects.Listeners {
		add(traffic.Diff(traffic.ListenerRows(l.Before), traffic.ListenerRows(l.After)),
			func(r traffic.Row) Row { return s.connectionRow(s.before, l.Before, r) },
			func(r traffic.Row) Row { return s.connectionRow(s.set, l.After, r) })
	}
	return changes, total
}

// rows are the rows of a host, without those of aliases: they say nothing new.
func (s *Stack) rows(h *model.Host) []traffic.Row {
	return slices.DeleteFunc(traffic.Rows(h), func(r traffic.Row) bool {
		return s.world.isAlias(r.Source.Kind, types.NamespacedName(r.Source.Name))
	})
}

// row is a row of a host, whose objects are in set.
func (s *Stack) row(set *object.Set, h *model.Host, r traffic.Row) Row {
	gateway, port := gatewayOf(h)
	local, scheme := s.ports.public(gateway, port), "http"
	if h.Protocol == model.HTTPS {
		scheme = "https"
	}
	row := Row{
		Gateway: gateway.String(), Listener: fmt.Sprintf("%s :%d", scheme, local), Row: r,
		From: originIn(set, r.Source.Kind, types.NamespacedName(r.Source.Name), r.Source.Rule).String(),
	}
	host := h.ID.Name
	if host == "*" {
		host = localhost
	}
	if alias, has := s.world.aliasOf(r.Source.Kind, types.NamespacedName(r.Source.Name)); has {
		port := s.ports.public(model.Name(alias.front.gateway), alias.front.port)
		row.Alias = fmt.Sprintf("http://%s:%d%s", alias.host, port, path(r.Request))
	}
	if row.Resolves = host == localhost || strings.HasSuffix(host, "."+localhost); strings.HasPrefix(host, "*") {
		row.Resolves = false
	} else if row.Resolves || scheme == "https" {
		row.URL = fmt.Sprintf("%s://%s:%d%s", scheme, host, local, path(r.Request))
	}
	return row
}

// path is the path of a request to try, for matches that name nothing but a path.
func path(request string) string {
	p := strings.TrimPrefix(request, "=")
	if !strings.HasPrefix(p, "/") || strings.Contains(p, " ") {
		return "/"
	}
	return p
}

// gatewayOf reads the Gateway out of a table's name, "namespace/gateway/80".
func gatewayOf(h *model.Host) (model.Name, int32) {
	namespace, rest, _ := strings.Cut(string(h.ID.Table), "/")
	name, _, _ := strings.Cut(rest, "/")
	return model.Name{Namespace: namespace, Name: name}, h.Port
}

// Count tells how many routes there are and how many Services they lead to.
func (s *Stack) Count() (services, routes int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.backends.ports), len(s.world.routes)
}

// unserved lists what the last Apply left unserved: conditions of routes and listeners that say so.
func (s *Stack) unserved() schema.Errors {
	var errs schema.Errors
	for i := range s.effects.Routes {
		if _, isAlias := s.world.aliases[s.effects.Routes[i].Ref]; isAlias {
			continue // the route it stands for says it
		}
		errs = append(errs, s.routeProblems(&s.effects.Routes[i])...)
	}
	for i := range s.effects.Gateways {
		if g := s.effects.Gateways[i].Result; g != nil {
			errs = append(errs, s.gatewayProblems(g)...)
		}
	}
	return errs
}

// gatewayProblems lists what is wrong with a Gateway, the listener sets that name it, and their listeners.
func (s *Stack) gatewayProblems(g *gatewayrules.Result) schema.Errors {
	errs := conditionErrors(s.originOf("Gateway", g.Name, -1), "Gateway "+g.Name.String(), g.Conditions)
	for i := range g.Sets {
		if set := &g.Sets[i]; !set.Attached {
			errs = append(errs, conditionErrors(s.originOf("ListenerSet", set.Name, -1), "ListenerSet "+set.Name.String(), set.Conditions)...)
		}
	}
	for l := range apiListeners(g) {
		errs = append(errs, conditionErrors(s.listenerAt(g, l), "listener "+l.Name, l.Conditions)...)
	}
	return errs
}

// routeProblems lists what is wrong with a route, but for the reasons that somebody else has told.
func (s *Stack) routeProblems(r *engine.RouteState, told ...string) schema.Errors {
	name := r.Ref.Name
	if r.Result == nil {
		if s.world.routes[r.Ref] == nil {
			return nil
		}
		return schema.Errors{{Position: s.originOf(r.Ref.Kind.String(), name, -1), Field: "spec.parentRefs",
			Message: fmt.Sprintf("%s %s names no Gateway that is served here", r.Ref.Kind, name)}}
	}
	var errs schema.Errors
	at := s.originOf(r.Ref.Kind.String(), name, -1)
	for i := range r.Result.Parents {
		p := &r.Result.Parents[i]
		errs = append(errs, conditionErrors(at, fmt.Sprintf("%s %s at Gateway %s", r.Ref.Kind, name, p.Gateway), p.Conditions, told...)...)
	}
	for _, p := range r.Problems {
		errs = append(errs, &schema.Error{Position: s.originOf(p.Source.Kind, name, p.Source.Rule), Message: p.Message})
	}
	return errs
}

// conditionErrors turns conditions into errors: those that ought to be true and are not, and those that ought not to be.
func conditionErrors(at schema.Position, subject string, conditions []condition.Condition, told ...string) schema.Errors {
	bad := []string{string(gwv1.RouteConditionPartiallyInvalid)}
	repeats := []string{string(gwv1.ListenerConditionProgrammed), string(gwv1.ListenerConditionConflicted)} // Accepted says it
	sums := []string{string(gwv1.GatewayReasonListenersNotValid), string(gwv1.GatewayReasonListenersNotResolved)}
	var errs schema.Errors
	for _, c := range conditions {
		if slices.Contains(repeats, c.Type) || slices.Contains(sums, c.Reason) || slices.Contains(told, c.Reason) {
			continue
		}
		if (c.Status == metav1.ConditionTrue) == slices.Contains(bad, c.Type) {
			errs = append(errs, &schema.Error{Position: at, Message: fmt.Sprintf("%s: %s: %s", subject, c.Reason, c.Message)})
		}
	}
	return errs
}

// nacked says what Envoy refused in terms of the objects it was made from.
func (s *Stack) nacked(key envoy.Key, message string) schema.Error {
	e := schema.Error{Message: fmt.Sprintf("Envoy refuses %s %s: %s", key.Type, key.Name, strings.TrimSpace(message))}
	if key.Type == envoy.ListenerType {
		namespace, rest, _ := strings.Cut(key.Name, "/")
		name, _, _ := strings.Cut(rest, "/")
		e.Position = s.originOf("Gateway", types.NamespacedName{Namespace: namespace, Name: name}, -1)
	}
	if behind := s.engine.RoutesBehind(fleet, key); len(behind) > 0 {
		name := behind[0].Name
		if a, isAlias := s.world.aliases[behind[0]]; isAlias {
			name.Name = a.source.GetName()
		}
		e.Position = s.originOf(behind[0].Kind.String(), name, -1)
	}
	return e
}
