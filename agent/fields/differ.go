package fields

import (
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/api/resource"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
)

// quantities are the fields whose values, by name, are quantities of Kubernetes.
var quantities = []string{"requests", "limits", "capacity", "hard", "overhead", "default", "defaultRequest", "min", "max"}

// same tells whether two values mean the same at a path: numbers are compared as such, quantities by what they amount to (1000m is 1).
func same(a, b any, path fieldpath.Path) bool {
	if sameJSON(a, b) {
		return true
	}
	if len(path) < 2 {
		return false
	}
	of := path[len(path)-2].FieldName
	if of == nil || !slices.Contains(quantities, *of) {
		return false
	}
	qa, okA := quantity(a)
	qb, okB := quantity(b)
	return okA && okB && qa.Cmp(qb) == 0
}

func quantity(v any) (resource.Quantity, bool) {
	if s, ok := v.(string); ok {
		q, err := resource.ParseQuantity(s)
		return q, err == nil
	}
	if n, ok := v.(int64); ok {
		return *resource.NewQuantity(n, resource.DecimalSI), true
	}
	return resource.Quantity{}, false
}

// differ adds what differs between two values, as deep inside as they are of the same form.
func (c *comparison) differ(at spot) {
	before := len(c.changes)
	switch applied := at.applied.(type) {
	case map[string]any:
		if live, ok := at.live.(map[string]any); ok {
			c.differMaps(at, applied, live)
		}
	case []any:
		if live, ok := at.live.([]any); ok {
			c.differLists(at, applied, live)
		}
	}
	if len(c.changes) == before {
		c.add(Changed, at) // other forms, or the order alone
	}
}

func (c *comparison) differMaps(at spot, applied, live map[string]any) {
	keys := slices.Sorted(maps.Keys(applied))
	for key := range live {
		if _, ours := applied[key]; !ours {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	for _, key := range keys {
		a, inApplied := applied[key]
		b, inLive := live[key]
		c.pair(at.with(fieldpath.FieldNameElement(key), a, side{b, inLive}), inApplied)
	}
}

// side is a value that may be there or not.
type side struct {
	value any
	there bool
}

// with goes one element deeper, by the same element in both objects.
func (s spot) with(e fieldpath.PathElement, applied any, live side) spot {
	return spot{
		path: append(slices.Clip(s.path), e), livePath: append(slices.Clip(s.livePath), e),
		applied: applied, live: live.value, here: live.there,
	}
}

// pair compares two values that belong together, one of which may not be there.
func (c *comparison) pair(at spot, inApplied bool) {
	switch {
	case !at.here:
		c.add(Removed, at)
	case !inApplied:
		c.add(Added, at)
	case !same(at.applied, at.live, at.path):
		c.differ(at)
	}
}

// differLists compares lists that are owned as a whole. Items with names belong together by them, others by how much of them is the same.
func (c *comparison) differLists(at spot, applied, live []any) {
	namesA, okA := names(applied)
	namesB, okB := names(live)
	if okA && okB {
		c.differNamed(at, byName(namesA, applied), byName(namesB, live), slices.Concat(namesA, namesB))
		return
	}
	for _, p := range align(applied, live) {
		next := spot{path: at.path, livePath: at.livePath}
		if p.a >= 0 {
			next.applied, next.path = applied[p.a], append(slices.Clip(at.path), fieldpath.IndexElement(p.a))
		}
		if p.b >= 0 {
			next.live, next.here, next.livePath = live[p.b], true, append(slices.Clip(at.livePath), fieldpath.IndexElement(p.b))
		}
		if p.a < 0 {
			next.path = next.livePath
		}
		c.pair(next, p.a >= 0)
	}
}

func (c *comparison) differNamed(at spot, applied, live map[string]any, order []string) {
	done := map[string]bool{}
	for _, name := range order {
		if done[name] {
			continue
		}
		done[name] = true
		a, inApplied := applied[name]
		b, inLive := live[name]
		c.pair(at.with(fieldpath.KeyElementByFields("name", name), a, side{b, inLive}), inApplied)
	}
}

// names gives the names of the items, where each has one and no two have the same.
func names(items []any) ([]string, bool) {
	var out []string
	seen := map[string]bool{}
	for _, item := range items {
		m, _ := item.(map[string]any)
		name := text(m, "name")
		if name == "" || seen[name] {
			return nil, false
		}
		seen[name] = true
		out = append(out, name)
	}
	return out, true
}

func byName(names []string, items []any) map[string]any {
	out := make(map[string]any, len(items))
	for i, name := range names {
		out[name] = items[i]
	}
	return out
}
