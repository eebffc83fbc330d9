package engine

import (
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"headgate.dev/proxy/kube"
	"headgate.dev/proxy/resolve"
	"headgate.dev/proxy/resolve/backend"
)

// count adds by to the number of routes of each API listener that r is attached to; one route counts once.
func (s *step) count(r *resolve.RouteResult, by int32) {
	for _, l := range listenersOf(r) {
		counts := s.attached[l.gateway]
		if counts == nil {
			counts = map[APIListener]int32{}
			s.attached[l.gateway] = counts
		}
		if counts[l.APIListener] += by; counts[l.APIListener] == 0 {
			delete(counts, l.APIListener)
		}
		if len(counts) == 0 {
			delete(s.attached, l.gateway)
		}
		s.statusDirty.Add(l.gateway)
	}
}

type attachedTo struct {
	gateway types.NamespacedName
	APIListener
}

// listenersOf lists the API listeners that count a route, each once.
func listenersOf(r *resolve.RouteResult) []attachedTo {
	if r == nil {
		return nil
	}
	var out []attachedTo
	for i := range r.Parents {
		p := &r.Parents[i]
		for _, name := range p.Listeners {
			if l := (attachedTo{p.Gateway, APIListener{p.Set, name}}); !slices.Contains(out, l) {
				out = append(out, l)
			}
		}
	}
	return out
}

// states lists everything whose status may have to be written.
func (s *step) states() {
	s.Left = s.setsLeft.Sorted(kube.CompareNames)
	for _, name := range s.statusDirty.Sorted(kube.CompareNames) {
		s.Gateways = append(s.Gateways, GatewayState{Name: name, Result: s.gateways[name], Attached: maps.Clone(s.attached[name])})
	}
	for _, ref := range s.routeStatus.Sorted(kube.CompareRefs) {
		s.Routes = append(s.Routes, RouteState{Ref: ref, Result: s.routes[ref], Problems: s.problemsOf(ref), Silent: s.silentOf(ref)})
	}
	for _, name := range s.policiesDirty.Sorted(kube.CompareNames) {
		s.Policies = append(s.Policies, PolicyState{Name: name, Result: backend.Policy(s.snapshot, name, s.gatewaysTo)})
	}
}

// gatewaysTo lists our Gateways with routes that name a Service, each once.
func (s *step) gatewaysTo(service types.NamespacedName) []types.NamespacedName {
	var out []types.NamespacedName
	for _, ref := range s.snapshot.RoutesOfService(service) {
		for _, g := range parentsOf(s.routes[ref]) {
			if !slices.Contains(out, g) {
				out = append(out, g)
			}
		}
	}
	return out
}

// parentsOf lists the Gateways of a route, each once, in the order of its parentRefs.
func parentsOf(r *resolve.RouteResult) []types.NamespacedName {
	if r == nil {
		return nil
	}
	out := make([]types.NamespacedName, 0, len(r.Parents))
	for i := range r.Parents {
		if g := r.Parents[i].Gateway; !slices.Contains(out, g) {
			out = append(out, g)
		}
	}
	return out
}
