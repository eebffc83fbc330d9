package plan

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"headgate.dev/render/object"
)

var update = flag.Bool("update", false, "write the golden files")

// TestPlans reads each file as a story: "desired", "inventory" and "marks", "gone" are what is given, "options" what the Sync says, "plan" the outcome.
// A line of desired is an object and its content; of marks an object, and any of own, owner=NAMESPACE/NAME, applied=CONTENT, protected.
func TestPlans(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no golden files")
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := outcome(t, archive)
			last := &archive.Files[len(archive.Files)-1]
			if last.Name != "plan" {
				t.Fatal("the last part is not the plan")
			}
			if *update {
				last.Data = []byte(got)
				if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != string(last.Data) {
				t.Errorf("got\n%s\nwant\n%s", got, last.Data)
			}
		})
	}
}

func outcome(t *testing.T, archive *txtar.Archive) string {
	var objects []*object.Object
	state, options := State{Marks: map[object.ID]Mark{}, Gone: map[object.ID]bool{}}, Options{Owner: me}
	var all bool
	for _, part := range archive.Files {
		for line := range strings.Lines(string(part.Data)) {
			line = strings.TrimSpace(line)
			switch part.Name {
			case "desired":
				id, content := cutID(t, line)
				objects = append(objects, made(t, id, map[string]any{"content": content}))
			case "inventory":
				state.Inventory = NewInventory(append(state.Inventory, parseID(t, line)))
			case "marks":
				id, rest := cutID(t, line)
				state.Marks[id] = parseMark(t, id, rest)
			case "gone":
				state.Gone[parseID(t, line)] = true
			case "options":
				state.Partial = state.Partial || line == "partial"
				options.Keep = options.Keep || line == "keep"
				all = all || line == "all"
			}
		}
	}
	if all {
		return text(All(state, options))
	}
	p, err := New(setOf(t, objects...), state, options)
	if err != nil {
		return err.Error() + "\n"
	}
	return text(p)
}

func cutID(t *testing.T, line string) (object.ID, string) {
	fields := strings.Fields(line)
	if len(fields) < 2 {
		t.Fatalf("%q is no object", line)
	}
	return parseID(t, strings.Join(fields[:2], " ")), strings.Join(fields[2:], " ")
}

func parseMark(t *testing.T, id object.ID, text string) Mark {
	var m Mark
	for _, word := range strings.Fields(text) {
		key, value, _ := strings.Cut(word, "=")
		switch key {
		case "own":
			m.Owner = me
		case "owner":
			m.Owner.Namespace, m.Owner.Name = object.SplitAPIVersion(value)
		case "applied":
			m.Applied = made(t, id, map[string]any{"content": value}).Digest
		case "protected":
			m.Protected = true
		default:
			t.Fatalf("%q is no mark", word)
		}
	}
	return m
}

func text(p *Plan) string {
	var b strings.Builder
	for _, s := range p.Stages {
		fmt.Fprintf(&b, "stage %s\n", s.Name)
		for _, w := range s.Writes {
			fmt.Fprintf(&b, "  %s %s", w.Action, w.Object.ID)
			for i, id := range w.Waits {
				fmt.Fprintf(&b, "%s%s", []string{" waits for ", ", "}[min(i, 1)], id)
			}
			b.WriteString("\n")
		}
	}
	for _, r := range p.Removals {
		fmt.Fprintf(&b, "remove %s\n", r)
	}
	for _, k := range p.Kept {
		fmt.Fprintf(&b, "keep %s: %s\n", k.ID, k.Reason)
	}
	for _, id := range p.Released {
		fmt.Fprintf(&b, "release %s\n", id)
	}
	fmt.Fprintf(&b, "unchanged %d, inventory %d before, %d after\n", p.Unchanged, len(p.Before), len(p.After))
	return b.String()
}

func TestErrorsAreTypes(t *testing.T) {
	id := object.ID{Kind: "ConfigMap", Namespace: "a", Name: "b"}
	_, err := New(nil, State{Inventory: Inventory{id}}, Options{Owner: me})
	var empty *EmptyError
	if !errors.As(err, &empty) || empty.Owned != 1 {
		t.Errorf("got %v", err)
	}
	if p, err := New(nil, State{}, Options{Owner: me}); err != nil || !p.Empty() {
		t.Errorf("nothing to nothing: %v, %v", p, err)
	}
	other := Owner{Namespace: "team-b", Name: "shop"}
	_, err = New(setOf(t, made(t, id, nil)), State{Marks: map[object.ID]Mark{id: {Owner: other}}}, Options{Owner: me})
	var owned *OwnedError
	if !errors.As(err, &owned) || owned.Objects[0].Owner != other || owned.Objects[0].ID != id {
		t.Errorf("got %v", err)
	}
}

func TestMarksSurviveTheWay(t *testing.T) {
	o := made(t, parseID(t, "ConfigMap team-a/a"), map[string]any{"metadata": map[string]any{
		"labels":      map[string]any{LabelSync: "stolen", "app": "shop"},
		"annotations": map[string]any{AnnotationPrune: PruneDisabled},
	}})
	before := string(object.AppendJSON(nil, o.Content))
	content := Stamp(o.Content, me, o.Digest)
	if string(object.AppendJSON(nil, o.Content)) != before {
		t.Error("the object was written to")
	}
	metadata := content["metadata"].(map[string]any)
	texts := func(key string) map[string]string {
		out := map[string]string{}
		for k, v := range metadata[key].(map[string]any) {
			out[k] = v.(string)
		}
		return out
	}
	if got, want := ReadMark(texts("labels"), texts("annotations")), (Mark{Owner: me, Applied: o.Digest, Protected: true}); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
	if texts("labels")["app"] != "shop" {
		t.Error("a label is lost")
	}
	if got := ReadMark(map[string]string{LabelSync: "a"}, map[string]string{AnnotationApplied: "zz", AnnotationPrune: "enabled"}); got != (Mark{}) {
		t.Errorf("half a mark: %v", got)
	}
}

func TestStampStoresStrings(t *testing.T) {
	for wanted, want := range map[string]string{
		`{"stringData":{"a":"x"},"data":{"a":"eg==","b":"eQ=="}}`: `{"data":{"a":"eA==","b":"eQ=="}}`,
		`{"stringData":{"a":"x"}}`:                                `{"data":{"a":"eA=="}}`,
		`{"stringData":{"a":1}}`:                                  `{"stringData":{"a":1}}`,
		`{"data":{"b":"eQ=="}}`:                                   `{"data":{"b":"eQ=="}}`,
	} {
		content := Stamp(made(t, parseID(t, "Secret a/b"), jsonMap(t, wanted)).Content, me, object.Digest{})
		for _, key := range []string{"apiVersion", "kind", "metadata"} {
			delete(content, key)
		}
		if got := string(object.AppendJSON(nil, content)); got != want {
			t.Errorf("%s: got %s, want %s", wanted, got, want)
		}
	}
}

func BenchmarkNew(b *testing.B) {
	var objects []*object.Object
	state := State{Marks: map[object.ID]Mark{}}
	for i := range 5000 {
		o := made(b, object.ID{Group: gatewayGroup, Kind: "HTTPRoute", Namespace: "a", Name: fmt.Sprint("r", i)}, nil)
		objects = append(objects, o)
		state.Marks[o.ID] = Mark{Owner: me, Applied: o.Digest}
		state.Inventory = append(state.Inventory, o.ID)
	}
	state.Inventory = NewInventory(state.Inventory)
	objects[77] = made(b, objects[77].ID, map[string]any{"content": "new"})
	set := setOf(b, objects...)
	for b.Loop() {
		p, err := New(set, state, Options{Owner: me})
		if err != nil || p.Unchanged != 4999 {
			b.Fatal(err)
		}
	}
}

func TestLeft(t *testing.T) {
	route := made(t, object.ID{Group: gatewayGroup, Kind: "HTTPRoute", Namespace: "n", Name: "r"}, nil)
	other := made(t, object.ID{Kind: "Service", Namespace: "n", Name: "s"}, nil)
	rules := []Rule{{Target: Selector{Kind: "HTTPRoute"}, Fields: []string{"/spec/hostnames"}, Weights: true}, {Target: Selector{Name: "nobody"}, Fields: []string{"/spec"}}}
	for pointer, want := range map[string]bool{
		"/spec/hostnames": true, "/spec/hostnames/0": true, "/spec/hostname": false, "/spec": false, "/spec/rules/0/backendRefs/1/weight": true,
		"/spec/rules/0/backendRefs/1/name": false, "/spec/rules/0/backendRefs/1": false,
	} {
		if Left(route, rules, pointer) != want {
			t.Errorf("%s: %v", pointer, !want)
		}
		if Left(other, rules, pointer) {
			t.Errorf("%s of another object", pointer)
		}
	}
}
