package drift

import (
	"slices"

	"headgate.dev/agent/plan"
	"headgate.dev/agent/preview"
	"headgate.dev/render/object"
)

// Attached is an object that Gateways took: a route, or a listener set.
type Attached struct {
	Object object.ID
	Labels map[string]string
	// To are the Gateways that accepted it.
	To []object.ID
}

// Stranger is something that a Gateway took and that comes from nowhere.
type Stranger struct {
	Object, Gateway object.ID
}

// Strangers gives what the Gateways among the objects took and neither a Sync nor a preview owns, sorted.
func Strangers(gateways []object.ID, all []Attached) []Stranger {
	var out []Stranger
	for i := range all {
		a := &all[i]
		if plan.ReadMark(a.Labels, nil).Owner != (plan.Owner{}) || a.Labels[preview.LabelPreview] != "" {
			continue
		}
		for _, g := range a.To {
			s := Stranger{Object: a.Object, Gateway: g}
			if slices.Contains(gateways, g) && !slices.Contains(out, s) {
				out = append(out, s)
			}
		}
	}
	slices.SortFunc(out, func(a, b Stranger) int {
		if c := object.Compare(a.Object, b.Object); c != 0 {
			return c
		}
		return object.Compare(a.Gateway, b.Gateway)
	})
	return out
}
