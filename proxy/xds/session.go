package xds

import (
	"maps"
	"slices"
	"strconv"
	"time"

	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"

	"headgate.dev/proxy/envoy"
	"headgate.dev/proxy/live"
)

// session decides what one proxy is told on one stream. It is a state machine without goroutine and clock: its driver
// calls it with what happened, holding the lock of the fleet, and sends what is in out, in order, after each call.
type session struct {
	proxy       string
	state       *state // what the proxy should have
	live        *live.Fleet[envoy.Key]
	removeAfter time.Duration

	subs  [envoy.NumTypes]subscription
	nonce uint64
	// sent are the responses without an answer, by nonce.
	sent map[uint64]sent
	// doomed are the clusters to remove at their time, unless they are back; due is not after the first of them.
	doomed map[string]time.Time
	due    time.Time
	// recast are the clusters sent before the proxy asked for any endpoints, here or without an answer on its last stream:
	// it needs their endpoints, whatever it says it has.
	recast map[string]struct{}

	out output
}

// output is what a call of the session wants done.
type output struct {
	responses []response
	refused   []refused
}

// response is a discovery response to send.
type response struct {
	typ     envoy.Type
	nonce   uint64
	writes  []*resource
	removed []string
}

// sent is a response on its way.
type sent struct {
	typ   envoy.Type
	epoch uint64 // the resources are as of this one
	names []string
	// removal: the names were removed, not written.
	removal bool
}

// refused is a resource the proxy refuses.
type refused struct {
	key     envoy.Key
	message string
}

// subscription is what the proxy wants and has of one type.
type subscription struct {
	opened   bool // a request for this type was seen
	wildcard bool // it wants all there is
	// held has the resources the proxy wants by name, has, or both.
	held map[string]held
}

// held is one resource from the view of the proxy.
type held struct {
	// version is what it was sent last on this stream, or said to have; empty: nothing.
	version string
	// since is the nonce of the response that brought the version; 0 once it is acknowledged.
	since  uint64
	wanted bool // it asked for it by name
	// ahead: it was sent before the proxy could ask, right behind what names it. The request to come is answered already.
	ahead bool
}

func newSession(proxy string, s *state, l *live.Fleet[envoy.Key], removeAfter time.Duration) *session {
	n := &session{
		proxy: proxy, state: s, live: l, removeAfter: removeAfter,
		sent: map[uint64]sent{}, doomed: map[string]time.Time{}, recast: map[string]struct{}{},
	}
	for t := range n.subs {
		n.subs[t].held = map[string]held{}
	}
	return n
}

// take hands out what is to be done and starts anew.
func (s *session) take() output {
	out := s.out
	s.out = output{}
	return out
}

// start begins with the first request of the stream, which is also to be given to request, and with what the last stream
// of the proxy left unsettled.
func (s *session) start(first *discovery.DeltaDiscoveryRequest, unsettled []string) {
	for _, cluster := range unsettled {
		s.recast[cluster] = struct{}{}
	}
	s.live.Connect(s.proxy, s.state.all(), len(first.GetInitialResourceVersions()) > 0)
}

// unsettled are the clusters that the proxy may have without the endpoints sent behind them: it did not acknowledge
// either, or did not come to ask for any.
func (s *session) unsettled() []string {
	clusters := slices.Collect(maps.Keys(s.recast))
	for _, t := range []envoy.Type{envoy.ClusterType, envoy.EndpointType} {
		for name, h := range s.subs[t].held {
			if h.since != 0 {
				clusters = append(clusters, name)
			}
		}
	}
	return clusters
}

// wants tells whether the proxy is to be sent a resource whenever it changes.
func (s *session) wants(k envoy.Key) bool {
	sub := &s.subs[k.Type]
	h := sub.held[k.Name]
	return sub.wildcard || h.wanted || h.ahead
}

// change tells the proxy what became of keys. The state has their news already.
func (s *session) change(keys []envoy.Key, now time.Time) {
	var b burst
	var unasked []*resource
	s.hear(&b, keys)
	for _, k := range keys {
		r := s.state.get(k)
		switch {
		case r == nil:
			s.gone(&b, k, now)
		case !s.subs[k.Type].opened:
			// Opening the type brings it, if anything does.
			if !s.state.expected(k) || s.refusesParents(k.Type) {
				s.discharge(k)
			}
		case s.has(r):
			s.discharge(k)
			if k.Type == envoy.ClusterType {
				s.back(&b, k.Name)
			}
		case s.wants(k):
			b.write(r)
		default:
			unasked = append(unasked, r) // what names it may bring it in this very burst
		}
	}
	s.send(&b, one)
	for _, r := range unasked {
		// Not before: what is under way is owed since its own epoch.
		if h := s.subs[r.Type].held[r.Name]; h.version != r.version || h.since == 0 {
			s.discharge(r.Key) // what names it will bring it, or its subscription
		}
	}
}

// refusesParents tells whether the proxy refuses resources that would make it ask for those of a type: it may never ask.
func (s *session) refusesParents(t envoy.Type) bool {
	return s.live.Refuses(s.proxy, func(k envoy.Key) bool {
		switch t {
		case envoy.EndpointType:
			return k.Type == envoy.ClusterType
		case envoy.SecretType:
			return k.Type == envoy.ClusterType || k.Type == envoy.ListenerType
		case envoy.ScopeType:
			return k.Type == envoy.ListenerType
		case envoy.RouteType:
			return k.Type == envoy.ListenerType || k.Type == envoy.ScopeType
		}
		return false
	})
}

// has tells whether the proxy has the resource as it is now, and said so. What is under way may yet be refused: it is sent
// again after any change, so that there is an answer for that.
func (s *session) has(r *resource) bool {
	h := s.subs[r.Type].held[r.Name]
	return h.version == r.version && h.since == 0
}

// gone adds to a burst what the removal of k from the state means for the proxy.
func (s *session) gone(b *burst, k envoy.Key, now time.Time) {
	h, ok := s.subs[k.Type].held[k.Name]
	switch k.Type {
	case envoy.ClusterType:
		if ok {
			s.doom(k.Name, now)
		}
	case envoy.EndpointType:
		if (h.wanted || h.ahead) && s.state.types[envoy.ClusterType][k.Name] != nil {
			b.write(noEndpoints(k.Name))
			return
		}
	case envoy.ListenerType, envoy.ScopeType, envoy.RouteType:
		if ok && h.version != "" {
			b.remove(k)
			return
		}
	case envoy.SecretType:
		// Envoy drops it with the last listener or cluster that names it. Whether it took what it had not asked for is not known.
		if !h.wanted {
			delete(s.subs[k.Type].held, k.Name)
		}
	}
	s.discharge(k)
}

// doom has a cluster removed later.
func (s *session) doom(name string, now time.Time) {
	at := now.Add(s.removeAfter)
	s.doomed[name] = at
	if s.due.IsZero() || at.Before(s.due) {
		s.due = at
	}
}

// back handles the return of a cluster that was to be removed: perhaps without the endpoints it had.
func (s *session) back(b *burst, name string) {
	delete(s.doomed, name)
	k := envoy.Key{Type: envoy.EndpointType, Name: name}
	if s.state.get(k) == nil && s.wants(k) {
		s.missing(b, k)
	}
}

// expire removes the clusters whose time has come.
func (s *session) expire(now time.Time) {
	var b burst
	s.due = time.Time{}
	for name, at := range s.doomed {
		switch {
		case s.state.types[envoy.ClusterType][name] != nil:
			delete(s.doomed, name) // it is back, and the change is still in the queue
		case at.After(now):
			if s.due.IsZero() || at.Before(s.due) {
				s.due = at
			}
		default:
			delete(s.doomed, name)
			b.remove(envoy.Key{Type: envoy.ClusterType, Name: name})
		}
	}
	s.send(&b, one)
}

// discharge records that nothing is to be awaited for a key: the proxy has it or will not have it.
func (s *session) discharge(k envoy.Key) { s.live.Ack(s.proxy, k, s.state.epoch) }

// answer handles the ACK (no message) or NACK of a response. Answers to what was never sent are ignored.
func (s *session) answer(nonce string, nack bool, message string) {
	n, err := strconv.ParseUint(nonce, 10, 64)
	was, ok := s.sent[n]
	if err != nil || !ok {
		return
	}
	delete(s.sent, n)
	if nack && !was.removal && len(was.names) > 1 {
		s.again(was)
		return
	}
	for _, name := range was.names {
		k := envoy.Key{Type: was.typ, Name: name}
		if nack && !was.removal {
			s.refuse(k, was.epoch, message)
			continue
		}
		s.live.Ack(s.proxy, k, was.epoch)
		if h, ok := s.subs[k.Type].held[name]; ok && h.since == n {
			h.since = 0
			s.subs[k.Type].held[name] = h
		}
	}
}

// again sends what was refused together one by one: Envoy may have applied any part of it, and says not always which
// part was bad.
func (s *session) again(was sent) {
	var b burst
	for _, name := range was.names {
		k := envoy.Key{Type: was.typ, Name: name}
		r := s.state.get(k)
		if r == nil && k.Type == envoy.EndpointType && s.state.types[envoy.ClusterType][name] != nil {
			r = noEndpoints(name)
		}
		if r != nil && s.wants(k) {
			b.write(r)
			continue
		}
		s.live.Ack(s.proxy, k, was.epoch) // gone meanwhile
	}
	s.send(&b, one)
}

// refuse records a NACK of one resource. What only it names will not be asked for, so nobody waits for that.
func (s *session) refuse(k envoy.Key, epoch uint64, message string) {
	s.live.Nack(s.proxy, k, epoch, message)
	s.out.refused = append(s.out.refused, refused{key: k, message: message})
	for _, n := range named(s.state.get(k)) {
		if sub := &s.subs[n.Type]; !sub.opened || !s.wants(n) {
			s.discharge(n)
		}
	}
	if k.Type == envoy.ListenerType && s.deaf() {
		// It asked for scopes while it read the listener and dropped the listener with all it had asked for.
		for _, n := range s.state.all() {
			if (n.Type == envoy.ScopeType || n.Type == envoy.RouteType) && !s.refuses(n) {
				s.discharge(n)
			}
		}
	}
}

func (s *session) refuses(k envoy.Key) bool {
	return s.live.Refuses(s.proxy, func(r envoy.Key) bool { return r == k })
}

// deaf tells whether the proxy has no listener, as it was told of none or refused them all: nothing in it uses a scope.
func (s *session) deaf() bool {
	for name, h := range s.subs[envoy.ListenerType].held {
		if h.version != "" && !s.refuses(envoy.Key{Type: envoy.ListenerType, Name: name}) {
			return false
		}
	}
	return true
}

// hear adds all scopes to a burst with the first listener of a proxy that asked for scopes before: Envoy keeps the
// subscription when the last listener goes, and does not ask again for what it forgot.
func (s *session) hear(b *burst, keys []envoy.Key) {
	listener := func(k envoy.Key) bool { return k.Type == envoy.ListenerType && s.state.get(k) != nil }
	if !s.subs[envoy.ScopeType].wildcard || !slices.ContainsFunc(keys, listener) || !s.deaf() {
		return
	}
	for _, r := range s.state.types[envoy.ScopeType] {
		b.write(r)
	}
}
