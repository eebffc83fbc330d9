package incr

import "slices"

// Index is a set of values for each key. Most keys have one or two values and some have thousands: a small set is a
// slice, which costs a sixth of a map's memory, a large one a map. The zero value is empty and ready.
type Index[K, V comparable] struct {
	sets map[K]*members[V]
}

type members[V comparable] struct {
	few  []V
	many map[V]struct{} // instead of few, from the first time there are more than maxFew
}

const maxFew = 8

// Add puts v into the set of k and tells whether it is new there.
func (x *Index[K, V]) Add(k K, v V) bool {
	set := x.sets[k]
	switch {
	case set == nil:
		if x.sets == nil {
			x.sets = map[K]*members[V]{}
		}
		x.sets[k] = &members[V]{few: []V{v}}
	case set.has(v):
		return false
	case set.many != nil:
		set.many[v] = struct{}{}
	case len(set.few) < maxFew:
		set.few = append(set.few, v)
	default:
		set.many = make(map[V]struct{}, 2*maxFew)
		for _, f := range set.few {
			set.many[f] = struct{}{}
		}
		set.many[v] = struct{}{}
		set.few = nil
	}
	return true
}

func (m *members[V]) has(v V) bool {
	if m.many != nil {
		_, has := m.many[v]
		return has
	}
	return slices.Contains(m.few, v)
}

// Remove takes v out of the set of k; taking out what is not there does nothing.
func (x *Index[K, V]) Remove(k K, v V) {
	set := x.sets[k]
	if set == nil {
		return
	}
	if set.many != nil {
		delete(set.many, v)
	} else if i := slices.Index(set.few, v); i >= 0 {
		set.few = slices.Delete(set.few, i, i+1)
	}
	if len(set.few)+len(set.many) == 0 {
		delete(x.sets, k)
	}
}

// Has tells whether the set of k has any value.
func (x *Index[K, V]) Has(k K) bool { return x.sets[k] != nil }

// Of gives the set of k in the order of compare.
func (x *Index[K, V]) Of(k K, compare func(V, V) int) []V {
	set := x.sets[k]
	if set == nil {
		return nil
	}
	out := make([]V, 0, len(set.few)+len(set.many))
	out = append(out, set.few...)
	for v := range set.many {
		out = append(out, v)
	}
	slices.SortFunc(out, compare)
	return out
}
