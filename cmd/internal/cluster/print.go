package cluster

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"headgate.dev/render/object"
)

// content gives an object as the API server has it, but for managedFields, as kubectl prints it.
func content(o client.Object) (map[string]any, error) {
	o.SetManagedFields(nil)
	data, err := json.Marshal(o)
	if err != nil {
		return nil, fmt.Errorf("encoding %s: %w", o.GetName(), err)
	}
	out := map[string]any{}
	if err := json.Unmarshal(data, &out); err != nil {
		return nil, fmt.Errorf("encoding %s: %w", o.GetName(), err)
	}
	if metadata, ok := out["metadata"].(map[string]any); ok && metadata["creationTimestamp"] == nil {
		delete(metadata, "creationTimestamp")
	}
	return out, nil
}

// writeJSON writes one object, or a List as kubectl does.
func writeJSON(w io.Writer, all []client.Object, one bool) error {
	items := make([]any, 0, len(all))
	for _, o := range all {
		item, err := content(o)
		if err != nil {
			return err
		}
		items = append(items, item)
	}
	var v any = map[string]any{"apiVersion": "v1", "kind": "List", "metadata": map[string]any{}, "items": items}
	if one && len(items) == 1 {
		v = items[0]
	}
	return encode(w, v)
}

func encode(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// writeYAML writes a document for each object.
func writeYAML(w io.Writer, all []client.Object) error {
	var list []*object.Object
	for _, o := range all {
		c, err := content(o)
		if err != nil {
			return err
		}
		printed, err := object.New(c, object.Origin{}, nil)
		if err != nil {
			return err
		}
		list = append(list, printed)
	}
	return object.WriteYAML(w, slices.Values(list), object.PrintOptions{})
}
