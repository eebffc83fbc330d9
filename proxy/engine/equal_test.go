package engine

import (
	"fmt"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"k8s.io/apimachinery/pkg/types"

	"headgate.dev/proxy/envoy"
	"headgate.dev/proxy/kube"
	"headgate.dev/proxy/kube/kubetest"
	"headgate.dev/proxy/model"
	"headgate.dev/proxy/resolve/backend"
)

// consumer holds what somebody has who carried out all effects so far.
type consumer struct {
	xds      map[fleetKey]string
	bodies   map[string]int
	routes   map[kube.Ref]RouteState
	gateways map[types.NamespacedName]GatewayState
	policies map[types.NamespacedName]*backend.PolicyResult
	hosts    map[model.HostID]*model.Host
	// listeners, and the secrets by fleet and name that were given with them.
	listeners map[model.ListenerID]*model.Listener
}

func newConsumer() *consumer {
	return &consumer{
		xds: map[fleetKey]string{}, bodies: map[string]int{}, routes: map[kube.Ref]RouteState{},
		gateways: map[types.NamespacedName]GatewayState{}, hosts: map[model.HostID]*model.Host{},
		policies: map[types.NamespacedName]*backend.PolicyResult{}, listeners: map[model.ListenerID]*model.Listener{},
	}
}

// take carries out effects and returns what is wrong with them in themselves.
func (c *consumer) take(e Effects) error {
	for _, x := range e.XDS {
		k := fleetKey{x.Fleet, x.Key}
		old, had := c.xds[k]
		switch {
		case x.Body == nil && !had:
			return fmt.Errorf("%v is removed and was not there", k)
		case x.Body == nil:
			delete(c.xds, k)
		case old == x.Version:
			return fmt.Errorf("%v is sent again at version %s", k, old)
		default:
			c.xds[k] = x.Version
		}
	}
	for _, r := range e.Routes {
		c.routes[r.Ref] = r
		if r.Result == nil {
			delete(c.routes, r.Ref)
		}
	}
	for _, g := range e.Gateways {
		c.gateways[g.Name] = g
		if g.Result == nil {
			delete(c.gateways, g.Name)
		}
	}
	for _, p := range e.Policies {
		c.policies[p.Name] = p.Result
		if p.Result == nil {
			delete(c.policies, p.Name)
		}
	}
	for _, l := range e.Listeners {
		id := listenerOf(l)
		if !cmp.Equal(c.listeners[id], l.Before) {
			return fmt.Errorf("listener %v: before is not what it was: %s", id, cmp.Diff(c.listeners[id], l.Before))
		}
		if c.listeners[id] = l.After; l.After == nil {
			delete(c.listeners, id)
		}
	}
	for _, h := range e.Hosts {
		id := hostOf(h)
		if !cmp.Equal(c.hosts[id], h.Before) {
			return fmt.Errorf("host %v: before is not what it was: %s", id, cmp.Diff(c.hosts[id], h.Before))
		}
		if c.hosts[id] = h.After; h.After == nil {
			delete(c.hosts, id)
		}
	}
	return nil
}

func hostOf(h HostChange) model.HostID {
	if h.After != nil {
		return h.After.ID
	}
	return h.Before.ID
}

// dangling finds a cluster that a route forwards to and that the fleet does not have.
func listenerOf(l ListenerChange) model.ListenerID {
	if l.After != nil {
		return l.After.ID()
	}
	return l.Before.ID()
}

// named lists what a listener names beside tables: secrets, clusters.
func named(l *model.Listener) (keys []envoy.Key) {
	secrets := func(t *model.Termination) {
		if t == nil {
			return
		}
		for _, id := range t.Certificates {
			keys = append(keys, envoy.SecretKey(id))
		}
		if t.Client != nil {
			keys = append(keys, envoy.SecretKey(t.Client.CA))
		}
	}
	shares := func(f *model.L4Forward) {
		if f == nil {
			return
		}
		for _, share := range f.Shares {
			if share.Cluster != (model.ClusterID{}) {
				keys = append(keys, envoy.ClusterKey(share.Cluster), envoy.EndpointsKey(share.Cluster))
			}
		}
	}
	shares(l.Forward)
	if mix, ok := envoy.Mix(l); ok {
		keys = append(keys, envoy.ClusterKey(mix), envoy.EndpointsKey(mix))
	}
	for i := range l.Chains {
		secrets(l.Chains[i].Terminate)
		shares(l.Chains[i].Forward)
	}
	return keys
}

func (c *consumer) dangling(o Options) error {
	for id, l := range c.listeners {
		fleet := o.Fleet(types.NamespacedName(id.Gateway))
		for _, key := range named(l) {
			if _, has := c.xds[fleetKey{fleet, key}]; !has {
				return fmt.Errorf("listener %v names %v, which %s does not have", id, key, fleet)
			}
		}
	}
	for id, h := range c.hosts {
		fleet := o.Fleet(types.NamespacedName(tableGateway(id.Table)))
		for i := range h.Routes {
			if h.Routes[i].Forward == nil {
				continue
			}
			for _, b := range h.Routes[i].Forward.Backends {
				for _, key := range []envoy.Key{envoy.ClusterKey(b.Cluster), envoy.EndpointsKey(b.Cluster)} {
					if _, has := c.xds[fleetKey{fleet, key}]; !has && b.Cluster != (model.ClusterID{}) {
						return fmt.Errorf("host %v forwards to %v, which %s does not have", id, key, fleet)
					}
				}
			}
		}
	}
	return nil
}

func tableGateway(t model.TableID) model.Name {
	var n model.Name
	var port int
	for i, r := range t {
		if r == '/' && n.Namespace == "" {
			n.Namespace = string(t[:i])
			if _, err := fmt.Sscanf(string(t[i+1:]), "%d", &port); err == nil {
				panic("a Gateway named like a number")
			}
			for j := i + 1; j < len(t); j++ {
				if t[j] == '/' {
					n.Name = string(t[i+1 : j])
					return n
				}
			}
		}
	}
	return n
}

func testOptions(shared bool) Options {
	o := Options{Controller: kubetest.Controller, Fleet: types.NamespacedName.String}
	if shared {
		o.Fleet = func(types.NamespacedName) string { return "all" }
	}
	return o
}

// checkStepEqualsFull takes a random world through random batches and compares with an engine that gets it all at once.
func checkStepEqualsFull(t *testing.T, seed uint64, batches []byte) {
	options := testOptions(seed%2 == 1)
	w := kubetest.NewWorld(seed)
	stepped, held := New(options), newConsumer()
	take := func(changes []kube.Change) {
		if err := held.take(stepped.Step(changes)); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if err := held.dangling(options); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
	take(w.Fill())
	for _, n := range batches {
		take(w.Changes(int(n%16) + 1))
	}

	full := newConsumer()
	if err := full.take(New(options).Step(w.All())); err != nil {
		t.Fatalf("seed %d: full: %v", seed, err)
	}
	deep := cmp.Options{cmp.Exporter(func(reflect.Type) bool { return true }), cmpopts.EquateEmpty()}
	for name, pair := range map[string][2]any{
		"xDS":       {full.xds, held.xds},
		"routes":    {full.routes, held.routes},
		"gateways":  {full.gateways, held.gateways},
		"policies":  {full.policies, held.policies},
		"hosts":     {full.hosts, held.hosts},
		"listeners": {full.listeners, held.listeners},
	} {
		if diff := cmp.Diff(pair[0], pair[1], deep); diff != "" {
			t.Errorf("seed %d, %d batches: %s: full (-), stepped (+):\n%s", seed, len(batches), name, diff)
		}
	}
}

func FuzzStepEqualsFull(f *testing.F) {
	for seed := range uint64(40) {
		f.Add(seed, []byte{1, 3, byte(seed), 7, 2, 15, 4, 9})
	}
	f.Fuzz(func(t *testing.T, seed uint64, batches []byte) {
		if len(batches) > 64 {
			batches = batches[:64]
		}
		checkStepEqualsFull(t, seed, batches)
	})
}

// TestNothingLeft takes everything away and finds nothing kept.
func TestNothingLeft(t *testing.T) {
	for seed := range uint64(20) {
		w := kubetest.NewWorld(seed)
		e, held := New(testOptions(false)), newConsumer()
		if err := held.take(e.Step(w.Fill())); err != nil {
			t.Fatal(err)
		}
		all := w.All()
		for i := range all {
			all[i].Object = nil
		}
		if err := held.take(e.Step(all)); err != nil {
			t.Fatal(err)
		}
		left := map[string]int{
			"xDS": len(held.xds), "hosts": len(held.hosts), "listeners": len(held.listeners), "policies": len(held.policies), "engine listeners": len(e.listeners), "clients": len(e.clients), "gateways": len(e.gateways), "routes": len(e.routes),
			"engine hosts": len(e.hosts), "tables": len(e.tables), "problems": len(e.problems), "attached": len(e.attached),
			"backends": len(e.backends), "published": len(e.published),
		}
		for what, n := range left {
			if n != 0 {
				t.Errorf("seed %d: %d %s left", seed, n, what)
			}
		}
	}
}
