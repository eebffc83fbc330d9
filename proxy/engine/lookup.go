package engine

import (
	"maps"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"headgate.dev/proxy/envoy"
	"headgate.dev/proxy/kube"
	"headgate.dev/proxy/model"
	"headgate.dev/proxy/resolve"
	"headgate.dev/proxy/resolve/gateway"
)

// ListHosts lists every host there is, in the order of their names.
func (e *Engine) ListHosts() []HostChange {
	ids := make([]model.HostID, 0, len(e.hosts))
	for id := range e.hosts {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, gateway.CompareHosts)
	out := make([]HostChange, len(ids))
	for i, id := range ids {
		out[i] = HostChange{Gateway: e.hosts[id].gateway, After: e.hosts[id].model}
	}
	return out
}

// ListListeners lists every listener there is, in the order of their names.
func (e *Engine) ListListeners() []ListenerChange {
	ids := slices.SortedFunc(maps.Keys(e.listeners), compareListeners)
	out := make([]ListenerChange, len(ids))
	for i, id := range ids {
		out[i] = ListenerChange{Gateway: e.listeners[id].gateway, After: e.listeners[id].model}
	}
	return out
}

// RoutesBehind lists the routes that a resource of a fleet was made from: whom to tell when a proxy refuses it. Empty
// for a listener of HTTP or HTTPS alone, which no route is part of. It looks at everything there is, and is for the rare refusal only.
func (e *Engine) RoutesBehind(fleet string, key envoy.Key) []kube.Ref {
	switch key.Type {
	case envoy.ListenerType:
		return e.behindListener(key)
	case envoy.ScopeType, envoy.RouteType:
		return e.behindHost(key)
	case envoy.ClusterType, envoy.EndpointType:
		return e.behindCluster(fleet, key)
	default:
		return nil
	}
}

func (e *Engine) behindListener(key envoy.Key) []kube.Ref {
	for id := range e.listeners {
		if envoy.ListenerKey(id) == key {
			return e.routeListeners.Users(id, kube.CompareRefs)
		}
	}
	return nil
}

func (e *Engine) behindHost(key envoy.Key) []kube.Ref {
	for id, h := range e.hosts {
		if slices.Contains(h.keys, key) {
			return e.routeHosts.Users(id, kube.CompareRefs)
		}
	}
	var refs []kube.Ref
	for id, t := range e.tables {
		if slices.Contains(t.keys, key) {
			for name := range t.wildcards {
				refs = append(refs, e.routeHosts.Users(model.HostID{Table: id, Name: name}, kube.CompareRefs)...)
			}
		}
	}
	slices.SortFunc(refs, kube.CompareRefs)
	return slices.Compact(refs)
}

func (e *Engine) behindCluster(fleet string, key envoy.Key) []kube.Ref {
	for _, clusters := range e.backends {
		for c := range clusters {
			if c.fleet == fleet && (envoy.ClusterKey(c.cluster) == key || envoy.EndpointsKey(c.cluster) == key) {
				return e.routeClusters.Users(c, kube.CompareRefs)
			}
		}
	}
	return nil
}

// Route gives a route as it was resolved last; nil when none of its parents is ours.
func (e *Engine) Route(ref kube.Ref) *resolve.RouteResult { return e.routes[ref] }

// ListenerRoutes lists what routes below HTTP have to say about a listener, in the order of resolve.SortL4.
func (e *Engine) ListenerRoutes(l *model.Listener) []resolve.L4Contribution {
	out := (&step{Engine: e}).l4Contributions(l)
	resolve.SortL4(out)
	return out
}

// Host gives a host as it was translated last; nil when there is none.
func (e *Engine) Host(id model.HostID) *model.Host {
	if h := e.hosts[id]; h != nil {
		return h.model
	}
	return nil
}

// ListGateways lists the Gateways of our classes, in the order of their names.
func (e *Engine) ListGateways() []*gateway.Result {
	return slices.SortedFunc(maps.Values(e.gateways), func(a, b *gateway.Result) int {
		return kube.CompareNames(a.Name, b.Name)
	})
}

// ProblemsOf lists what the translation could not take of a route.
func (e *Engine) ProblemsOf(ref kube.Ref) []resolve.Problem {
	return (&step{Engine: e}).problemsOf(ref)
}

// Rejection is a route that a Gateway does not take, by any of the ways in which the route names it.
type Rejection struct {
	Route   kube.Ref
	Gateway types.NamespacedName
	// Message is reason and message of the first condition that says so.
	Message string
}

// Rejected lists the rejections of routes, in their order and by Gateway.
func (e *Engine) Rejected(refs []kube.Ref) (out []Rejection) {
	for _, ref := range refs {
		r := e.routes[ref]
		if r == nil {
			continue
		}
		refused := map[types.NamespacedName]string{}
		taken := map[types.NamespacedName]bool{}
		for i := range r.Parents {
			accepted := r.Parents[i].Conditions[0]
			if gateway := r.Parents[i].Gateway; accepted.Status == metav1.ConditionTrue {
				taken[gateway] = true
			} else if refused[gateway] == "" {
				refused[gateway] = accepted.Reason + ": " + accepted.Message
			}
		}
		for _, gateway := range slices.SortedFunc(maps.Keys(refused), kube.CompareNames) {
			if !taken[gateway] {
				out = append(out, Rejection{ref, gateway, refused[gateway]})
			}
		}
	}
	return out
}
