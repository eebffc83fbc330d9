package controller

import (
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"headgate.dev/proxy/engine"
	"headgate.dev/proxy/kube"
	"headgate.dev/proxy/live"
	"headgate.dev/proxy/resolve"
)

// tombstones is how many removals are remembered after they have become live.
const tombstones = 4096

// record is an object as a step took it in last.
type record struct {
	uid        types.UID
	generation int64
	version    uint64 // of the first change that brought this state
	removed    bool
	fleets     []string // those concerned
	open       []string // of these, those where it is not acknowledged everywhere
	since      time.Time
}

// records has a record of every object, and of those that were removed lately. Not safe for concurrent use.
type records struct {
	byRef map[kube.Ref]*record
	open  map[string]map[kube.Ref]struct{} // by fleet
	gone  []kube.Ref                       // removed, oldest first
	// settled are the routes that have become live; whoever takes them empties it.
	settled []settled
}

func newRecords() records {
	return records{byRef: map[kube.Ref]*record{}, open: map[string]map[kube.Ref]struct{}{}}
}

// take brings the objects of a batch in.
func (r *records) take(batch []kube.Change, e *engine.Effects, p live.Point, now time.Time) {
	concerns := map[kube.Ref][]string{}
	for _, c := range e.Concerns {
		concerns[c.Object] = append(concerns[c.Object], c.Fleet)
	}
	attached := map[kube.Ref]*resolve.RouteResult{}
	for i := range e.Routes {
		attached[e.Routes[i].Ref] = e.Routes[i].Result
	}
	for _, c := range batch {
		ref := kube.Ref{Kind: c.Kind, Name: c.Name}
		if r.same(ref, c.Object) && len(concerns[ref]) == 0 {
			continue
		}
		r.put(ref, c.Object, append(concerns[ref], fleetsOf(attached[ref])...), p, now)
	}
	r.bury()
}

// fleetsOf lists the fleets that a route is attached to, which concerns them even if it changes nothing there.
func fleetsOf(r *resolve.RouteResult) (fleets []string) {
	if r == nil {
		return nil
	}
	for i := range r.Parents {
		if len(r.Parents[i].Listeners) > 0 {
			fleets = append(fleets, fleetOf(r.Parents[i].Gateway))
		}
	}
	return fleets
}

// same tells whether an object is what it was, but for its status.
func (r *records) same(ref kube.Ref, o kube.Object) bool {
	old := r.byRef[ref]
	switch {
	case o == nil:
		return old == nil || old.removed
	case old == nil || old.removed || old.uid != o.GetUID():
		return false
	case o.GetGeneration() > 0:
		return old.generation == o.GetGeneration()
	default:
		return old.version == versionNumber(o.GetResourceVersion())
	}
}

// put records one object as it is now; nil: not any more.
func (r *records) put(ref kube.Ref, o kube.Object, concerns []string, p live.Point, now time.Time) {
	old := r.byRef[ref]
	next := &record{since: now}
	if o == nil {
		next.uid, next.generation, next.removed = old.uid, old.generation, true
		if int(ref.Kind) < len(p) {
			next.version = p[ref.Kind] // its own version may not be known, and this is not before it
		}
		r.gone = append(r.gone, ref)
	} else {
		next.uid, next.generation, next.version = o.GetUID(), o.GetGeneration(), versionNumber(o.GetResourceVersion())
	}
	next.fleets = slices.Clone(concerns)
	if old != nil {
		next.fleets = append(next.fleets, old.open...)
		for _, fleet := range old.open {
			delete(r.open[fleet], ref)
		}
		if next.removed {
			next.fleets = append(next.fleets, old.fleets...)
		}
	}
	slices.Sort(next.fleets)
	next.fleets = slices.Compact(next.fleets)
	next.open = slices.Clone(next.fleets)
	for _, fleet := range next.open {
		if r.open[fleet] == nil {
			r.open[fleet] = map[kube.Ref]struct{}{}
		}
		r.open[fleet][ref] = struct{}{}
	}
	r.byRef[ref] = next
}

// bury forgets the oldest removals, but for those that are not live.
func (r *records) bury() {
	for len(r.gone) > tombstones {
		if o := r.byRef[r.gone[0]]; o != nil && o.removed {
			if len(o.open) > 0 {
				return
			}
			delete(r.byRef, r.gone[0])
		}
		r.gone = r.gone[1:]
	}
}

// reached is told that everything up to a point is acknowledged in all of a fleet, and lists the objects that are live there now.
// What is refused is not.
func (r *records) reached(fleet string, p live.Point, refused map[live.Object]string, now time.Time) (refs []kube.Ref) {
	for ref := range r.open[fleet] {
		o := r.byRef[ref]
		if _, no := refused[objectOf(ref)]; no || !p.Covers(int(ref.Kind), o.version) {
			continue
		}
		o.open = slices.DeleteFunc(o.open, func(f string) bool { return f == fleet })
		delete(r.open[fleet], ref)
		if len(o.open) == 0 && isRoute(ref.Kind) && !o.removed {
			routeLive.Observe(now.Sub(o.since).Seconds())
			r.settled = append(r.settled, settled{ref, o.generation})
		}
		refs = append(refs, ref)
	}
	return refs
}

// forget drops a fleet: what was to come to it is of no matter any more.
func (r *records) forget(fleet string) {
	for ref := range r.open[fleet] {
		o := r.byRef[ref]
		o.open = slices.DeleteFunc(o.open, func(f string) bool { return f == fleet })
	}
	delete(r.open, fleet)
}

// find gives what a want came to. in tells whether everything up to p is enough to know that.
func (r *records) find(k kube.Kind, w *Want, p live.Point) (o *record, in bool) {
	version := versionNumber(w.ResourceVersion)
	o = r.byRef[kube.Ref{Kind: k, Name: w.Name}]
	if o != nil && !o.removed && o.uid == w.UID {
		return o, !w.Removed && o.generation >= w.Generation && (o.generation > 0 || o.version >= version)
	}
	// Not yet, or not any more? Of kinds that are read on demand, objects that nothing names are never there.
	gone := o != nil && o.removed && o.uid == w.UID || (o == nil || o.removed) && onDemand[k]
	return o, p.Covers(int(k), version) && (w.Removed || version > 0 || gone)
}

func isRoute(k kube.Kind) bool { return slices.Contains(kube.RouteKinds, k) }
