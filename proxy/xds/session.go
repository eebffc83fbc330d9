package xds

import (
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
	sent map[string]sent
	// doomed are the clusters to remove at their time, unless they are back; due is not after the first of them.
	doomed map[string]time.Time
	due    time.Time
	// recast are the clusters sent before the proxy asked for any endpoints: it needs theirs, whatever it says it has.
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
	nonce   string
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
	wanted  bool // it asked for it by name
	// ahead: it was sent before the proxy could ask, right behind what names it. The request to come is answered already.
	ahead bool
}

func newSession(proxy string, s *state, l *live.Fleet[envoy.Key], removeAfter time.Duration) *session {
	n := &session{
		proxy: proxy, state: s, live: l, removeAfter: removeAfter,
		sent: map[string]sent{}, doomed: map[string]time.Time{}, recast: map[string]struct{}{},
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

// start begins with the first request of the stream, which is also to be given to request.
func (s *session) start(first *discovery.DeltaDiscoveryRequest) {
	s.live.Connect(s.proxy, s.state.all(), len(first.GetInitialResourceVersions()) > 0)
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
	for _, k := range keys {
		r := s.state.get(k)
		switch {
		case r == nil:
			s.gone(&b, k, now)
		case !s.subs[k.Type].opened:
			// Opening the type brings it, if anything does.
			if !s.state.expected(k) {
				s.discharge(k)
			}
		case s.has(r):
			if k.Type == envoy.ClusterType {
				delete(s.doomed, k.Name)
			}
			s.discharge(k)
		case s.wants(k):
			b.write(r)
		default:
			s.discharge(k) // what names it will bring it, or its subscription
		}
	}
	s.send(&b, one)
}

// has tells whether the proxy has, or was sent, the resource as it is now.
func (s *session) has(r *resource) bool {
	return s.subs[r.Type].held[r.Name].version == r.Version
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
		if ok && h.wanted && s.state.types[envoy.ClusterType][k.Name] != nil {
			b.write(noEndpoints(k.Name))
			return
		}
	case envoy.ListenerType, envoy.ScopeType, envoy.RouteType:
		if ok && h.version != "" {
			b.remove(k)
			return
		}
	case envoy.SecretType:
		// Envoy drops it with the last listener or cluster that names it.
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
	was, ok := s.sent[nonce]
	if !ok {
		return
	}
	delete(s.sent, nonce)
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
	}
}

// again sends what was refused together one by one: Envoy may have applied any part of it, and says not always which
// part was bad.
func (s *session) again(was sent) {
	var b burst
	for _, name := range was.names {
		k := envoy.Key{Type: was.typ, Name: name}
		if r := s.state.get(k); r != nil && s.wants(k) {
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
	var named []envoy.Key
	switch k.Type {
	case envoy.ClusterType:
		named = append(named, envoy.Key{Type: envoy.EndpointType, Name: k.Name})
	case envoy.ScopeType:
		if r := s.state.get(k); r != nil {
			named = append(named, envoy.Key{Type: envoy.RouteType, Name: r.child})
		}
	case envoy.ListenerType:
		if !s.subs[envoy.ScopeType].opened {
			for _, n := range s.state.all() {
				if n.Type == envoy.ScopeType || n.Type == envoy.RouteType {
					named = append(named, n)
				}
			}
		}
	}
	for _, n := range named {
		if sub := &s.subs[n.Type]; !sub.opened || !s.wants(n) {
			s.discharge(n)
		}
	}
}

func (s *session) nextNonce() string {
	s.nonce++
	return strconv.FormatUint(s.nonce, 10)
}
