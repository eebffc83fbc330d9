package local

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/types"

	"headgate.dev/proxy/kube"
	"headgate.dev/proxy/model"
	gatewayrules "headgate.dev/proxy/resolve/gateway"
	"headgate.dev/proxy/traffic"
	"headgate.dev/schema/source"
)

// Explanation is what one listener does with a request.
type Explanation struct {
	Listener Listener `json:"listener"`
	// Host is the name in the table that took the request; empty when none did.
	Host string `json:"host,omitempty"`
	// Status is set where no route answers; Location comes with a redirect. Reason says why.
	Status   int    `json:"status,omitempty"`
	Location string `json:"location,omitempty"`
	Reason   string `json:"reason,omitempty"`
	// Path is the path that routes were compared with.
	Path string `json:"path,omitempty"`
	// Rule takes the request; nil when none does.
	Rule *Rule `json:"rule,omitempty"`
	// RunnersUp match too and lost; Others do not match. Both in the order in which they are tried.
	RunnersUp []Rule `json:"runnersUp,omitempty"`
	Others    []Rule `json:"others,omitempty"`
}

// Listener is the listener of a Gateway that a request arrives at.
type Listener struct {
	Gateway string `json:"gateway"`
	Name    string `json:"name,omitempty"`
	Port    int32  `json:"port"`
	Host    string `json:"host"` // that the listener is limited to; "*" for any
	From    string `json:"from,omitempty"`
}

// Rule is a rule of a route, with what it says about the request.
type Rule struct {
	Object   string   `json:"object"` // "HTTPRoute default/shop"
	Index    int      `json:"index"`
	Name     string   `json:"name,omitempty"`
	From     string   `json:"from,omitempty"`
	Request  string   `json:"request"` // the match
	Answer   string   `json:"answer"`
	Backends []Share  `json:"backends,omitempty"`
	Details  []string `json:"details,omitempty"`
	Why      string   `json:"why"`
	Problem  string   `json:"problem,omitempty"` // why the rule is answered 500
}

// Share is one backend of a rule.
type Share struct {
	Service string  `json:"service,omitempty"` // namespace/name; empty: no valid backend, answered 500
	Port    int32   `json:"port,omitempty"`
	Percent float64 `json:"percent"`
}

// Explain says what happens to a request at each listener of a port (0: every port) that has a host for it. Where none
// has, it says so of every listener of the port. Without a listener there is nothing to explain.
func (s *Stack) Explain(r traffic.Request, port int32) []Explanation {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all, found []Explanation
	for _, g := range s.engine.ListGateways() {
		for _, socket := range g.Sockets {
			if port != 0 && socket.Port != port || socket.Protocol != model.HTTP {
				continue
			}
			e := s.explain(g, socket, r)
			all = append(all, e)
			if e.Host != "" {
				found = append(found, e)
			}
		}
	}
	if len(found) > 0 {
		return found
	}
	return all
}

// Hosts lists the hostnames that are served, without repeats, and the ports.
func (s *Stack) Hosts() (hosts []string, ports []int32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range s.engine.ListHosts() {
		if len(h.After.Routes) > 0 {
			hosts = append(hosts, h.After.ID.Name)
		}
	}
	for _, g := range s.engine.ListGateways() {
		for _, socket := range g.Sockets {
			ports = append(ports, socket.Port)
		}
	}
	slices.Sort(hosts)
	slices.Sort(ports)
	return slices.Compact(hosts), slices.Compact(ports)
}

func (s *Stack) explain(g *gatewayrules.Result, socket *model.Listener, r traffic.Request) Explanation {
	in := traffic.Explain(g.Table(socket.Table), func(name string) *model.Host {
		return s.engine.Host(model.HostID{Table: socket.Table, Name: name})
	}, r)
	out := Explanation{
		Listener: Listener{Gateway: g.Name.String(), Port: socket.Port, Host: "*"},
		Status:   in.Status, Location: in.Location, Reason: in.Reason, Path: in.Path,
	}
	if in.Host == nil {
		return out
	}
	out.Host = in.Host.ID.Name
	out.Listener = s.listenerOf(g, in.Host)
	for i := range in.Trials {
		rule := s.rule(in.Host, &in.Trials[i])
		switch {
		case i == in.Winner:
			out.Rule = &rule
		case in.Trials[i].Matches:
			out.RunnersUp = append(out.RunnersUp, rule)
		default:
			out.Others = append(out.Others, rule)
		}
	}
	return out
}

// listenerOf finds the API listener that a host belongs to.
func (s *Stack) listenerOf(g *gatewayrules.Result, h *model.Host) Listener {
	out := Listener{Gateway: g.Name.String(), Port: h.Port, Host: "*"}
	l := g.HostOwner(h.ID)
	if l == nil {
		return out
	}
	out.Name, out.Host = l.Name, cmp.Or(l.Hostname, "*")
	object := s.engine.Snapshot().Gateway(g.Name)
	for i := range object.Spec.Listeners {
		if string(object.Spec.Listeners[i].Name) == l.Name {
			out.From = s.fieldOf("Gateway", g.Name, fmt.Sprintf("/spec/listeners/%d", i)).String()
			break
		}
	}
	return out
}

func (s *Stack) rule(h *model.Host, t *traffic.Trial) Rule {
	row := traffic.RowOf(h, t.Route)
	source := &t.Route.Source
	name := types.NamespacedName(source.Name)
	out := Rule{
		Object: source.Object(), Index: source.Rule, Name: source.RuleName, From: s.originOf(source.Kind, name, source.Rule).String(),
		Request: row.Request, Answer: row.Answer, Details: row.Details, Why: t.Why, Backends: shares(t.Route.Forward),
	}
	kind, _ := kube.KindOf("gateway.networking.k8s.io", source.Kind)
	for _, p := range s.engine.ProblemsOf(kube.Ref{Kind: kind, Name: name}) {
		if p.Source == *source {
			out.Answer, out.Problem, out.Backends = "500", p.Message, nil
		}
	}
	return out
}

func shares(f *model.Forward) (out []Share) {
	if f == nil {
		return nil
	}
	var total uint32
	for i := range f.Backends {
		total += f.Backends[i].Weight
	}
	for i := range f.Backends {
		b := &f.Backends[i]
		if b.Weight == 0 {
			continue
		}
		share := Share{Percent: 100 * float64(b.Weight) / float64(total)}
		if b.Cluster != (model.ClusterID{}) {
			share.Service, share.Port = b.Cluster.Service.String(), b.Cluster.Port
		}
		out = append(out, share)
	}
	return out
}

// Nearest puts the names that look most like one first, and gives up to limit of them.
func Nearest(name string, names []string, limit int) []string {
	type candidate struct {
		name     string
		distance int
	}
	name = strings.ToLower(name)
	list := make([]candidate, len(names))
	for i, n := range names {
		list[i] = candidate{n, source.EditDistance(name, n)}
	}
	slices.SortStableFunc(list, func(a, b candidate) int { return cmp.Compare(a.distance, b.distance) })
	var out []string
	for _, c := range list[:min(limit, len(list))] {
		out = append(out, c.name)
	}
	return out
}
