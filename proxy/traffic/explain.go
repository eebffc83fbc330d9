package traffic

import (
	"cmp"
	"fmt"
	"regexp"
	"strings"

	"headgate.dev/proxy/model"
)

// Table finds a host of one table by its name, as in model.HostID ("shop.test", "*.test", "*"); nil where the table has
// none of that name.
type Table func(name string) *model.Host

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
	// Status is that of the answer where the listener gives it and not the winning route: 400, 404, 307, and 204 or 200
	// for preflight requests. 0: the winner answers.
	Status int
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

// Explain says what Envoy, as package envoy configures it, does with a request that arrives at the listener of a table.
func Explain(t Table, r Request) Explanation {
	e := Explanation{Winner: -1}
	s, refused := r.read()
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
	if e.Host = FindHost(t, s.host); e.Host == nil {
		e.Status, e.Reason = 404, "no listener offers this host"
		return e
	}
	e.try(s)
	return e
}

// FindHost finds the host of a table that takes requests with this Host header: the name itself, else the wildcard with
// the longest suffix, else "*". Case, port and one trailing dot do not count. An exact host never falls through to a wildcard.
func FindHost(t Table, authority string) *model.Host {
	for _, name := range []string{authority, bare(strings.ToLower(authority))} {
		name, _, _ = strings.Cut(name, ":")
		if strings.HasPrefix(name, "*") {
			continue // a wildcard is no name, whoever asks for it
		}
		if h := t(name); h != nil {
			return h
		}
	}
	name := strings.TrimSuffix(withoutPort(strings.ToLower(authority)), ".")
	for i := 1; i < len(name); i++ {
		if name[i] != '.' {
			continue
		}
		if h := t("*" + name[i:]); h != nil {
			return h
		}
	}
	return t("*")
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
		e.Status, e.Reason = 200, "a preflight request: the route's CORS policy answers it"
	}
}

// lost says why of two routes that match the loser is tried later (Gateway API, HTTPRouteRule.matches).
func lost(winner, loser *model.Route) string {
	w, l := &winner.Match, &loser.Match
	kinds := [...]string{model.PathExact: "an exact path", model.PathRegex: "a regular expression", model.PathPrefix: "a prefix"}
	rank := [...]int{model.PathExact: 0, model.PathRegex: 1, model.PathPrefix: 2}
	for _, c := range []struct {
		order int
		words string
	}{
		{cmp.Compare(rank[w.PathKind], rank[l.PathKind]), fmt.Sprintf("%s goes before %s", kinds[w.PathKind], kinds[l.PathKind])},
		{cmp.Compare(len(l.Path), len(w.Path)), "shorter path"},
		{cmp.Compare(min(len(l.Method), 1), min(len(w.Method), 1)), "names no method"},
		{cmp.Compare(len(l.Headers), len(w.Headers)), "fewer header matches"},
		{cmp.Compare(len(l.Query), len(w.Query)), "fewer query matches"},
	} {
		if c.order < 0 {
			return c.words
		}
		if c.order > 0 {
			return "its route names a less specific host"
		}
	}
	switch {
	case winner.Source.Kind == loser.Source.Kind && winner.Source.Name == loser.Source.Name:
		return "as specific, but later in the route"
	default:
		return "as specific, but " + winner.Source.Object() + " is older, or first by name"
	}
}
