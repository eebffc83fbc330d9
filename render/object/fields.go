package object

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// FieldChange is one field of an object that is not what it was.
type FieldChange struct {
	// Field is the path as people write it: spec.rules[0].timeouts.request, metadata.annotations["a.b/c"].
	Field string
	// Pointer is the same as an RFC 6901 JSON pointer, for OriginOf.
	Pointer string
	// Old and New are the values as printed: a string as it is, everything else as JSON, what is secret masked. Added
	// and Removed tell which of them there is not.
	Old, New       string
	Added, Removed bool
}

// Changes lists the fields in which two versions of an object differ, in the order of their paths. The values of Secrets
// are hidden, but that they differ is said. Of two lists what is equal at the begin and at the end is left out; what lies
// between is compared in its order.
func Changes(old, next *Object) []FieldChange {
	c := &comparison{}
	c.compare("", "", pair{old.Content, old.Masked()}, pair{next.Content, next.Masked()})
	return c.out
}

// pair is a value and what is shown of it.
type pair struct{ value, shown any }

func (p pair) key(name string) (pair, bool) {
	m, _ := p.value.(map[string]any)
	v, has := m[name]
	if shown, ok := p.shown.(map[string]any); ok {
		return pair{v, shown[name]}, has
	}
	return pair{v, p.shown}, has // masked as a whole
}

func (p pair) index(i int) pair {
	v := p.value.([]any)[i]
	if shown, ok := p.shown.([]any); ok {
		return pair{v, shown[i]}
	}
	return pair{v, p.shown}
}

type comparison struct{ out []FieldChange }

func (c *comparison) compare(field, pointer string, a, b pair) {
	if reflect.DeepEqual(a.value, b.value) {
		return
	}
	am, isMap := a.value.(map[string]any)
	bm, both := b.value.(map[string]any)
	if isMap && both {
		c.maps(field, pointer, a, b, keysOf(am, bm))
		return
	}
	al, isList := a.value.([]any)
	bl, both := b.value.([]any)
	if isList && both {
		c.lists(field, pointer, a, b, [2]int{len(al), len(bl)})
		return
	}
	c.out = append(c.out, FieldChange{Field: field, Pointer: pointer, Old: shown(a.shown), New: shown(b.shown)})
}

func keysOf(a, b map[string]any) []string {
	keys := slices.Collect(maps.Keys(a))
	for key := range b {
		if _, has := a[key]; !has {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

func (c *comparison) maps(field, pointer string, a, b pair, keys []string) {
	for _, key := range keys {
		old, had := a.key(key)
		next, has := b.key(key)
		name, place := member(field, key), pointer+"/"+strings.NewReplacer("~", "~0", "/", "~1").Replace(key)
		switch {
		case !had:
			c.out = append(c.out, FieldChange{Field: name, Pointer: place, New: shown(next.shown), Added: true})
		case !has:
			c.out = append(c.out, FieldChange{Field: name, Pointer: place, Old: shown(old.shown), Removed: true})
		default:
			c.compare(name, place, old, next)
		}
	}
}

// lists compares two lists of n[0] and n[1] elements.
func (c *comparison) lists(field, pointer string, a, b pair, n [2]int) {
	equal := func(i, j int) bool { return reflect.DeepEqual(a.index(i).value, b.index(j).value) }
	begin, end := 0, 0
	for begin < min(n[0], n[1]) && equal(begin, begin) {
		begin++
	}
	for end < min(n[0], n[1])-begin && equal(n[0]-1-end, n[1]-1-end) {
		end++
	}
	for i := begin; i < max(n[0], n[1])-end; i++ {
		name, place := fmt.Sprintf("%s[%d]", field, i), fmt.Sprintf("%s/%d", pointer, i)
		switch {
		case i >= n[0]-end:
			c.out = append(c.out, FieldChange{Field: name, Pointer: place, New: shown(b.index(i).shown), Added: true})
		case i >= n[1]-end:
			c.out = append(c.out, FieldChange{Field: name, Pointer: place, Old: shown(a.index(i).shown), Removed: true})
		default:
			c.compare(name, place, a.index(i), b.index(i))
		}
	}
}

func member(field, key string) string {
	plain := key != "" && !strings.ContainsFunc(key, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
	})
	switch {
	case !plain:
		return fmt.Sprintf("%s[%q]", field, key)
	case field == "":
		return key
	default:
		return field + "." + key
	}
}

func shown(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	return string(AppendJSON(nil, v))
}
