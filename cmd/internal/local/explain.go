package local

import (
	"cmp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/types"

	"headgate.dev/proxy/engine"
	"headgate.dev/proxy/model"
	gatewayrules "headgate.dev/proxy/resolve/gateway"
	"headgate.dev/proxy/traffic"
	"headgate.dev/schema"
)

// Query is a request, or a connection, and where it arrives.
type Query struct {
	traffic.Request
	// ServerName is that of the connection (SNI), where the listener speaks TLS; empty: none.
	ServerName string
	// Scheme is what the client speaks: "http", "https", "tls", "tcp" or "udp"; empty: what the listener of the Port does.
	Scheme string
	// Port is the listener's, as the Gateway names it; 0: see Explain.
	Port int32
}

// Explanation is what one listener does with a request or a connection.
type Explanation struct {
	Listener Listener `json:"listener"`
	// ServerName is the name by which a connection with TLS was told apart: that of the listener or of a TLSRoute.
	ServerName string `json:"serverName,omitempty"`
	// Closed: there is no answer; the connection is closed, the datagram dropped. Reason says why.
	Closed bool `json:"closed,omitempty"`
	// Host is the name in the table that took the request; empty when none did.
	Host string `json:"host,omitempty"`
	// Status is set where no route answers, with GRPCStatus for what a gRPC client sees of it; Location comes with a redirect.
	// Reason says why.
	Status     int    `json:"status,omitempty"`
	GRPCStatus string `json:"grpcStatus,omitempty"`
	Location   string `json:"location,omitempty"`
	Reason     string `json:"reason,omitempty"`
	// Path is the path that routes were compared with.
	Path string `json:"path,omitempty"`
	// Rule takes the request; nil when none does.
	Rule *Rule `json:"rule,omitempty"`
	// RunnersUp match too and lost; Others do not match. Both in the order in which they are tried.
	RunnersUp []Rule `json:"runnersUp,omitempty"`
	Others    []Rule `json:"others,omitempty"`
}

// Listener is the listener that a request arrives at.
type Listener struct {
	Gateway  string `json:"gateway"`
	Set      string `json:"listenerSet,omitempty"` // that it is of, if it is not of the Gateway itself
	Name     string `json:"name,omitempty"`
	Port     int32  `json:"port"`
	Protocol string `json:"protocol"` // HTTP, HTTPS, TLS, TCP or UDP
	Host     string `json:"host"`     // that the listener is limited to; "*" for any
	From     string `json:"from,omitempty"`
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
	Problem  string   `json:"problem,omitempty"` // why the rule is answered 500, or closes connections
	// Alias: the rule is there for NAME.localhost alone, in the place of the Object's.
	Alias bool `json:"alias,omitempty"`
}

// Share is one backend of a rule.
type Share struct {
	Service string  `json:"service,omitempty"` // namespace/name; empty: no valid backend
	Port    int32   `json:"port,omitempty"`
	Percent float64 `json:"percent"`
}

// Explain says what happens to a request at each listener that it can arrive at: those of its port and scheme; without either,
// those of plain HTTP, or where none of these has the host, those of HTTPS and TLS. Of these, those with a route for the
// host; where none has, those that offer it; else all. Without a listener there is nothing to explain.
func (s *Stack) Explain(q Query) []Explanation {
	s.mu.Lock()
	defer s.mu.Unlock()
	if q.Port != 0 || q.Scheme != "" {
		return chosen(s.explainAll(q))
	}
	q.Scheme = "http"
	plain := s.explainAll(q)
	q.Scheme = "tls"
	secure := s.explainAll(q)
	for _, is := range []func(Explanation) bool{routed, offered, named} {
		for _, answers := range [][]Explanation{plain, secure} {
			if slices.ContainsFunc(answers, is) {
				return chosen(answers)
			}
		}
	}
	if len(plain) == 0 {
		return secure
	}
	return plain
}

// named tells whether an explanation is of one API listener.
func named(e Explanation) bool { return e.Listener.Name != "" }

// Nowhere tells whether no listener has the host of a request or takes a connection.
func Nowhere(answers []Explanation) bool {
	return !slices.ContainsFunc(answers, func(e Explanation) bool { return e.Rule != nil || len(e.Others) > 0 && e.Host != "" })
}

func (s *Stack) explainAll(q Query) (all []Explanation) {
	for _, l := range s.engine.ListListeners() {
		if q.arrivesAt(l.After) {
			all = append(all, s.explain(l, q))
		}
	}
	return append(all, s.explainUnusable(q)...)
}

// arrivesAt tells whether a listener is meant. One that speaks TLS may have HTTPS and TLS on its port.
func (q *Query) arrivesAt(l *model.Listener) bool {
	scheme := strings.ToLower(string(l.Protocol))
	return (q.Port == 0 || q.Port == l.Port) && (q.Scheme == "" || q.Scheme == scheme || q.Scheme == "https" && scheme == "tls")
}

// routed tells whether some route was asked about the request.
func routed(e Explanation) bool {
	return e.Rule != nil || len(e.Others) > 0 && (e.Host != "" || e.ServerName != "")
}

// offered tells whether a listener has the host.
func offered(e Explanation) bool { return e.Host != "" || e.ServerName != "" || e.Status == 421 }

func chosen(all []Explanation) []Explanation {
	for _, is := range []func(Explanation) bool{routed, offered} {
		var out []Explanation
		for _, e := range all {
			if is(e) {
				out = append(out, e)
			}
		}
		if len(out) > 0 {
			return out
		}
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
	for _, l := range s.engine.ListListeners() {
		ports = append(ports, l.After.Port)
		for _, c := range l.After.Chains {
			if c.Forward != nil {
				hosts = append(hosts, c.ServerName)
			}
		}
	}
	slices.Sort(hosts)
	slices.Sort(ports)
	return slices.Compact(hosts), slices.Compact(ports)
}

func (s *Stack) gatewayOf(name types.NamespacedName) *gatewayrules.Result {
	for _, g := range s.engine.ListGateways() {
		if g.Name == name {
			return g
		}
	}
	return nil
}

func (s *Stack) explain(l engine.ListenerChange, q Query) Explanation {
	c := traffic.Connect(l.After, q.ServerName)
	if c.Table == "" {
		return s.explainConnection(l, q, c)
	}
	g := s.gatewayOf(l.Gateway)
	in := traffic.Explain(g.Table(c.Table), func(name string) *model.Host {
		return s.engine.Host(model.HostID{Table: c.Table, Name: name})
	}, q.Request)
	out := Explanation{Status: in.Status, Location: in.Location, Reason: in.Reason, Path: in.Path}
	if in.GRPC && in.Status != 0 {
		_, out.GRPCStatus = traffic.GRPCStatus(in.Status)
	}
	if c.Chain != nil {
		out.ServerName = c.Chain.ServerName
	}
	id := model.HostID{Table: c.Table, Name: cmp.Or(out.ServerName, "*")}
	if in.Host != nil {
		id, out.Host = in.Host.ID, in.Host.ID.Name
	}
	out.Listener = s.listener(g, l.After, g.HostOwner(id))
	if in.Host == nil && c.Chain == nil {
		out.Listener = s.listener(g, l.After, nil) // none of the listeners of the port has the host
	}
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

// listener describes the API listener of a socket; nil: which of them is not known.
func (s *Stack) listener(g *gatewayrules.Result, socket *model.Listener, l *gatewayrules.Listener) Listener {
	out := Listener{Gateway: g.Name.String(), Port: socket.Port, Protocol: string(socket.Protocol), Host: "*"}
	if l == nil {
		return out
	}
	out.Name, out.Protocol, out.Host = l.Name, string(l.Protocol), cmp.Or(l.Hostname, "*")
	if l.Set != (types.NamespacedName{}) && l.Set != s.world.aliasSet.ref().Name {
		out.Set = l.Set.String()
	}
	out.From = s.listenerAt(g, l).String()
	return out
}

// listenerAt finds where an API listener is written.
func (s *Stack) listenerAt(g *gatewayrules.Result, l *gatewayrules.Listener) schema.Position {
	kind, name := "Gateway", g.Name
	if l.Set != (types.NamespacedName{}) {
		kind, name = "ListenerSet", l.Set
	}
	return listenerIn(s.set, kind, name, func(entry map[string]any) bool { return entry["name"] == l.Name })
}

func (s *Stack) rule(h *model.Host, t *traffic.Trial) Rule {
	row := traffic.RowOf(h, t.Route)
	source := t.Route.Source
	out := Rule{
		Index: source.Rule, Name: source.RuleName,
		Request: row.Request, Answer: row.Answer, Details: row.Details, Why: t.Why, Backends: shares(t.Route.Forward),
	}
	for _, p := range s.engine.ProblemsOf(refOf(&source)) {
		if p.Source == source {
			out.Answer, out.Problem, out.Backends = "500", p.Message, nil
		}
	}
	if out.Alias = s.isAlias(&source); out.Alias {
		source.Name.Name = strings.TrimSuffix(source.Name.Name, "."+localhost)
	}
	out.Object, out.From = source.Object(), s.originOf(source.Kind, types.NamespacedName(source.Name), source.Rule).String()
	return out
}

func shares(f *model.Forward) (out []Share) {
	if f == nil {
		return nil
	}
	list := make([]model.Share, len(f.Backends))
	for i := range f.Backends {
		list[i] = model.Share{Cluster: f.Backends[i].Cluster, Weight: f.Backends[i].Weight}
	}
	return percent(list)
}

// percent gives the shares that are not empty.
func percent(list []model.Share) (out []Share) {
	var total uint64
	for i := range list {
		total += uint64(list[i].Weight)
	}
	for i := range list {
		if list[i].Weight == 0 {
			continue
		}
		share := Share{Percent: 100 * float64(list[i].Weight) / float64(total)}
		if list[i].Cluster != (model.ClusterID{}) {
			share.Service, share.Port = list[i].Cluster.Service.String(), list[i].Cluster.Port
		}
		out = append(out, share)
	}
	return out
}
