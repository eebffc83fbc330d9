// Package track remembers each object as a step of the engine took it in, and in which fleets that is not acknowledged by every proxy
// yet: what somebody who wrote it waits for.
package track

import (
	"math"
	"slices"
	"strconv"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"headgate.dev/proxy/engine"
	"headgate.dev/proxy/kube"
	"headgate.dev/proxy/live"
	"headgate.dev/proxy/resolve"
)

// tombstones is how many removals are remembered after they have become live.
const tombstones = 4096

// unknown is the version of a removal that nobody watched, until there is one at which it had happened: no point covers it.
const unknown = math.MaxUint64

// Record is an object as a step took it in last.
type Record struct {
	UID        types.UID
	Generation int64
	// Version is that of the first change that brought this state, by which all replicas know it. Of a removal it may be a later one, and of
	// one that was not watched it is beyond all others until Known.
	Version uint64
	Removed bool
	Fleets  []string  // those concerned; not to be written to
	Since   time.Time // when it was taken in

	open []string // of Fleets, those where it is not acknowledged everywhere
}

// Settled is an object that has become live everywhere.
type Settled struct {
	Ref        kube.Ref
	Generation int64
	Removed    bool
	Took       time.Duration // since it was taken in
}

// Want is an object as somebody wrote it, or its removal.
type Want struct {
	Group, Kind string
	Name        types.NamespacedName
	// UID of the object that was written or removed. Empty: whichever there is.
	UID types.UID
	// Generation that the object had after it was written; 0 for kinds that have none.
	Generation int64
	// ResourceVersion that the object had after it was written, or was last known to have before it was removed. Without it, a
	// write that changes no generation (a Service, a Secret) may be taken for one before it, the removal of an object that this
	// replica has not seen yet for done, and a write that was undone by somebody else is waited for.
	ResourceVersion string
	// Removed: the object is to be gone.
	Removed bool
}

// Records has a record of every object, and of those that were removed lately. Not safe for concurrent use.
type Records struct {
	fleetOf  func(gateway types.NamespacedName) string
	onDemand func(kube.Kind) bool
	byRef    map[kube.Ref]*Record
	open     map[string]map[kube.Ref]struct{} // by fleet
	gone     []kube.Ref                       // removed, oldest first
	unseen   map[kube.Ref]struct{}            // removed at a version that is not known
}

// New makes empty Records. fleetOf names the proxies of a Gateway; onDemand tells the kinds of which only those objects are taken in that
// something names.
func New(fleetOf func(types.NamespacedName) string, onDemand func(kube.Kind) bool) *Records {
	return &Records{fleetOf: fleetOf, onDemand: onDemand, byRef: map[kube.Ref]*Record{}, open: map[string]map[kube.Ref]struct{}{},
		unseen: map[kube.Ref]struct{}{}}
}

// Get gives the record of an object, or nil.
func (r *Records) Get(ref kube.Ref) *Record { return r.byRef[ref] }

// Open tells whether an object is not acknowledged by every proxy of a fleet.
func (r *Records) Open(fleet string, ref kube.Ref) bool {
	_, open := r.open[fleet][ref]
	return open
}

// Take brings the objects of a batch in, with what a step made of them; p is the point up to which everything is in then.
func (r *Records) Take(batch []kube.Change, e *engine.Effects, p live.Point, now time.Time) {
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
		r.put(&c, append(concerns[ref], r.fleetsOf(attached[ref])...), p, now)
	}
	r.bury()
}

// fleetsOf lists the fleets that a route is attached to, which concerns them even if it changes nothing there.
func (r *Records) fleetsOf(route *resolve.RouteResult) (fleets []string) {
	if route == nil {
		return nil
	}
	for i := range route.Parents {
		if len(route.Parents[i].Listeners) > 0 {
			fleets = append(fleets, r.fleetOf(route.Parents[i].Gateway))
		}
	}
	return fleets
}

// same tells whether an object is what it was, but for its status.
func (r *Records) same(ref kube.Ref, o kube.Object) bool {
	old := r.byRef[ref]
	switch {
	case o == nil:
		return old == nil || old.Removed
	case old == nil || old.Removed || old.UID != o.GetUID():
		return false
	case o.GetGeneration() > 0:
		return old.Generation == o.GetGeneration()
	default:
		return old.Version == Version(o.GetResourceVersion())
	}
}

// put records one object as it is now, or that it is not any more.
func (r *Records) put(c *kube.Change, concerns []string, p live.Point, now time.Time) {
	ref, o := kube.Ref{Kind: c.Kind, Name: c.Name}, c.Object
	old := r.byRef[ref]
	next := &Record{Since: now}
	delete(r.unseen, ref)
	if o == nil {
		next.UID, next.Generation, next.Removed = old.UID, old.Generation, true
		switch {
		case c.Unseen:
			next.Version = unknown
			r.unseen[ref] = struct{}{}
		case int(ref.Kind) < len(p):
			next.Version = p[ref.Kind] // not before its own
		}
		r.gone = append(r.gone, ref)
	} else {
		next.UID, next.Generation, next.Version = o.GetUID(), o.GetGeneration(), Version(o.GetResourceVersion())
	}
	next.Fleets = slices.Clone(concerns)
	if old != nil {
		next.Fleets = append(next.Fleets, old.open...)
		for _, fleet := range old.open {
			delete(r.open[fleet], ref)
		}
		if next.Removed {
			next.Fleets = append(next.Fleets, old.Fleets...)
		}
	}
	slices.Sort(next.Fleets)
	next.Fleets = slices.Compact(next.Fleets)
	next.open = slices.Clone(next.Fleets)
	for _, fleet := range next.open {
		if r.open[fleet] == nil {
			r.open[fleet] = map[kube.Ref]struct{}{}
		}
		r.open[fleet][ref] = struct{}{}
	}
	r.byRef[ref] = next
}

// Known is told of a point that everything is in that was read before a time. Removals that were not watched, and were taken in by then, are
// known to have happened by that point. It tells whether there are any.
func (r *Records) Known(p live.Point, by time.Time) (some bool) {
	for ref := range r.unseen {
		o := r.byRef[ref]
		if o == nil || !o.Since.Before(by) || int(ref.Kind) >= len(p) {
			continue
		}
		o.Version, some = p[ref.Kind], true
		delete(r.unseen, ref)
	}
	return some
}

// bury forgets the oldest removals, but for those that are not live.
func (r *Records) bury() {
	for len(r.gone) > tombstones {
		if o := r.byRef[r.gone[0]]; o != nil && o.Removed {
			if len(o.open) > 0 {
				return
			}
			delete(r.byRef, r.gone[0])
		}
		r.gone = r.gone[1:]
	}
}

// Reached is told that everything up to a point is acknowledged in all of a fleet but for the objects that are refused. It lists the
// objects that are live there now, and those that are everywhere.
func (r *Records) Reached(fleet string, p live.Point, refused func(kube.Ref) bool, now time.Time) (refs []kube.Ref, done []Settled) {
	for ref := range r.open[fleet] {
		o := r.byRef[ref]
		if !p.Covers(int(ref.Kind), o.Version) || refused(ref) {
			continue
		}
		o.open = slices.DeleteFunc(o.open, func(f string) bool { return f == fleet })
		delete(r.open[fleet], ref)
		if len(o.open) == 0 {
			done = append(done, Settled{ref, o.Generation, o.Removed, now.Sub(o.Since)})
		}
		refs = append(refs, ref)
	}
	return refs, done
}

// Forget drops a fleet: what was to come to it is of no matter any more.
func (r *Records) Forget(fleet string) {
	for ref := range r.open[fleet] {
		o := r.byRef[ref]
		o.open = slices.DeleteFunc(o.open, func(f string) bool { return f == fleet })
	}
	delete(r.open, fleet)
}

// Find gives what a want came to. in tells whether everything up to p is enough to know that.
func (r *Records) Find(k kube.Kind, w *Want, p live.Point) (o *Record, in bool) {
	o = r.byRef[kube.Ref{Kind: k, Name: w.Name}]
	if o != nil && o.Version == unknown {
		return o, false
	}
	return o, r.in(k, o, w, p)
}

func (r *Records) in(k kube.Kind, o *Record, w *Want, p live.Point) bool {
	version := Version(w.ResourceVersion)
	if o != nil && !o.Removed && (o.UID == w.UID || w.UID == "") {
		return !w.Removed && o.Generation >= w.Generation && (o.Generation > 0 || o.Version >= version)
	}
	return p.Covers(int(k), version) && (w.Removed || version > 0 || r.absent(k, o, w))
}

// absent tells whether something that is not there is not any more, rather than not yet. Of kinds that are read on demand, objects that
// nothing names are never there.
func (r *Records) absent(k kube.Kind, o *Record, w *Want) bool {
	if o != nil && !o.Removed {
		return false
	}
	return r.onDemand(k) || o != nil && (o.UID == w.UID || w.UID == "")
}

// Version reads a resource version. The API server's are numbers that grow, the same for all kinds; any other gives 0.
func Version(version string) uint64 {
	n, err := strconv.ParseUint(version, 10, 64)
	if err != nil {
		return 0
	}
	return n
}
