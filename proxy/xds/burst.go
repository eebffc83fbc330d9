package xds

import (
	"slices"
	"strings"

	"headgate.dev/proxy/envoy"
)

// How many resources go into one response.
const (
	one  = 1   // of changes: a refused resource hurts no other
	many = 100 // of what a proxy asks for: it starts faster

	// maxBytes bounds the bodies of one response, one larger body apart.
	maxBytes = 1 << 20
)

// burst is what goes out together, in any order until it is sent.
type burst struct {
	writes  [envoy.NumTypes][]*resource
	removed [envoy.NumTypes][]string
}

func (b *burst) write(r *resource)       { b.writes[r.Type] = append(b.writes[r.Type], r) }
func (b *burst) remove(k envoy.Key)      { b.removed[k.Type] = append(b.removed[k.Type], k.Name) }
func (b *burst) empty(t envoy.Type) bool { return len(b.writes[t]) == 0 && len(b.removed[t]) == 0 }

// send makes responses of a burst, in order, with up to perResponse resources each.
func (s *session) send(b *burst, perResponse int) {
	s.withEndpoints(b)
	late := s.withSecrets(b)
	s.write(b.writes[envoy.ClusterType], perResponse)
	s.write(b.writes[envoy.EndpointType], perResponse)
	s.write(b.writes[envoy.SecretType], perResponse)
	s.remove(envoy.ListenerType, b.removed[envoy.ListenerType])
	s.write(b.writes[envoy.ListenerType], perResponse)
	s.write(late, perResponse)
	s.withRoutes(b)
	s.write(b.writes[envoy.ScopeType], perResponse)
	s.write(b.writes[envoy.RouteType], perResponse)
	s.remove(envoy.ScopeType, b.removed[envoy.ScopeType])
	s.remove(envoy.RouteType, b.removed[envoy.RouteType])
	s.remove(envoy.ClusterType, b.removed[envoy.ClusterType])
}

// withEndpoints adds the endpoints of every cluster in the burst: a new cluster wants them soon, and a changed one waits
// for them without asking.
func (s *session) withEndpoints(b *burst) {
	clusters := b.writes[envoy.ClusterType]
	if len(clusters) == 0 {
		return
	}
	sub := &s.subs[envoy.EndpointType]
	there := nameSet(b.writes[envoy.EndpointType])
	for _, c := range clusters {
		delete(s.doomed, c.Name)
		if !sub.opened {
			s.recast[c.Name] = struct{}{}
			continue
		}
		h := sub.held[c.Name]
		r := s.state.types[envoy.EndpointType][c.Name]
		if r == nil && (h.wanted || h.ahead) {
			r = noEndpoints(c.Name)
		}
		if r != nil && !there[c.Name] {
			b.write(r)
		}
		if r != nil && !h.wanted {
			h.ahead = true
			sub.held[r.Name] = h
		}
	}
}

// withSecrets adds the secrets of every cluster in the burst that the proxy has not asked for yet, and returns those of the
// listeners, which go behind them. The proxy asks once it has read what names them, and all that is new in a listener
// waits for that. Before it has asked for any secret it would drop them.
func (s *session) withSecrets(b *burst) (late []*resource) {
	if !s.subs[envoy.SecretType].opened {
		return nil
	}
	there := nameSet(b.writes[envoy.SecretType])
	for _, c := range b.writes[envoy.ClusterType] {
		b.writes[envoy.SecretType] = s.ahead(b.writes[envoy.SecretType], c, there)
	}
	there = map[string]bool{} // what is only sent behind a cluster is dropped if that is refused
	for _, l := range b.writes[envoy.ListenerType] {
		late = s.ahead(late, l, there)
	}
	return late
}

// ahead appends to rs what parent needs, unless it is there or the proxy has asked for it.
func (s *session) ahead(rs []*resource, parent *resource, there map[string]bool) []*resource {
	t := parent.needed()
	held := s.subs[t].held
	for _, name := range parent.needs {
		r, h := s.state.types[t][name], held[name]
		if r == nil || h.wanted {
			continue
		}
		h.ahead = true
		held[r.Name] = h
		if !there[r.Name] {
			there[r.Name] = true
			rs = append(rs, r)
		}
	}
	return rs
}

// withRoutes adds the routes of every scope in the burst that the proxy does not have by its own wish.
func (s *session) withRoutes(b *burst) {
	sub := &s.subs[envoy.RouteType]
	if len(b.writes[envoy.ScopeType]) == 0 || !sub.opened {
		return
	}
	there := nameSet(b.writes[envoy.RouteType])
	for _, scope := range b.writes[envoy.ScopeType] {
		b.writes[envoy.RouteType] = s.ahead(b.writes[envoy.RouteType], scope, there)
	}
}

// write makes responses of resources of one type: first those the proxy does not have, so that they are there when what
// changed makes room for them.
func (s *session) write(rs []*resource, perResponse int) {
	if len(rs) == 0 {
		return
	}
	sub := &s.subs[rs[0].Type]
	slices.SortFunc(rs, func(a, b *resource) int { return strings.Compare(a.Name, b.Name) })
	rs = slices.CompactFunc(rs, func(a, b *resource) bool { return a.Name == b.Name })
	sorted, known := make([]*resource, 0, len(rs)), []*resource(nil)
	for _, r := range rs {
		if sub.held[r.Name].version == "" {
			sorted = append(sorted, r)
		} else {
			known = append(known, r)
		}
	}
	rs = append(sorted, known...)
	for len(rs) > 0 {
		n, size := 1, len(rs[0].body)
		for n < len(rs) && n < perResponse && size+len(rs[n].body) <= maxBytes {
			size += len(rs[n].body)
			n++
		}
		s.respond(response{typ: rs[0].Type, writes: rs[:n:n]})
		rs = rs[n:]
	}
}

// remove makes a response of removals, and forgets that the proxy has them; what it asked for by name stays wanted.
func (s *session) remove(t envoy.Type, names []string) {
	if len(names) == 0 {
		return
	}
	slices.Sort(names)
	sub := &s.subs[t]
	for _, name := range names {
		if h := sub.held[name]; h.wanted {
			sub.held[name] = held{wanted: true}
		} else {
			delete(sub.held, name)
		}
		if t != envoy.ClusterType {
			s.live.Owe(s.proxy, envoy.Key{Type: t, Name: name})
			continue
		}
		// Nobody waits for a cluster to go. Its endpoints go with it; those asked for are given back by the proxy.
		if endpoints := s.subs[envoy.EndpointType].held; !endpoints[name].wanted {
			delete(endpoints, name)
		}
	}
	for chunk := range slices.Chunk(names, many) {
		s.respond(response{typ: t, removed: chunk})
	}
}

// respond puts a response out and awaits its answer.
func (s *session) respond(r response) {
	s.nonce++
	r.nonce = s.nonce
	was := sent{typ: r.typ, epoch: s.state.epoch, names: r.removed, removal: len(r.removed) > 0}
	for _, w := range r.writes {
		was.names = append(was.names, w.Name)
		h := s.subs[r.typ].held[w.Name]
		h.version, h.since = w.version, r.nonce
		s.subs[r.typ].held[w.Name] = h
		s.live.Owe(s.proxy, w.Key)
	}
	s.sent[r.nonce] = was
	s.out.responses = append(s.out.responses, r)
}

func nameSet(rs []*resource) map[string]bool {
	m := make(map[string]bool, len(rs))
	for _, r := range rs {
		m[r.Name] = true
	}
	return m
}
