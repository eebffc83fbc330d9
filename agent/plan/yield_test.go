package plan

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"headgate.dev/render/object"
)

// jsonMap reads a JSON object, numbers as an object has them.
func jsonMap(t testing.TB, text string) map[string]any {
	t.Helper()
	var out map[string]any
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return out
}

func TestYieldFields(t *testing.T) {
	for _, c := range []struct{ fields, wanted, live, want, yielded string }{
		{"/spec/replicas", `{"spec":{"replicas":2,"x":1}}`, `{"spec":{"replicas":5}}`, `{"spec":{"replicas":5,"x":1}}`, "/spec/replicas 2 5"},
		{"/spec/replicas", `{"spec":{"replicas":2}}`, `{"spec":{"replicas":2}}`, `{"spec":{"replicas":2}}`, ""},
		{"/spec/replicas", `{"spec":{"replicas":2}}`, `{"spec":{}}`, `{"spec":{}}`, "/spec/replicas 2 null"},
		{"/spec/replicas", `{"a":1}`, `{"spec":{"replicas":2}}`, `{"a":1,"spec":{"replicas":2}}`, "/spec/replicas null 2"},
		{"/spec/a/b", `{"a":1}`, `{"spec":{}}`, `{"a":1}`, ""},
		{"/a/1/b", `{"a":[{},{"b":1,"c":3}]}`, `{"a":[{},{"b":2}]}`, `{"a":[{},{"b":2,"c":3}]}`, "/a/1/b 1 2"},
		{"/a/1", `{"a":[1]}`, `{"a":[1,2]}`, `{"a":[1]}`, ""},
		{"/a/1", `{"a":[1,2]}`, `{"a":[1]}`, `{"a":[1,2]}`, ""},
		{"/a/01", `{"a":[1,2]}`, `{"a":[1,3]}`, `{"a":[1,2]}`, ""},
		{"/m/a~1b~0c", `{"m":{"a/b~c":"x"}}`, `{"m":{"a/b~c":"y"}}`, `{"m":{"a/b~c":"y"}}`, `/m/a~1b~0c "x" "y"`},
		{"/a/b", `{"a":"text"}`, `{"a":{"b":1}}`, `{"a":"text"}`, ""},
		{"/metadata/name", `{}`, `{"metadata":{"name":"other"}}`, `{}`, ""},
		{"/metadata", `{}`, `{"metadata":{"name":"other"}}`, `{}`, ""},
		{"/a /a", `{"a":1}`, `{"a":2}`, `{"a":2}`, "/a 1 2"},
	} {
		o := &object.Object{ID: object.ID{Kind: "X", Name: "x"}, Content: jsonMap(t, c.wanted)}
		content, yielded := Yield(o, jsonMap(t, c.live), []Rule{{Fields: strings.Fields(c.fields)}})
		checkYield(t, o, c.wanted, content, yielded, c.want, c.yielded)
	}
}

func checkYield(t *testing.T, o *object.Object, wanted string, content map[string]any, yielded []Yielded, want, text string) {
	t.Helper()
	if got := string(object.AppendJSON(nil, content)); got != want {
		t.Errorf("%s became %s, want %s", wanted, got, want)
	}
	var lines []string
	for _, y := range yielded {
		lines = append(lines, fmt.Sprintf("%s %s %s", y.Pointer, object.AppendJSON(nil, y.Wanted), object.AppendJSON(nil, y.Live)))
	}
	if got := strings.Join(lines, "; "); got != text {
		t.Errorf("%s: yielded %q, want %q", wanted, got, text)
	}
	if !same(o.Content, jsonMap(t, wanted)) {
		t.Errorf("%s was written to", wanted)
	}
}

func TestYieldWithoutLiveObject(t *testing.T) {
	o := &object.Object{ID: object.ID{Kind: "X", Name: "x"}, Content: jsonMap(t, `{"spec":{"replicas":2}}`)}
	content, yielded := Yield(o, nil, []Rule{{Fields: []string{"/spec/replicas"}}})
	checkYield(t, o, `{"spec":{"replicas":2}}`, content, yielded, `{"spec":{"replicas":2}}`, "")
}

func TestYieldWeights(t *testing.T) {
	rules := func(text string) string { return `{"spec":{"rules":` + text + `}}` }
	for _, c := range []struct{ wanted, live, want, yielded string }{
		// By name, wherever the rule is.
		{`[{"name":"b"},{"backendRefs":[{"name":"s","port":80,"weight":90},{"name":"t","port":80}],"name":"a"}]`,
			`[{"name":"a","backendRefs":[{"name":"t","port":80,"weight":60,"kind":"Service","group":""},{"name":"s","port":80,"weight":40,"kind":"Service","group":""}]}]`,
			`[{"name":"b"},{"backendRefs":[{"name":"s","port":80,"weight":40},{"name":"t","port":80,"weight":60}],"name":"a"}]`,
			"/spec/rules/1/backendRefs/0/weight 90 40; /spec/rules/1/backendRefs/1/weight 1 60"},
		// By what it matches, with the defaults that live objects have.
		{`[{"backendRefs":[{"name":"s","weight":1}],"matches":[{"path":{"value":"/x"}}]},{"backendRefs":[{"name":"s","weight":1}]}]`,
			`[{"backendRefs":[{"name":"s","weight":7}],"matches":[{"path":{"type":"PathPrefix","value":"/"}}]},{"backendRefs":[{"name":"s","weight":8}],"matches":[{"path":{"type":"PathPrefix","value":"/x"}}]}]`,
			`[{"backendRefs":[{"name":"s","weight":8}],"matches":[{"path":{"value":"/x"}}]},{"backendRefs":[{"name":"s","weight":7}]}]`,
			"/spec/rules/0/backendRefs/0/weight 1 8; /spec/rules/1/backendRefs/0/weight 1 7"},
		// A rule whose place another took does not get that one's weights.
		{`[{"backendRefs":[{"name":"s","weight":1}],"matches":[{"path":{"value":"/new"}}]}]`,
			`[{"backendRefs":[{"name":"s","weight":7}],"matches":[{"path":{"type":"PathPrefix","value":"/old"}}]}]`,
			`[{"backendRefs":[{"name":"s","weight":1}],"matches":[{"path":{"value":"/new"}}]}]`, ""},
		// The same backend twice: nobody can tell which is which.
		{`[{"backendRefs":[{"name":"s","weight":1},{"name":"s","weight":2}],"name":"a"}]`,
			`[{"backendRefs":[{"name":"s","weight":5},{"name":"s","weight":6}],"name":"a"}]`,
			`[{"backendRefs":[{"name":"s","weight":1},{"name":"s","weight":2}],"name":"a"}]`, ""},
		{`[7,{"backendRefs":[8]},{"backendRefs":{}}]`, `[7,{"backendRefs":[8]},{"backendRefs":{}}]`, `[7,{"backendRefs":[8]},{"backendRefs":{}}]`, ""},
	} {
		o := &object.Object{ID: object.ID{Group: gatewayGroup, Kind: "HTTPRoute", Name: "x"}, Content: jsonMap(t, rules(c.wanted))}
		content, yielded := Yield(o, jsonMap(t, rules(c.live)), []Rule{{Weights: true}})
		checkYield(t, o, rules(c.wanted), content, yielded, rules(c.want), c.yielded)
	}
}

func TestSelectors(t *testing.T) {
	o := made(t, parseID(t, "apps/Deployment team-a/shop-v2"), map[string]any{"metadata": map[string]any{"labels": map[string]any{"app": "shop"}}})
	core := made(t, parseID(t, "Service team-a/shop"), nil)
	for _, c := range []struct {
		s       Selector
		o, core bool
	}{
		{Selector{}, true, true},
		{Selector{Group: "apps"}, true, false},
		{Selector{Group: CoreGroup}, false, true},
		{Selector{Kind: "Deployment", Namespace: "team-a"}, true, false},
		{Selector{Namespace: "team-b"}, false, false},
		{Selector{Name: "shop"}, false, true},
		{Selector{Name: "shop*"}, true, true},
		{Selector{Name: "*-v2"}, true, false},
		{Selector{Name: "s*o*2"}, true, false},
		{Selector{Name: "s*p*p"}, false, false},
		{Selector{Name: "*"}, true, true},
		{Selector{Labels: map[string]string{"app": "shop"}}, true, false},
		{Selector{Labels: map[string]string{"app": ""}}, false, false},
	} {
		if c.s.Selects(o) != c.o || c.s.Selects(core) != c.core {
			t.Errorf("%+v: %v, %v", c.s, c.s.Selects(o), c.s.Selects(core))
		}
	}
}

func TestKeyHasTheRulesInIt(t *testing.T) {
	o := made(t, parseID(t, "ConfigMap a/b"), nil)
	keys := map[object.Digest]int{}
	for i, rules := range [][]Rule{nil, {{Fields: []string{"/a"}}}, {{Fields: []string{"/b"}}}, {{Weights: true}}, {{Fields: []string{"/a"}, Weights: true}}} {
		key := Key(o, rules)
		if other, twice := keys[key]; twice {
			t.Errorf("rules %d and %d have the same key", i, other)
		}
		keys[key] = i
	}
	if Key(o, []Rule{{Target: Selector{Kind: "Secret"}, Weights: true}}) != o.Digest {
		t.Error("a rule for others changes the key")
	}
}

func TestCheckPointer(t *testing.T) {
	for pointer, good := range map[string]bool{
		"/spec/replicas": true, "/a~0b~1c": true, "/": true, "": false, "spec": false, "/a~": false, "/a~2": false,
		"/metadata/name": false, "/metadata": false, "/metadata/labels": false, "/metadata/labels/app": true, "/kind": false,
	} {
		if err := CheckPointer(pointer); (err == nil) != good {
			t.Errorf("%q: %v", pointer, err)
		}
	}
}

func FuzzYield(f *testing.F) {
	f.Add(`{"spec":{"replicas":2}}`, `{"spec":{"replicas":3}}`, "/spec/replicas")
	f.Add(`{"spec":{"rules":[{"backendRefs":[{"name":"a"}]}]}}`, `{"spec":{"rules":[{"backendRefs":[{"name":"a","weight":3}]}]}}`, "/spec/rules/0")
	f.Fuzz(func(t *testing.T, wanted, live, pointer string) {
		var w, l map[string]any
		if json.Unmarshal([]byte(wanted), &w) != nil || json.Unmarshal([]byte(live), &l) != nil || l == nil {
			return
		}
		before := string(object.AppendJSON(nil, w))
		o := &object.Object{ID: object.ID{Group: gatewayGroup, Kind: "HTTPRoute", Name: "x"}, Content: w}
		rules := []Rule{{Fields: []string{pointer}, Weights: true}}
		content, _ := Yield(o, l, rules)
		if string(object.AppendJSON(nil, w)) != before {
			t.Error("the object was written to")
		}
		// What was taken over once is not taken over again.
		if _, yielded := Yield(&object.Object{ID: o.ID, Content: content}, l, rules); len(yielded) > 0 {
			t.Errorf("%s of %s into %s: %v again", pointer, live, wanted, yielded)
		}
	})
}
