package kustomize

import (
	"fmt"
	"maps"
	"reflect"
	"slices"

	"headgate.dev/schema/source"
)

// nearest gives `; did you mean "x"?` when a known name is near enough to be meant.
func nearest(name string, known map[string]reflect.Value) string {
	best := source.Nearest(name, slices.Sorted(maps.Keys(known)))
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", best)
}
