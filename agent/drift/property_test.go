package drift

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"headgate.dev/render/object"
)

const propertyTree = `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: cart, namespace: team-a, labels: {app: cart}}
spec:
  hostnames: [cart.example.com]
  rules:
  - {name: api, timeouts: {request: 10s}, backendRefs: [{name: cart, port: 8080, weight: 90}]}
  - {name: rest, timeouts: {request: 30s}}
---
apiVersion: example.com/v1
kind: Thing
metadata: {name: thing, namespace: team-a, finalizers: [example.com/a], annotations: {note: mine}}
spec:
  replicas: 2
  env: [{name: A, value: a}, {name: B, value: b}]
  resources: {requests: {cpu: 1000m, memory: 1Gi}}
  args: [serve, --port=8080]
---
apiVersion: v1
kind: Secret
metadata: {name: db, namespace: team-a}
stringData: {password: hunter2, user: ada}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: config, namespace: team-a}
data: {a: one, b: two}
`

type move struct {
	object         object.ID
	pointer, value string
}

var (
	cart   = object.ID{Group: "gateway.networking.k8s.io", Kind: "HTTPRoute", Namespace: "team-a", Name: "cart"}
	thing  = object.ID{Group: "example.com", Kind: "Thing", Namespace: "team-a", Name: "thing"}
	secret = object.ID{Kind: "Secret", Namespace: "team-a", Name: "db"}
	config = object.ID{Kind: "ConfigMap", Namespace: "team-a", Name: "config"}
)

// benign are changes by others that are no drift.
var benign = []move{
	{cart, "/status/parents", `[1]`}, {cart, "/metadata/labels/team", `"b"`}, {cart, "/metadata/annotations/x", `"y"`},
	{cart, "/spec/rules/0/timeouts/request", `"10000ms"`}, {cart, "/spec/rules/0/timeouts/request", `"10s"`}, {cart, "/spec/parentRefs", `[{"name":"x"}]`},
	{thing, "/status/ready", `true`}, {thing, "/status/ready", `false`}, {thing, "/metadata/ownerReferences", `[{"uid":"u"}]`},
	{thing, "/metadata/finalizers", `["example.com/b","example.com/a"]`}, {thing, "/spec/env", `[{"name":"B","value":"b"},{"name":"A","value":"a"},{"name":"C","value":"c"}]`},
	{thing, "/spec/env", `[{"name":"A","value":"a"},{"name":"B","value":"b"}]`}, {thing, "/spec/unsaid", `3`}, {thing, "/spec/resources/requests/cpu", `1`},
	{thing, "/spec/resources/requests/cpu", `"1"`}, {thing, "/spec/resources/requests/memory", `"1024Mi"`}, {thing, "/spec/resources/limits", `{"cpu":2}`},
	{secret, "/metadata/labels/x", `"y"`}, {secret, "/data/theirs", `"eA=="`}, {config, "/data/theirs", `"x"`}, {config, "/metadata/annotations/x", `"y"`},
}

// harmful are changes of what is the Sync's, each of one field.
var harmful = []move{
	{cart, "/spec/rules/0/timeouts/request", `"60s"`}, {cart, "/spec/rules/1/timeouts/request", `"1m"`}, {cart, "/spec/rules/0/backendRefs/0/weight", `10`},
	{cart, "/spec/rules/0/backendRefs/+", `{"name":"evil"}`}, {cart, "/metadata/labels/app", `"other"`}, {cart, "/metadata/labels/app", `-`},
	{cart, "/spec/hostnames/+", `"evil.example.com"`}, {cart, "/spec/hostnames/0", `"x.example.com"`}, {cart, "/spec/rules/1/filters", `[{"type":"x"}]`},
	{cart, "/spec/rules/1", `-`}, {cart, "/spec/rules/0/timeouts/request", `-`},
	{thing, "/spec/replicas", `5`}, {thing, "/spec/replicas", `-`}, {thing, "/spec/env/0/value", `"z"`}, {thing, "/spec/args/1", `"--port=1"`},
	{thing, "/spec/args/+", `"-v"`}, {thing, "/spec/resources/requests/cpu", `"2"`}, {thing, "/metadata/annotations/note", `"yours"`},
	{secret, "/data/password", `"eA=="`}, {secret, "/data/user", `-`}, {config, "/data/a", `"two"`}, {config, "/data/b", `-`},
}

type walk struct {
	*runner
	random *rand.Rand
	stale  []map[string]any
}

func newWalk(t *testing.T, seed uint64) *walk {
	w := &walk{runner: newRunner(t, Policy{}), random: rand.New(rand.NewPCG(seed, 8))}
	w.defaults = func(content map[string]any) {
		if spec, ok := content["spec"].(map[string]any); ok && spec["mode"] == nil {
			spec["mode"] = "Auto"
		}
	}
	if seed%2 == 0 {
		w.mutate = func(content map[string]any) { set(t, content, "/metadata/annotations/injected", `"by a webhook"`) }
	}
	objects := parseFile(t, "tree.yaml", propertyTree)
	if seed%3 == 0 { // the order in which Git has them means nothing
		slices.Reverse(objects)
	}
	set, errs := object.NewSet(objects)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	w.deploy(set)
	return w
}

func (w *walk) do(m move) {
	w.stale = append(w.stale, Hide(object.CloneMap(w.objects[m.object]), testKey))
	w.update(m.object, []string{"kubectl-edit", "controller", "other"}[w.random.IntN(3)], func(content map[string]any) { set(w.t, content, m.pointer, m.value) })
}

// benignStep does something that is no drift.
func (w *walk) benignStep() {
	w.now = w.now.Add(time.Duration(w.random.IntN(100)-5) * time.Second)
	switch w.random.IntN(12) {
	case 0:
		w.restart()
		w.work()
	case 1:
		w.deploy(w.set)
	case 2:
		if n := len(w.stale); n > 0 { // an event that comes late
			w.take(w.state.Seen(w.now, w.stale[w.random.IntN(n)]))
		}
	case 3:
		w.take(w.state.Tick(w.now))
	case 4:
		w.list()
	case 5: // a write in the Sync's name whose answer is lost
		id := []object.ID{cart, thing, secret, config}[w.random.IntN(4)]
		w.state.Begin([]object.ID{id})
		w.apply(stamped(w.set.Get(id), w.rules), testManager, false)
		w.see(id)
		w.take(w.state.Applied(w.now, Applied{Begun: []object.ID{id}}))
		w.work()
	default:
		m := benign[w.random.IntN(len(benign))]
		w.do(m)
		w.see(m.object)
	}
}

// TestBenignChangesAreNoDrift runs random sequences of changes that are no drift.
func TestBenignChangesAreNoDrift(t *testing.T) {
	for seed := range uint64(20) {
		w := newWalk(t, seed)
		for range 80 {
			w.benignStep()
		}
		if records := w.state.Snapshot().Records; len(records) > 0 || len(w.alerts) > 0 {
			t.Fatalf("seed %d: %v, %d alerts", seed, records, len(w.alerts))
		}
	}
}

// TestOneRecordForEachChange holds that a change of what is owned is exactly one open record, whatever happened before; that a restart gives the
// same ones; and that after a correction there is none.
func TestOneRecordForEachChange(t *testing.T) {
	for seed := range uint64(80) {
		w := newWalk(t, seed)
		for range w.random.IntN(12) {
			w.benignStep()
		}
		m := harmful[w.random.IntN(len(harmful))]
		w.do(m)
		w.see(m.object)
		w.work()
		open := w.state.Open()
		if len(open) != 1 || open[0].Object != m.object {
			t.Fatalf("seed %d: %s %s gives %s", seed, m.pointer, m.value, texts(open))
		}
		told := len(w.alerts)
		w.restart()
		w.work()
		w.list()
		if again := w.state.Open(); cmp.Diff(open, again, cmp.AllowUnexported(Record{})) != "" && !sameButGuess(open, again) {
			t.Fatalf("seed %d: before the restart (-), after (+):\n%s", seed, cmp.Diff(open, again, cmp.AllowUnexported(Record{})))
		}
		if len(w.alerts) != told || told != 1 {
			t.Fatalf("seed %d: %d alerts, %d before the restart", seed, len(w.alerts), told)
		}
		w.stale = append(w.stale, Hide(object.CloneMap(w.objects[m.object]), testKey))
		w.take(w.state.Force(w.now, m.object))
		w.work()
		w.list()
		w.work()
		for _, late := range w.stale { // events of before
			w.take(w.state.Seen(w.now, late))
		}
		if open := w.state.Open(); len(open) > 0 || w.alerts[len(w.alerts)-1].Phase != Resolved {
			t.Fatalf("seed %d: after the correction: %s", seed, texts(open))
		}
	}
}

// sameButGuess: who removed a field is told by who wrote the object since it was applied, and that is not known after a restart.
func sameButGuess(a, b []Record) bool {
	for _, list := range [][]Record{a, b} {
		for i := range list {
			if list[i].What != Removed {
				return false
			}
			list[i].By, list[i].Guess, list[i].Updated, list[i].Edits, list[i].Pointer = nil, false, time.Time{}, 0, ""
		}
	}
	return cmp.Equal(a, b, cmp.AllowUnexported(Record{}))
}

func texts(records []Record) string {
	out := fmt.Sprintf("%d records", len(records))
	for _, r := range records {
		out += "; " + r.Object.String() + " " + r.Text()
	}
	return out
}

// TestRecordsAreBounded drifts and reverts more often than records are kept.
func TestRecordsAreBounded(t *testing.T) {
	w := newWalk(t, 1)
	for i := range 2 * MaxRecords {
		w.now = w.now.Add(time.Hour)
		w.scale(3 + i%7)
		w.scale(2)
	}
	snapshot := w.state.Snapshot()
	if len(snapshot.Records) != MaxRecords {
		t.Errorf("%d records", len(snapshot.Records))
	}
	text, err := json.Marshal(snapshot)
	if err != nil || len(text) > 600*MaxRecords {
		t.Errorf("%d bytes, %v", len(text), err)
	}
	var back Snapshot
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	for i := range snapshot.Records {
		snapshot.Records[i].in = ""
	}
	if diff := cmp.Diff(snapshot, New(w.state.config, &back).Snapshot(), cmp.AllowUnexported(Record{})); diff != "" {
		t.Errorf("restored (+):\n%.2000s", diff)
	}
}

// scale edits without managedFields, which is faster, and shows it.
func (w *walk) scale(replicas int) Effects {
	w.version++
	w.objects[thing]["spec"].(map[string]any)["replicas"] = int64(replicas)
	set(w.t, w.objects[thing], "/metadata/resourceVersion", fmt.Sprintf("%q", fmt.Sprint(w.version)))
	return w.see(thing)
}

// TestLoopOfEdits edits ten thousand times in a minute, under each policy: what is said and done stays little.
func TestLoopOfEdits(t *testing.T) {
	edits := map[Do]int{Alert: 10_000, Correct: 1000, Ignore: 1000}
	for _, do := range []Do{Alert, Correct, Ignore} {
		w := newWalk(t, 1)
		w.take(w.state.SetPolicy(w.now, Policy{Do: do}))
		corrections := 0
		for i := range edits[do] {
			w.now = w.now.Add(6 * time.Millisecond)
			corrections += len(w.scale(3 + i%1000).Correct)
			w.work()
		}
		if records := len(w.state.Snapshot().Records); records != 1 || len(w.alerts) > 12 || corrections > 5 {
			t.Errorf("%s: %d records, %d alerts, %d corrections", do, records, len(w.alerts), corrections)
		}
	}
}
