// Package incr holds the small pieces that let the engine pay for a change and not for the world: a Relation that
// knows both directions of "A uses B", an Index that knows one, and a Set of keys whose results must be computed again.
//
// Nothing here knows Kubernetes or Envoy, and nothing is safe for concurrent use: one goroutine owns an engine.
package incr

import (
	"cmp"
	"slices"
)

// Relation is a many-to-many relation between keys of A and keys of B ("this route uses these clusters"), readable
// from both ends. The zero value is empty and ready.
type Relation[A, B comparable] struct {
	forward map[A][]B
	back    Index[B, A]
}

// Put makes bs exactly what a is related to and returns the difference to what it was: each b that came and each that
// went. Repeats in bs count once. Put(a, nil) forgets a. The relation keeps bs; the caller must not change it.
func (r *Relation[A, B]) Put(a A, bs []B) (added, removed []B) {
	old := r.forward[a]
	if slices.Equal(old, bs) {
		return nil, nil
	}
	for _, b := range old {
		if !slices.Contains(bs, b) {
			removed = append(removed, b)
			r.back.Remove(b, a)
		}
	}
	for _, b := range bs {
		if r.back.Add(b, a) {
			added = append(added, b)
		}
	}
	switch {
	case len(bs) > 0:
		if r.forward == nil {
			r.forward = map[A][]B{}
		}
		r.forward[a] = bs
	case old != nil:
		delete(r.forward, a)
	}
	return added, removed
}

// Of gives what a is related to, as it was put.
func (r *Relation[A, B]) Of(a A) []B { return r.forward[a] }

// Used tells whether any a is related to b.
func (r *Relation[A, B]) Used(b B) bool { return r.back.Has(b) }

// Users gives every a related to b in the order of compare.
func (r *Relation[A, B]) Users(b B, compare func(A, A) int) []A { return r.back.Of(b, compare) }

// Set is a set of keys to work on. The zero value is empty and ready.
type Set[K comparable] map[K]struct{}

// Add puts keys into the set.
func (s *Set[K]) Add(keys ...K) {
	if *s == nil && len(keys) > 0 {
		*s = make(Set[K], len(keys))
	}
	for _, k := range keys {
		(*s)[k] = struct{}{}
	}
}

// Sorted gives the keys in the order of less, so that work on them is done in the same order every time.
func (s Set[K]) Sorted(less func(K, K) int) []K {
	keys := make([]K, 0, len(s))
	for k := range s {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, less)
	return keys
}

// Compare orders keys that have an order of their own.
func Compare[K cmp.Ordered](a, b K) int { return cmp.Compare(a, b) }
