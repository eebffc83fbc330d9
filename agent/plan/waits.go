package plan

import (
	"slices"

	"headgate.dev/render/object"
)

// waits knows the namespaces and definitions that a plan makes.
type waits struct {
	namespaces  map[string]object.ID
	definitions map[kind]object.ID
}

// newWaits reads what a plan makes. A namespace that is there already keeps nothing waiting; a definition that changes does, as it is not
// known whether the old one would take the object.
func newWaits(writes []Write) waits {
	w := waits{namespaces: map[string]object.ID{}, definitions: map[kind]object.ID{}}
	for _, write := range writes {
		id := write.Object.ID
		switch kindOf(id) {
		case namespaceKind:
			if write.Action == Create {
				w.namespaces[id.Name] = id
			}
		case definitionKind:
			if defined, ok := definedBy(write.Object.Content); ok {
				w.definitions[defined] = id
			}
		}
	}
	return w
}

// definedBy gives the kind that a custom resource definition defines.
func definedBy(content map[string]any) (kind, bool) {
	spec, _ := content["spec"].(map[string]any)
	names, _ := spec["names"].(map[string]any)
	group, _ := spec["group"].(string)
	name, _ := names["kind"].(string)
	return kind{group, name}, group != "" && name != ""
}

func (w waits) of(o *object.Object) []object.ID {
	var out []object.ID
	if id, ok := w.namespaces[o.ID.Namespace]; ok && o.ID.Namespace != "" {
		out = append(out, id)
	}
	if id, ok := w.definitions[kindOf(o.ID)]; ok {
		out = append(out, id)
	}
	slices.SortFunc(out, object.Compare)
	return out
}
