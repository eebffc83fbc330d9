package xds

import (
	"time"

	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"

	"headgate.dev/proxy/envoy"
)

// everything is the name that stands for all resources of a type.
const everything = "*"

// request handles a request of the proxy, which may answer a response and change what it subscribes to. A type we do not
// serve gets no answer.
func (s *session) request(req *discovery.DeltaDiscoveryRequest, now time.Time) {
	t, ok := envoy.TypeOf(req.GetTypeUrl())
	if !ok {
		return
	}
	if req.GetResponseNonce() != "" {
		s.answer(req.GetResponseNonce(), req.GetErrorDetail() != nil, req.GetErrorDetail().GetMessage())
	}
	if !s.subs[t].opened {
		s.open(t, req, now)
		return
	}
	for _, name := range req.GetResourceNamesUnsubscribe() {
		s.unsubscribe(t, name)
	}
	if names := req.GetResourceNamesSubscribe(); len(names) > 0 {
		s.subscribe(t, names)
	}
}

// open handles the first request of a type: the proxy says what it wants and what it has from earlier streams.
func (s *session) open(t envoy.Type, req *discovery.DeltaDiscoveryRequest, now time.Time) {
	sub := &s.subs[t]
	sub.opened = true
	for name, version := range req.GetInitialResourceVersions() {
		s.recall(t, name, version)
	}
	// The older form of the request says "everything" by naming nothing, for the types that are asked for whole.
	whole := t == envoy.ClusterType || t == envoy.ListenerType || t == envoy.ScopeType
	sub.wildcard = whole && len(req.GetResourceNamesSubscribe()) == 0
	for _, name := range req.GetResourceNamesSubscribe() {
		if name == everything {
			sub.wildcard = true
			continue
		}
		s.want(t, name)
	}
	if t == envoy.EndpointType {
		s.forgetRecast()
	}
	b := s.lacking(t, now)
	if whole && b.empty(t) && len(req.GetInitialResourceVersions()) == 0 {
		s.respond(response{typ: t}) // the proxy waits for a first answer
		return
	}
	s.send(b, many)
}

// recall records what the proxy has from an earlier stream, with the strings of the state where they are the same.
func (s *session) recall(t envoy.Type, name, version string) {
	if r := s.state.types[t][name]; r != nil {
		name = r.Name
		if version == r.version {
			version = r.version
		}
	}
	s.subs[t].held[name] = held{version: version}
}

// lacking is what the proxy lacks of a type it has just opened.
func (s *session) lacking(t envoy.Type, now time.Time) *burst {
	var b burst
	sub := &s.subs[t]
	for name := range sub.held {
		s.offer(&b, envoy.Key{Type: t, Name: name}, now)
	}
	if !sub.wildcard {
		return &b
	}
	for name := range s.state.types[t] {
		if _, ok := sub.held[name]; !ok {
			s.offer(&b, envoy.Key{Type: t, Name: name}, now)
		}
	}
	return &b
}

// offer adds a resource to a burst if the proxy lacks it as it is, or has it and should not.
func (s *session) offer(b *burst, k envoy.Key, now time.Time) {
	r := s.state.get(k)
	switch {
	case r != nil && s.has(r):
		s.discharge(k)
	case r != nil:
		b.write(r)
	default:
		if s.missing(b, k) {
			return
		}
		s.gone(b, k, now)
	}
}

// missing handles a wish for endpoints nobody published: none, if their cluster is there; a cluster that is about to be
// removed keeps what it has.
func (s *session) missing(b *burst, k envoy.Key) bool {
	if k.Type != envoy.EndpointType || s.state.types[envoy.ClusterType][k.Name] == nil {
		return false
	}
	if none := noEndpoints(k.Name); !s.has(none) {
		b.write(none)
	}
	return true
}

// forgetRecast makes the endpoints of the clusters sent before count as not held.
func (s *session) forgetRecast() {
	held := s.subs[envoy.EndpointType].held
	for name := range s.recast {
		if h, ok := held[name]; ok {
			h.version = ""
			held[name] = h
		}
	}
	s.recast = nil
}

// want records a wish by name.
func (s *session) want(t envoy.Type, name string) {
	if r := s.state.types[t][name]; r != nil {
		name = r.Name
	}
	h := s.subs[t].held[name]
	h.wanted = true
	s.subs[t].held[name] = h
}

// subscribe handles new wishes. A wish repeated is a proxy that lost its copy: it gets it again, unless it was sent ahead.
func (s *session) subscribe(t envoy.Type, names []string) {
	sub := &s.subs[t]
	var b burst
	for _, name := range names {
		if name == everything {
			s.subscribeAll(t, &b)
			continue
		}
		s.want(t, name)
		h := sub.held[name]
		if h.ahead {
			h.ahead = false
			sub.held[name] = h
			continue
		}
		if r := s.state.types[t][name]; r != nil {
			b.write(r)
			continue
		}
		s.missing(&b, envoy.Key{Type: t, Name: name})
	}
	s.send(&b, many)
}

func (s *session) subscribeAll(t envoy.Type, b *burst) {
	sub := &s.subs[t]
	sub.wildcard = true
	for _, r := range s.state.types[t] {
		b.write(r)
	}
	if b.empty(t) {
		s.respond(response{typ: t})
	}
}

// unsubscribe forgets what the proxy no longer wants: it forgets it too.
func (s *session) unsubscribe(t envoy.Type, name string) {
	sub := &s.subs[t]
	if name == everything {
		sub.wildcard = false
		for n, h := range sub.held {
			if !h.wanted {
				s.dropped(t, n)
			}
		}
		return
	}
	h := sub.held[name]
	h.wanted = false
	sub.held[name] = h
	if !sub.wildcard {
		s.dropped(t, name)
	}
}

// dropped records that the proxy has and wants a resource no more.
func (s *session) dropped(t envoy.Type, name string) {
	delete(s.subs[t].held, name)
	if t == envoy.ClusterType {
		delete(s.doomed, name)
	}
	s.discharge(envoy.Key{Type: t, Name: name})
}
