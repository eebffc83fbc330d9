package engine

import (
	"reflect"
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"headgate.dev/proxy/envoy"
	"headgate.dev/proxy/kube"
	"headgate.dev/proxy/model"
	"headgate.dev/proxy/resolve"
	"headgate.dev/proxy/resolve/gateway"
)

// gateway resolves a Gateway again and marks everything that hangs on it if it is not what it was.
func (s *step) gateway(name types.NamespacedName) {
	old, now := s.gateways[name], s.resolveGateway(name)
	if old == nil && now == nil {
		return
	}
	s.statusDirty.Add(name)
	if old != nil && now != nil && reflect.DeepEqual(old, now) {
		return
	}
	var hosts []model.HostID
	if now == nil {
		delete(s.gateways, name)
	} else {
		s.gateways[name] = now
		hosts = now.Hosts
	}
	s.sockets(name, old, now)
	added, removed := s.gatewayHosts.Put(name, hosts)
	s.hostsDirty.Add(added...)
	s.hostsDirty.Add(removed...)
	s.httpRoutes(s.snapshot.RoutesOfGateway(name))
	for _, set := range s.snapshot.SetsOfGateway(name) {
		s.httpRoutes(s.snapshot.RoutesOfSet(set))
	}
}

// resolveGateway gives nil for a Gateway that is not ours.
func (s *step) resolveGateway(name types.NamespacedName) *gateway.Result {
	g := s.snapshot.Gateway(name)
	if g == nil {
		return nil
	}
	if !gateway.ResolveClass(s.snapshot, string(g.Spec.GatewayClassName), s.options.Controller).Accepted() {
		return nil
	}
	return gateway.Resolve(s.snapshot, name)
}

// sockets opens, changes and closes the listeners of a Gateway, with the tables that are looked up on them.
func (s *step) sockets(name types.NamespacedName, old, now *gateway.Result) {
	fleet := s.options.Fleet(name)
	gone := map[model.ListenerID]*model.Listener{}
	if old != nil {
		for _, l := range old.Sockets {
			if l.Protocol != model.HTTP {
				continue
			}
			gone[l.ID()] = l
		}
	}
	if now != nil {
		for _, l := range now.Sockets {
			if l.Protocol != model.HTTP {
				continue
			}
			if before := gone[l.ID()]; before != nil && before.Table != l.Table {
				s.closeTable(before.Table)
			}
			delete(gone, l.ID())
			s.openTable(name, l)
			s.listener(fleet, l)
		}
	}
	for _, l := range gone {
		s.closeTable(l.Table)
		s.remove(fleet, envoy.ListenerKey(l.ID()))
	}
}

// gatewayOf gives a Gateway that routes may attach to; nil for one that is not ours.
func (s *step) gatewayOf(name types.NamespacedName) *gateway.Result { return s.gateways[name] }

// count adds by to the number of routes of each API listener that r is attached to; one route counts once.
func (s *step) count(r *resolve.RouteResult, by int32) {
	for _, l := range listenersOf(r) {
		counts := s.attached[l.gateway]
		if counts == nil {
			counts = map[string]int32{}
			s.attached[l.gateway] = counts
		}
		if counts[l.name] += by; counts[l.name] == 0 {
			delete(counts, l.name)
		}
		if len(counts) == 0 {
			delete(s.attached, l.gateway)
		}
		s.statusDirty.Add(l.gateway)
	}
}

type apiListener struct {
	gateway types.NamespacedName
	name    string
}

// listenersOf lists the API listeners that count a route, each once.
func listenersOf(r *resolve.RouteResult) []apiListener {
	if r == nil {
		return nil
	}
	var out []apiListener
	for i := range r.Parents {
		for _, name := range r.Parents[i].Listeners {
			if l := (apiListener{r.Parents[i].Gateway, name}); !slices.Contains(out, l) {
				out = append(out, l)
			}
		}
	}
	return out
}

// states lists everything whose status may have to be written.
func (s *step) states() {
	for _, name := range s.statusDirty.Sorted(kube.CompareNames) {
		s.Gateways = append(s.Gateways, GatewayState{Name: name, Result: s.gateways[name], Attached: cloneCounts(s.attached[name])})
	}
	for _, ref := range s.routeStatus.Sorted(kube.CompareRefs) {
		s.Routes = append(s.Routes, RouteState{Ref: ref, Result: s.routes[ref], Problems: s.problemsOf(ref)})
	}
}

func cloneCounts(m map[string]int32) map[string]int32 {
	out := make(map[string]int32, len(m))
	for k, v := range m {
		out[k] = v
	}
	return out
}
