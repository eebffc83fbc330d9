package drift

import (
	"maps"
	"reflect"
	"strconv"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/apimachinery/pkg/util/managedfields/managedfieldstest"
	"sigs.k8s.io/structured-merge-diff/v6/typed"

	"headgate.dev/agent/plan"
	"headgate.dev/render/object"
)

// shape is how the world's kinds are: lists are owned as a whole, but for those that have keys.
const shape = `
types:
- name: object
  map:
    fields:
    - {name: metadata, type: {namedType: metadata}}
    - {name: spec, type: {namedType: spec}}
    elementType: {namedType: any}
- name: metadata
  map:
    fields:
    - name: finalizers
      type: {list: {elementType: {scalar: string}, elementRelationship: associative}}
    - name: ownerReferences
      type: {list: {elementType: {namedType: any}, elementRelationship: associative, keys: [uid]}}
    elementType: {namedType: any}
- name: spec
  map:
    fields:
    - name: env
      type: {list: {elementType: {namedType: any}, elementRelationship: associative, keys: [name]}}
    elementType: {namedType: any}
- name: any
  scalar: untyped
  list: {elementType: {namedType: whole}, elementRelationship: atomic}
  map: {elementType: {namedType: any}, elementRelationship: separable}
- name: whole
  scalar: untyped
  list: {elementType: {namedType: whole}, elementRelationship: atomic}
  map: {elementType: {namedType: whole}, elementRelationship: atomic}
`

type converter struct{ kind typed.ParseableType }

func newConverter(t testing.TB) converter {
	parser, err := typed.NewParser(shape)
	if err != nil {
		t.Fatal(err)
	}
	return converter{parser.Type("object")}
}

func (c converter) ObjectToTyped(o runtime.Object, opts ...typed.ValidationOptions) (*typed.TypedValue, error) {
	return c.kind.FromUnstructured(o.(*unstructured.Unstructured).Object, opts...)
}

func (c converter) TypedToObject(v *typed.TypedValue) (runtime.Object, error) {
	return &unstructured.Unstructured{Object: v.AsValue().Unstructured().(map[string]any)}, nil
}

// world is an API server without the server: server-side apply and updates by the very code of a real one.
type world struct {
	t       testing.TB
	now     time.Time
	version uint64
	objects map[object.ID]map[string]any
	convert converter
	// mutate is a mutating webhook, defaults what the server fills in where nothing is said. Either may be nil.
	mutate, defaults func(content map[string]any)
	// broken is why writes do not work.
	broken string
}

func newWorld(t testing.TB) *world {
	return &world{t: t, now: time.Date(2026, 11, 30, 3, 0, 0, 0, time.UTC), version: 100, objects: map[object.ID]map[string]any{}, convert: newConverter(t)}
}

func (w *world) manager(content map[string]any) *managedfields.FieldManager {
	u := unstructured.Unstructured{Object: content}
	return managedfieldstest.NewFakeFieldManager(w.convert, u.GroupVersionKind())
}

// apply gives what an apply returns, and keeps it unless it is a dry run.
func (w *world) apply(content map[string]any, manager string, dry bool) map[string]any {
	w.t.Helper()
	id := IDOf(content)
	live, there := w.objects[id]
	if !there {
		live = map[string]any{"apiVersion": content["apiVersion"], "kind": content["kind"], "metadata": map[string]any{}}
	}
	content = object.CloneMap(content)
	if w.mutate != nil {
		w.mutate(content)
	}
	before := &unstructured.Unstructured{Object: object.CloneMap(live)}
	after, err := w.manager(content).Apply(before, &unstructured.Unstructured{Object: content}, manager, true)
	if err != nil {
		w.t.Fatal(err)
	}
	return w.store(id, live, after.(*unstructured.Unstructured).Object, dry)
}

// update changes an object in a manager's name.
func (w *world) update(id object.ID, manager string, change func(content map[string]any)) map[string]any {
	w.t.Helper()
	live := w.objects[id]
	if live == nil {
		w.t.Fatalf("%s is not there", id)
	}
	next := object.CloneMap(live)
	change(next)
	after, err := w.manager(live).Update(&unstructured.Unstructured{Object: object.CloneMap(live)}, &unstructured.Unstructured{Object: next}, manager)
	if err != nil {
		w.t.Fatal(err)
	}
	return w.store(id, live, after.(*unstructured.Unstructured).Object, false)
}

func (w *world) store(id object.ID, live, after map[string]any, dry bool) map[string]any {
	u := unstructured.Unstructured{Object: after}
	if w.defaults != nil {
		w.defaults(after)
	}
	known := (&unstructured.Unstructured{Object: live}).GetManagedFields()
	entries := u.GetManagedFields()
	for i := range entries {
		e := &entries[i]
		e.Time = &metav1.Time{Time: w.now}
		for _, k := range known {
			if k.Manager == e.Manager && k.Operation == e.Operation && reflect.DeepEqual(k.FieldsV1, e.FieldsV1) {
				e.Time = k.Time
			}
		}
	}
	u.SetManagedFields(entries)
	if u.GetUID() == "" {
		u.SetUID(types.UID("uid-" + strconv.FormatUint(w.version, 10)))
	}
	if dry {
		return u.Object
	}
	if !reflect.DeepEqual(u.Object, live) {
		w.version++
		u.SetResourceVersion(strconv.FormatUint(w.version, 10))
	}
	w.objects[id] = u.Object
	return object.CloneMap(u.Object)
}

func (w *world) remove(id object.ID) {
	w.version++
	delete(w.objects, id)
}

var testOwner = plan.Owner{Namespace: "team-a", Name: "shop"}

const testManager = "headgate"

var testKey = []byte("a key of the tests")

// stamped is what the Sync applies.
func stamped(o *object.Object, rules []plan.Rule) map[string]any {
	return plan.Stamp(o.Content, testOwner, plan.Key(o, rules))
}

// runner joins a State and a world, as the edge does.
type runner struct {
	*world
	state *State
	set   *object.Set
	rules []plan.Rule
	// todo is what the State asked for and nobody did.
	todo Effects
	// alerts are those sent.
	alerts []Notice
}

func newRunner(t testing.TB, policy Policy) *runner {
	r := &runner{world: newWorld(t)}
	r.state = New(r.config(policy), nil)
	return r
}

func (r *runner) config(policy Policy) Config {
	return Config{Owner: testOwner, Manager: testManager, Key: testKey, Policy: policy}
}

func (r *runner) take(e Effects) Effects {
	r.todo.Correct = append(r.todo.Correct, e.Correct...)
	r.todo.Try = append(r.todo.Try, e.Try...)
	r.todo.Look = append(r.todo.Look, e.Look...)
	r.alerts = append(r.alerts, e.Alerts...)
	for _, err := range e.Errors {
		r.t.Error(err)
	}
	return e
}

// deploy applies what differs from what the world has, as one revision.
func (r *runner) deploy(set *object.Set) Effects {
	var begun []object.ID
	for o := range set.All() {
		begun = append(begun, o.ID)
	}
	for _, id := range r.state.Owned() {
		if set.Get(id) == nil {
			begun = append(begun, id)
		}
	}
	r.state.Begin(begun)
	a := Applied{Set: set, Rules: r.rules}
	for o := range set.All() {
		live := r.objects[o.ID]
		metadata, _ := live["metadata"].(map[string]any)
		annotations, _ := metadata["annotations"].(map[string]any)
		if live != nil && annotations[plan.AnnotationApplied] == plan.Key(o, r.rules).String() {
			continue
		}
		a.Begun = append(a.Begun, o.ID)
		a.Written = append(a.Written, Written{Object: o, Content: Hide(r.apply(stamped(o, r.rules), testManager, false), testKey)})
	}
	for id := range maps.Clone(r.objects) {
		if set.Get(id) == nil {
			r.remove(id)
			a.Removed = append(a.Removed, id)
		}
	}
	a.Begun = begun
	r.set = set
	return r.take(r.state.Applied(r.now, a))
}

// see shows the State an object as it is.
func (r *runner) see(id object.ID) Effects {
	if live := r.objects[id]; live != nil {
		return r.take(r.state.Seen(r.now, Hide(object.CloneMap(live), testKey)))
	}
	return r.take(r.state.Gone(r.now, id))
}

// list shows all that is there, and all that is owned and is not.
func (r *runner) list() Effects {
	var all Effects
	for _, id := range r.state.Owned() {
		e := r.see(id)
		all.Try = append(all.Try, e.Try...)
		all.Correct = append(all.Correct, e.Correct...)
		all.Alerts = append(all.Alerts, e.Alerts...)
	}
	return all
}

// work does what the State asked for, until it asks for nothing more.
func (r *runner) work() {
	for n := 0; len(r.todo.Correct)+len(r.todo.Try)+len(r.todo.Look) > 0; n++ {
		if n > 50 {
			r.t.Fatal("it never ends")
		}
		todo := r.todo
		r.todo = Effects{}
		for _, id := range todo.Try {
			r.take(r.state.Tried(r.now, id, r.try(id)))
		}
		for _, c := range todo.Correct {
			if r.broken != "" {
				r.take(r.state.Corrected(r.now, c.Object.ID, nil, r.broken))
				continue
			}
			r.take(r.state.Corrected(r.now, c.Object.ID, Hide(r.correct(c), testKey), ""))
		}
		for _, id := range todo.Look {
			r.see(id)
		}
	}
}

func (r *runner) try(id object.ID) map[string]any {
	if r.broken != "" {
		return nil
	}
	return Hide(r.apply(stamped(r.set.Get(id), r.rules), testManager, true), testKey)
}

func (r *runner) correct(c Correction) map[string]any {
	return r.apply(c.Content(testOwner, r.rules, r.objects[c.Object.ID]), testManager, false)
}

// restart gives the State's memory to a new one, and shows it everything.
func (r *runner) restart() {
	before := r.state.Snapshot()
	r.todo = Effects{}
	r.state = New(r.state.config, &before)
	r.take(r.state.Applied(r.now, Applied{Set: r.set, Rules: r.rules}))
	r.list()
}
