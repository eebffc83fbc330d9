package traffic

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"headgate.dev/proxy/model"
)

// Hosts finds a host of one table by its name, as in model.HostID ("shop.test", "*.test", "*"); nil where the table has
// none of that name.
type Hosts func(name string) *model.Host

const anyHost = "*"

// Explanation is what becomes of a request at one listener, and why.
type Explanation struct {
	// Host is the host that takes the request; nil when there is none, or when the request is refused before.
	Host *model.Host
	// Path is the path that routes are compared with, without the query.
	Path string
	// Trials has an entry for each route of Host, in the order in which they are tried.
	Trials []Trial
	// Winner is the index in Trials of the route that takes the request; -1 when none does.
	Winner int
	// Status is that of the answer where the listener gives it and not the winning route: 400, 404, 421, 307, and 204 or 200
	// for preflight requests. 0: the winner answers.
	Status int
	// GRPC: the client is told Status, and the status of a route that forwards nowhere, in the words of gRPC: see GRPCStatus.
	GRPC bool
	// Location comes with 307.
	Location string
	// Reason says in words why Status.
	Reason string
}

// Trial is how the request compares with one route.
type Trial struct {
	Route   *model.Route
	Matches bool
	// Why says what matched of the winner, why one that matches too lost, and what one that does not match lacks.
	Why string
}

// Explain says what Envoy, as package envoy configures it, does with a request that arrives at a table: that of a plain HTTP
// listener, or for HTTPS the one to which the server name of its connection leads (Connect).
func Explain(t *model.Table, hosts Hosts, r Request) Explanation {
	e := Explanation{Winner: -1}
	scheme := "http"
	if t.Protocol == model.HTTPS {
		scheme = "https"
	}
	s, refused := r.read(scheme)
	e.GRPC = s.grpc
	switch {
	case refused != "":
		e.Status, e.Reason = 400, refused
		return e
	case s.method == "CONNECT":
		e.Status, e.Reason = 404, "a CONNECT request has no path that a route could match"
		return e
	}
	e.Path = s.path
	if s.redirect {
		e.Status, e.Location = 307, s.path
		if _, _, has := strings.Cut(r.Path, "?"); has {
			e.Location += "?" + s.query
		}
		e.Reason = "the path has an escaped slash: the client is sent to the plain form, which is routed"
		return e
	}
	h, elsewhere := FindHost(t, hosts, s.host)
	switch e.Host = h; {
	case elsewhere != "":
		e.Status, e.Reason = 421, fmt.Sprintf("the host belongs to the listener for %s: the client has to open a connection for it", elsewhere)
	case h == nil:
		e.Status, e.Reason = 404, "no listener offers this host"
	default:
		e.try(s)
	}
	return e
}

// FindHost finds the host of a table that takes requests with this Host header: the name itself, else the wildcard with
// the longest suffix, else "*". Case, port and one trailing dot do not count. An exact host never falls through to a wildcard.
// Where another table of the port has the host, or a more specific wildcard for it, elsewhere is its name there.
func FindHost(t *model.Table, hosts Hosts, authority string) (h *model.Host, elsewhere string) {
	for _, name := range []string{authority, bare(strings.ToLower(authority))} {
		name, _, _ = strings.Cut(name, ":")
		if strings.HasPrefix(name, "*") {
			continue // a wildcard is no name, whoever asks for it
		}
		if h := hosts(name); h != nil {
			return h, ""
		}
	}
	name := strings.TrimSuffix(withoutPort(strings.ToLower(authority)), ".")
	if !strings.HasPrefix(name, "*") && slices.Contains(t.Misdirected, name) {
		return nil, name
	}
	for _, wildcard := range wildcardsOf(name) {
		if h := hosts(wildcard); h != nil {
			return h, ""
		}
		if slices.Contains(t.Misdirected, wildcard) {
			return nil, wildcard
		}
	}
	return nil, ""
}

var portAtEnd = regexp.MustCompile(`:[0-9]+$`)

// bare is what a name that has no scope as it was written is looked up as.
func bare(authority string) string {
	return strings.TrimSuffix(portAtEnd.ReplaceAllString(authority, ""), ".")
}

// withoutPort cuts behind the last colon, unless that is inside an IPv6 address.
func withoutPort(authority string) string {
	i := strings.LastIndexByte(authority, ':')
	if i < 0 || strings.LastIndexByte(authority, ']') > i {
		return authority
	}
	return authority[:i]
}

func (e *Explanation) try(s *seen) {
	e.Trials = make([]Trial, len(e.Host.Routes))
	for i := range e.Host.Routes {
		r := &e.Host.Routes[i]
		t := Trial{Route: r}
		misses := s.misses(&r.Match)
		preflight := s.preflight(r)
		if t.Matches = preflight || len(misses) == 0; !t.Matches {
			t.Why = strings.Join(misses, "; ")
		}
		switch {
		case !t.Matches:
		case e.Winner >= 0:
			t.Why = lost(e.Trials[e.Winner].Route, r)
		default:
			e.Winner, t.Why = i, why(&r.Match)
			e.preflight(s, r, preflight)
		}
		e.Trials[i] = t
	}
	if e.Winner < 0 {
		e.Status, e.Reason = 404, "no route of the host matches"
		if len(e.Trials) == 0 {
			e.Reason = "no route has this host"
		}
	}
}

func (e *Explanation) preflight(s *seen, r *model.Route, preflight bool) {
	switch {
	case preflight:
		e.Status, e.Reason = 204, "a preflight request: the route's CORS policy answers it"
	case s.answeredByCORS(r):
		e.Status, e.GRPC, e.Reason = 200, false, "a preflight request: the route's CORS policy answers it"
	}
}

// pathKinds are the kinds of path in the order in which they are tried, as model.Match.PathRank numbers them.
var pathKinds = [...]string{"an exact path", "a regular expression", "a prefix", "a method of any service", "a prefix"}

// lost says why of two routes that match the loser is tried later (Gateway API, HTTPRouteRule.matches).
func lost(winner, loser *model.Route) string {
	why, _ := compare(winner, loser)
	return why
}

// compare is lost, and tells whether neither match is more specific than the other.
func compare(winner, loser *model.Route) (why string, tie bool) {
	w, l := &winner.Match, &loser.Match
	first, second := pathKinds[w.PathRank()], pathKinds[l.PathRank()]
	rank := cmp.Compare(w.PathRank(), l.PathRank())
	if first == second {
		rank = 0 // the length says it
	}
	flag := map[bool]int{true: 1}
	for _, c := range []struct {
		order int
		words string
	}{
		{rank, first + " goes before " + second},
		{cmp.Compare(len(l.Path), len(w.Path)), "shorter path"},
		{cmp.Compare(flag[l.GRPC], flag[w.GRPC]), "takes other requests than gRPC too"},
		{cmp.Compare(min(len(l.Method), 1), min(len(w.Method), 1)), "names no method"},
		{cmp.Compare(len(l.Headers), len(w.Headers)), "fewer header matches"},
		{cmp.Compare(len(l.Query), len(w.Query)), "fewer query matches"},
	} {
		if c.order < 0 {
			return c.words, false
		}
		if c.order > 0 {
			return LessSpecificHost, false
		}
	}
	return Younger(&winner.Source, &loser.Source), true
}

// LessSpecificHost is why a route loses whose own hostnames, not those it has in common with the listener, are less specific.
const LessSpecificHost = "its route names a less specific host"

// Younger says why of two routes that are as specific the loser is tried later: it is younger, or its name is later.
func Younger(winner, loser *model.Source) string {
	switch byName := cmp.Or(cmp.Compare(winner.Namespace, loser.Namespace), cmp.Compare(winner.Name.Name, loser.Name.Name),
		cmp.Compare(winner.Kind, loser.Kind)); {
	case byName == 0:
		return "as specific, but later in the route"
	case byName < 0:
		return "as specific, but " + winner.Object() + " is older, or first by name"
	default: // its name would not put it first
		return "as specific, but " + winner.Object() + " is older"
	}
}
