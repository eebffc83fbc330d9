//go:build cluster

package apply

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	kube "k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"headgate.dev/agent/plan"
	"headgate.dev/render/object"
)

// Wherever an apply is cut off, before a call or before its answer, the next one comes to the same end: in the same process, and in another one
// that knows nothing.
func TestClusterCutOff(t *testing.T) {
	w := newWorld(t)
	for _, answer := range []bool{false, true} {
		for _, restart := range []bool{false, true} {
			n := 1
			for w.cutOff(n, answer, restart) {
				n++
			}
			if n < 12 {
				t.Errorf("an apply has %d calls only", n-1)
			}
		}
	}
}

// cutOff loses the n-th call of an apply. It is false when there are fewer.
func (w *world) cutOff(n int, answer, restart bool) bool {
	w.Helper()
	run := fmt.Sprintf("r%d-%v-%v-", n, answer, restart)
	name := strings.TrimSuffix(run, "-")
	a := w.applier(name)
	w.apply(a, configMap(run+"stays", "one")+configMap(run+"changes", "one")+configMap(run+"goes", "one")+configMap(run+"goes-too", "one"))
	w.by("kubectl-create", configs, configMap(run+"adopted", "one")+"  # it has more than Git\n", false)
	w.patch(configs, run+"adopted", "kubectl-edit", `{"data":{"extra":"x"}}`)
	next := configMap(run+"stays", "one") + configMap(run+"changes", "two") + configMap(run+"adopted", "two") + configMap(run+"comes", "two") +
		"---\napiVersion: v1\nkind: Service\nmetadata: {name: " + run + "service, namespace: NS}\nspec: {ports: [{port: 80}]}\n"
	w.calls.take()
	w.calls.mu.Lock()
	w.calls.lose, w.calls.answer = n, answer
	w.calls.mu.Unlock()
	_, err := a.Apply(w.ctx, Request{Desired: w.set(next)})
	calls := len(w.calls.take())
	if err == nil && calls >= n {
		w.Errorf("call %d was lost, and nobody noticed", n)
	}
	var e *Error
	if err != nil && (!errors.As(err, &e) || !e.Retryable()) {
		w.Errorf("%v", err)
	}
	if restart {
		a = w.applier(name)
	}
	w.apply(a, next)
	want := map[string]string{"stays": "one", "changes": "two", "adopted": "two", "comes": "two", "goes": "", "goes-too": ""}
	for object, value := range want {
		if got := w.value(run + object); got != value {
			w.Errorf("%s%s is %q, not %q", run, object, got, value)
		}
	}
	u := w.get(configs, run+"adopted")
	if data, _, _ := unstructured.NestedStringMap(u.Object, "data"); len(data) != 1 || managers(u) != Manager {
		w.Errorf("%s: adopted: %v of %s", run, data, managers(u))
	}
	if got, want := w.inventory(name), strings.ReplaceAll("#adopted #changes #comes #service #stays", "#", run); got != want {
		w.Errorf("%s: inventory %s", run, got)
	}
	w.calls.take()
	w.apply(a, next)
	w.made()
	return calls >= n
}

// What is not wanted any more goes, but for what is protected, was made by others since, or belongs to somebody else.
func TestClusterPrune(t *testing.T) {
	w := newWorld(t)
	a := w.applier("shop")
	all := configMap("keep", "one")
	for _, name := range []string{"plain", "status", "protected", "replaced", "foreign", "gone"} {
		all += configMap(name, "one")
	}
	w.apply(a, all)
	w.patch(configs, "status", "controller", `{"metadata":{"annotations":{"a":"b"}}}`)
	w.patch(configs, "protected", "kubectl-annotate", `{"metadata":{"annotations":{"headgate.dev/prune":"disabled"}}}`)
	w.patch(configs, "foreign", "other", `{"metadata":{"labels":{"headgate.dev/sync":"other"}}}`)
	w.delete("replaced")
	w.by("kubectl-create", configs, configMap("replaced", "other"), false)
	w.delete("gone")
	r := w.apply(a, configMap("keep", "one"))
	if len(r.Removed) != 2 || r.Removed[0].ID.Name != "status" || r.Removed[1].ID.Name != "plain" {
		t.Errorf("removed: %+v", r.Removed)
	}
	if len(r.Kept) != 1 || r.Kept[0].ID.Name != "protected" || len(r.Released) != 2 {
		t.Errorf("kept %+v, released %+v", r.Kept, r.Released)
	}
	if w.value("replaced") != "other" || w.value("foreign") != "one" || w.inventory("shop") != "keep protected" {
		t.Errorf("inventory %s", w.inventory("shop"))
	}
	if _, err := a.Apply(w.ctx, Request{}); !errors.As(err, new(*plan.EmptyError)) {
		t.Errorf("an empty revision: %v", err)
	}
	r = w.request(a, Request{Desired: w.set(configMap("new", "one")), Keep: true})
	if len(r.Removed) != 0 || w.value("keep") != "one" || w.inventory("shop") != "keep new protected" {
		t.Errorf("%+v; %s", r, w.inventory("shop"))
	}
}

func (w *world) delete(name string) {
	w.Helper()
	if err := w.admin.Resource(configs).Namespace(w.namespace).Delete(w.ctx, name, metav1.DeleteOptions{}); err != nil {
		w.Fatal(err)
	}
}

// A part of the inventory that cannot be read keeps everything from being removed, and what is new is remembered.
func TestClusterBrokenInventory(t *testing.T) {
	w := newWorld(t)
	w.apply(w.applier("shop"), configMap("a", "one")+configMap("b", "one"))
	w.patch(configs, "headgate-inventory.shop.all", "somebody", `{"data":{"objects":"["}}`)
	a := w.applier("shop")
	r := w.apply(a, configMap("a", "one")+configMap("c", "one"))
	if r.Partial == "" || len(r.Removed) != 0 || w.value("b") != "one" || w.value("c") != "one" {
		t.Errorf("%+v", r)
	}
	if _, err := a.Remove(w.ctx, Delete); err == nil || w.value("a") == "" {
		t.Errorf("removed: %v", err)
	}
	w.delete("headgate-inventory.shop.all")
	w.apply(w.applier("shop"), configMap("a", "one"))
	if w.value("c") != "" || w.inventory("shop") != "a" {
		t.Errorf("what was remembered was not removed: %s", w.inventory("shop"))
	}
	// Somebody else wrote it in the meantime: nothing is written over it.
	a = w.applier("shop")
	w.apply(a, configMap("a", "one"))
	w.apply(w.applier("shop"), configMap("a", "one")+configMap("d", "one"))
	w.says(w.fails(a, Request{Desired: w.set(configMap("a", "one") + configMap("e", "one"))}, ReasonChanged), "writing the inventory of Sync NS/shop: ")
	w.apply(a, configMap("a", "one")+configMap("e", "one"))
	if w.value("d") != "" || w.inventory("shop") != "a e" {
		t.Errorf("inventory %s", w.inventory("shop"))
	}
}

// The ways in which a Sync ends.
func TestClusterEnd(t *testing.T) {
	for _, how := range []Deletion{Delete, DeleteAndWait, Orphan} {
		t.Run(string(how), func(t *testing.T) {
			w := newWorld(t)
			a := w.applier("shop")
			w.apply(a, configMap("a", "one")+configMap("slow", "one")+configMap("protected", "one"))
			w.patch(configs, "protected", "kubectl-annotate", `{"metadata":{"annotations":{"headgate.dev/prune":"disabled"}}}`)
			w.patch(configs, "slow", "controller", `{"metadata":{"finalizers":["example.com/slow"]}}`)
			t.Cleanup(func() {
				if w.get(configs, "slow") != nil {
					w.patch(configs, "slow", "controller", `{"metadata":{"finalizers":null}}`)
				}
			})
			if how == DeleteAndWait {
				short, cancel := context.WithTimeout(w.ctx, time.Second)
				defer cancel()
				_, err := a.Remove(short, how)
				var e *Error
				if !errors.As(err, &e) || e.Reason != ReasonTimeout || w.inventory("shop") != "a protected slow" {
					t.Errorf("%v; inventory %s", err, w.inventory("shop"))
				}
				w.calls.after = map[string]func(){"DELETE slow": func() { w.patch(configs, "slow", "controller", `{"metadata":{"finalizers":null}}`) }}
			}
			if _, err := a.Remove(w.ctx, how); err != nil {
				t.Fatal(err)
			}
			if w.inventory("shop") != "none" || (w.value("a") == "") != (how != Orphan) || (w.value("slow") == "") != (how == DeleteAndWait) {
				t.Errorf("a %q, slow %q, inventory %s", w.value("a"), w.value("slow"), w.inventory("shop"))
			}
			for _, name := range []string{"a", "protected"} {
				u := w.get(configs, name)
				if u == nil && name == "a" && how != Orphan {
					continue
				}
				if mark := plan.ReadMark(u.GetLabels(), u.GetAnnotations()); mark.Owner != (plan.Owner{}) || mark.Applied != (object.Digest{}) {
					t.Errorf("%s says %+v", name, mark)
				}
			}
			if _, err := a.Remove(w.ctx, how); err != nil {
				t.Errorf("the second time: %v", err)
			}
		})
	}
}

// An account can do what its rules say, and reads as little as it writes.
func TestClusterForbidden(t *testing.T) {
	w := newWorld(t)
	other := w.newNamespace("")
	a := w.applier("shop")
	e := w.fails(a, Request{Desired: w.set(strings.ReplaceAll(configMap("a", "one"), "NS", other))}, ReasonForbidden)
	w.says(e, "service account NS/deployer may not get configmaps in namespace "+other)
	if e.Verb != "get" || e.Resource != "configmaps" || e.Namespace != other {
		t.Errorf("%+v", e)
	}
	w.bind(rbacv1.PolicyRule{APIGroups: []string{"discovery.k8s.io"}, Resources: []string{"endpointslices"}, Verbs: []string{"get", "patch"}})
	slice := `
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: a, namespace: NS}
addressType: IPv4
endpoints: []
`
	w.says(w.fails(a, Request{Desired: w.set(slice)}, ReasonForbidden), "shop.yaml:2:1: trying EndpointSlice NS/a: ", "may not create endpointslices.discovery.k8s.io in namespace NS")
	// A role with more than the account has would be a way around its rules.
	w.bind(rbacv1.PolicyRule{APIGroups: []string{"rbac.authorization.k8s.io"}, Resources: []string{"roles"}, Verbs: allVerbs})
	w.says(w.fails(a, Request{Desired: w.set(`
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: more, namespace: NS}
rules: [{apiGroups: [""], resources: [pods], verbs: [get]}]
`)}, ReasonForbidden), "attempting to grant RBAC permissions not currently held")
	// An account that may not list looks at each object.
	w.bind(rbacv1.PolicyRule{APIGroups: []string{"policy"}, Resources: []string{"poddisruptionbudgets"}, Verbs: []string{"get", "create", "patch"}})
	var many strings.Builder
	for i := range listFrom {
		fmt.Fprintf(&many, "---\napiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {name: p%d, namespace: NS}\nspec: {minAvailable: 1}\n", i)
	}
	w.apply(a, many.String())
}

// Definitions are there before their objects, and what arrives too early says so and comes later.
func TestClusterDefinitions(t *testing.T) {
	w := newWorld(t)
	group := strings.ReplaceAll(w.namespace, "headgate-apply-", "x") + ".example.com"
	w.forEverything(rbacv1.PolicyRule{APIGroups: []string{"apiextensions.k8s.io"}, Resources: []string{"customresourcedefinitions"}, Verbs: allVerbs},
		rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"namespaces", "configmaps"}, Verbs: allVerbs},
		rbacv1.PolicyRule{APIGroups: []string{group}, Resources: []string{"widgets"}, Verbs: allVerbs})
	definition := `---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.` + group + `}
spec:
  group: ` + group + `
  scope: Namespaced
  names: {kind: Widget, plural: widgets, singular: widget, listKind: WidgetList}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {size: {type: integer}}}}}}
`
	home := w.namespace + "-home"
	widget := "---\napiVersion: " + group + "/v1\nkind: Widget\nmetadata: {name: a, namespace: " + home + "}\nspec: {size: 1}\n"
	namespace := "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: " + home + "}\n"
	a := w.applier("shop")
	t.Cleanup(func() { a.Remove(context.Background(), Delete) }) //nolint:errcheck // it is gone, unless the test failed
	e := w.fails(a, Request{Desired: w.set(widget)}, ReasonNotServed)
	if !e.Retryable() {
		t.Error("it would not be tried again")
	}
	r := w.apply(a, definition+namespace+widget)
	if len(r.Written) != 3 || r.Written[2].Object.ID.Kind != "Widget" {
		t.Errorf("%+v", r.Written)
	}
	widgets := w.admin.Resource(kube.GroupVersionResource{Group: group, Version: "v1", Resource: "widgets"}).Namespace(home)
	if _, err := widgets.Get(w.ctx, "a", metav1.GetOptions{}); err != nil {
		t.Error(err)
	}
	// A definition gets a field together with an object that has it.
	for i := range 5 {
		field := fmt.Sprintf("field%d", i)
		definition = strings.Replace(definition, "size: {", field+": {type: string}, size: {", 1)
		widget = strings.Replace(widget, "size: 1", field+": x, size: 1", 1)
		w.apply(a, definition+namespace+widget)
	}
	// The namespace is deleted by somebody, and takes its time: what is in it cannot be written.
	finalizers := func(text string) {
		_, err := w.admin.Resource(namespaces).Patch(context.Background(), home, types.MergePatchType, []byte(`{"metadata":{"finalizers":`+text+`}}`), metav1.PatchOptions{})
		if err != nil {
			t.Error(err)
		}
	}
	finalizers(`["example.com/slow"]`)
	if err := w.admin.Resource(namespaces).Delete(w.ctx, home, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	early := w.applier("other")
	w.says(w.fails(early, Request{Desired: w.set(strings.ReplaceAll(configMap("a", "one"), "NS", home))}, ReasonTerminating), "is being terminated")
	short, cancel := context.WithTimeout(w.ctx, time.Second)
	defer cancel()
	a.Forget()
	_, err := a.Apply(short, Request{Desired: w.set(definition + namespace + widget)})
	if !errors.As(err, &e) || e.Reason != ReasonTerminating {
		t.Errorf("%v", err)
	}
	// When it is gone it is made again, with what is in it.
	w.calls.after = map[string]func(){"PATCH " + home: func() { finalizers("null") }}
	w.apply(a, definition+namespace+widget)
	if _, err := widgets.Get(w.ctx, "a", metav1.GetOptions{}); err != nil {
		t.Error(err)
	}
	if _, err := a.Remove(w.ctx, DeleteAndWait); err != nil {
		t.Error(err)
	}
}

// forEverything lets the account do something in the whole cluster.
func (w *world) forEverything(rules ...rbacv1.PolicyRule) {
	w.Helper()
	clusterRoles := kube.GroupVersionResource{Group: "rbac.authorization.k8s.io", Version: "v1", Resource: "clusterroles"}
	clusterBindings := kube.GroupVersionResource{Group: "rbac.authorization.k8s.io", Version: "v1", Resource: "clusterrolebindings"}
	list := make([]any, len(rules))
	for i, r := range rules {
		list[i] = map[string]any{"apiGroups": anys(r.APIGroups), "resources": anys(r.Resources), "verbs": anys(r.Verbs)}
	}
	for resource, content := range map[kube.GroupVersionResource]map[string]any{
		clusterRoles: {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "rules": list},
		clusterBindings: {
			"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
			"roleRef":  map[string]any{"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": w.namespace},
			"subjects": []any{map[string]any{"kind": "ServiceAccount", "name": "deployer", "namespace": w.namespace}},
		},
	} {
		content["metadata"] = map[string]any{"name": w.namespace}
		if _, err := w.admin.Resource(resource).Create(w.ctx, &unstructured.Unstructured{Object: content}, metav1.CreateOptions{}); err != nil {
			w.Fatal(err)
		}
		w.Cleanup(func() {
			w.admin.Resource(resource).Delete(context.Background(), w.namespace, metav1.DeleteOptions{}) //nolint:errcheck // it is gone with the cluster
		})
	}
}

func anys(list []string) []any {
	out := make([]any, len(list))
	for i, s := range list {
		out[i] = s
	}
	return out
}

// What an API server has against objects is said with its reason, and no secret with it.
func TestClusterRefusals(t *testing.T) {
	w := newWorld(t)
	a := w.applier("shop")
	w.refuseFridays()
	friday := configMap("friday", "one")
	e := w.fails(a, Request{Desired: w.set(friday)}, ReasonRefused)
	w.says(e, "shop.yaml:2:1: trying ConfigMap NS/friday: ", "not on Fridays")

	quota := kube.GroupVersionResource{Version: "v1", Resource: "resourcequotas"}
	_, err := w.admin.Resource(quota).Namespace(w.namespace).Create(w.ctx, &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "ResourceQuota", "metadata": map[string]any{"name": "small"},
		"spec": map[string]any{"hard": map[string]any{"count/services": "0"}},
	}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	w.until(func() bool {
		u := w.get(quota, "small")
		_, found, _ := unstructured.NestedMap(u.Object, "status", "hard")
		return found
	})
	service := "apiVersion: v1\nkind: Service\nmetadata: {name: a, namespace: NS}\nspec: {ports: [{port: 80}]}\n"
	w.says(w.fails(a, Request{Desired: w.set(service)}, ReasonQuota), "exceeded quota: small")

	const secret = "kanarienvogel-7"
	_, err = a.Apply(w.ctx, Request{Secrets: []string{"substituted-9"}, Desired: w.set(`
apiVersion: v1
kind: Secret
metadata: {name: a, namespace: NS}
data: {token: ` + secret + `}
---
apiVersion: v1
kind: Secret
metadata: {name: b, namespace: NS}
type: kubernetes.io/tls
stringData: {tls.crt: ` + secret + `, tls.key: ` + secret + `, ` + secret + `/: x}
---
apiVersion: v1
kind: Service
metadata: {name: c, namespace: NS}
spec: {ports: [{port: 80, protocol: substituted-9}]}
`)})
	if err == nil || strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), "substituted-9") {
		t.Errorf("%v", err)
	}
}

// until looks at something that the cluster does in its own time.
func (w *world) until(done func() bool) {
	w.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-w.ctx.Done():
			w.Fatal("it does not happen")
		}
	}
}

// refuseFridays installs an admission policy for the namespace, and waits until it is followed.
func (w *world) refuseFridays() {
	w.Helper()
	group := "admissionregistration.k8s.io"
	policies := kube.GroupVersionResource{Group: group, Version: "v1", Resource: "validatingadmissionpolicies"}
	policyBindings := kube.GroupVersionResource{Group: group, Version: "v1", Resource: "validatingadmissionpolicybindings"}
	for resource, content := range map[kube.GroupVersionResource]map[string]any{
		policies: {
			"kind": "ValidatingAdmissionPolicy",
			"spec": map[string]any{
				"matchConstraints": map[string]any{"resourceRules": []any{map[string]any{
					"apiGroups": []any{""}, "apiVersions": []any{"v1"}, "operations": []any{"CREATE"}, "resources": []any{"configmaps"},
				}}},
				"validations": []any{map[string]any{"expression": "object.metadata.name != 'friday'", "message": "not on Fridays"}},
			},
		},
		policyBindings: {
			"kind": "ValidatingAdmissionPolicyBinding",
			"spec": map[string]any{
				"policyName": w.namespace, "validationActions": []any{"Deny"},
				"matchResources": map[string]any{"namespaceSelector": map[string]any{"matchLabels": map[string]any{"kubernetes.io/metadata.name": w.namespace}}},
			},
		},
	} {
		content["apiVersion"], content["metadata"] = group+"/v1", map[string]any{"name": w.namespace}
		if _, err := w.admin.Resource(resource).Create(w.ctx, &unstructured.Unstructured{Object: content}, metav1.CreateOptions{}); err != nil {
			w.Fatal(err)
		}
		w.Cleanup(func() {
			w.admin.Resource(resource).Delete(context.Background(), w.namespace, metav1.DeleteOptions{}) //nolint:errcheck // it is gone with the cluster
		})
	}
	for o := range w.set(configMap("friday", "one")).All() {
		w.until(func() bool {
			_, err := w.admin.Resource(configs).Namespace(w.namespace).Create(w.ctx, &unstructured.Unstructured{Object: object.CloneMap(o.Content)},
				metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
			return err != nil
		})
	}
}

// Health is watched: an object is well as soon as its controller says so.
func TestClusterAwait(t *testing.T) {
	w := newWorld(t)
	a := w.applier("shop")
	r := w.apply(a, canary+"---\n"+strings.ReplaceAll(canary[1:], "name: shop,", "name: second,")+configMap("a", "one"))
	var expected []Expectation
	for _, written := range r.Written {
		expected = append(expected, written.Expect())
	}
	short, cancel := context.WithTimeout(w.ctx, 500*time.Millisecond)
	defer cancel()
	unwell, err := a.Await(short, expected)
	if !errors.Is(err, context.DeadlineExceeded) || len(unwell) != 2 || unwell[0].Message != "no controller has answered yet" {
		t.Errorf("%+v, %v", unwell, err)
	}
	type answer struct {
		unwell []Unwell
		err    error
	}
	done := make(chan answer, 1)
	w.calls.after = map[string]func(){"GET httproutes": func() {
		w.routeStatus("shop", "True")
		w.routeStatus("second", "False")
	}}
	go func() {
		unwell, err := a.Await(w.ctx, expected)
		done <- answer{unwell, err}
	}()
	got := <-done
	if got.err != nil || len(got.unwell) != 1 || got.unwell[0].ID.Name != "second" || got.unwell[0].Health != Failed {
		t.Errorf("%+v", got)
	}
}

// routeStatus says as a controller whether a route is accepted.
func (w *world) routeStatus(name, accepted string) {
	u := w.get(routes, name)
	said := func(kind string) any {
		return map[string]any{
			"type": kind, "status": accepted, "reason": "Test", "message": "said by the test",
			"observedGeneration": u.GetGeneration(), "lastTransitionTime": "2026-01-01T00:00:00Z",
		}
	}
	u.Object["status"] = map[string]any{"parents": []any{map[string]any{
		"controllerName": "example.com/test", "parentRef": map[string]any{"name": "g"}, "conditions": []any{said("Accepted"), said("ResolvedRefs")},
	}}}
	if _, err := w.admin.Resource(routes).Namespace(w.namespace).UpdateStatus(w.ctx, u, metav1.UpdateOptions{}); err != nil {
		w.Error(err)
	}
}

// An API server goes away in the middle of an apply and comes back: the apply ends at once with an error that can be retried, and the next one does
// the rest.
func TestClusterServerAway(t *testing.T) {
	w := newWorld(t)
	proxy := w.newProxy()
	cfg := rest.CopyConfig(w.config)
	host, err := url.Parse(cfg.Host)
	if err != nil {
		t.Fatal(err)
	}
	if cfg.TLSClientConfig.ServerName == "" && !cfg.Insecure {
		cfg.TLSClientConfig.ServerName = host.Hostname()
	}
	cfg.Host = "https://" + proxy.address
	cfg.Wrap(func(next http.RoundTripper) http.RoundTripper { return w.calls.around(next) })
	kinds, err := NewKinds(cfg)
	if err != nil {
		t.Fatal(err)
	}
	a, err := New(Config{REST: cfg, Kinds: kinds, Owner: w.owner("shop"), Account: "deployer"})
	if err != nil {
		t.Fatal(err)
	}
	all := Request{Desired: w.set(many(60))}
	proxy.cut()
	if e := w.fails(a, all, ReasonUnavailable); !e.Retryable() {
		t.Errorf("%v", e)
	}
	proxy.restore()
	for _, at := range []string{"TRY many-30", "PATCH many-30", "PATCH many-59"} {
		w.calls.after = map[string]func(){at: proxy.cut}
		if e := w.fails(a, all, ReasonUnavailable); !e.Retryable() {
			t.Errorf("%s: %v", at, e)
		}
		proxy.restore()
	}
	w.request(a, all)
	w.calls.take()
	w.request(a, all)
	w.made()
	if n := len(strings.Fields(w.inventory("shop"))); n != 60 || w.value("many-59") != "one" {
		t.Errorf("%d objects in the inventory", n)
	}
}

func many(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(configMap(fmt.Sprintf("many-%d", i), "one"))
	}
	return b.String()
}

// proxy passes connections on to the API server, until it is cut.
type proxy struct {
	*testing.T
	to, address string
	mu          sync.Mutex
	listener    net.Listener
	open        []net.Conn
}

func (w *world) newProxy() *proxy {
	w.Helper()
	to, err := url.Parse(w.config.Host)
	if err != nil {
		w.Fatal(err)
	}
	p := &proxy{T: w.T, to: to.Host, address: "127.0.0.1:0"}
	p.restore()
	w.Cleanup(p.cut)
	return p
}

func (p *proxy) restore() {
	listener, err := net.Listen("tcp", p.address)
	if err != nil {
		p.Fatal(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.listener, p.address = listener, listener.Addr().String()
	go func() {
		for {
			from, err := listener.Accept()
			if err != nil {
				return
			}
			go p.pass(from)
		}
	}()
}

func (p *proxy) pass(from net.Conn) {
	to, err := net.Dial("tcp", p.to)
	if err != nil {
		from.Close()
		return
	}
	p.mu.Lock()
	p.open = append(p.open, from, to)
	p.mu.Unlock()
	go func() {
		io.Copy(to, from) //nolint:errcheck // it ends with the connection
		to.Close()
	}()
	io.Copy(from, to) //nolint:errcheck // it ends with the connection
	from.Close()
}

func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.listener.Close()
	for _, c := range p.open {
		c.Close()
	}
	p.open = nil
}

// What a webhook refuses says so with the webhook's own words.
func TestClusterWebhook(t *testing.T) {
	w := newWorld(t)
	w.webhook()
	a := w.applier("shop")
	w.says(w.fails(a, Request{Desired: w.set(configMap("refused", "one"))}, ReasonRefused), `admission webhook "`, `denied the request: not this one`)
	w.apply(a, configMap("a", "one"))
	if w.value("a") != "one" {
		t.Error("it is not there")
	}
}

// webhook installs a webhook in this process that refuses ConfigMaps named "refused".
func (w *world) webhook() {
	w.Helper()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(answer http.ResponseWriter, request *http.Request) {
		var review struct {
			Request struct {
				UID  string `json:"uid"`
				Name string `json:"name"`
			} `json:"request"`
		}
		if err := json.NewDecoder(request.Body).Decode(&review); err != nil {
			w.Error(err)
		}
		json.NewEncoder(answer).Encode(map[string]any{ //nolint:errcheck // the API server went away then
			"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
			"response": map[string]any{
				"uid": review.Request.UID, "allowed": review.Request.Name != "refused",
				"status": map[string]any{"message": "not this one"},
			},
		})
	}))
	to, err := url.Parse(w.config.Host)
	if err != nil {
		w.Fatal(err)
	}
	conn, err := net.Dial("udp", to.Host) // the address of this machine towards the API server
	if err != nil {
		w.Fatal(err)
	}
	conn.Close()
	ip := conn.LocalAddr().(*net.UDPAddr).IP
	server.Listener.Close()
	if server.Listener, err = net.Listen("tcp", net.JoinHostPort(ip.String(), "0")); err != nil {
		w.Fatal(err)
	}
	authority, certificate := certificateFor(w.T, ip)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
	server.StartTLS()
	w.Cleanup(server.Close)
	hooks := kube.GroupVersionResource{Group: "admissionregistration.k8s.io", Version: "v1", Resource: "validatingwebhookconfigurations"}
	_, err = w.admin.Resource(hooks).Create(w.ctx, &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration", "metadata": map[string]any{"name": w.namespace},
		"webhooks": []any{map[string]any{
			"name": "refuse.example.com", "sideEffects": "NoneOnDryRun", "admissionReviewVersions": []any{"v1"},
			"clientConfig":      map[string]any{"url": "https://" + server.Listener.Addr().String() + "/", "caBundle": authority},
			"namespaceSelector": map[string]any{"matchLabels": map[string]any{"kubernetes.io/metadata.name": w.namespace}},
			"rules": []any{map[string]any{
				"apiGroups": []any{""}, "apiVersions": []any{"v1"}, "operations": []any{"CREATE"}, "resources": []any{"configmaps"},
			}},
			"objectSelector": map[string]any{"matchExpressions": []any{map[string]any{"key": LabelInventory, "operator": "DoesNotExist"}}},
		}},
	}}, metav1.CreateOptions{})
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() {
		w.admin.Resource(hooks).Delete(context.Background(), w.namespace, metav1.DeleteOptions{}) //nolint:errcheck // it is gone with the cluster
	})
	for o := range w.set(configMap("refused", "one")).All() {
		w.until(func() bool {
			_, err := w.admin.Resource(configs).Namespace(w.namespace).Create(w.ctx, &unstructured.Unstructured{Object: object.CloneMap(o.Content)},
				metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
			return err != nil
		})
	}
}

// certificateFor makes a certificate for an address, and gives it also as base64 of its PEM, for it is its own authority.
func certificateFor(t *testing.T, ip net.IP) (string, tls.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{ip}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return base64.StdEncoding.EncodeToString(text), tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
