package engine

import (
	"cmp"
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"headgate.dev/proxy/envoy"
	"headgate.dev/proxy/kube"
	"headgate.dev/proxy/model"
	"headgate.dev/proxy/resolve"
	"headgate.dev/proxy/resolve/backend"
)

// listenerState is a listener as it was translated last.
type listenerState struct {
	gateway types.NamespacedName
	model   *model.Listener
	mix     model.ClusterID // the zero value: it needs none
}

// listener translates a listener again, from its Gateway and the routes below HTTP that answer there.
func (s *step) listener(id model.ListenerID) {
	old := s.listeners[id]
	now := &listenerState{gateway: types.NamespacedName(id.Gateway)}
	if g := s.gateways[now.gateway]; g != nil {
		now.model = resolve.Listener(g, id, s.l4Contributions(g.Socket(id)))
	}
	if old == nil && now.model == nil {
		return
	}
	fleet := s.options.Fleet(now.gateway)
	change := ListenerChange{Gateway: now.gateway, After: now.model}
	if old != nil {
		change.Before = old.model
	}
	s.Listeners = append(s.Listeners, change)
	if now.model == nil {
		delete(s.listeners, id)
		s.remove(fleet, envoy.ListenerKey(id))
	} else {
		s.listeners[id] = now
		s.put(fleet, mustTranslate(envoy.Listener(now.model, s.options.Envoy)))
		now.mix, _ = envoy.Mix(now.model)
	}
	s.mixOf(id, fleet, old, now)
}

// l4Contributions collects what routes have to say about a socket; nil for a socket of HTTP.
func (s *step) l4Contributions(socket *model.Listener) []resolve.L4Contribution {
	if socket == nil || socket.Protocol == model.HTTP {
		return nil
	}
	var out []resolve.L4Contribution
	for _, ref := range s.routeListeners.Users(socket.ID(), kube.CompareRefs) {
		r := s.served(ref)
		for i := range r.L4 {
			if r.L4[i].Listener == socket.ID() {
				out = append(out, resolve.L4Contribution{Route: r, Attachment: &r.L4[i]})
			}
		}
	}
	return out
}

// mixOf keeps the account of whose endpoints a listener mixes.
func (s *step) mixOf(id model.ListenerID, fleet string, old, now *listenerState) {
	var services []types.NamespacedName
	if now.mix != (model.ClusterID{}) {
		for _, share := range now.model.Forward.Shares {
			if service := types.NamespacedName(share.Cluster.Service); share.Cluster != (model.ClusterID{}) && !slices.Contains(services, service) {
				services = append(services, service)
			}
		}
	}
	s.mixes.Put(id, services)
	switch {
	case now.mix != (model.ClusterID{}):
		s.mixesDirty.Add(id)
	case old != nil && old.mix != (model.ClusterID{}):
		s.remove(fleet, envoy.ClusterKey(old.mix))
		s.remove(fleet, envoy.EndpointsKey(old.mix))
	}
}

// mix publishes the cluster that a listener with several shares sends to.
func (s *step) mix(id model.ListenerID) {
	l := s.listeners[id]
	if l == nil || l.mix == (model.ClusterID{}) {
		return
	}
	fleet := s.options.Fleet(l.gateway)
	s.put(fleet, mustTranslate(envoy.Cluster(&model.Cluster{ID: l.mix}, s.options.Envoy)))
	s.put(fleet, mustTranslate(envoy.Endpoints(backend.MixEndpoints(s.snapshot, l.mix, l.model.Forward.Shares))))
}

func compareListeners(a, b model.ListenerID) int {
	udp := func(l model.ListenerID) int {
		if l.UDP {
			return 1
		}
		return 0
	}
	return cmp.Or(cmp.Compare(a.Gateway.Namespace, b.Gateway.Namespace), cmp.Compare(a.Gateway.Name, b.Gateway.Name),
		cmp.Compare(a.Port, b.Port), cmp.Compare(udp(a), udp(b)))
}
