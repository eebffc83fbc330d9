package drift

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"headgate.dev/agent/plan"
	"headgate.dev/render/object"
)

// TestStateIsSmall: what is kept of an object is little more than what the API server returned for it, as JSON. Nothing of what was decoded stays, neither
// content nor managedFields.
func TestStateIsSmall(t *testing.T) {
	const n, most = 5000, 1800 // bytes for an object, of which the JSON of these has 1,000
	owner := plan.Owner{Namespace: "team-a", Name: "shop"}
	var objects []*object.Object
	for i := range n {
		objects = append(objects, routeOf(t, i))
	}
	set, errs := object.NewSet(objects)
	if errs != nil {
		t.Fatal(errs)
	}
	before := inUse()
	s := New(Config{Owner: owner, Manager: "headgate", Key: make([]byte, 32)}, nil)
	now := time.Now()
	a := Applied{Set: set}
	for i, o := range objects {
		a.Written = append(a.Written, Written{o, returned(o, owner, i)})
	}
	s.Applied(now, a)
	for i, w := range a.Written {
		live := object.CloneMap(w.Content)
		live["metadata"].(map[string]any)["resourceVersion"] = fmt.Sprint(100_000 + i)
		if e := s.Seen(now, live); e.Changed || e.Try != nil || e.Errors != nil {
			t.Fatalf("%s: %+v", w.Object.ID, e)
		}
	}
	a = Applied{}
	per := (inUse() - before) / n
	t.Logf("%d bytes for each object", per)
	if per > most {
		t.Errorf("%d bytes for each object, want %d at most", per, most)
	}
	if len(s.Unknown()) > 0 {
		t.Error("some objects have no base")
	}
	runtime.KeepAlive(set)
}

func inUse() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func routeOf(t *testing.T, i int) *object.Object {
	o, err := object.New(map[string]any{
		"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": map[string]any{"namespace": "team-a", "name": fmt.Sprintf("svc-%d", i)},
		"spec": map[string]any{"hostnames": []any{fmt.Sprintf("svc-%d.example.com", i)}, "rules": []any{map[string]any{
			"timeouts":    map[string]any{"request": "10s"},
			"backendRefs": []any{map[string]any{"name": fmt.Sprintf("svc-%d", i), "port": int64(80)}},
		}}},
	}, object.Origin{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// returned is what an API server returns for an apply of a route.
func returned(o *object.Object, owner plan.Owner, i int) map[string]any {
	none := map[string]any{}
	out := object.CloneMap(plan.Stamp(o.Content, owner, plan.Key(o, nil)))
	m := out["metadata"].(map[string]any)
	m["uid"], m["resourceVersion"] = fmt.Sprintf("6a3cfe0e-8a3e-4c1b-9d5e-%012d", i), fmt.Sprint(1000+i)
	m["creationTimestamp"], m["generation"] = "2026-11-30T03:00:00Z", int64(1)
	m["managedFields"] = []any{map[string]any{
		"manager": "headgate", "operation": "Apply", "apiVersion": out["apiVersion"], "time": "2026-11-30T03:00:00Z", "fieldsType": "FieldsV1",
		"fieldsV1": map[string]any{
			"f:metadata": map[string]any{
				"f:annotations": map[string]any{"f:" + plan.AnnotationApplied: none},
				"f:labels":      map[string]any{"f:" + plan.LabelSync: none, "f:" + plan.LabelSyncNamespace: none},
			},
			"f:spec": map[string]any{"f:hostnames": none, "f:rules": none},
		},
	}}
	return out
}
