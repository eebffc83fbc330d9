package schema

import (
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"golang.org/x/tools/txtar"
)

// index is a place in a list: what is changed there is changed the same way in every place.
var index = regexp.MustCompile(`\[\d+\]`)

// Decoder and JSON Schema agree on every document that has one value of a good one changed for something else.
func TestSchemaAndDecoderAgreeOnMutations(t *testing.T) {
	s := readSchema(t)
	archives, err := filepath.Glob("../render/expand/testdata/*.txtar")
	if err != nil || len(archives) == 0 {
		t.Fatalf("no archives: %v", err)
	}
	here := func(string) Position { return Position{File: "f.yaml", Line: 1, Column: 1} }
	seen := map[string]bool{}
	for _, path := range archives {
		archive, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range archive.Files {
			documents, _ := Documents(f.Name, f.Data, Limits{})
			for _, doc := range documents {
				if !IsSpec(doc.Root) || len(f.Data) > 2000 {
					continue
				}
				value := doc.Root.Value()
				mutate(value, "", func(what string) {
					key := doc.Root.TextOf("kind") + index.ReplaceAllString(what, "[]")
					if seen[key] {
						return
					}
					seen[key] = true
					s.compare(t, path+":"+f.Name+" with "+what, FromValue(value, here))
				})
			}
		}
	}
	if len(seen) < 3000 {
		t.Errorf("only %d changes were looked at", len(seen))
	}
}

// mutate calls f with each value below v changed in turn, and puts it back.
func mutate(v any, at string, f func(what string)) {
	others := []any{nil, true, int64(0), int64(7), int64(1 << 40), "", "a", "A b", "/x", "*", "a/b", "443", []any{}, []any{"a"}, []any{"a", "a"}, map[string]any{}, map[string]any{"unknown": "a"}}
	try := func(old any, set func(any), at string) {
		for _, other := range others {
			set(other)
			f(fmt.Sprintf("%s = %#v", at, other))
		}
		set(old)
		mutate(old, at, f)
	}
	switch v := v.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			if at == "" && (key == "apiVersion" || key == "kind") {
				continue
			}
			old := v[key]
			try(old, func(other any) { v[key] = other }, at+"."+key)
			delete(v, key)
			f(at + "." + key + " left out")
			v[key] = old
		}
		v["unknown"] = "x"
		f(at + " with an unknown field")
		delete(v, "unknown")
	case []any:
		for i := range v {
			try(v[i], func(other any) { v[i] = other }, fmt.Sprintf("%s[%d]", at, i))
		}
	}
}
