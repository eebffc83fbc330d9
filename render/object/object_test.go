package object_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"headgate.dev/render/object"
	"headgate.dev/schema"
)

func config(t testing.TB, name, value, file string) *object.Object {
	t.Helper()
	o, err := object.New(map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap",
		"metadata": map[string]any{"name": name, "namespace": "default"}, "data": map[string]any{"key": value},
	}, object.Origin{File: file, Line: 1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestNewSaysWhatIsMissing(t *testing.T) {
	for _, test := range []struct{ json, want string }{
		{`{}`, "apiVersion is missing"},
		{`{"apiVersion":"v1"}`, "kind is missing"},
		{`{"apiVersion":"v1","kind":3}`, "kind is missing"},
		{`{"apiVersion":"v1","kind":"Service"}`, "Service has no metadata"},
		{`{"apiVersion":"v1","kind":"Service","metadata":{}}`, "Service has no metadata.name"},
		{`{"apiVersion":"v1","kind":"Service","metadata":{"name":"a","namespace":3}}`, "Service a: metadata.namespace is no string"},
	} {
		var content map[string]any
		if err := json.Unmarshal([]byte(test.json), &content); err != nil {
			t.Fatal(err)
		}
		if _, err := object.New(content, object.Origin{}, nil); err == nil || err.Error() != test.want {
			t.Errorf("%s: got %v, want %s", test.json, err, test.want)
		}
	}
}

func TestCanonicalJSON(t *testing.T) {
	value := map[string]any{
		"b": []any{int64(1), float64(80), 1.5, true, nil, map[string]any{}, []any{}},
		"a": "x\"\\\n\t\x01<é\u2028\xff",
	}
	got := string(object.AppendJSON(nil, value))
	want := `{"a":"x\"\\\n\u0009\u0001<é` + "\u2028\ufffd" + `","b":[1,80,1.5,true,null,{},[]]}`
	if got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	var back any
	if err := json.Unmarshal([]byte(got), &back); err != nil {
		t.Error(err)
	}
}

func TestDigestIsOfContentAlone(t *testing.T) {
	a, b, c := config(t, "a", "1", "x"), config(t, "a", "1", "y"), config(t, "a", "2", "x")
	if a.Digest != b.Digest || a.Digest == c.Digest {
		t.Errorf("digests %s, %s, %s", a.Digest, b.Digest, c.Digest)
	}
}

func TestSetNamesBothPlaces(t *testing.T) {
	first := config(t, "a", "1", "x.yaml")
	set, errs := object.NewSet([]*object.Object{config(t, "b", "1", "z.yaml"), config(t, "a", "2", "y.yaml"), first})
	if len(errs) != 1 || errs[0].File != "y.yaml" || !strings.Contains(errs[0].Message, "x.yaml:1") {
		t.Errorf("got %v", errs)
	}
	if set.Len() != 2 || set.Get(first.ID) != first {
		t.Errorf("the set holds %d objects", set.Len())
	}
	_, errs = set.Replace([]*object.Object{config(t, "b", "3", "a.yaml")}, nil)
	if len(errs) != 1 || errs[0].File != "z.yaml" || !strings.Contains(errs[0].Message, "a.yaml:1") {
		t.Errorf("got %v", errs)
	}
}

func TestDiff(t *testing.T) {
	a, b, c := config(t, "a", "1", "x"), config(t, "b", "1", "x"), config(t, "c", "1", "x")
	old, _ := object.NewSet([]*object.Object{a, b, c})
	changed := config(t, "b", "2", "x")
	next, errs := old.Replace([]*object.Object{changed, config(t, "d", "1", "x"), config(t, "c", "1", "elsewhere")}, []*object.Object{a, b, c, config(t, "z", "", "")})
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	var got []string
	write, remove := object.Diff(old, next)
	for _, o := range write {
		got = append(got, "+"+o.ID.Name)
	}
	for _, id := range remove {
		got = append(got, "-"+id.Name)
	}
	if want := []string{"+b", "+d", "-a"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	all, none := object.Diff(nil, old)
	if len(all) != 3 || len(none) != 0 {
		t.Errorf("from nothing: %v, %v", all, none)
	}
	none2, all2 := object.Diff(old, nil)
	if len(none2) != 0 || len(all2) != 3 {
		t.Errorf("to nothing: %v, %v", none2, all2)
	}
}

func TestOriginOf(t *testing.T) {
	o := config(t, "a", "1", "x")
	o.Fields = map[string]object.Origin{"/data": {File: "x", Line: 5}, "/data/a~1b": {File: "y", Line: 7}}
	for pointer, want := range map[string]string{"/data/a~1b/c": "y:7", "/data/key": "x:5", "/spec": "x:1", "": "x:1", "junk": "x:1"} {
		if got := o.OriginOf(pointer).String(); got != want {
			t.Errorf("%s: got %s, want %s", pointer, got, want)
		}
	}
}

func TestPrint(t *testing.T) {
	docs, errs := schema.Documents("s.yaml", []byte(`
kind: Secret
type: Opaque
apiVersion: v1
stringData: {password: geheim, "on": "yes", n: "1"}
metadata:
  annotations: {kubectl.kubernetes.io/last-applied-configuration: geheim, kept: "true"}
  namespace: default
  name: s
`), schema.Limits{})
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	secret, err := object.FromDocument(docs[0].Root)
	if err != nil {
		t.Fatal(err)
	}
	set, _ := object.NewSet([]*object.Object{secret})
	var out bytes.Buffer
	if err := object.WriteYAML(&out, set.All(), object.PrintOptions{}); err != nil {
		t.Fatal(err)
	}
	want := `---
apiVersion: v1
kind: Secret
metadata:
  name: s
  namespace: default
  annotations:
    kept: "true"
    kubectl.kubernetes.io/last-applied-configuration: '*****'
stringData:
  "n": '*****'
  "on": '*****'
  password: '*****'
type: Opaque
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
	out.Reset()
	if err := object.WriteYAML(&out, set.All(), object.PrintOptions{Secrets: true}); err != nil || !strings.Contains(out.String(), "n\": \"1\"") {
		t.Errorf("got %v\n%s", err, out.String())
	}
	out.Reset()
	if err := object.WriteJSON(&out, set.All(), object.PrintOptions{}); err != nil || strings.Contains(out.String(), "geheim") {
		t.Errorf("got %v, %s", err, out.String())
	}
	if got := secret.OriginOf("/stringData/password").String(); got != "s.yaml:5:24" {
		t.Errorf("origin %s", got)
	}
	malformed, err := object.New(map[string]any{
		"apiVersion": "v1", "kind": "Secret", "metadata": map[string]any{"name": "s"}, "data": "geheim",
	}, object.Origin{}, nil)
	if err != nil || strings.Contains(fmt.Sprint(malformed.Masked()), "geheim") {
		t.Errorf("a malformed Secret shows its value")
	}
}

func BenchmarkDiff(b *testing.B) {
	var objects []*object.Object
	for i := range 10_000 {
		objects = append(objects, config(b, fmt.Sprintf("c-%d", i), "1", "x"))
	}
	old, _ := object.NewSet(objects)
	for b.Loop() {
		next, _ := old.Replace([]*object.Object{config(b, "c-77", "2", "x")}, []*object.Object{objects[77]})
		if changed, _ := object.Diff(old, next); len(changed) != 1 {
			b.Fatal(len(changed))
		}
	}
}
