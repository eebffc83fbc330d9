package kube

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
)

// Decode makes a Change of an object as JSON values (map[string]any, []any, string, bool, int64, float64, nil). known
// is false for a kind that no Snapshot keeps; the error then is nil. The error of a known kind says which object, and
// which of its values does not fit the type.
func Decode(content map[string]any) (c Change, known bool, err error) {
	apiVersion, _ := content["apiVersion"].(string)
	name, _ := content["kind"].(string)
	group, version := "", apiVersion
	if i := strings.LastIndexByte(apiVersion, '/'); i >= 0 {
		group, version = apiVersion[:i], apiVersion[i+1:]
	}
	k, ok := KindOf(group, name)
	if !ok {
		return Change{}, false, nil
	}
	if !slices.Contains(kinds[k].versions, version) {
		return Change{}, true, fmt.Errorf("reading %s %s: version %q is not served; write one of %s",
			name, nameIn(content), version, strings.Join(kinds[k].versions, ", "))
	}
	o := kinds[k].empty()
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(content, o); err != nil {
		return Change{}, true, fmt.Errorf("reading %s %s: %w", name, nameIn(content), explain(content, kinds[k].empty(), err))
	}
	return ChangeOf(k, o), true, nil
}

// explain finds out which field does not fit: the converter, which is fast, does not say; the JSON decoder does.
func explain(content map[string]any, o Object, cause error) error {
	data, err := json.Marshal(content)
	if err != nil {
		return cause
	}
	var wrong *json.UnmarshalTypeError
	switch err := json.Unmarshal(data, o); {
	case errors.As(err, &wrong):
		return fmt.Errorf("%s: found a %s, expected %s", fieldPath(wrong.Field), wrong.Value, wrong.Type)
	case err != nil:
		return err
	default:
		return cause
	}
}

// fieldPath writes the decoder's "spec.rules.0.name" as "spec.rules[0].name".
func fieldPath(field string) string {
	parts := strings.Split(field, ".")
	for i, p := range parts {
		switch {
		case strings.Trim(p, "0123456789") == "":
			parts[i] = "[" + p + "]"
		case i > 0:
			parts[i] = "." + p
		}
	}
	return strings.Join(parts, "")
}

// nameIn finds "namespace/name" for a message.
func nameIn(content map[string]any) string {
	meta, _ := content["metadata"].(map[string]any)
	name, _ := meta["name"].(string)
	if namespace, _ := meta["namespace"].(string); namespace != "" {
		return namespace + "/" + name
	}
	return name
}
