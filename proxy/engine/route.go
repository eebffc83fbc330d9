package engine

import (
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"headgate.dev/proxy/kube"
	"headgate.dev/proxy/model"
	"headgate.dev/proxy/resolve"
)

// route resolves a route again; the hosts it answers, and those it answered, are dirty.
func (s *step) route(ref kube.Ref) {
	old, now := s.routes[ref], s.resolveRoute(ref)
	if old == nil && now == nil {
		return
	}
	if now == nil {
		delete(s.routes, ref)
	} else {
		s.routes[ref] = now
	}
	s.routeStatus.Add(ref)
	if !slices.Equal(listenersOf(old), listenersOf(now)) {
		s.count(old, -1)
		s.count(now, 1)
	}
	s.release(ref, old, now)
	s.serve(ref)
	s.policiesOf(ref, old, now)
}

// serve brings what a route makes use of to what it is, and marks that.
func (s *step) serve(ref kube.Ref) {
	u := s.uses(s.served(ref))
	_, left := s.routeHosts.Put(ref, u.hosts)
	s.hostsDirty.Add(left...)
	s.hostsDirty.Add(u.hosts...)
	_, quit := s.routeListeners.Put(ref, u.listeners)
	s.listenersDirty.Add(quit...)
	s.listenersDirty.Add(u.listeners...)
	added, removed := s.routeClusters.Put(ref, u.clusters)
	for _, c := range added {
		s.useCluster(c)
	}
	for _, c := range removed {
		s.dropCluster(c)
	}
}

// policiesOf marks the policies of the Services that a route names, if the route matters to them in another way than before.
func (s *step) policiesOf(ref kube.Ref, old, now *resolve.RouteResult) {
	var policies []types.NamespacedName
	if now != nil {
		for _, service := range s.snapshot.ServicesOf(ref) {
			policies = append(policies, s.snapshot.PoliciesOfService(service)...)
		}
	}
	added, removed := s.routePolicies.Put(ref, policies)
	s.policiesDirty.Add(added...)
	s.policiesDirty.Add(removed...)
	if len(policies) > 0 && !slices.Equal(parentsOf(old), parentsOf(now)) {
		s.policiesDirty.Add(policies...)
	}
}

// resolveRoute gives nil for a route that is gone or has nothing to do with our Gateways.
func (s *step) resolveRoute(ref kube.Ref) *resolve.RouteResult {
	r := resolve.Route(s.snapshot, ref, s.gatewayOf)
	if r == nil || len(r.Parents) == 0 {
		return nil
	}
	return r
}

// uses is what a route makes use of, without repeats.
type uses struct {
	hosts     []model.HostID
	listeners []model.ListenerID // of routes below HTTP
	clusters  []fleetCluster     // in each fleet of hosts and listeners
}

func (s *step) uses(r *resolve.RouteResult) (u uses) {
	if r == nil {
		return u
	}
	var fleets []string
	var last types.NamespacedName
	in := func(gateway types.NamespacedName) {
		if len(fleets) > 0 && gateway == last { // sorted by Gateway
			return
		}
		if fleet := s.options.Fleet(gateway); !slices.Contains(fleets, fleet) {
			fleets = append(fleets, fleet)
		}
		last = gateway
	}
	u.hosts = make([]model.HostID, len(r.Attachments))
	for i := range r.Attachments {
		u.hosts[i] = r.Attachments[i].Host
		in(r.Attachments[i].Gateway)
	}
	for i := range r.L4 {
		if l := r.L4[i].Listener; len(u.listeners) == 0 || u.listeners[len(u.listeners)-1] != l { // sorted by listener
			u.listeners = append(u.listeners, l)
		}
		in(r.L4[i].Gateway)
	}
	u.clusters = make([]fleetCluster, 0, len(fleets)*len(r.Clusters))
	for _, f := range fleets {
		for _, c := range r.Clusters {
			u.clusters = append(u.clusters, fleetCluster{f, c})
		}
	}
	return u
}

// problemsOf collects what the translation could not take of a route, each once though every host of the route says it.
func (s *step) problemsOf(ref kube.Ref) []resolve.Problem {
	byHost := s.problems[ref]
	if len(byHost) == 0 {
		return nil
	}
	seen := map[resolve.Problem]bool{}
	var out []resolve.Problem
	for _, id := range s.routeHosts.Of(ref) {
		for _, p := range byHost[id] {
			if !seen[p] {
				seen[p] = true
				out = append(out, p)
			}
		}
	}
	return out
}
