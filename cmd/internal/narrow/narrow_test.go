package narrow

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime"

	"headgate.dev/agent"
	"headgate.dev/cmd/internal/local"
	"headgate.dev/proxy/kube"
	"headgate.dev/proxy/kube/kubetest"
	"headgate.dev/proxy/traffic"
	"headgate.dev/render/object"
	"headgate.dev/schema"
)

// apart puts a host of its own in the place of the widest, which meets all others.
func apart(hostnames any) {
	list, _ := hostnames.([]any)
	for i, h := range list {
		if h == "*.com" {
			list[i] = "other.example.org"
		}
	}
}

// setOf makes a Set of a random world, but for its classes, which are another controller's.
func setOf(t *testing.T, w *kubetest.World) *object.Set {
	t.Helper()
	var objects []*object.Object
	for i, c := range w.All() {
		if c.Kind == kube.GatewayClass {
			continue
		}
		content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(c.Object)
		if err != nil {
			t.Fatal(err)
		}
		content["kind"], content["apiVersion"] = c.Kind.String(), c.Kind.Version()
		if c.Kind.Group() != "" {
			content["apiVersion"] = c.Kind.Group() + "/" + c.Kind.Version()
		}
		if spec, _ := content["spec"].(map[string]any); spec != nil {
			apart(spec["hostnames"])
		}
		o, err := object.New(content, schema.Position{File: fmt.Sprintf("%d.yaml", i), Line: 1}, nil)
		if err != nil {
			t.Fatal(err)
		}
		objects = append(objects, o)
	}
	set, errs := object.NewSet(objects)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	return set
}

func stackWith(t *testing.T, set *object.Set, part []*object.Object) *local.Stack {
	t.Helper()
	s, err := local.New(local.Options{Detached: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := s.Apply(t.Context(), agent.Change{Set: set, Put: part}); err != nil {
		t.Fatal(err)
	}
	return s
}

func all(set *object.Set) []*object.Object {
	put, _ := object.Diff(nil, set)
	return put
}

// What a part of a tree explains is what the whole explains.
func TestNearExplainsTheSame(t *testing.T) {
	answered, left := 0, 0
	for seed := range uint64(40) {
		w := kubetest.NewWorld(seed)
		w.Fill()
		set := setOf(t, w)
		full := stackWith(t, set, all(set))
		for _, host := range []string{"shop.example.com", "x.a.example.com", "y.a.example.com:8080", "Cart.example.com.", "x.b.example.com", "other.example.org", "127.0.0.1", "nowhere.test"} {
			near := Near(set, traffic.ServerName(host), traffic.ServerName(host))
			left += set.Len() - len(near)
			part := stackWith(t, set, near)
			for _, scheme := range []string{"", "http", "https", "tls"} {
				q := local.Query{Request: traffic.Request{Host: host, Path: "/a", Method: "GET"}, ServerName: traffic.ServerName(host), Scheme: scheme}
				got := part.Explain(q)
				if !local.Nowhere(got) {
					answered++
				}
				if diff := cmp.Diff(full.Explain(q), got); diff != "" {
					t.Fatalf("seed %d, %s %s:\n%s", seed, scheme, host, diff)
				}
			}
		}
	}
	if answered < 100 || left < 1000 {
		t.Errorf("%d answers with %d objects left out", answered, left)
	}
}

// someRoutes gives a set in which at most n routes with hosts of their own are as in another one.
func someRoutes(t *testing.T, before, after *object.Set, n int) *object.Set {
	t.Helper()
	var add, drop []*object.Object
	changed, _ := object.Diff(before, after)
	for _, o := range changed {
		old := before.Get(o.ID)
		if len(add) < n && len(routeHosts(o)) > 0 && (old == nil || len(routeHosts(old)) > 0) {
			add, drop = append(add, o), append(drop, old)
		}
	}
	set, errs := before.Replace(add, slices.DeleteFunc(drop, func(o *object.Object) bool { return o == nil }))
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	return set
}

// What a part of a tree says of a change is what the whole says.
func TestTouchedSaysTheSame(t *testing.T) {
	changed, left := 0, 0
	for seed := range uint64(160) {
		w := kubetest.NewWorld(seed)
		w.Fill()
		before := setOf(t, w)
		w.Changes(40)
		after := setOf(t, w)
		if seed%6 != 0 {
			after = someRoutes(t, before, after, 1+int(seed%3))
		}
		if seed%2 == 0 {
			before, after = after, before
		}
		change := agent.Change{Set: after}
		change.Put, change.Removed = object.Diff(before, after)
		touched := Touched(before, change)
		left += before.Len() - len(touched)
		var said [2]string
		for i, part := range [][]*object.Object{all(before), touched} {
			s := stackWith(t, before, part)
			if err := s.Apply(t.Context(), change); err != nil {
				t.Fatal(err)
			}
			rows, total := s.Changed(1000)
			changed += total
			said[i] = fmt.Sprintf("%d\n%+v\n%v", total, s.NewlyHidden(), s.Unserved())
			for _, r := range rows {
				said[i] += fmt.Sprintf("\n%+v → %+v", value(r.Before), value(r.After))
			}
		}
		if said[0] != said[1] {
			t.Fatalf("seed %d:\n%s", seed, cmp.Diff(said[0], said[1]))
		}
	}
	if changed < 100 || left < 50 {
		t.Errorf("%d changes with %d objects left out", changed, left)
	}
}

func value(r *local.Row) local.Row {
	if r == nil {
		return local.Row{}
	}
	return *r
}
