package engine

import (
	"fmt"

	"k8s.io/apimachinery/pkg/types"

	"headgate.dev/proxy/envoy"
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
		s.remove(c.fleet, envoy.ClusterKey(c.cluster))
		s.remove(c.fleet, envoy.EndpointsKey(c.cluster))
		return
	}
	s.put(c.fleet, mustTranslate(envoy.Cluster(resolved, s.options.Envoy)))
	s.put(c.fleet, mustTranslate(envoy.Endpoints(backend.Endpoints(s.snapshot, c.cluster))))
}

// mustTranslate is for translations that can only go wrong by a mistake in this program: names, ports and addresses have
// been checked by the API and by package resolve, and no text of a user gets into these resources.
func mustTranslate(r envoy.Resource, err error) envoy.Resource {
	if err != nil {
		panic(fmt.Sprintf("engine: translating %s: %v", r.Key.Name, err))
	}
	return r
}
