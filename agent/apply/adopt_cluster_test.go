//go:build cluster

package apply

import (
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"headgate.dev/agent/plan"
)

const handMade = `
apiVersion: v1
kind: ConfigMap
metadata:
  name: a
  namespace: NS
  labels: {made: byhand, kept: byhand}
data: {key: old, extra: old}
`

const fromGit = `
apiVersion: v1
kind: ConfigMap
metadata:
  name: a
  namespace: NS
  labels: {kept: byhand}
data: {key: new}
`

// What kubectl and helm made is adopted: it is the same object, Git's fields are in it, and what Git lacks is gone.
func TestClusterAdopt(t *testing.T) {
	for _, c := range []struct {
		name, manager string
		apply         bool
	}{
		{"kubectl apply", "kubectl-client-side-apply", false},
		{"kubectl apply --server-side", "kubectl", true},
		{"kubectl create", "kubectl-create", false},
		{"helm", "helm", false},
		{"helm 4", "helm", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			uid := w.by(c.manager, configs, handMade, c.apply)
			a := w.applier("shop")
			w.calls.take()
			r := w.apply(a, fromGit)
			w.made("GET a", "GET configmaps", "TRY a", "TRY a", "POST configmaps", "PATCH a", "PATCH a")
			if got := r.Written[0]; got.Action != plan.Adopt || !slices.Equal(got.TakenOver, []string{c.manager}) {
				t.Errorf("%s, taken over from %v", got.Action, got.TakenOver)
			}
			w.adopted(string(uid))
			w.apply(a, fromGit)
			w.made()
		})
	}
	t.Run("without managers", func(t *testing.T) {
		w := newWorld(t)
		uid := w.by("somebody", configs, handMade, false)
		_, err := w.admin.Resource(configs).Namespace(w.namespace).Patch(w.ctx, "a", types.MergePatchType,
			[]byte(`{"metadata":{"managedFields":[{}]}}`), metav1.PatchOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if r := w.apply(w.applier("shop"), fromGit); !slices.Equal(r.Written[0].TakenOver, []string{"before-first-apply"}) {
			t.Errorf("taken over from %v", r.Written[0].TakenOver)
		}
		w.adopted(string(uid))
	})
}

// adopted checks that the object is as Git has it, and headgate's alone.
func (w *world) adopted(uid string) {
	w.Helper()
	u := w.get(configs, "a")
	data, _, _ := unstructured.NestedStringMap(u.Object, "data")
	if len(data) != 1 || data["key"] != "new" || u.GetLabels()["made"] != "" || u.GetLabels()["kept"] != "byhand" {
		w.Errorf("data %v, labels %v", data, u.GetLabels())
	}
	if string(u.GetUID()) != uid {
		w.Error("it is another object")
	}
	if managers(u) != Manager {
		w.Errorf("managers: %s", managers(u))
	}
}

// What a controller owns is not taken over, unless that is asked for.
func TestClusterConflict(t *testing.T) {
	w := newWorld(t)
	w.by("flagger", configs, handMade, false)
	a := w.applier("shop")
	e := w.fails(a, Request{Desired: w.set(fromGit)}, ReasonConflict)
	w.says(e, "shop.yaml:2:1: trying ConfigMap NS/a: data.key is owned by flagger: take the field out of Git, leave it to its owner with ignore, or take it over with force")
	if len(e.Conflicts) != 1 || e.Conflicts[0].Manager.Name != "flagger" || e.Conflicts[0].Pointer != "/data/key" {
		t.Errorf("%+v", e.Conflicts)
	}
	if w.value("a") != "old" || w.inventory("shop") != "none" {
		t.Error("something was written")
	}
	w.request(a, Request{Desired: w.set(fromGit), Force: true})
	u := w.get(configs, "a")
	if w.value("a") != "new" || u.GetLabels()["made"] != "byhand" || managers(u) != "flagger headgate" {
		t.Errorf("%v, managers %s", u.Object, managers(u))
	}

	// Later edits of people give way, those of controllers do not; what stands beside Git's fields is nobody's business.
	w.patch(configs, "a", "kubectl-edit", `{"data":{"key":"edited","more":"edited"}}`)
	w.apply(a, fromGit+"---\n"+configMap("b", "one")[4:])
	if w.value("a") != "edited" {
		t.Error("what did not change in Git was written")
	}
	w.apply(a, configMap("a", "newer"))
	if w.value("a") != "newer" {
		t.Error("an edit is stronger than Git")
	}
	w.patch(configs, "a", "flagger", `{"data":{"key":"steered"}}`)
	w.says(w.fails(a, Request{Desired: w.set(configMap("a", "newest"))}, ReasonConflict), "data.key is owned by flagger")
	if w.value("a") != "steered" {
		t.Error("a controller's field was taken over")
	}
}

const canary = `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: shop, namespace: NS}
spec:
  parentRefs: [{name: public}]
  hostnames: [shop.example.com]
  rules:
  - backendRefs:
    - {name: v1, port: 80, weight: 100}
    - {name: v2, port: 80, weight: 0}
`

// Weights are left to the controller that moves them, while everything else follows Git; also when they move in the middle of an apply.
func TestClusterWeights(t *testing.T) {
	w := newWorld(t)
	a := w.applier("shop")
	request := Request{Desired: w.set(canary), Ignore: []plan.Rule{{Target: plan.Selector{Kind: "HTTPRoute"}, Weights: true}}}
	w.request(a, request)
	weights := func(v1, v2 string) string {
		return `{"spec":{"rules":[{"backendRefs":[{"name":"v1","port":80,"weight":` + v1 + `},{"name":"v2","port":80,"weight":` + v2 + `}]}]}}`
	}
	w.patch(routes, "shop", "flagger", weights("70", "30"))
	w.request(a, request)
	w.calls.take()
	request.Desired = w.set(canary + "    timeouts: {request: 5s}\n")
	r := w.request(a, request)
	w.made("GET shop", "TRY shop", "TRY shop", "PATCH shop") // the list of rules is one field, and the last to change it owned it
	if got := r.Written[0].Yielded; len(got) != 2 || got[0].Pointer != "/spec/rules/0/backendRefs/0/weight" || got[0].Live != int64(70) {
		t.Errorf("%+v", got)
	}
	check := func(want int64) {
		t.Helper()
		rules, _, _ := unstructured.NestedSlice(w.get(routes, "shop").Object, "spec", "rules")
		refs := rules[0].(map[string]any)["backendRefs"].([]any)
		if refs[0].(map[string]any)["weight"] != want || rules[0].(map[string]any)["timeouts"] == nil {
			t.Errorf("%v", rules)
		}
	}
	check(70)

	// Between the look at the weights and the write they move again.
	w.calls.after = map[string]func(){"TRY shop": func() { w.patch(routes, "shop", "flagger", weights("50", "50")) }}
	request.Desired = w.set(canary + "    timeouts: {request: 6s}\n")
	w.request(a, request)
	check(50)
}

// A field that cannot be changed is an error that says what to do, and with force the object is made again.
func TestClusterImmutable(t *testing.T) {
	w := newWorld(t)
	a := w.applier("shop")
	deployment := func(label string) string {
		return `
apiVersion: apps/v1
kind: Deployment
metadata: {name: a, namespace: NS}
spec:
  replicas: 0
  selector:
    matchLabels: {app: ` + label + `}
  template:
    metadata: {labels: {app: ` + label + `}}
    spec: {containers: [{name: a, image: nothing.example.com/a}]}
`
	}
	w.apply(a, deployment("one"))
	uid := w.get(deploys, "a").GetUID()
	e := w.fails(a, Request{Desired: w.set(deployment("two"))}, ReasonImmutable)
	w.says(e, "shop.yaml:7:", "field is immutable", "set force on the Sync")
	if e.Retryable() {
		t.Error("it would be tried again")
	}
	w.patch(deploys, "a", "kubectl-annotate", `{"metadata":{"annotations":{"headgate.dev/prune":"disabled"}}}`)
	w.says(w.fails(w.applier("shop"), Request{Desired: w.set(deployment("two")), Force: true}, ReasonImmutable), "its annotation headgate.dev/prune keeps it")
	w.patch(deploys, "a", "kubectl-annotate", `{"metadata":{"annotations":{"headgate.dev/prune":null}}}`)
	a.Forget()
	r := w.request(a, Request{Desired: w.set(deployment("two")), Force: true})
	if now := w.get(deploys, "a").GetUID(); now == uid || !r.Written[0].Recreated || string(now) != r.Written[0].UID {
		t.Errorf("%+v", r.Written)
	}
}
