package engine

import (
	"slices"

	"headgate.dev/proxy/incr"
	"headgate.dev/proxy/kube"
)

// because are the objects of a batch that are the reason for something. It is shared and never written to.
type because []kube.Ref

// dirty is what has to be worked on, each with the objects that are the reason.
type dirty[K comparable] struct {
	keys map[K]*reasons
	now  *because // the reason for whatever is added now
}

// reasons collects the reasons for one key. Nearly always there is one slice, and it is another's.
type reasons struct {
	refs because
	last *kube.Ref // the begin of the slice that was added last
	own  bool
}

// Add marks keys, for the present reason.
func (d *dirty[K]) Add(keys ...K) {
	if d.keys == nil && len(keys) > 0 {
		d.keys = make(map[K]*reasons, len(keys))
	}
	for _, k := range keys {
		r := d.keys[k]
		if r == nil {
			r = &reasons{}
			d.keys[k] = r
		}
		r.add(*d.now)
	}
}

func (r *reasons) add(why because) {
	if len(why) == 0 || r.last == &why[0] {
		return
	}
	r.last = &why[0]
	switch {
	case r.refs == nil:
		r.refs = why
		return
	case !r.own:
		r.refs, r.own = slices.Clone(r.refs), true
	}
	r.refs = append(r.refs, why...)
}

// all gives the reasons, each once.
func (r *reasons) all() because {
	if r.own {
		slices.SortFunc(r.refs, kube.CompareRefs)
		r.refs, r.own = slices.Compact(r.refs), false
	}
	return r.refs
}

// each works on the keys in their order.
func (d *dirty[K]) each(compare func(K, K) int, work func(K)) {
	order := make([]K, 0, len(d.keys))
	for k := range d.keys {
		order = append(order, k)
	}
	slices.SortFunc(order, compare)
	for _, k := range order {
		*d.now = d.keys[k].all()
		work(k)
	}
	*d.now = nil
}

// by makes objects the reason for what is marked from now on.
func (s *step) by(refs ...kube.Ref) { s.now = refs }

// concern notes that the present reasons have a part in what a fleet has.
func (s *step) concern(fleet string) {
	if len(s.now) == 0 {
		return
	}
	if c := (concerned{&s.now[0], len(s.now), fleet}); c != s.lastConcern {
		s.lastConcern = c
		for _, ref := range s.now {
			s.concerns.Add(Concern{Object: ref, Fleet: fleet})
		}
	}
}

// concerned is a slice of reasons and a fleet.
type concerned struct {
	first *kube.Ref
	n     int
	fleet string
}

// Concern is an object of the batch that has a part in what a fleet has, or had before: as long as the proxies of the fleet have
// not acknowledged the step, the object is not live.
type Concern struct {
	Object kube.Ref
	Fleet  string
}

func compareConcerns(a, b Concern) int {
	if c := kube.CompareRefs(a.Object, b.Object); c != 0 {
		return c
	}
	return incr.Compare(a.Fleet, b.Fleet)
}
