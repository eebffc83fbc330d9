package object_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"headgate.dev/render/object"
	"headgate.dev/schema"
)

func TestChanges(t *testing.T) {
	read := func(text string) *object.Object {
		docs, errs := schema.Documents("x.yaml", []byte(text), schema.Limits{})
		if len(errs) > 0 {
			t.Fatal(errs)
		}
		o, err := object.FromDocument(docs[0].Root)
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	for _, c := range []struct{ name, old, next, want string }{
		{"nothing", "kind: A\nx: [1, 2]", "kind: A\nx: [1, 2]", ""},
		{"scalars", "kind: A\nx: 1\ny: {a: b}", "kind: A\nx: \"1\"\ny: {a: true}", "x: 1 → 1\ny.a: b → true\n"},
		{"names", "kind: A\nx: {a.b/c~d: 1}", "kind: A\nx: {e: null}", "x[\"a.b/c~d\"]: 1 → (gone)\nx.e: (new) → null\n"},
		{"lists", "kind: A\nx: [1, 2, 3]", "kind: A\nx: [1, 9, 8, 3]", "x[1]: 2 → 9\nx[2]: (new) → 8\n"},
		{"shorter", "kind: A\nx: [1, 2, 2, 3]", "kind: A\nx: [1, 2, 3]", "x[2]: 2 → (gone)\n"},
		{"in front", "kind: A\nx: [{a: 1}]", "kind: A\nx: [{b: 1}, {a: 1}]", "x[0]: (new) → {\"b\":1}\n"},
		{"kinds", "kind: A\nx: [1]", "kind: A\nx: {a: 1}", "x: [1] → {\"a\":1}\n"},
		{"secret", "kind: Secret\nstringData: {a: quiet, b: c}", "kind: Secret\nstringData: {a: hush, d: e}",
			"stringData.a: ***** → *****\nstringData.b: ***** → (gone)\nstringData.d: (new) → *****\n"},
		{"malformed secret", "kind: Secret\ndata: quiet", "kind: Secret\ndata: {a: hush}", "data: ***** → {\"a\":\"*****\"}\n"},
	} {
		head := "apiVersion: v1\nmetadata: {name: n}\n"
		var got strings.Builder
		for _, f := range object.Changes(read(head+c.old), read(head+c.next)) {
			old, next := f.Old, f.New
			if f.Added {
				old = "(new)"
			}
			if f.Removed {
				next = "(gone)"
			}
			fmt.Fprintf(&got, "%s: %s → %s\n", f.Field, old, next)
		}
		if diff := cmp.Diff(c.want, got.String()); diff != "" {
			t.Errorf("%s: wanted (-), got (+):\n%s", c.name, diff)
		}
	}
}
