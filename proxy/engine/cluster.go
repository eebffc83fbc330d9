package engine

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/types"

	"headgate.dev/proxy/envoy"
	"headgate.dev/proxy/kube"
	"headgate.dev/proxy/model"
	"headgate.dev/proxy/resolve/backend"
)

// useCluster marks a cluster that a route began to name.
func (s *step) useCluster(c fleetCluster) {
	service := types.NamespacedName(c.cluster.Service)
	if s.backends[service] == nil {
		s.backends[service] = map[fleetCluster]struct{}{}
	}
	s.backends[service][c] = struct{}{}
	s.clustersDirty.Add(c)
}

// dropCluster marks a cluster that a route stopped naming.
func (s *step) dropCluster(c fleetCluster) {
	if s.routeClusters.Used(c) {
		return
	}
	service := types.NamespacedName(c.cluster.Service)
	if delete(s.backends[service], c); len(s.backends[service]) == 0 {
		delete(s.backends, service)
	}
	s.clustersDirty.Add(c)
}

// cluster publishes a cluster with its endpoints and secrets, or takes it away when no route names it any more.
func (s *step) cluster(c fleetCluster) {
	var resolved *model.Cluster
	var secrets []*model.Secret
	if s.routeClusters.Used(c) {
		resolved, secrets = backend.Cluster(s.snapshot, c.cluster, s.clients[c.fleet])
	}
	s.useSecrets(secretUser{cluster: c}, c.fleet, secrets)
	if resolved == nil {
		delete(s.silent, c)
		s.remove(c.fleet, envoy.ClusterKey(c.cluster))
		s.remove(c.fleet, envoy.EndpointsKey(c.cluster))
		return
	}
	s.put(c.fleet, mustTranslate(envoy.Cluster(resolved, s.options.Envoy)))
	endpoints := backend.Endpoints(s.snapshot, c.cluster)
	s.hear(c, len(endpoints.List) == 0)
	s.put(c.fleet, mustTranslate(envoy.Endpoints(endpoints)))
}

// hear notes whether a cluster has no endpoint. Where that changes, so does the status of the routes that name it.
func (s *step) hear(c fleetCluster, silent bool) {
	if _, was := s.silent[c]; was == silent {
		return
	}
	if silent {
		s.silent[c] = struct{}{}
	} else {
		delete(s.silent, c)
	}
	s.routeStatus.Add(s.routeClusters.Users(c, kube.CompareRefs)...)
}

// silentOf lists the clusters of a route that have no endpoint.
func (e *Engine) silentOf(ref kube.Ref) []model.ClusterID {
	var out []model.ClusterID
	for _, c := range e.routeClusters.Of(ref) {
		if _, silent := e.silent[c]; silent {
			out = append(out, c.cluster)
		}
	}
	slices.SortFunc(out, func(a, b model.ClusterID) int { return strings.Compare(a.String(), b.String()) })
	return slices.Compact(out)
}

// mustTranslate is for translations that can only go wrong by a mistake in this program: names, ports and addresses have
// been checked by the API and by package resolve, and no text of a user gets into these resources.
func mustTranslate(r envoy.Resource, err error) envoy.Resource {
	if err != nil {
		panic(fmt.Sprintf("engine: translating %s: %v", r.Key.Name, err))
	}
	return r
}
