package apply

import (
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/watch"

	"headgate.dev/render/object"
	"headgate.dev/schema"
)

// live reads an object from YAML.
func live(t *testing.T, text string) map[string]any {
	t.Helper()
	docs, errs := schema.Documents("live.yaml", []byte(text), schema.Limits{})
	if len(errs) > 0 || len(docs) != 1 {
		t.Fatal(errs)
	}
	return docs[0].Root.Value().(map[string]any)
}

func TestJudge(t *testing.T) {
	const route = `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: shop, generation: 2}
spec: {parentRefs: [{name: public}]}
`
	for _, c := range []struct {
		name, live string
		want       Verdict
	}{
		{"no status at all", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n", Verdict{Health: Healthy}},
		{"on its way out", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, deletionTimestamp: '2026-01-01T00:00:00Z'}\n",
			Verdict{Progressing, "it is being deleted"}},
		{"a Deployment that nobody has seen", "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a, generation: 2}\nstatus: {observedGeneration: 1}\n",
			Verdict{Progressing, "Deployment generation is 2, but latest observed generation is 1"}},
		{"a Deployment that is over its deadline", `
apiVersion: apps/v1
kind: Deployment
metadata: {name: a, generation: 1}
spec: {replicas: 1}
status:
  observedGeneration: 1
  conditions: [{type: Progressing, status: "False", reason: ProgressDeadlineExceeded}]
`, Verdict{Failed, "Progress deadline exceeded"}},
		{"a route that nobody has seen", route, Verdict{Progressing, "no controller has answered yet"}},
		{"a route that was seen before its change", route + `status:
  parents: [{conditions: [{type: Accepted, status: "True", observedGeneration: 1}, {type: ResolvedRefs, status: "True", observedGeneration: 1}]}]
`, Verdict{Progressing, "no controller has looked at its last change yet"}},
		{"a good route", route + `status:
  parents: [{conditions: [{type: Accepted, status: "True", observedGeneration: 2}, {type: ResolvedRefs, status: "True", observedGeneration: 2}]}]
`, Verdict{Health: Healthy}},
		{"one parent refuses", route + `status:
  parents:
  - conditions: [{type: Accepted, status: "True", observedGeneration: 2}, {type: ResolvedRefs, status: "True", observedGeneration: 2}]
  - conditions: [{type: Accepted, status: "False", observedGeneration: 2, reason: NotAllowedByListeners, message: none admits it}]
`, Verdict{Failed, "not Accepted (NotAllowedByListeners): none admits it"}},
		{"a Gateway that is pending", `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: a, generation: 1}
status:
  conditions: [{type: Accepted, status: Unknown, observedGeneration: 1, reason: Pending, message: Waiting for controller}]
`, Verdict{Progressing, "Accepted is not known: Waiting for controller"}},
		{"a route of no Gateway", "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: a, generation: 1}\n", Verdict{Health: Healthy}},
		{"a policy that nobody uses", "apiVersion: gateway.networking.k8s.io/v1\nkind: BackendTLSPolicy\nmetadata: {name: a, generation: 1}\n", Verdict{Health: Healthy}},
		{"a grant", "apiVersion: gateway.networking.k8s.io/v1\nkind: ReferenceGrant\nmetadata: {name: a}\n", Verdict{Health: Healthy}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := Judge(live(t, c.live)); got != c.want {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestHealing(t *testing.T) {
	expect := func(name string, generation int64) Expectation {
		return Expectation{ID: object.ID{Group: "apps", Kind: "Deployment", Namespace: "a", Name: name}, Generation: generation}
	}
	h := &healing{expected: map[string]Expectation{"x": expect("x", 2), "y": expect("y", 0)}, verdicts: map[string]Verdict{}}
	deployment := func(name string, generation, ready int64) *unstructured.Unstructured {
		return &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "apps/v1", "kind": "Deployment", "metadata": map[string]any{"name": name, "generation": generation},
			"spec": map[string]any{"replicas": int64(1)},
			"status": map[string]any{
				"observedGeneration": generation, "replicas": int64(1), "updatedReplicas": int64(1), "readyReplicas": ready, "availableReplicas": ready,
				"conditions": []any{map[string]any{"type": "Available", "status": map[int64]string{0: "False", 1: "True"}[ready]}},
			},
		}}
	}
	if h.listed([]unstructured.Unstructured{*deployment("x", 1, 1), *deployment("other", 1, 0)}) {
		t.Error("settled with one before its change and one that is not there")
	}
	if got := sortUnwell(h.unwell()); len(got) != 2 || got[0].Message != "its last change is not seen yet" || got[1].Message != "it is not there" {
		t.Errorf("%+v", got)
	}
	if h.happened(watch.Modified, deployment("x", 2, 1)) || h.happened(watch.Added, deployment("y", 1, 0)) {
		t.Error("settled before everything is ready")
	}
	if !h.happened(watch.Modified, deployment("y", 1, 1)) || len(h.unwell()) != 0 {
		t.Errorf("not settled: %+v", h.unwell())
	}
	if h.happened(watch.Deleted, deployment("y", 1, 1)) {
		t.Error("what was deleted is settled")
	}
}
