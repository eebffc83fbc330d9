package plan

import (
	"cmp"
	"strings"
	"testing"

	"headgate.dev/render/object"
)

// me is the Sync of the tests.
var me = Owner{Namespace: "team-a", Name: "shop"}

// parseID reads "group/Kind namespace/name", "Kind name".
func parseID(t testing.TB, text string) object.ID {
	t.Helper()
	fields := strings.Fields(text)
	if len(fields) != 2 {
		t.Fatalf("%q is no object", text)
	}
	var id object.ID
	id.Group, id.Kind = object.SplitAPIVersion(fields[0])
	id.Namespace, id.Name = object.SplitAPIVersion(fields[1])
	return id
}

// made makes an object of an ID with something in it.
func made(t testing.TB, id object.ID, content map[string]any) *object.Object {
	t.Helper()
	out := shallow(content)
	out["apiVersion"] = strings.TrimPrefix(id.Group+"/v1", "/")
	out["kind"] = id.Kind
	metadata := child(out, "metadata")
	metadata["name"] = id.Name
	if id.Namespace != "" {
		metadata["namespace"] = id.Namespace
	}
	if kindOf(id) == definitionKind {
		plural, group, _ := strings.Cut(id.Name, ".")
		out["spec"] = map[string]any{"group": group, "names": map[string]any{"kind": strings.ToUpper(plural[:1]) + plural[1:len(plural)-1]}}
	}
	o, err := object.New(out, object.Origin{File: cmp.Or(id.Name, "x") + ".yaml", Line: 1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func setOf(t testing.TB, objects ...*object.Object) *object.Set {
	t.Helper()
	set, errs := object.NewSet(objects)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	return set
}
