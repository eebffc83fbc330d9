package controller

import (
	"context"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"headgate.dev/proxy/engine"
	"headgate.dev/proxy/envoy"
	"headgate.dev/proxy/kube"
	"headgate.dev/proxy/live"
	"headgate.dev/proxy/track"
	"headgate.dev/proxy/xds"
)

// tracker knows what is live where. Each replica reports how far its own proxies are, and the tracker of the one that leads puts the
// reports together; a report is by resource versions, which all replicas share.
type tracker struct {
	self string // this replica
	xds  *xds.Server
	// behind lists the objects that a resource of a fleet comes from.
	behind func(fleet string, key envoy.Key) []kube.Ref
	// pinned lists the routes in quarantine here, and settle is told of those that all proxies have.
	pinned func() []engine.Pinned
	settle func([]track.Settled)
	// rejected lists the routes among refs that a Gateway does not take.
	rejected func(refs []kube.Ref) []Refused
	// changed has the status of routes and Gateways looked at.
	changed func(...kube.Ref)
	now     func() time.Time
	wake    chan struct{} // has room for one: there is something to report
	news    signal        // what is known has changed

	mu        sync.Mutex // guards what follows
	trail     live.Trail // of this replica's steps
	ledger    live.Ledger
	touched   map[string]struct{} // fleets with proxies here of which something changed
	began     bool                // a step was made
	moved     bool                // the trail has become longer
	records   *track.Records
	settled   []track.Settled                   // since settle was called
	gateways  map[string]types.NamespacedName   // by fleet: those that are served
	pods      map[string]map[string]int         // by fleet and Deployment: those that are ready
	refused   map[string]map[live.Object]string // by fleet
	counts    map[string]*fleetCount            // by fleet
	past      [2]live.Point                     // where this replica was one and two looks ago
	followers map[*follower]struct{}
}

func newTracker(self string, changed func(...kube.Ref)) *tracker {
	return &tracker{
		self: self, changed: changed, now: time.Now, rejected: func([]kube.Ref) []Refused { return nil }, wake: make(chan struct{}, 1),
		touched: map[string]struct{}{}, records: track.New(fleetOf, func(k kube.Kind) bool { return onDemand[k] }), gateways: map[string]types.NamespacedName{},
		pods: map[string]map[string]int{}, refused: map[string]map[live.Object]string{}, counts: map[string]*fleetCount{},
		followers: map[*follower]struct{}{},
	}
}

func (t *tracker) rouse() {
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// touch implements xds.Options.Changed.
func (t *tracker) touch(fleet string) {
	t.mu.Lock()
	t.touched[fleet] = struct{}{}
	t.mu.Unlock()
	t.rouse()
}

// taken is told of a step once it is published: the point up to which everything is in, the changes it made, and what became of
// them.
func (t *tracker) taken(epoch uint64, p live.Point, batch []kube.Change, e *engine.Effects) {
	t.mu.Lock()
	defer t.rouse()
	defer t.mu.Unlock()
	for i := range e.Gateways {
		g := &e.Gateways[i]
		if g.Result == nil {
			t.forget(fleetOf(g.Name))
		} else {
			t.gateways[fleetOf(g.Name)] = g.Name
		}
	}
	t.records.Take(batch, e, p, t.now())
	t.trail.Add(epoch, p)
	t.began, t.moved = true, true
}

// known is told how far the kinds had been read for everything that was taken in before a time.
func (t *tracker) known(p live.Point, by time.Time) {
	t.mu.Lock()
	some := t.records.Known(p, by)
	t.moved = t.moved || some
	t.mu.Unlock()
	if some {
		t.rouse()
	}
}

// forget drops a fleet that is served no more.
func (t *tracker) forget(fleet string) {
	if g, served := t.gateways[fleet]; served {
		gatewayProxies.DeleteLabelValues(g.Namespace, g.Name)
		gatewayProxiesLive.DeleteLabelValues(g.Namespace, g.Name)
	}
	delete(t.gateways, fleet)
	delete(t.refused, fleet)
	delete(t.counts, fleet)
	t.records.Forget(fleet)
}

// ready is told how many pods of a Deployment of a Gateway are ready.
func (t *tracker) ready(gateway types.NamespacedName, deployment string, pods int) {
	fleet := fleetOf(gateway)
	t.mu.Lock()
	if t.pods[fleet] == nil {
		t.pods[fleet] = map[string]int{}
	}
	t.pods[fleet][deployment] = pods
	if pods == 0 {
		if delete(t.pods[fleet], deployment); len(t.pods[fleet]) == 0 {
			delete(t.pods, fleet)
		}
	}
	t.touched[fleet] = struct{}{}
	t.mu.Unlock()
	t.rouse()
}

// run reports until ctx ends.
func (t *tracker) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.wake:
			t.round()
		}
	}
}

// lead looks at the counts every second until ctx ends.
func (t *tracker) lead(ctx context.Context) {
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			t.changed(t.look()...)
		}
	}
}

// round brings what changed here into the ledger, and tells everybody.
func (t *tracker) round() {
	// The point goes before the states: these may be later, and then they owe more.
	t.mu.Lock()
	point, touched, moved := t.trail.Last(), t.touched, t.moved
	t.touched, t.moved = map[string]struct{}{}, false
	t.mu.Unlock()
	report := live.Report{Point: point, Fleets: make(map[string][]live.Proxy, len(touched))}
	pins := t.pinned()
	for fleet := range touched {
		report.Fleets[fleet] = t.proxies(fleet, pins)
	}
	t.mu.Lock()
	t.ledger.Take(t.self, report)
	for f := range t.followers {
		f.add(&report)
	}
	refs := t.evaluate(touched, moved)
	done := t.settled
	t.settled = nil
	t.mu.Unlock()
	if len(done) > 0 {
		t.settle(done)
	}
	t.changed(refs...)
	t.news.happened()
}

// proxies says how far the proxies of a fleet are that call this replica. They refuse what is in quarantine.
func (t *tracker) proxies(fleet string, pins []engine.Pinned) []live.Proxy {
	states := t.xds.States(fleet)
	out := make([]live.Proxy, len(states))
	for i, s := range states {
		out[i] = live.Proxy{Name: s.Name, Connected: s.Connected, Ready: s.Ready, Behind: s.Owes}
		if s.Owes {
			t.mu.Lock()
			out[i].Point = t.trail.At(s.Reached)
			t.mu.Unlock()
		}
		for _, r := range s.Refused {
			for _, ref := range t.behind(fleet, r.Key) {
				out[i].Refused = append(out[i].Refused, live.RefusedObject{Object: objectOf(ref), Message: r.Message})
			}
		}
		for _, p := range pins {
			if t.concerned(p.Ref, fleet) {
				out[i].Refused = append(out[i].Refused, live.RefusedObject{Object: objectOf(p.Ref), Message: p.Message})
			}
		}
	}
	return out
}

// concerned tells whether an object concerns a fleet.
func (t *tracker) concerned(ref kube.Ref, fleet string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	o := t.records.Get(ref)
	return o != nil && slices.Contains(o.Fleets, fleet)
}

// heard takes a report of another replica in.
func (t *tracker) heard(replica string, r live.Report) {
	touched := make(map[string]struct{}, len(r.Fleets))
	t.mu.Lock()
	for fleet := range r.Fleets {
		touched[fleet] = struct{}{}
	}
	t.ledger.Take(replica, r)
	refs := t.evaluate(touched, true)
	done := t.settled
	t.settled = nil
	t.mu.Unlock()
	if len(done) > 0 {
		t.settle(done)
	}
	t.changed(refs...)
	t.news.happened()
}

// lost is told that another replica is not heard any more, or that there is none any more.
func (t *tracker) lost(replica string, gone bool) {
	t.mu.Lock()
	if gone {
		t.ledger.Drop(replica)
	} else {
		t.ledger.Lose(replica)
	}
	refs := t.evaluate(nil, true)
	done := t.settled
	t.settled = nil
	t.mu.Unlock()
	if len(done) > 0 {
		t.settle(done)
	}
	t.changed(refs...)
	t.news.happened()
}

// standing gives the ready proxies of a fleet. The lock is held.
func (t *tracker) standing(fleet string) live.Standing {
	expected := 0
	for _, n := range t.pods[fleet] {
		expected += n
	}
	return t.ledger.Fleet(fleet, expected)
}

// evaluate finds what has become live, or is refused, or is refused no more: in the fleets that were touched, or in all. It lists
// the objects that are concerned. The lock is held.
func (t *tracker) evaluate(touched map[string]struct{}, all bool) (refs []kube.Ref) {
	if all {
		touched = map[string]struct{}{}
		for fleet := range t.gateways {
			touched[fleet] = struct{}{}
		}
	}
	for fleet := range touched {
		standing := t.standing(fleet)
		refs = append(refs, t.refusals(fleet, &standing)...)
		if p, ok := standing.Point(); ok {
			live, done := t.records.Reached(fleet, p, func(r kube.Ref) bool { _, no := t.refused[fleet][objectOf(r)]; return no }, t.now())
			refs = append(refs, live...)
			t.done(done)
		}
	}
	slices.SortFunc(refs, kube.CompareRefs)
	return slices.Compact(refs)
}

// done takes note of objects that have become live. The lock is held.
func (t *tracker) done(all []track.Settled) {
	for _, s := range all {
		if isRoute(s.Ref.Kind) && !s.Removed {
			routeLive.Observe(s.Took.Seconds())
			t.settled = append(t.settled, s)
		}
	}
}

// refusals keeps what the proxies of a fleet refuse, and lists the objects for which that is not what it was.
func (t *tracker) refusals(fleet string, s *live.Standing) (refs []kube.Ref) {
	before, now := t.refused[fleet], map[live.Object]string{}
	for o, messages := range s.Refused() {
		slices.Sort(messages)
		now[o] = messages[0]
		if before[o] != now[o] {
			refs = append(refs, refOf(o))
		}
	}
	for o := range before {
		if _, still := now[o]; !still {
			refs = append(refs, refOf(o))
		}
	}
	if t.refused[fleet] = now; len(now) == 0 {
		delete(t.refused, fleet)
	}
	return refs
}

func objectOf(r kube.Ref) live.Object {
	return live.Object{Stream: int(r.Kind), Namespace: r.Name.Namespace, Name: r.Name.Name}
}

func refOf(o live.Object) kube.Ref {
	return kube.Ref{Kind: kube.Kind(o.Stream), Name: types.NamespacedName{Namespace: o.Namespace, Name: o.Name}} //nolint:gosec // reports with other numbers are refused
}

func isRoute(k kube.Kind) bool { return slices.Contains(kube.RouteKinds, k) }
