package engine

import (
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"headgate.dev/proxy/envoy"
	"headgate.dev/proxy/kube"
	"headgate.dev/proxy/resolve"
)

// publication is the state of a resource that is in Envoy or on its way.
type publication struct {
	version string
	step    uint64  // that brought it
	because because // the objects that changed in it
	trial   *trial  // of this state, if it is one
}

// trial finds out which of several routes a proxy refuses: each in turn is left out of what they share, until it takes that.
type trial struct {
	key      fleetKey
	suspects []kube.Ref
	next     int // the first that was not tried
}

// pin holds a route in quarantine: a proxy refused what came from it. It is served as it was before, or not at all, until it
// changes.
type pin struct {
	result  *resolve.RouteResult // nil: there was nothing before
	message string
}

// Pinned is a route in quarantine, with what the proxy said.
type Pinned struct {
	Ref     kube.Ref
	Message string
}

// Pinned lists the routes in quarantine, by name.
func (e *Engine) Pinned() []Pinned {
	out := make([]Pinned, 0, len(e.pins))
	for ref, p := range e.pins {
		out = append(out, Pinned{ref, p.message})
	}
	slices.SortFunc(out, func(a, b Pinned) int { return kube.CompareRefs(a.Ref, b.Ref) })
	return out
}

// Refused takes in that a proxy refuses a resource as it was after a step, and puts the route into quarantine that it comes from:
// the one that changed in it last. If there are several, one after the other is tried, and all go if it was none of them alone. What
// shares the resource with them goes out without them. A resource that no route can be taken out of stays as it is, and so does one
// that has changed since, and a listener whose address the proxy cannot have, whatever its routes are.
func (e *Engine) Refused(fleet string, key envoy.Key, step uint64, message string) Effects {
	s := e.newStep()
	k := fleetKey{fleet, key}
	p, there := e.published[k]
	if there && step >= p.step && !envoy.CannotBind(message) && (key.Type == envoy.ListenerType || key.Type == envoy.ScopeType || key.Type == envoy.RouteType) {
		if s.trial = p.trial; s.trial == nil {
			s.trial = &trial{key: k, suspects: e.suspects(fleet, key, p.because)}
		}
		s.try(message)
	}
	s.work()
	return s.Effects
}

// try puts the next suspect into quarantine in place of the last one.
func (s *step) try(message string) {
	t := s.trial
	if t.next >= len(t.suspects) {
		for _, ref := range t.suspects {
			s.pin(ref, message)
		}
		return
	}
	if t.next > 0 {
		delete(s.pins, t.suspects[t.next-1])
		s.again(t.suspects[t.next-1])
	}
	s.pin(t.suspects[t.next], message)
	t.next++
}

// suspects are the routes to be put into quarantine for a resource.
func (e *Engine) suspects(fleet string, key envoy.Key, why because) []kube.Ref {
	free := slices.DeleteFunc(e.RoutesBehind(fleet, key), func(r kube.Ref) bool { return e.pins[r] != nil })
	if changed := among(free, why); len(changed) > 0 {
		return changed
	}
	return free
}

// among gives the refs that are reasons.
func among(refs []kube.Ref, why because) (out []kube.Ref) {
	for _, ref := range refs {
		if _, found := slices.BinarySearchFunc(why, ref, kube.CompareRefs); found {
			out = append(out, ref)
		}
	}
	return out
}

// pin serves a route as it was before.
func (s *step) pin(ref kube.Ref, message string) {
	s.pins[ref] = &pin{result: s.before[ref], message: message}
	s.again(ref)
}

// again serves a route that is pinned now, or not any more.
func (s *step) again(ref kube.Ref) {
	s.by(ref)
	s.serve(ref)
	s.routeStatus.Add(ref)
}

// release ends the quarantine of a route that is resolved again. One that did not change itself may have lost what it was permitted
// before: it does not go back to that.
func (s *step) release(ref kube.Ref, old, now *resolve.RouteResult) {
	p := s.pins[ref]
	delete(s.pins, ref)
	switch {
	case old == nil || now == nil || p != nil && old.Generation == now.Generation:
		delete(s.before, ref)
	case p == nil:
		s.before[ref] = old
	case p.result == nil:
		delete(s.before, ref)
	default:
		s.before[ref] = p.result
	}
}

// Settle tells that proxies have a route as it is in a generation: it needs not be known as it was before.
func (e *Engine) Settle(ref kube.Ref, generation int64) {
	if r := e.routes[ref]; r == nil || r.Generation == generation && e.pins[ref] == nil {
		delete(e.before, ref)
	}
}

// served gives a route as the proxies are to have it; nil: not at all.
func (e *Engine) served(ref kube.Ref) *resolve.RouteResult {
	if p := e.pins[ref]; p != nil {
		return p.result
	}
	return e.routes[ref]
}

// Behind lists the objects that a resource of a fleet comes from, as far as the present one is refused because of them: the routes
// that changed in it last, else whatever it is made from.
func (e *Engine) Behind(fleet string, key envoy.Key) []kube.Ref {
	refs := append(e.RoutesBehind(fleet, key), e.ownersOf(fleet, key)...)
	slices.SortFunc(refs, kube.CompareRefs)
	refs = slices.Compact(refs)
	if changed := among(refs, e.published[fleetKey{fleet, key}].because); len(changed) > 0 {
		return changed
	}
	return refs
}

// ownersOf lists what a resource comes from beside routes.
func (e *Engine) ownersOf(fleet string, key envoy.Key) (refs []kube.Ref) {
	switch key.Type {
	case envoy.ListenerType:
		for id := range e.listeners {
			if envoy.ListenerKey(id) == key {
				refs = append(refs, kube.Ref{Kind: kube.Gateway, Name: types.NamespacedName(id.Gateway)})
			}
		}
	case envoy.ClusterType, envoy.EndpointType:
		for service, clusters := range e.backends {
			for c := range clusters {
				if c.fleet == fleet && (envoy.ClusterKey(c.cluster) == key || envoy.EndpointsKey(c.cluster) == key) {
					refs = append(refs, kube.Ref{Kind: kube.Service, Name: service})
				}
			}
		}
	case envoy.SecretType:
		for k := range e.secretUsers(fleet, key) {
			refs = append(refs, k)
		}
	default:
	}
	return refs
}

// secretUsers gives the Gateways and Services of which something names a secret.
func (e *Engine) secretUsers(fleet string, key envoy.Key) map[kube.Ref]struct{} {
	out := map[kube.Ref]struct{}{}
	for name, g := range e.gateways {
		if e.options.Fleet(name) != fleet {
			continue
		}
		for _, secret := range g.Secrets {
			if envoy.SecretKey(secret.ID) == key {
				out[kube.Ref{Kind: kube.Gateway, Name: name}] = struct{}{}
			}
		}
	}
	for service, clusters := range e.backends {
		for c := range clusters {
			for _, k := range e.secrets.Of(secretUser{cluster: c}) {
				if c.fleet == fleet && envoy.SecretKey(k.secret) == key {
					out[kube.Ref{Kind: kube.Service, Name: service}] = struct{}{}
				}
			}
		}
	}
	return out
}
