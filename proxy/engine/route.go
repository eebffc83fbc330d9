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

	hosts, clusters := s.uses(now)
	_, left := s.routeHosts.Put(ref, hosts)
	s.hostsDirty.Add(left...)
	s.hostsDirty.Add(hosts...)
	added, removed := s.routeClusters.Put(ref, clusters)
	for _, c := range added {
		s.useCluster(c)
	}
	for _, c := range removed {
		s.dropCluster(c)
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

// uses lists the hosts that a route answers and the clusters it needs in each fleet of these, without repeats.
func (s *step) uses(r *resolve.RouteResult) ([]model.HostID, []fleetCluster) {
	if r == nil {
		return nil, nil
	}
	hosts := make([]model.HostID, len(r.Attachments))
	var fleets []string
	var last types.NamespacedName
	for i := range r.Attachments {
		a := &r.Attachments[i]
		hosts[i] = a.Host
		if i == 0 || a.Gateway != last { // sorted by Gateway
			if fleet := s.options.Fleet(a.Gateway); !slices.Contains(fleets, fleet) {
				fleets = append(fleets, fleet)
			}
		}
		last = a.Gateway
	}
	clusters := make([]fleetCluster, 0, len(fleets)*len(r.Clusters))
	for _, f := range fleets {
		for _, c := range r.Clusters {
			clusters = append(clusters, fleetCluster{f, c})
		}
	}
	return hosts, clusters
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
