package forge

import "container/list"

// bounded is a map that forgets what was used longest ago, once the sizes in it exceed a bound. It has no lock.
type bounded[K comparable, V any] struct {
	max, used int
	size      func(V) int
	entries   map[K]*list.Element
	recent    *list.List // of entry, the last used in front
}

type entry[K comparable, V any] struct {
	key   K
	value V
	size  int
}

// newBounded makes one; a nil size counts entries.
func newBounded[K comparable, V any](limit int, size func(V) int) *bounded[K, V] {
	if size == nil {
		size = func(V) int { return 1 }
	}
	return &bounded[K, V]{max: limit, size: size, entries: map[K]*list.Element{}, recent: list.New()}
}

func (b *bounded[K, V]) get(k K) (V, bool) {
	e, ok := b.entries[k]
	if !ok {
		var none V
		return none, false
	}
	b.recent.MoveToFront(e)
	return e.Value.(entry[K, V]).value, true
}

func (b *bounded[K, V]) put(k K, v V) {
	b.drop(k)
	size := b.size(v)
	if size > b.max {
		return
	}
	b.entries[k] = b.recent.PushFront(entry[K, V]{k, v, size})
	b.used += size
	for b.used > b.max {
		b.drop(b.recent.Back().Value.(entry[K, V]).key)
	}
}

func (b *bounded[K, V]) drop(k K) {
	if e, ok := b.entries[k]; ok {
		b.used -= e.Value.(entry[K, V]).size
		b.recent.Remove(e)
		delete(b.entries, k)
	}
}
