package admit

import (
	"testing"

	"headgate.dev/render/object"
	"headgate.dev/schema"
)

func parse(t testing.TB, name, text string) []*object.Object {
	t.Helper()
	docs, errs := schema.Documents(name, []byte(text), schema.Limits{})
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	var out []*object.Object
	for _, doc := range docs {
		o, err := object.FromDocument(doc.Root)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, o)
	}
	return out
}

const route = `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: shop, namespace: team-a}
spec:
  parentRefs: [{name: public, namespace: infra}]
  hostnames: [shop.example.com]
  rules:
  - matches: [{path: {type: PathPrefix, value: /api}}]
    timeouts: {request: 5s}
    backendRefs: [{name: shop, port: 8080}]
  - matches: [{path: {type: PathPrefix, value: /}}]
    backendRefs: [{name: shop, port: 8080}]
`

func BenchmarkAdmit(b *testing.B) {
	o := parse(b, "a.yaml", route)[0]
	if _, errs := Admit(o); len(errs) > 0 {
		b.Fatal(errs)
	}
	for b.Loop() {
		_, _ = Admit(o)
	}
}

func BenchmarkCompile(b *testing.B) {
	for _, name := range []string{"httproute", "gateway", "grpcroute", "referencegrant"} {
		b.Run(name, func(b *testing.B) {
			data, err := files.ReadFile("crds/" + name + ".json")
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if _, err := compile(data); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
