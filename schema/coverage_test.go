package schema

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// crdField is a field as a definition of Gateway API has it.
type crdField struct {
	Properties map[string]*crdField
	Items      *crdField
}

// leaves yields the fields that have none of their own.
func (f *crdField) leaves(at string, yield func(path string)) {
	if f.Items != nil {
		f.Items.leaves(at+"[]", yield)
		return
	}
	for name, child := range f.Properties {
		child.leaves(at+"."+name, yield)
	}
	if len(f.Properties) == 0 {
		yield(at)
	}
}

// gatewayAPI gives the fields of all kinds of the standard channel: "HTTPRoute spec.hostnames[]".
func gatewayAPI(t *testing.T) map[string]bool {
	files, err := filepath.Glob("../render/admit/crds/*.json")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d definitions: %v", len(files), err)
	}
	fields := map[string]bool{}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var crd struct {
			Kind   string
			Schema crdField
		}
		if err := json.Unmarshal(data, &crd); err != nil {
			t.Fatal(err)
		}
		crd.Schema.Properties["spec"].leaves(crd.Kind+" spec", func(path string) { fields[path] = true })
	}
	return fields
}

// reached reads the table of the reference: a field of Gateway API, and by what it is reached.
func reached(t *testing.T) map[string][]string {
	data, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, part, ok := strings.Cut(string(data), "\n## Gateway API\n")
	if !ok {
		t.Fatal("the reference has no part about Gateway API")
	}
	out := map[string][]string{}
	kind := ""
	for line := range strings.Lines(part) {
		line = strings.TrimSpace(line)
		if rest, heading := strings.CutPrefix(line, "### "); heading {
			kind = rest
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		if len(cells) != 2 || !strings.HasPrefix(line, "| `") {
			continue
		}
		var by []string
		for way := range strings.SplitSeq(cells[1], ",") {
			by = append(by, strings.Trim(way, " `"))
		}
		out[kind+" "+strings.Trim(cells[0], " `")] = by
	}
	return out
}

// Every field of Gateway API's standard channel is reached by a field of a spec, a patch or a raw object, and each of
// these exists.
func TestEveryGatewayAPIField(t *testing.T) {
	fields, table := gatewayAPI(t), reached(t)
	for field := range fields {
		if len(table[field]) == 0 {
			t.Errorf("nothing says how %s is reached", field)
		}
	}
	known := specFields(t)
	for field, ways := range table {
		if !fields[field] {
			t.Errorf("there is no %s", field)
		}
		for _, way := range ways {
			if !slices.Contains([]string{"patch", "raw object"}, way) && !known[way] {
				t.Errorf("%s is said to be reached by %s, which is no field of a spec", field, way)
			}
		}
	}
	if len(fields) < 250 {
		t.Errorf("only %d fields were looked at", len(fields))
	}
}

// specFields gives the fields of both kinds of specs, as "spec.routes[].path", with and without "[]" at the end.
func specFields(t *testing.T) map[string]bool {
	out := map[string]bool{}
	for _, kind := range []string{KindServiceSpec, KindGatewaySpec} {
		data, err := JSONSchema(kind)
		if err != nil {
			t.Fatal(err)
		}
		var doc struct {
			Properties map[string]any
			Defs       map[string]any `json:"$defs"`
		}
		if err := json.Unmarshal(data, &doc); err != nil {
			t.Fatal(err)
		}
		var walk func(node any, at string)
		walk = func(node any, at string) {
			out[at] = true
			n, _ := node.(map[string]any)
			if ref, ok := n["$ref"].(string); ok {
				walk(doc.Defs[strings.TrimPrefix(ref, "#/$defs/")], at)
			}
			choices, _ := n["anyOf"].([]any)
			for _, choice := range choices {
				walk(choice, at)
			}
			if items, ok := n["items"]; ok {
				walk(items, at+"[]")
			}
			properties, _ := n["properties"].(map[string]any)
			for name, child := range properties {
				walk(child, at+"."+name)
			}
		}
		walk(doc.Properties["spec"], "spec")
	}
	return out
}
