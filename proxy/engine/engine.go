// Package engine turns changes of cluster objects into what has to be done about them, paying for the change and not
// for the world.
//
// Step takes a batch of changes and returns Effects: xDS resources that changed, routes and Gateways whose status may
// have, hosts that answer differently. An engine that took any sequence of batches is in the same state as a new one
// that got all objects at once.
//
// The unit of work is the host of a listener: one hostname of one table with all routes that answer there. What
// depends on what is kept in relations (package incr):
//
//	route → hosts it answers        a changed route translates its hosts again, and those it left
//	Gateway → hosts it names        a listener's hostname exists without a route: 404
//	route → clusters of its fleets  a cluster is there as long as a route names it
//
// and in the links of the snapshot (package kube), which say which routes a Gateway, Service, Namespace or
// ReferenceGrant concerns.
package engine

import (
	"cmp"
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"headgate.dev/proxy/envoy"
	"headgate.dev/proxy/incr"
	"headgate.dev/proxy/kube"
	"headgate.dev/proxy/model"
	"headgate.dev/proxy/resolve"
	"headgate.dev/proxy/resolve/gateway"
)

// Options are constant for the life of an engine.
type Options struct {
	// Controller is the controllerName whose GatewayClasses are served.
	Controller string
	// Fleet names the proxies that serve a Gateway; nil gives each Gateway a fleet of its own, "namespace/name".
	Fleet func(gateway types.NamespacedName) string
	// Envoy is for the translation.
	Envoy envoy.Options
}

// Change is an xDS resource of one fleet as it is now; without a Body (nil) it is removed.
type Change struct {
	Fleet string
	envoy.Resource
}

// RouteState is a route whose status may have changed.
type RouteState struct {
	Ref kube.Ref
	// Result is nil when the route is gone or none of its parents is ours.
	Result *resolve.RouteResult
	// Problems are templates that Envoy would not take; they are served as 500.
	Problems []resolve.Problem
}

// GatewayState is a Gateway whose status may have changed.
type GatewayState struct {
	Name types.NamespacedName
	// Result is nil when the Gateway is gone or not ours.
	Result *gateway.Result
	// Attached counts the routes of each API listener by its name; listeners without a route may be missing.
	Attached map[string]int32
}

// HostChange is a host that may answer differently. Before is nil for a new host, After for one that is gone.
type HostChange struct {
	Gateway       types.NamespacedName
	Before, After *model.Host
}

// Effects is what has to be done about a batch of changes. Everything is sorted, so that the same batch on the same
// state gives the same effects.
type Effects struct {
	XDS      []Change // by fleet, type and name: the order in which they may be sent
	Classes  []gateway.Class
	Gateways []GatewayState
	Routes   []RouteState
	Hosts    []HostChange
}

// Engine is the state between steps. It belongs to one goroutine.
type Engine struct {
	options  Options
	snapshot *kube.Snapshot

	gateways map[types.NamespacedName]*gateway.Result // those of our classes
	routes   map[kube.Ref]*resolve.RouteResult        // those with a parent among gateways
	hosts    map[model.HostID]*hostState
	tables   map[model.TableID]*tableState
	problems map[kube.Ref]map[model.HostID][]resolve.Problem
	attached map[types.NamespacedName]map[string]int32

	routeHosts    incr.Relation[kube.Ref, model.HostID]
	gatewayHosts  incr.Relation[types.NamespacedName, model.HostID]
	routeClusters incr.Relation[kube.Ref, fleetCluster]
	backends      map[types.NamespacedName]map[fleetCluster]struct{} // the clusters in use of a Service

	published map[fleetKey]string // the version of everything that is in Envoy or on its way
}

type fleetCluster struct {
	fleet   string
	cluster model.ClusterID
}

type fleetKey struct {
	fleet string
	envoy.Key
}

// New makes an engine that knows nothing yet.
func New(o Options) *Engine {
	if o.Fleet == nil {
		o.Fleet = types.NamespacedName.String
	}
	return &Engine{
		options:   o,
		snapshot:  kube.NewSnapshot(),
		gateways:  map[types.NamespacedName]*gateway.Result{},
		routes:    map[kube.Ref]*resolve.RouteResult{},
		hosts:     map[model.HostID]*hostState{},
		tables:    map[model.TableID]*tableState{},
		problems:  map[kube.Ref]map[model.HostID][]resolve.Problem{},
		attached:  map[types.NamespacedName]map[string]int32{},
		backends:  map[types.NamespacedName]map[fleetCluster]struct{}{},
		published: map[fleetKey]string{},
	}
}

// Snapshot gives the objects as of the last Step, to read.
func (e *Engine) Snapshot() *kube.Snapshot { return e.snapshot }

// step is what one Step has found that needs work, and what has come of it so far.
type step struct {
	*Engine
	Effects
	gatewaysDirty incr.Set[types.NamespacedName]
	routesDirty   incr.Set[kube.Ref]
	hostsDirty    incr.Set[model.HostID]
	tablesDirty   incr.Set[model.TableID]
	clustersDirty incr.Set[fleetCluster]
	statusDirty   incr.Set[types.NamespacedName] // Gateways
	routeStatus   incr.Set[kube.Ref]
}

// Step brings changes in and says what has to be done. Each stage only adds work to later ones: Gateways, routes, hosts,
// tables, clusters, and last the states for the status.
func (e *Engine) Step(changes []kube.Change) Effects {
	s := &step{Engine: e}
	touched := e.snapshot.Apply(changes)
	s.mark(&touched)
	for _, name := range s.gatewaysDirty.Sorted(kube.CompareNames) {
		s.gateway(name)
	}
	for _, ref := range s.routesDirty.Sorted(kube.CompareRefs) {
		s.route(ref)
	}
	for _, id := range s.hostsDirty.Sorted(compareHosts) {
		s.host(id)
	}
	for _, id := range s.tablesDirty.Sorted(incr.Compare) {
		s.table(id)
	}
	for _, c := range s.clustersDirty.Sorted(compareFleetClusters) {
		s.cluster(c)
	}
	s.states()
	slices.SortFunc(s.XDS, func(a, b Change) int {
		return cmp.Or(cmp.Compare(a.Fleet, b.Fleet), cmp.Compare(a.Type, b.Type), cmp.Compare(a.Name, b.Name))
	})
	return s.Effects
}

// mark finds what a change of an object concerns at first hand.
func (s *step) mark(t *kube.Touched) {
	for _, class := range t.Changed[kube.GatewayClass] {
		s.Classes = append(s.Classes, gateway.ResolveClass(s.snapshot, class.Name, s.options.Controller))
		s.gatewaysDirty.Add(s.snapshot.GatewaysOfClass(class.Name)...)
	}
	s.gatewaysDirty.Add(t.Changed[kube.Gateway]...)
	s.statusDirty.Add(t.Status[kube.Gateway]...)
	for _, name := range t.Changed[kube.HTTPRoute] {
		s.routesDirty.Add(kube.Ref{Kind: kube.HTTPRoute, Name: name})
	}
	for _, name := range t.Status[kube.HTTPRoute] {
		s.routeStatus.Add(kube.Ref{Kind: kube.HTTPRoute, Name: name})
	}
	for _, name := range t.Changed[kube.Service] {
		s.httpRoutes(s.snapshot.RoutesOfService(name))
		s.backend(name)
	}
	for _, name := range t.Backends {
		s.backend(name)
	}
	for _, name := range t.Changed[kube.Namespace] {
		s.httpRoutes(s.snapshot.RoutesInNamespace(name.Name))
	}
	for _, name := range t.Changed[kube.ReferenceGrant] {
		s.httpRoutes(s.snapshot.ReferencesInto(name.Namespace))
		s.gatewaysDirty.Add(s.snapshot.GatewaysReferringInto(name.Namespace)...)
	}
	s.markTLS(t)
}

// markTLS finds what a change of ListenerSets, certificates and policies concerns.
func (s *step) markTLS(t *kube.Touched) {
	s.gatewaysDirty.Add(t.Parents...)
	for _, set := range t.Changed[kube.ListenerSet] {
		s.httpRoutes(s.snapshot.RoutesOfSet(set))
	}
	for _, name := range t.Changed[kube.Namespace] {
		s.gatewaysDirty.Add(s.snapshot.GatewaysOfSetsIn(name.Name)...)
	}
	for _, name := range t.Changed[kube.Secret] {
		s.gatewaysDirty.Add(s.snapshot.GatewaysOfSecret(name)...)
		s.policies(s.snapshot.PoliciesOfSecret(name))
	}
	for _, name := range t.Changed[kube.ConfigMap] {
		s.gatewaysDirty.Add(s.snapshot.GatewaysOfConfigMap(name)...)
		s.policies(s.snapshot.PoliciesOfConfigMap(name))
	}
	for _, service := range t.Targets {
		s.backend(service)
		s.httpRoutes(s.snapshot.RoutesOfService(service))
	}
}

// policies marks the Services that policies name.
func (s *step) policies(names []types.NamespacedName) {
	for _, name := range names {
		p := s.snapshot.BackendTLSPolicy(name)
		for i := range p.Spec.TargetRefs {
			if service, ok := kube.TargetService(p.Namespace, &p.Spec.TargetRefs[i]); ok {
				s.backend(service)
			}
		}
	}
}

// httpRoutes marks the HTTPRoutes among refs.
func (s *step) httpRoutes(refs []kube.Ref) {
	for _, ref := range refs {
		if ref.Kind == kube.HTTPRoute {
			s.routesDirty.Add(ref)
		}
	}
}

// backend marks the clusters of a Service that are in use.
func (s *step) backend(service types.NamespacedName) {
	for c := range s.backends[service] {
		s.clustersDirty.Add(c)
	}
}

// put publishes a resource of a fleet unless the fleet has the very same already.
func (s *step) put(fleet string, r envoy.Resource) {
	k := fleetKey{fleet, r.Key}
	if s.published[k] == r.Version {
		return
	}
	s.published[k] = r.Version
	s.XDS = append(s.XDS, Change{Fleet: fleet, Resource: r})
}

// remove takes a resource from a fleet that has it.
func (s *step) remove(fleet string, key envoy.Key) {
	k := fleetKey{fleet, key}
	if _, has := s.published[k]; !has {
		return
	}
	delete(s.published, k)
	s.XDS = append(s.XDS, Change{Fleet: fleet, Resource: envoy.Resource{Key: key}})
}

func compareHosts(a, b model.HostID) int {
	return cmp.Or(cmp.Compare(a.Table, b.Table), cmp.Compare(a.Name, b.Name))
}

func compareFleetClusters(a, b fleetCluster) int {
	return cmp.Or(cmp.Compare(a.fleet, b.fleet), cmp.Compare(a.cluster.String(), b.cluster.String()))
}
