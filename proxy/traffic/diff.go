package traffic

import "slices"

// Change is one row that is not what it was. Before is nil for a row that came, After for one that went.
type Change struct {
	Before *Row `json:"before,omitempty"`
	After  *Row `json:"after,omitempty"`
}

// Diff compares the rows of one host before and after. Rows are the same when they stand for the same requests; a row
// whose answer and details stayed is left out, wherever it moved to. The changes are in the order of the rows after,
// followed by the rows that went.
func Diff(before, after []Row) []Change {
	type key struct{ host, request string }
	old := make(map[key][]*Row, len(before))
	for i := range before {
		k := key{before[i].Host, before[i].Request}
		old[k] = append(old[k], &before[i])
	}
	var changes []Change
	for i := range after {
		k := key{after[i].Host, after[i].Request}
		change := Change{After: &after[i]}
		if rows := old[k]; len(rows) > 0 {
			change.Before, old[k] = rows[0], rows[1:]
		}
		if change.Before == nil || !change.Before.same(change.After) {
			changes = append(changes, change)
		}
	}
	for i := range before {
		k := key{before[i].Host, before[i].Request}
		if slices.Contains(old[k], &before[i]) {
			changes = append(changes, Change{Before: &before[i]})
		}
	}
	return changes
}

func (r *Row) same(o *Row) bool { return r.Answer == o.Answer && slices.Equal(r.Details, o.Details) }
