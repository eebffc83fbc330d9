package engine

import (
	"reflect"
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"headgate.dev/proxy/model"
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
	s.left(old, now)
	fleet := s.options.Fleet(name)
	s.tablesOf(name, old, now)
	s.socketsOf(old)
	s.socketsOf(now)
	s.client(fleet, old, now)
	s.useSecrets(secretUser{gateway: name}, fleet, secretsOf(now))
	added, removed := s.gatewayHosts.Put(name, hosts)
	s.hostsDirty.Add(added...)
	s.hostsDirty.Add(removed...)
	if !gateway.SameForRoutes(old, now) {
		s.routesOfGateway(name, old)
	}
}

// left notes the ListenerSets that a Gateway has no more.
func (s *step) left(old, now *gateway.Result) {
	if old == nil {
		return
	}
	for i := range old.Sets {
		set := old.Sets[i].Name
		if now == nil || !slices.ContainsFunc(now.Sets, func(n gateway.ListenerSet) bool { return n.Name == set }) {
			s.setsLeft.Add(set)
		}
	}
}

// routesOfGateway marks the routes of a Gateway and its ListenerSets, with those of the sets it had: they may name another
// Gateway now.
func (s *step) routesOfGateway(name types.NamespacedName, old *gateway.Result) {
	s.routesAmong(s.snapshot.RoutesOfGateway(name))
	for _, set := range s.snapshot.SetsOfGateway(name) {
		s.routesAmong(s.snapshot.RoutesOfSet(set))
	}
	if old != nil {
		for i := range old.Sets {
			s.routesAmong(s.snapshot.RoutesOfSet(old.Sets[i].Name))
		}
	}
}

func secretsOf(g *gateway.Result) []*model.Secret {
	if g == nil {
		return nil
	}
	return g.Secrets
}

// socketsOf marks the listeners of a Gateway, as it was or as it is.
func (s *step) socketsOf(g *gateway.Result) {
	if g == nil {
		return
	}
	for _, l := range g.Sockets {
		s.listenersDirty.Add(l.ID())
	}
}

// tablesOf opens, changes and closes the tables of a Gateway.
func (s *step) tablesOf(name types.NamespacedName, old, now *gateway.Result) {
	if old != nil {
		for _, t := range old.Tables {
			if now == nil || now.Table(t.ID) == nil {
				s.closeTable(t.ID)
			}
		}
	}
	if now != nil {
		for _, t := range now.Tables {
			s.openTable(name, t)
		}
	}
}

// resolveGateway gives nil for a Gateway that is not ours.
func (s *step) resolveGateway(name types.NamespacedName) *gateway.Result {
	g := s.snapshot.Gateway(name)
	if g == nil {
		return nil
	}
	if !gateway.ResolveClass(s.snapshot, string(g.Spec.GatewayClassName), s.options.Controller).Served {
		return nil
	}
	return gateway.Resolve(s.snapshot, name)
}

// gatewayOf gives a Gateway that routes may attach to; nil for one that is not ours.
func (s *step) gatewayOf(name types.NamespacedName) *gateway.Result { return s.gateways[name] }
