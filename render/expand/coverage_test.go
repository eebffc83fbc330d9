package expand

import (
	"os"
	"reflect"
	"strings"
	"testing"

	"headgate.dev/schema"
)

// What the reference says a field of a spec reaches, some golden file has in an object.
func TestReferenceIsTrue(t *testing.T) {
	data, err := os.ReadFile("../../schema/README.md")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, specs := range corpus(t) {
		for _, o := range expandAll(specs) {
			record(seen, o.ID.Kind+" spec", o.Content["spec"])
		}
	}
	_, part, _ := strings.Cut(string(data), "\n## Gateway API\n")
	kind, rows := "", 0
	for line := range strings.Lines(part) {
		if heading, ok := strings.CutPrefix(line, "### "); ok {
			kind = strings.TrimSpace(heading)
		}
		cells := strings.Split(strings.Trim(line, "|\n"), "|")
		if len(cells) != 2 || !strings.HasPrefix(line, "| `") || !strings.Contains(cells[1], "`spec.") {
			continue // reached by a patch or as it is
		}
		rows++
		if field := kind + " " + strings.Trim(cells[0], " `"); !seen[field] {
			t.Errorf("%s is said to be reached by%s, but no golden file does", field, cells[1])
		}
	}
	if rows < 150 {
		t.Errorf("only %d fields were looked at", rows)
	}
}

func record(seen map[string]bool, at string, v any) {
	seen[at] = true
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			record(seen, at+"."+key, value)
		}
	case []any:
		for _, item := range v {
			record(seen, at+"[]", item)
		}
	}
}

// Every field of a spec has a golden file.
func TestEveryFieldHasAGolden(t *testing.T) {
	set := map[string]bool{}
	for _, specs := range corpus(t) {
		for _, spec := range specs {
			given(set, reflect.ValueOf(spec).Elem())
		}
	}
	all := map[string]bool{}
	fieldsOf(all, map[reflect.Type]bool{}, reflect.TypeFor[schema.ServiceSpec]())
	fieldsOf(all, map[reflect.Type]bool{}, reflect.TypeFor[schema.GatewaySpec]())
	for field := range all {
		if !set[field] {
			t.Errorf("%s is in no golden file", field)
		}
	}
	if len(all) < 100 {
		t.Errorf("only %d fields were looked at", len(all))
	}
}

// given notes the fields of a value that are not zero: "Route.Path".
func given(set map[string]bool, v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			given(set, v.Elem())
		}
	case reflect.Slice:
		for i := range v.Len() {
			given(set, v.Index(i))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() && !v.Field(i).IsZero() {
				set[v.Type().Name()+"."+f.Name] = true
				given(set, v.Field(i))
			}
		}
	}
}

// fieldsOf notes the fields of a type, and of all types in it.
func fieldsOf(all map[string]bool, done map[reflect.Type]bool, t reflect.Type) {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || done[t] {
		return
	}
	done[t] = true
	for i := range t.NumField() {
		f := t.Field(i)
		lacking := t.Name() == "GRPCBackend" && f.Name == "Rewrite" ||
			t.Name() == "StreamBackend" && (f.Name == "Rewrite" || strings.HasSuffix(f.Name, "Headers"))
		if f.IsExported() && !lacking {
			all[t.Name()+"."+f.Name] = true
			fieldsOf(all, done, f.Type)
		}
	}
}
