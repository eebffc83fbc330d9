//go:build cluster

package apply

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	kube "k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client/config"

	"headgate.dev/agent/plan"
	"headgate.dev/render/object"
	"headgate.dev/schema"
)

// world is a namespace of its own in the test cluster, with a service account that may do much in it and nothing elsewhere.
type world struct {
	*testing.T
	ctx       context.Context
	config    *rest.Config
	calls     *recorder
	admin     dynamic.Interface
	namespace string
	exists    func(plan.Owner) bool
}

var (
	namespaces = kube.GroupVersionResource{Version: "v1", Resource: "namespaces"}
	configs    = kube.GroupVersionResource{Version: "v1", Resource: "configmaps"}
	deploys    = kube.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}
	routes     = kube.GroupVersionResource{Group: "gateway.networking.k8s.io", Version: "v1", Resource: "httproutes"}
	roles      = kube.GroupVersionResource{Group: "rbac.authorization.k8s.io", Version: "v1", Resource: "roles"}
	bindings   = kube.GroupVersionResource{Group: "rbac.authorization.k8s.io", Version: "v1", Resource: "rolebindings"}
)

func newWorld(t *testing.T) *world {
	t.Helper()
	cfg, err := config.GetConfig()
	if err != nil {
		t.Fatalf("%v; run make test-cluster", err)
	}
	cfg.QPS = -1
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	w := &world{T: t, ctx: ctx, config: cfg, calls: &recorder{}}
	if w.admin, err = dynamic.NewForConfig(cfg); err != nil {
		t.Fatal(err)
	}
	w.namespace = w.newNamespace("")
	w.allow("", "configmaps", "secrets", "services", "serviceaccounts")
	w.allow("apps", "deployments")
	w.allow("gateway.networking.k8s.io", "httproutes")
	return w
}

// newNamespace makes a namespace that is removed with the test.
func (w *world) newNamespace(name string) string {
	w.Helper()
	u := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{}}}
	if u.SetName(name); name == "" {
		u.SetGenerateName("headgate-apply-")
	}
	made, err := w.admin.Resource(namespaces).Create(w.ctx, u, metav1.CreateOptions{})
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() {
		w.admin.Resource(namespaces).Delete(context.Background(), made.GetName(), metav1.DeleteOptions{}) //nolint:errcheck // it may be gone already
	})
	return made.GetName()
}

var allVerbs = []string{"get", "list", "watch", "create", "patch", "delete"}

// allow lets the account do everything with kinds in the namespace.
func (w *world) allow(group string, resources ...string) {
	w.Helper()
	w.bind(rbacv1.PolicyRule{APIGroups: []string{group}, Resources: resources, Verbs: allVerbs})
}

func (w *world) bind(rule rbacv1.PolicyRule) {
	w.Helper()
	name := "deployer-" + strings.ToLower(strings.Join(append(rule.APIGroups, rule.Resources...), "-"))
	name = strings.Trim(strings.ReplaceAll(name, "--", "-"), "-")
	w.create(roles, &rbacv1.Role{
		TypeMeta:   metav1.TypeMeta{APIVersion: "rbac.authorization.k8s.io/v1", Kind: "Role"},
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: w.namespace}, Rules: []rbacv1.PolicyRule{rule},
	})
	w.create(bindings, &rbacv1.RoleBinding{
		TypeMeta:   metav1.TypeMeta{APIVersion: "rbac.authorization.k8s.io/v1", Kind: "RoleBinding"},
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: w.namespace},
		RoleRef:    rbacv1.RoleRef{APIGroup: "rbac.authorization.k8s.io", Kind: "Role", Name: name},
		Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Name: "deployer", Namespace: w.namespace}},
	})
	w.waitAllowed(rule)
}

// waitAllowed waits until the API server's authorizer has seen a rule: it watches them, as everybody does.
func (w *world) waitAllowed(rule rbacv1.PolicyRule) {
	w.Helper()
	review := map[string]any{"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": map[string]any{
		"user":               "system:serviceaccount:" + w.namespace + ":deployer",
		"resourceAttributes": map[string]any{"namespace": w.namespace, "verb": rule.Verbs[0], "group": rule.APIGroups[0], "resource": rule.Resources[0]},
	}}
	reviews := kube.GroupVersionResource{Group: "authorization.k8s.io", Version: "v1", Resource: "subjectaccessreviews"}
	for {
		u, err := w.admin.Resource(reviews).Create(w.ctx, &unstructured.Unstructured{Object: review}, metav1.CreateOptions{})
		if err != nil {
			w.Fatal(err)
		}
		if allowed, _, _ := unstructured.NestedBool(u.Object, "status", "allowed"); allowed {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func (w *world) create(resource kube.GroupVersionResource, o runtime.Object) {
	w.Helper()
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
	if err != nil {
		w.Fatal(err)
	}
	if _, err := w.admin.Resource(resource).Namespace(w.namespace).Create(w.ctx, &unstructured.Unstructured{Object: content}, metav1.CreateOptions{}); err != nil {
		w.Fatal(err)
	}
}

func (w *world) owner(name string) plan.Owner { return plan.Owner{Namespace: w.namespace, Name: name} }

// applier makes one whose calls are recorded.
func (w *world) applier(name string) *Applier {
	w.Helper()
	cfg := rest.CopyConfig(w.config)
	cfg.Wrap(func(next http.RoundTripper) http.RoundTripper { return w.calls.around(next) })
	kinds, err := NewKinds(w.config)
	if err != nil {
		w.Fatal(err)
	}
	a, err := New(Config{REST: cfg, Kinds: kinds, Owner: w.owner(name), Account: "deployer", Exists: w.exists})
	if err != nil {
		w.Fatal(err)
	}
	return a
}

// set reads objects from YAML, in which NS stands for the namespace.
func (w *world) set(text string) *object.Set {
	w.Helper()
	docs, errs := schema.Documents("shop.yaml", []byte(strings.ReplaceAll(text, "NS", w.namespace)), schema.Limits{})
	if len(errs) > 0 {
		w.Fatal(errs)
	}
	var objects []*object.Object
	for _, d := range docs {
		o, err := object.FromDocument(d.Root)
		if err != nil {
			w.Fatal(err)
		}
		objects = append(objects, o)
	}
	out, errs := object.NewSet(objects)
	if len(errs) > 0 {
		w.Fatal(errs)
	}
	return out
}

// configMap is the YAML of a ConfigMap.
func configMap(name, value string) string {
	return fmt.Sprintf("---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s, namespace: NS}\ndata: {key: %s}\n", name, value)
}

func (w *world) apply(a *Applier, text string) *Result {
	w.Helper()
	return w.request(a, Request{Desired: w.set(text)})
}

func (w *world) request(a *Applier, r Request) *Result {
	w.Helper()
	result, err := a.Apply(w.ctx, r)
	if err != nil {
		w.Fatal(err)
	}
	return result
}

// fails applies what must fail for a reason, and gives the one error.
func (w *world) fails(a *Applier, r Request, reason Reason) *Error {
	w.Helper()
	_, err := a.Apply(w.ctx, r)
	var e *Error
	if !errors.As(err, &e) {
		w.Fatalf("%v is no Error", err)
	}
	if e.Reason != reason {
		w.Fatalf("%s, not %s: %v", e.Reason, reason, err)
	}
	return e
}

// says checks an error's message.
func (w *world) says(err error, parts ...string) {
	w.Helper()
	for _, part := range parts {
		if !strings.Contains(err.Error(), strings.ReplaceAll(part, "NS", w.namespace)) {
			w.Errorf("%q does not say %q", err, part)
		}
	}
}

// get gives an object, nil where there is none.
func (w *world) get(resource kube.GroupVersionResource, name string) *unstructured.Unstructured {
	w.Helper()
	u, err := w.admin.Resource(resource).Namespace(w.namespace).Get(w.ctx, name, metav1.GetOptions{})
	if isMissing(err) {
		return nil
	}
	if err != nil {
		w.Fatal(err)
	}
	return u
}

func (w *world) value(name string) string {
	w.Helper()
	u := w.get(configs, name)
	if u == nil {
		return ""
	}
	v, _, _ := unstructured.NestedString(u.Object, "data", "key")
	return v
}

// patch changes an object as a field manager does that updates.
func (w *world) patch(resource kube.GroupVersionResource, name, manager, text string) {
	w.Helper()
	_, err := w.admin.Resource(resource).Namespace(w.namespace).Patch(w.ctx, name, types.MergePatchType, []byte(text), metav1.PatchOptions{FieldManager: manager})
	if err != nil {
		w.Fatal(err)
	}
}

// by makes an object as a manager does: by an update, or by server-side apply.
func (w *world) by(manager string, resource kube.GroupVersionResource, text string, apply bool) types.UID {
	w.Helper()
	for o := range w.set(text).All() {
		u := &unstructured.Unstructured{Object: object.CloneMap(o.Content)}
		in := w.admin.Resource(resource).Namespace(w.namespace)
		var err error
		if apply {
			u, err = in.Apply(w.ctx, o.ID.Name, u, metav1.ApplyOptions{FieldManager: manager})
		} else {
			u, err = in.Create(w.ctx, u, metav1.CreateOptions{FieldManager: manager})
		}
		if err != nil {
			w.Fatal(err)
		}
		return u.GetUID()
	}
	w.Fatal("nothing to make")
	return ""
}

// managers gives the names of an object's managers, sorted, each once.
func managers(u *unstructured.Unstructured) string {
	var out []string
	for _, e := range u.GetManagedFields() {
		name := e.Manager
		if e.Subresource != "" {
			name += "/" + e.Subresource
		}
		out = append(out, name)
	}
	slices.Sort(out)
	return strings.Join(slices.Compact(out), " ")
}

// inventory gives the names of what the inventory holds, sorted.
func (w *world) inventory(name string) string {
	w.Helper()
	list, err := w.admin.Resource(configs).Namespace(w.namespace).List(w.ctx, metav1.ListOptions{LabelSelector: LabelInventory + "=" + name})
	if err != nil {
		w.Fatal(err)
	}
	var shards []plan.Shard
	for i := range list.Items {
		shards = append(shards, plan.Shard{Name: list.Items[i].GetName(), Data: shardOf(&list.Items[i]).data})
	}
	if len(shards) == 0 {
		return "none"
	}
	all, err := plan.Join(shards)
	if err != nil {
		w.Fatal(err)
	}
	var names []string
	for _, id := range all {
		names = append(names, id.Name)
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

// recorder is a transport that counts calls, and may lose one.
type recorder struct {
	mu     sync.Mutex
	calls  []string
	flying int
	most   int // calls at the same time
	// lose is the call to lose, from 1; 0: none. Whether its answer alone is lost says answer.
	lose   int
	answer bool
	// after is called once, after a call of that name.
	after map[string]func()
}

var errLost = errors.New("connection reset by the test")

func (r *recorder) around(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(request *http.Request) (*http.Response, error) {
		lost := r.begin(request)
		defer r.end()
		if lost && !r.answer {
			return nil, errLost
		}
		response, err := next.RoundTrip(request)
		r.follow(request)
		if lost && err == nil {
			io.Copy(io.Discard, response.Body) //nolint:errcheck // nobody reads it
			response.Body.Close()
			return nil, errLost
		}
		return response, err
	})
}

// nameOf gives "GET NAME", "TRY NAME" for a dry run, "INVENTORY PATCH".
func nameOf(request *http.Request) string {
	name := request.URL.Path[strings.LastIndexByte(request.URL.Path, '/')+1:]
	if strings.HasPrefix(name, inventoryPrefix) {
		return "INVENTORY " + request.Method
	}
	what := request.Method + " " + name
	if request.URL.Query().Get("dryRun") != "" {
		what = "TRY " + strings.TrimPrefix(what, "PATCH ")
	}
	return what
}

func (r *recorder) follow(request *http.Request) {
	r.mu.Lock()
	do := r.after[nameOf(request)]
	delete(r.after, nameOf(request))
	r.mu.Unlock()
	if do != nil {
		do()
	}
}

func (r *recorder) begin(request *http.Request) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls = append(r.calls, nameOf(request))
	r.flying++
	r.most = max(r.most, r.flying)
	return len(r.calls) == r.lose
}

func (r *recorder) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.flying--
}

// take gives the calls since it was asked last.
func (r *recorder) take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := r.calls
	r.calls, r.most, r.lose = nil, 0, 0
	return out
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// made checks the calls since the last check. Calls of one kind that follow each other were made at the same time, and are sorted.
func (w *world) made(want ...string) {
	w.Helper()
	got := w.calls.take()
	for from := 0; from < len(got); {
		verb, _, _ := strings.Cut(got[from], " ")
		to := from
		for to < len(got) && strings.HasPrefix(got[to], verb+" ") {
			to++
		}
		slices.Sort(got[from:to])
		from = to
	}
	if !slices.Equal(got, want) {
		w.Errorf("calls:\n %s\nwanted:\n %s", strings.Join(got, "\n "), strings.Join(want, "\n "))
	}
}
