//go:build cluster

package apply

import (
	"errors"
	"testing"

	"headgate.dev/agent/plan"
	"headgate.dev/render/object"
)

// What an apply costs: nothing where nothing changed, one try and one patch for one change.
func TestClusterCalls(t *testing.T) {
	w := newWorld(t)
	a := w.applier("shop")
	first := w.apply(a, configMap("a", "one")+configMap("b", "one"))
	w.made("GET a", "GET b", "GET configmaps", "TRY a", "TRY b", "POST configmaps", "PATCH a", "PATCH b")
	if len(first.Written) != 2 || first.Written[0].Action != plan.Create || first.Written[0].UID == "" || first.Written[0].Live["metadata"] == nil {
		t.Errorf("%+v", first.Written)
	}
	if w.value("a") != "one" || w.inventory("shop") != "a b" {
		t.Errorf("%s; %s", w.value("a"), w.inventory("shop"))
	}
	mark := plan.ReadMark(w.get(configs, "a").GetLabels(), w.get(configs, "a").GetAnnotations())
	if mark.Owner != w.owner("shop") {
		t.Errorf("%+v", mark)
	}

	if r := w.apply(a, configMap("a", "one")+configMap("b", "one")); r.Unchanged != 2 || len(r.Written) != 0 {
		t.Errorf("%+v", r)
	}
	w.made()

	if r := w.apply(a, configMap("a", "two")+configMap("b", "one")); len(r.Written) != 1 || r.Written[0].Action != plan.Update {
		t.Errorf("%+v", r)
	}
	w.made("TRY a", "PATCH a")

	w.apply(a, configMap("a", "two")+configMap("b", "one")+configMap("c", "one"))
	w.made("GET c", "TRY c", "INVENTORY PATCH", "PATCH c")

	r := w.apply(a, configMap("a", "two")+configMap("c", "one"))
	w.made("DELETE b", "INVENTORY PATCH")
	if len(r.Removed) != 1 || r.Removed[0].ID.Name != "b" || w.get(configs, "b") != nil || w.inventory("shop") != "a c" {
		t.Errorf("%+v; %s", r, w.inventory("shop"))
	}

	// Another process knows nothing, and finds that there is nothing to do.
	w.apply(w.applier("shop"), configMap("a", "two")+configMap("c", "one"))
	w.made("GET a", "GET c", "GET configmaps")

	// What an object says about itself that is the server's is not sent back.
	w.apply(a, "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: NS, uid: x, resourceVersion: '1', generation: 7, managedFields: []}\ndata: {key: two}\n"+
		configMap("c", "one"))
	w.made("TRY a", "PATCH a")
	w.apply(a, configMap("a", "two")+configMap("c", "one"))
	w.calls.take()

	again := Request{Desired: w.set(configMap("a", "two") + configMap("c", "one")), Again: []object.ID{{Kind: "ConfigMap", Namespace: w.namespace, Name: "c"}}}
	w.request(a, again)
	w.made("TRY c", "PATCH c")
}

// Many objects are read by lists and written a few at a time.
func TestClusterMany(t *testing.T) {
	w := newWorld(t)
	objects := many(1000)
	a := w.applier("many")
	if r := w.apply(a, objects); len(r.Written) != 1000 {
		t.Fatalf("%d were written", len(r.Written))
	}
	w.calls.mu.Lock()
	most, calls := w.calls.most, len(w.calls.calls)
	w.calls.mu.Unlock()
	if most != workers {
		t.Errorf("%d calls at the same time", most)
	}
	if calls > 2010 {
		t.Errorf("%d calls", calls)
	}
	w.calls.take()
	w.apply(w.applier("many"), objects)
	if got := w.calls.take(); len(got) > 5 {
		t.Errorf("another process makes %d calls", len(got))
	}
	result, err := a.Remove(w.ctx, DeleteAndWait)
	if err != nil || len(result.Removed) != 1000 || w.inventory("many") != "none" {
		t.Errorf("%d removed, %v, inventory %s", len(result.Removed), err, w.inventory("many"))
	}
}

// One bad object keeps its stage from changing anything, and every bad one is named.
func TestClusterBadObjects(t *testing.T) {
	w := newWorld(t)
	a := w.applier("shop")
	bad := configMap("a", "one") + `---
apiVersion: v1
kind: Service
metadata: {name: b, namespace: NS}
spec:
  ports:
  - port: 70000
---
apiVersion: v1
kind: Service
metadata: {name: c, namespace: NS}
spec:
  ports: [{port: 80}]
  colour: red
`
	_, err := a.Apply(w.ctx, Request{Desired: w.set(bad)})
	var errs Errors
	if !errors.As(err, &errs) || len(errs) != 2 {
		t.Fatalf("%v", err)
	}
	w.says(errs[0], "shop.yaml:12:", "trying Service NS/b: ", "spec.ports[0].port")
	w.says(errs[1], "shop.yaml:19:", "Service NS/c", "spec.colour")
	if errs.Retryable() || w.get(configs, "a") != nil || w.inventory("shop") != "none" {
		t.Errorf("something was written: %s", w.inventory("shop"))
	}
	w.says(w.fails(a, Request{Desired: w.set("apiVersion: example.com/v1\nkind: Nothing\nmetadata: {name: a, namespace: NS}\n")}, ReasonNotServed),
		"shop.yaml:1:1: applying Nothing NS/a: the API server does not have the kind Nothing.example.com")
	w.says(w.fails(a, Request{Desired: w.set("apiVersion: apps/v2\nkind: Deployment\nmetadata: {name: a, namespace: NS}\n")}, ReasonNotServed),
		"the API server has the kind Deployment.apps in v1, not in v2")
	w.says(w.fails(a, Request{Desired: w.set("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: nowhere-at-all}\n")}, ReasonForbidden),
		"service account NS/deployer may not get configmaps in namespace nowhere-at-all")
	w.says(w.fails(a, Request{Desired: w.set("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n")}, ReasonInvalid), "are in a namespace, and it names none")
}

// An older version of a kind that means the same in all is taken where the cluster has no other.
func TestClusterVersions(t *testing.T) {
	w := newWorld(t)
	w.apply(w.applier("shop"), `
apiVersion: gateway.networking.k8s.io/v1alpha9
kind: HTTPRoute
metadata: {name: a, namespace: NS}
spec: {hostnames: [a.example.com]}
`)
	if w.get(routes, "a") == nil {
		t.Error("it is not there")
	}
}

func TestClusterTwoOwners(t *testing.T) {
	w := newWorld(t)
	w.exists = func(o plan.Owner) bool { return o.Name != "former" }
	w.apply(w.applier("first"), configMap("a", "one"))
	_, err := w.applier("second").Apply(w.ctx, Request{Desired: w.set(configMap("a", "two") + configMap("b", "two"))})
	var owned *plan.OwnedError
	if !errors.As(err, &owned) || owned.Objects[0].Owner != w.owner("first") {
		t.Fatalf("%v", err)
	}
	if w.value("a") != "one" || w.get(configs, "b") != nil || w.inventory("second") != "none" {
		t.Error("something was written")
	}
	// A Sync that does not exist any more owns nothing.
	w.apply(w.applier("former"), configMap("c", "one"))
	r := w.apply(w.applier("second"), configMap("c", "two"))
	if r.Written[0].Action != plan.Adopt || w.value("c") != "two" {
		t.Errorf("%+v", r.Written)
	}
	// And what it took leaves the inventory of the other.
	r = w.apply(w.applier("former"), configMap("d", "one"))
	if len(r.Released) != 1 || w.value("c") != "two" || w.inventory("former") != "d" {
		t.Errorf("%+v; %s", r, w.inventory("former"))
	}
}

// What an apply would do is known before it, and nothing is written to know it.
func TestClusterTry(t *testing.T) {
	w := newWorld(t)
	a := w.applier("shop")
	w.apply(a, configMap("a", "one")+configMap("b", "one")+configMap("c", "one"))
	w.calls.take()
	next := configMap("a", "two") + configMap("c", "one") + configMap("d", "two") +
		"---\napiVersion: v1\nkind: Service\nmetadata: {name: e, namespace: NS}\nspec: {ports: [{port: 70000}]}\n"
	person, err := New(Config{REST: w.config, Kinds: a.config.Kinds, Owner: w.owner("shop"), Person: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range []*Applier{a, person} {
		got, err := a.Try(w.ctx, Request{Desired: w.set(next)})
		if err != nil || len(got.Trials) != 3 || got.Unchanged != 1 || len(got.Removals) != 1 || got.Removals[0].Name != "b" {
			t.Fatalf("%+v, %v", got, err)
		}
		value := func(live map[string]any) any {
			data, _ := live["data"].(map[string]any)
			return data["key"]
		}
		changed, made, wrong := got.Trials[0], got.Trials[1], got.Trials[2]
		if value(changed.Live) != "one" || value(changed.Would) != "two" || made.Live != nil || value(made.Would) != "two" {
			t.Errorf("%+v", got.Trials)
		}
		if wrong.Err == nil || wrong.Err.Reason != ReasonInvalid || changed.Err != nil {
			t.Errorf("%v", wrong.Err)
		}
	}
	if w.value("a") != "one" || w.value("b") != "one" || w.value("d") != "" || w.inventory("shop") != "a b c" {
		t.Error("something was written")
	}
	if _, err := New(Config{REST: w.config, Kinds: a.config.Kinds, Owner: w.owner("shop")}); err == nil {
		t.Error("no account is needed")
	}
}
