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
			c.differMaps(at.path, applied, live)
		}
	case []any:
		if live, ok := at.live.([]any); ok {
			c.differLists(at.path, applied, live)
		}
	}
	if len(c.changes) == before {
		c.add(Changed, at) // other forms, or the order alone
	}
}

func (c *comparison) differMaps(path fieldpath.Path, applied, live map[string]any) {
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
		c.pair(append(slices.Clip(path), fieldpath.FieldNameElement(key)), side{a, inApplied}, side{b, inLive})
	}
}

// side is a value that may be there or not.
type side struct {
	value any
	there bool
}

func (c *comparison) pair(path fieldpath.Path, applied, live side) {
	at := spot{path: path, applied: applied.value, live: live.value, here: live.there}
	switch {
	case !live.there:
		c.add(Removed, at)
	case !applied.there:
		c.add(Added, at)
	case !same(applied.value, live.value, path):
		c.differ(at)
	}
}

// differLists compares lists that are owned as a whole. Items with names belong together by them; others by their places, without what is the
// same at the beginning and at the end.
func (c *comparison) differLists(path fieldpath.Path, applied, live []any) {
	namesA, okA := names(applied)
	namesB, okB := names(live)
	if okA && okB {
		c.differNamed(path, byName(namesA, applied), byName(namesB, live), slices.Concat(namesA, namesB))
		return
	}
	head := 0
	for head < min(len(applied), len(live)) && sameJSON(applied[head], live[head]) {
		head++
	}
	tail := 0
	for tail < min(len(applied), len(live))-head && sameJSON(applied[len(applied)-1-tail], live[len(live)-1-tail]) {
		tail++
	}
	a, b := applied[head:len(applied)-tail], live[head:len(live)-tail]
	for i := range max(len(a), len(b)) {
		var sa, sb side
		if i < len(a) {
			sa = side{a[i], true}
		}
		if i < len(b) {
			sb = side{b[i], true}
		}
		c.pair(append(slices.Clip(path), fieldpath.IndexElement(head+i)), sa, sb)
	}
}

func (c *comparison) differNamed(path fieldpath.Path, applied, live map[string]any, order []string) {
	done := map[string]bool{}
	for _, name := range order {
		if done[name] {
			continue
		}
		done[name] = true
		a, inApplied := applied[name]
		b, inLive := live[name]
		c.pair(append(slices.Clip(path), fieldpath.KeyElementByFields("name", name)), side{a, inApplied}, side{b, inLive})
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
