package xds

import (
	endpoint "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/proto"

	"headgate.dev/proxy/envoy"
)

// resource is one resource of a fleet, shared by all streams and never changed.
type resource struct {
	envoy.Key
	version string
	body    []byte
	// needs are the names of the resources that proxies ask for because of this one: the routes of a scope, the secrets of a
	// cluster or listener; without the endpoints of a cluster, which have its own name. Nil for all other types.
	needs []string
}

// needed is the type of what a resource needs.
func (r *resource) needed() envoy.Type {
	if r.Type == envoy.ScopeType {
		return envoy.RouteType
	}
	return envoy.SecretType
}

// state is what every proxy of a fleet should have.
type state struct {
	epoch uint64
	types [envoy.NumTypes]map[string]*resource
	// By name of an RDS resource how many scopes name it, by name of a secret how many clusters and listeners, if any.
	scopes, secrets map[string]int
}

func newState() *state {
	s := &state{scopes: map[string]int{}, secrets: map[string]int{}}
	for t := range s.types {
		s.types[t] = map[string]*resource{}
	}
	return s
}

// get finds the resource of a key, or nil.
func (s *state) get(k envoy.Key) *resource { return s.types[k.Type][k.Name] }

// publish makes changes. It returns the keys whose resource, or need for it, changed, and those every proxy then owes an
// answer for.
func (s *state) publish(epoch uint64, changes []Change) (changed, owed []envoy.Key) {
	s.epoch = epoch
	for _, c := range changes {
		old := s.get(c.Key)
		if !s.apply(c, old) {
			continue
		}
		changed = append(changed, c.Key)
		// Clusters, endpoints and secrets stay for a while or for Envoy to drop: nobody waits for that.
		if c.Body != nil || c.Type == envoy.ListenerType || c.Type == envoy.ScopeType || c.Type == envoy.RouteType {
			owed = append(owed, c.Key)
		}
		for _, child := range named(old) {
			if s.get(child) != nil && !s.expected(child) {
				changed = append(changed, child) // nobody will ask for it
			}
		}
	}
	return changed, owed
}

// named are the resources that proxies ask for because of this one, a scope, a cluster or a listener.
func named(r *resource) []envoy.Key {
	if r == nil {
		return nil
	}
	var keys []envoy.Key
	if r.Type == envoy.ClusterType {
		keys = append(keys, envoy.Key{Type: envoy.EndpointType, Name: r.Name})
	}
	for _, name := range r.needs {
		keys = append(keys, envoy.Key{Type: r.needed(), Name: name})
	}
	return keys
}

// apply makes one change to what was old, and tells whether it is one.
func (s *state) apply(c Change, old *resource) bool {
	if c.Body == nil {
		if old != nil {
			s.count(old, -1)
			delete(s.types[c.Type], c.Name)
		}
		return old != nil
	}
	r := &resource{Key: c.Key, version: c.Version, body: c.Body, needs: c.Secrets}
	if old != nil {
		if old.version == c.Version {
			return false
		}
		s.count(old, -1)
		r.Name = old.Name // one string for the map and all streams
	}
	if c.Type == envoy.ScopeType {
		r.needs = routesOf(c.Body)
	}
	s.count(r, 1)
	s.types[c.Type][r.Name] = r
	return true
}

// count records that a resource which needs others came (by is 1) or went (-1).
func (s *state) count(r *resource, by int) {
	counts := s.secrets
	if r.Type == envoy.ScopeType {
		counts = s.scopes
	}
	for _, name := range r.needs {
		if counts[name] += by; counts[name] == 0 {
			delete(counts, name)
		}
	}
}

// expected tells whether a proxy that has everything else is certain to ask for a resource: those of the types it asks
// for whole, the endpoints of a cluster, the routes of a scope and the secrets of clusters and listeners.
func (s *state) expected(k envoy.Key) bool {
	switch k.Type {
	case envoy.ClusterType, envoy.ListenerType, envoy.ScopeType:
		return true
	case envoy.EndpointType:
		return s.types[envoy.ClusterType][k.Name] != nil
	case envoy.SecretType:
		return s.secrets[k.Name] > 0
	case envoy.RouteType:
		return s.scopes[k.Name] > 0
	}
	return false
}

// all lists the expected keys: the first set of a proxy.
func (s *state) all() []envoy.Key {
	var keys []envoy.Key
	for t, byName := range s.types {
		for name := range byName {
			if k := (envoy.Key{Type: envoy.Type(t), Name: name}); s.expected(k) {
				keys = append(keys, k)
			}
		}
	}
	return keys
}

// routesOf reads which RDS resource a scope names. A scope that cannot be read names none; Envoy will say why.
func routesOf(scope []byte) []string {
	var m route.ScopedRouteConfiguration
	if err := proto.Unmarshal(scope, &m); err != nil || m.GetRouteConfigurationName() == "" {
		return nil
	}
	return []string{m.GetRouteConfigurationName()}
}

// noEndpoints is the empty assignment for a cluster whose endpoints are not known: without any, it would warm until
// Envoy's timeout of 15 s.
func noEndpoints(cluster string) *resource {
	body, err := proto.MarshalOptions{Deterministic: true}.Marshal(&endpoint.ClusterLoadAssignment{ClusterName: cluster})
	if err != nil {
		return nil // the name is not UTF-8: no cluster has it
	}
	return &resource{Key: envoy.Key{Type: envoy.EndpointType, Name: cluster}, version: "none", body: body}
}
