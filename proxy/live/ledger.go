package live

import (
	"maps"
	"slices"
)

// Report is what a replica says about its proxies. Fleets that it does not name are as they were.
type Report struct {
	// Point is how far the replica itself has come. What it says of proxies is at least as recent.
	Point Point `json:"point"`
	// Whole: fleets that are not named have no proxies here.
	Whole bool `json:"whole,omitempty"`
	// Fleets has all proxies of each fleet where something changed.
	Fleets map[string][]Proxy `json:"fleets,omitempty"`
}

// Proxy is what a replica says about one proxy.
type Proxy struct {
	Name string `json:"name"`
	// Connected: it has a stream with the replica. One without serves what it had acknowledged.
	Connected bool `json:"connected,omitempty"`
	Ready     bool `json:"ready,omitempty"`
	// Behind: it has not come as far as the replica, but to Point. Refusals count as answers.
	Behind bool  `json:"behind,omitempty"`
	Point  Point `json:"point,omitempty"`
	// Refused are the objects from which something came that the proxy refuses.
	Refused []RefusedObject `json:"refused,omitempty"`
}

// Object names an object of a stream.
type Object struct {
	Stream    int    `json:"stream"`
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name"`
}

// RefusedObject is an object and what a proxy said to what came from it.
type RefusedObject struct {
	Object  Object `json:"object"`
	Message string `json:"message"`
}

// Ledger puts together what replicas say. Each proxy calls one of them, and may call another at any time: what several replicas
// say of one proxy is joined so that it never counts as further than it is. Not safe for concurrent use.
type Ledger struct {
	replicas map[string]*replica
}

type replica struct {
	point  Point
	fleets map[string][]Proxy
}

// Take brings a report of a replica in. It must have come on one way with all reports since the last one that was Whole.
func (l *Ledger) Take(name string, r Report) {
	if l.replicas == nil {
		l.replicas = map[string]*replica{}
	}
	at := l.replicas[name]
	if at == nil || r.Whole {
		at = &replica{fleets: map[string][]Proxy{}}
		l.replicas[name] = at
	}
	at.point = r.Point
	for fleet, proxies := range r.Fleets {
		if len(proxies) == 0 {
			delete(at.fleets, fleet)
			continue
		}
		at.fleets[fleet] = proxies
	}
}

// Lose records that nothing is heard of a replica any more: its proxies stay where they were, as if they had no stream.
func (l *Ledger) Lose(name string) {
	at := l.replicas[name]
	if at == nil {
		return
	}
	for fleet, proxies := range at.fleets {
		lost := make([]Proxy, len(proxies))
		for i, p := range proxies {
			lost[i] = p.at(at.point)
			lost[i].Connected = false
		}
		at.fleets[fleet] = lost
	}
}

// Drop forgets a replica.
func (l *Ledger) Drop(name string) { delete(l.replicas, name) }

// Replicas lists those that something is known of.
func (l *Ledger) Replicas() []string { return slices.Sorted(maps.Keys(l.replicas)) }

// Said gives a whole report of what a replica has said.
func (l *Ledger) Said(name string) Report {
	r := Report{Whole: true, Fleets: map[string][]Proxy{}}
	if at := l.replicas[name]; at != nil {
		r.Point, r.Fleets = at.point, maps.Clone(at.fleets)
	}
	return r
}

// at gives the proxy with its point said outright.
func (p Proxy) at(replica Point) Proxy {
	if !p.Behind {
		p.Behind, p.Point = true, replica
	}
	return p
}

// Fleet gives the ready proxies of a fleet, by name, each with its point. missing of the expected ones are not known.
func (l *Ledger) Fleet(name string, expected int) Standing {
	said := map[string][]Proxy{}
	for _, replica := range l.Replicas() {
		at := l.replicas[replica]
		for _, p := range at.fleets[name] {
			said[p.Name] = append(said[p.Name], p.at(at.point))
		}
	}
	var s Standing
	for _, name := range slices.Sorted(maps.Keys(said)) {
		if p, ready := join(said[name]); ready {
			s.Proxies = append(s.Proxies, p)
		}
	}
	s.Missing = max(0, expected-len(s.Proxies))
	return s
}

// join makes one of what several replicas say of one proxy. Of several that have a stream of it nobody knows which is the later
// one. One where it is not ready yet may be about to bring it back to what that replica has; until then it has what it had.
func join(said []Proxy) (p Proxy, ready bool) {
	streams := slices.ContainsFunc(said, func(p Proxy) bool { return p.Connected })
	serving := slices.ContainsFunc(said, func(p Proxy) bool { return p.Connected && p.Ready })
	first := true
	for _, q := range said {
		ready = ready || q.Ready
		switch {
		case !q.Connected && (serving || !q.Ready):
		case first:
			p, first = q, false
		default:
			p.Point = p.Point.Meet(q.Point)
			p.Refused = append(slices.Clip(p.Refused), q.Refused...)
		}
	}
	p.Connected, p.Ready = streams, ready
	return p, ready
}

// Standing is how far the ready proxies of a fleet are.
type Standing struct {
	Proxies []Proxy // by name, all of them Behind in name: Point is where they are
	// Missing is how many more there must be, of which nothing is known.
	Missing int
}

// Need is a version of a stream that is to be in.
type Need struct {
	Stream  int
	Version uint64
}

// Count counts the proxies of a fleet by how far they are with something. Total is the sum of the others.
type Count struct {
	Acked, Pending, Refused, Total int
}

// Live tells whether all proxies, and at least one, have it.
func (c Count) Live() bool { return c.Total > 0 && c.Acked == c.Total }

// Settled tells whether all proxies, and at least one, have answered.
func (c Count) Settled() bool { return c.Total > 0 && c.Pending == 0 }

// Count tells how many proxies have all that is needed, and refuse nothing that comes from any of the objects.
func (s *Standing) Count(needs []Need, objects map[Object]bool) Count {
	c := Count{Pending: s.Missing, Total: s.Missing + len(s.Proxies)}
	for i := range s.Proxies {
		p := &s.Proxies[i]
		switch {
		case slices.ContainsFunc(needs, func(n Need) bool { return !p.Point.Covers(n.Stream, n.Version) }):
			c.Pending++
		case slices.ContainsFunc(p.Refused, func(r RefusedObject) bool { return objects[r.Object] }):
			c.Refused++
		default:
			c.Acked++
		}
	}
	return c
}

// Refused lists what proxies refuse, by object, each message once, in the order of the proxies.
func (s *Standing) Refused() map[Object][]string {
	var out map[Object][]string
	for i := range s.Proxies {
		for _, r := range s.Proxies[i].Refused {
			if out == nil {
				out = map[Object][]string{}
			}
			if !slices.Contains(out[r.Object], r.Message) {
				out[r.Object] = append(out[r.Object], r.Message)
			}
		}
	}
	return out
}

// Point gives what is in on every proxy; ok is false when one is missing or there is none.
func (s *Standing) Point() (p Point, ok bool) {
	if s.Missing > 0 || len(s.Proxies) == 0 {
		return nil, false
	}
	p = s.Proxies[0].Point
	for i := range s.Proxies[1:] {
		p = p.Meet(s.Proxies[i+1].Point)
	}
	return p, true
}
