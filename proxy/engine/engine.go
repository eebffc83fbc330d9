// Package engine turns changes of cluster objects into what has to be done about them, paying for the change and not
// for the world.
//
// Step takes a batch of changes and returns Effects: xDS resources that changed, objects whose status may have, hosts and
// listeners that answer differently. An engine that took any sequence of batches is in the same state as a new one that got
// all objects at once.
//
// The unit of work is the host of a listener: one hostname of one table with all routes that answer there; for protocols
// below HTTP it is the listener. What depends on what is kept in relations (package incr):
//
//	route → hosts it answers            a changed route translates its hosts again, and those it left
//	route → listeners it answers        likewise, for TCP, UDP and TLS
//	Gateway → hosts it names            a listener's hostname exists without a route: 404
//	route → clusters of its fleets      a cluster is there as long as a route names it
//	Gateway, cluster → secrets          a secret is there as long as something names it
//	listener → Services                 those whose endpoints it mixes, for UDP with weights
//	route → policies of its Services    their status tells for which Gateways they count
//
// and in the links of the snapshot (package kube), which say what a change of any object concerns.
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
	"headgate.dev/proxy/resolve/backend"
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
	// Silent are the clusters that the route names and that have no endpoint, sorted.
	Silent []model.ClusterID
}

// GatewayState is a Gateway whose status, or that of one of its ListenerSets, may have changed.
type GatewayState struct {
	Name types.NamespacedName
	// Result is nil when the Gateway is gone or not ours.
	Result *gateway.Result
	// Attached counts the routes of each API listener; listeners without a route may be missing.
	Attached map[APIListener]int32
}

// APIListener names an API listener of a Gateway: one of its own, or one of a ListenerSet.
type APIListener struct {
	Set  types.NamespacedName // zero for the Gateway's own
	Name string
}

// PolicyState is a BackendTLSPolicy whose status may have changed.
type PolicyState struct {
	Name types.NamespacedName
	// Result is nil when the policy is gone.
	Result *backend.PolicyResult
}

// HostChange is a host that may answer differently. Before is nil for a new host, After for one that is gone.
type HostChange struct {
	Gateway       types.NamespacedName
	Before, After *model.Host
}

// ListenerChange is a listener that may do something else. Before is nil for a new listener, After for one that is gone.
type ListenerChange struct {
	Gateway       types.NamespacedName
	Before, After *model.Listener
}

// Effects is what has to be done about a batch of changes. Everything is sorted, so that the same batch on the same
// state gives the same effects.
type Effects struct {
	XDS      []Change  // by fleet, type and name: the order in which they may be sent
	Concerns []Concern // by object and fleet
	Classes  []gateway.Class
	Gateways []GatewayState
	Routes   []RouteState
	Policies []PolicyState
	// Left are ListenerSets that a Gateway of ours had and has no more, by name. Another one may have them.
	Left      []types.NamespacedName
	Hosts     []HostChange
	Listeners []ListenerChange
}

// Engine is the state between steps. It belongs to one goroutine.
type Engine struct {
	options  Options
	snapshot *kube.Snapshot

	gateways  map[types.NamespacedName]*gateway.Result // those of our classes
	routes    map[kube.Ref]*resolve.RouteResult        // those with a parent among gateways
	hosts     map[model.HostID]*hostState
	tables    map[model.TableID]*tableState
	listeners map[model.ListenerID]*listenerState
	problems  map[kube.Ref]map[model.HostID][]resolve.Problem
	attached  map[types.NamespacedName]map[APIListener]int32
	silent    map[fleetCluster]struct{} // clusters in use without any endpoint
	clients   map[string]model.SecretID // by fleet: the certificate that backends are shown, if any

	routeHosts     incr.Relation[kube.Ref, model.HostID]
	routeListeners incr.Relation[kube.Ref, model.ListenerID]
	gatewayHosts   incr.Relation[types.NamespacedName, model.HostID]
	routeClusters  incr.Relation[kube.Ref, fleetCluster]
	routePolicies  incr.Relation[kube.Ref, types.NamespacedName]
	mixes          incr.Relation[model.ListenerID, types.NamespacedName]
	secrets        incr.Relation[secretUser, fleetSecret]
	backends       map[types.NamespacedName]map[fleetCluster]struct{} // the clusters in use of a Service

	published map[fleetKey]publication
	steps     uint64 // how many were made

	before map[kube.Ref]*resolve.RouteResult // routes as they were before they changed last, until that is settled
	pins   map[kube.Ref]*pin                 // those in quarantine
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
		listeners: map[model.ListenerID]*listenerState{},
		silent:    map[fleetCluster]struct{}{},
		clients:   map[string]model.SecretID{},
		routes:    map[kube.Ref]*resolve.RouteResult{},
		hosts:     map[model.HostID]*hostState{},
		tables:    map[model.TableID]*tableState{},
		problems:  map[kube.Ref]map[model.HostID][]resolve.Problem{},
		attached:  map[types.NamespacedName]map[APIListener]int32{},
		backends:  map[types.NamespacedName]map[fleetCluster]struct{}{},
		published: map[fleetKey]publication{},
		before:    map[kube.Ref]*resolve.RouteResult{},
		pins:      map[kube.Ref]*pin{},
	}
}

// Snapshot gives the objects as of the last Step, to read.
func (e *Engine) Snapshot() *kube.Snapshot { return e.snapshot }

// step is what one Step has found that needs work, and what has come of it so far.
type step struct {
	*Engine
	Effects
	now            because // the objects of the batch that are the reason for what is done now
	gatewaysDirty  dirty[types.NamespacedName]
	routesDirty    dirty[kube.Ref]
	hostsDirty     dirty[model.HostID]
	tablesDirty    dirty[model.TableID]
	listenersDirty dirty[model.ListenerID]
	mixesDirty     dirty[model.ListenerID]
	clustersDirty  dirty[fleetCluster]
	secretsDirty   dirty[fleetSecret] // those that something stopped to name
	trial          *trial             // what the step is for, if it is one
	concerns       incr.Set[Concern]
	lastConcern    concerned
	statusDirty    incr.Set[types.NamespacedName] // Gateways
	routeStatus    incr.Set[kube.Ref]
	setsLeft       incr.Set[types.NamespacedName]
	policiesDirty  incr.Set[types.NamespacedName]
}

// Step brings changes in and says what has to be done. Each stage only adds work to later ones: Gateways, routes, hosts,
// tables, listeners, clusters, secrets, and last the states for the status.
func (e *Engine) Step(changes []kube.Change) Effects {
	s := e.newStep()
	touched := e.snapshot.Apply(changes)
	s.mark(&touched)
	s.work()
	return s.Effects
}

func (e *Engine) newStep() *step {
	e.steps++
	s := &step{Engine: e}
	s.gatewaysDirty.now, s.routesDirty.now, s.hostsDirty.now, s.tablesDirty.now = &s.now, &s.now, &s.now, &s.now
	s.listenersDirty.now, s.mixesDirty.now, s.clustersDirty.now, s.secretsDirty.now = &s.now, &s.now, &s.now, &s.now
	return s
}

// work does all that is marked.
func (s *step) work() {
	s.gatewaysDirty.each(kube.CompareNames, s.gateway)
	s.routesDirty.each(kube.CompareRefs, s.route)
	s.hostsDirty.each(gateway.CompareHosts, s.host)
	s.tablesDirty.each(incr.Compare, s.table)
	s.listenersDirty.each(compareListeners, s.listener)
	s.mixesDirty.each(compareListeners, s.mix)
	s.clustersDirty.each(compareFleetClusters, s.cluster)
	s.secretsDirty.each(compareFleetSecrets, s.dropSecret)
	s.states()
	s.Concerns = s.concerns.Sorted(compareConcerns)
	slices.SortFunc(s.XDS, func(a, b Change) int {
		return cmp.Or(cmp.Compare(a.Fleet, b.Fleet), cmp.Compare(a.Type, b.Type), cmp.Compare(a.Name, b.Name))
	})
}

// put publishes a resource of a fleet unless the fleet has the very same already.
func (s *step) put(fleet string, r envoy.Resource) {
	s.concern(fleet)
	k := fleetKey{fleet, r.Key}
	if s.published[k].version == r.Version {
		return
	}
	p := publication{version: r.Version, step: s.steps, because: s.now}
	if s.trial != nil && s.trial.key == k && len(s.trial.suspects) > 1 {
		p.trial = s.trial
	}
	s.published[k] = p
	s.XDS = append(s.XDS, Change{Fleet: fleet, Resource: r})
}

// remove takes a resource from a fleet that has it.
func (s *step) remove(fleet string, key envoy.Key) {
	s.concern(fleet)
	k := fleetKey{fleet, key}
	if _, has := s.published[k]; !has {
		return
	}
	delete(s.published, k)
	s.XDS = append(s.XDS, Change{Fleet: fleet, Resource: envoy.Resource{Key: key}})
}

func compareFleetClusters(a, b fleetCluster) int {
	return cmp.Or(cmp.Compare(a.fleet, b.fleet), cmp.Compare(a.cluster.String(), b.cluster.String()))
}
