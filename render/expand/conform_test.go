package expand

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/render/object"
	"headgate.dev/schema"
)

// corpus gives every spec of the golden files that decodes.
func corpus(t testing.TB) []schema.Spec {
	archives, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(archives) == 0 {
		t.Fatalf("no archives: %v", err)
	}
	var out []schema.Spec
	for _, path := range archives {
		archive, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range archive.Files {
			if !strings.HasSuffix(f.Name, ".yaml") {
				continue
			}
			documents, _ := schema.Documents(f.Name, f.Data, schema.Limits{})
			for _, doc := range documents {
				if spec, errs := schema.Decode(doc.Root); len(errs) == 0 {
					out = append(out, spec)
				}
			}
		}
	}
	return out
}

// What is generated is Gateway API: every field is one of its types.
func TestObjectsAreGatewayAPI(t *testing.T) {
	n := 0
	for _, spec := range corpus(t) {
		objects, _ := Spec(spec, Context{Gateway: "infra/public"})
		for _, o := range objects {
			n++
			var into any
			switch o.ID.Kind {
			case "HTTPRoute":
				into = &gatewayv1.HTTPRoute{}
			case "Gateway":
				into = &gatewayv1.Gateway{}
			case "ReferenceGrant":
				into = &gatewayv1.ReferenceGrant{}
			default:
				t.Errorf("%s is of no kind expected here", o.ID)
				continue
			}
			d := json.NewDecoder(bytes.NewReader(object.AppendJSON(nil, o.Content)))
			d.DisallowUnknownFields()
			if err := d.Decode(into); err != nil {
				t.Errorf("%s: %v", o.ID, err)
			}
		}
	}
	if n < 50 {
		t.Errorf("only %d objects were looked at", n)
	}
}

// An expansion must not change what it expands, or share what patches write to.
func TestExpandTwice(t *testing.T) {
	for _, spec := range corpus(t) {
		first, _ := Spec(spec, Context{Gateway: "infra/public"})
		again, _ := Spec(spec, Context{Gateway: "infra/public"})
		if len(first) != len(again) {
			t.Fatalf("%s: %d objects, then %d", spec.Meta().Name, len(first), len(again))
		}
		for i := range first {
			if first[i].ID != again[i].ID || first[i].Digest != again[i].Digest {
				t.Errorf("%s is another the second time", first[i].ID)
			}
		}
	}
}

// Whatever decodes expands to objects of different names within Gateway API's limits, or to errors with a place.
func FuzzExpand(f *testing.F) {
	archives, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range archives {
		archive, err := txtar.ParseFile(path)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range archive.Files {
			if strings.HasSuffix(file.Name, ".yaml") {
				f.Add(file.Data)
			}
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		documents, _ := schema.Documents("f.yaml", data, schema.Limits{Bytes: 1 << 14})
		for _, doc := range documents {
			spec, errs := schema.Decode(doc.Root)
			if len(errs) > 0 {
				continue
			}
			objects, errs := Spec(spec, Context{Gateway: "infra/public"})
			if len(objects) == 0 && len(errs) == 0 {
				t.Error("neither objects nor errors")
			}
			for _, e := range errs {
				if e.Line < 1 || e.Message == "" {
					t.Errorf("no place: %#v", e)
				}
			}
			seen := map[object.ID]bool{}
			for _, o := range objects {
				if seen[o.ID] || o.ID.Namespace != spec.Meta().Namespace {
					t.Errorf("%s is there twice or in another namespace", o.ID)
				}
				seen[o.ID] = true
				if len(o.Fields) > 0 && o.OriginOf("/spec/rules/0/matches/0").Line < 1 {
					t.Errorf("%s has no origin", o.ID)
				}
			}
		}
	})
}
