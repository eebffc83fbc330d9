package expand

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/render/admit"
	"headgate.dev/render/object"
	"headgate.dev/schema"
)

// corpus gives every spec of the golden files that decodes, file by file.
func corpus(t testing.TB) [][]schema.Spec {
	archives, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(archives) == 0 {
		t.Fatalf("no archives: %v", err)
	}
	var out [][]schema.Spec
	for _, path := range archives {
		archive, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range archive.Files {
			if !strings.HasSuffix(f.Name, ".yaml") {
				continue
			}
			specs, _ := decode(f.Name, f.Data)
			out = append(out, specs)
		}
	}
	return out
}

func expandAll(specs []schema.Spec) []*object.Object {
	c := Context{Gateway: "infra/public", Redirects: redirectsOf(specs)}
	var out []*object.Object
	for _, spec := range specs {
		objects, _ := Spec(spec, c)
		out = append(out, objects...)
	}
	return out
}

// What is generated is Gateway API: every field is one of its types.
func TestObjectsAreGatewayAPI(t *testing.T) {
	kinds := map[string]func() any{
		"HTTPRoute": func() any { return &gatewayv1.HTTPRoute{} }, "GRPCRoute": func() any { return &gatewayv1.GRPCRoute{} },
		"TCPRoute": func() any { return &gatewayv1.TCPRoute{} }, "UDPRoute": func() any { return &gatewayv1.UDPRoute{} },
		"TLSRoute": func() any { return &gatewayv1.TLSRoute{} }, "Gateway": func() any { return &gatewayv1.Gateway{} },
		"BackendTLSPolicy": func() any { return &gatewayv1.BackendTLSPolicy{} }, "ReferenceGrant": func() any { return &gatewayv1.ReferenceGrant{} },
	}
	n := map[string]int{}
	for _, specs := range corpus(t) {
		for _, o := range expandAll(specs) {
			n[o.ID.Kind]++
			if kinds[o.ID.Kind] == nil {
				t.Errorf("%s is of no kind expected here", o.ID)
				continue
			}
			into := kinds[o.ID.Kind]()
			d := json.NewDecoder(bytes.NewReader(object.AppendJSON(nil, o.Content)))
			d.DisallowUnknownFields()
			if err := d.Decode(into); err != nil {
				t.Errorf("%s: %v", o.ID, err)
			}
		}
	}
	for kind := range kinds {
		if n[kind] < 2 {
			t.Errorf("only %d objects of kind %s were looked at", n[kind], kind)
		}
	}
}

// What is generated is what an API server takes. The patches of the golden files are about patches, not about what is good.
func TestObjectsAreAdmitted(t *testing.T) {
	for _, specs := range corpus(t) {
		for _, o := range expandAll(specs) {
			if _, errs := admit.Admit(o); len(errs) > 0 {
				t.Errorf("%v", errs)
			}
		}
	}
}

// An expansion must not change what it expands, or share what patches write to.
func TestExpandTwice(t *testing.T) {
	for _, specs := range corpus(t) {
		first, again := expandAll(specs), expandAll(specs)
		if len(first) != len(again) {
			t.Fatalf("%d objects, then %d", len(first), len(again))
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
		if len(data) > 1<<14 {
			return
		}
		specs, _ := decode("f.yaml", data)
		c := Context{Gateway: "infra/public", Redirects: redirectsOf(specs)}
		for _, spec := range specs {
			objects, errs := Spec(spec, c)
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
				if len(o.Fields) > 0 && o.OriginOf("/spec/rules/0").Line < 1 {
					t.Errorf("%s has no origin", o.ID)
				}
			}
		}
	})
}
