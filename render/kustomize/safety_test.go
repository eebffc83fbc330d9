package kustomize

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sigs.k8s.io/kustomize/api/types"
)

// TestEveryFieldHasARow compares the table of fields with the type: what a new version of kustomize brings in must be
// looked at before it can be written.
func TestEveryFieldHasARow(t *testing.T) {
	found := map[string]bool{}
	rows(reflect.TypeFor[types.Kustomization](), "", found)
	for _, row := range slices.Sorted(maps.Keys(found)) {
		if _, ok := fields[row]; !ok {
			t.Errorf("field %s of a kustomization is neither allowed nor refused", row)
		}
	}
	for _, row := range slices.Sorted(maps.Keys(fields)) {
		if !found[row] {
			t.Errorf("field %s is in the table, but kustomize has none", row)
		}
		if fields[row] == refused && reasons[row] == "" {
			t.Errorf("field %s is refused without a reason", row)
		}
	}
}

// rows adds the dotted paths of the fields of a struct. What is refused as a whole is not looked into.
func rows(typ reflect.Type, prefix string, found map[string]bool) {
	for i := range typ.NumField() {
		f := typ.Field(i)
		if f.Anonymous {
			rows(f.Type, prefix, found)
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if !f.IsExported() || name == "" {
			continue
		}
		row := strings.TrimPrefix(prefix+"."+name, ".")
		found[row] = true
		inner := f.Type
		for inner.Kind() == reflect.Pointer || inner.Kind() == reflect.Slice {
			inner = inner.Elem()
		}
		if inner.Kind() == reflect.Struct && fields[row] != refused {
			rows(inner, row, found)
		}
	}
}

// outside is what an author may try to reach, counted.
type outsideWorld struct {
	server *httptest.Server
	hits   atomic.Int64
	runs   string // a file the fake git writes to
}

func newOutside(t testing.TB) *outsideWorld {
	w := &outsideWorld{}
	w.server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		w.hits.Add(1)
		fmt.Fprint(rw, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: fetched}\n")
	}))
	t.Cleanup(w.server.Close)
	dir := t.TempDir()
	w.runs = filepath.Join(dir, "runs")
	script := "#!/bin/sh\necho \"$@\" >> " + w.runs + "\nexit 1\n"
	if err := os.WriteFile(filepath.Join(dir, "git"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	return w
}

func (w *outsideWorld) check(t testing.TB) {
	t.Helper()
	if n := w.hits.Load(); n != 0 {
		t.Errorf("%d HTTP requests were sent", n)
	}
	if data, err := os.ReadFile(w.runs); err == nil {
		t.Errorf("git was run: %s", data)
	}
}

// shapes says how a path is written into each field that names one.
var shapes = map[string]string{
	"resources":                   "resources: [%s]",
	"bases":                       "bases: [%s]",
	"components":                  "components: [%s]",
	"patches.path":                "patches: [{path: %s, target: {kind: ConfigMap}}]",
	"patchesStrategicMerge":       "patchesStrategicMerge: [%s]",
	"patchesJson6902.path":        "patchesJson6902: [{path: %s, target: {kind: ConfigMap, name: x, version: v1}}]",
	"replacements.path":           "replacements: [{path: %s}]",
	"configMapGenerator.files":    "configMapGenerator: [{name: x, files: [a.yaml, %s]}]",
	"configMapGenerator.envs":     "configMapGenerator: [{name: x, envs: [%s]}]",
	"configMapGenerator.env":      "configMapGenerator: [{name: x, env: %s}]",
	"secretGenerator.files":       "secretGenerator: [{name: x, files: [%s]}]",
	"secretGenerator.envs":        "secretGenerator: [{name: x, envs: [%s]}]",
	"secretGenerator.env":         "secretGenerator: [{name: x, env: %s}]",
	"openapi":                     "openapi: {path: %s}",
	"crds":                        "crds: [%s]",
	"configurations":              "configurations: [%s]",
	"generators":                  "generators: [%s]",
	"transformers":                "transformers: [%s]",
	"validators":                  "validators: [%s]",
	"helmGlobals":                 "helmGlobals: {chartHome: %s}",
	"helmCharts":                  "helmCharts: [{name: x, repo: %s}]",
	"helmChartInflationGenerator": "helmChartInflationGenerator: [{chartName: x, chartRepoUrl: %s}]",
}

func TestRefusals(t *testing.T) {
	w := newOutside(t)
	host := strings.TrimPrefix(w.server.URL, "http://")
	for _, row := range slices.Sorted(maps.Keys(fields)) {
		if use := fields[row]; (use == plain || use == group) != (shapes[row] == "") {
			t.Errorf("field %s: use %d, shape %q", row, use, shapes[row])
		}
	}
	for _, row := range slices.Sorted(maps.Keys(shapes)) {
		for _, target := range []string{
			w.server.URL + "/x.yaml", "HTTP://" + host + "/x.yaml", "git::" + w.server.URL + "/x", "ssh://git@" + host + "/x",
			"git@" + host + ":x/y.git", "github.com/a/b", "github.com/a/b?ref=main", "example.com/a/b.git", "file:///etc",
			"//" + host + "/x", "/etc/passwd", "../../etc", "../../../../etc/passwd", "x/../../..", `..\..\etc`, "link", "missing.yaml", "''",
		} {
			f := links{files{
				"d/kustomization.yaml": fmt.Sprintf(shapes[row], "'"+strings.Trim(target, "'")+"'") + "\n",
				"d/a.yaml":             "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n",
			}}
			_, err := build(t, f, "d")
			text := wrong(err)
			if err == nil || !strings.HasPrefix(text, "d/kustomization.yaml:1:") {
				t.Errorf("%s: %s: %v", row, target, text)
			}
			if field, _, _ := strings.Cut(row, "."); !strings.Contains(text, field) {
				t.Errorf("%s: %s: the error does not name the field: %s", row, target, text)
			}
		}
	}
	w.check(t)
}

// links is a tree in which every name that ends in "link" is one.
type links struct{ files }

func (l links) Kind(name string) (Kind, error) {
	if strings.HasSuffix(name, "link") {
		return Link, nil
	}
	return l.files.Kind(name)
}

func TestCircles(t *testing.T) {
	for _, test := range []struct{ name, tree, want string }{
		{"itself", "-- a/kustomization.yaml --\nresources: [../a]\n", "a -> a"},
		{"two", "-- a/kustomization.yaml --\nresources: [../b]\n-- b/kustomization.yaml --\nnamePrefix: x\nresources: [../a]\n", "a -> b -> a"},
		{"above", "-- a/kustomization.yaml --\nresources: [../b/c]\n-- b/c/kustomization.yaml --\nresources: [..]\n-- b/kustomization.yaml --\nresources: []\n",
			"b lies above b/c"},
		{"component", "-- a/kustomization.yaml --\ncomponents: [../b]\n-- b/kustomization.yaml --\napiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\ncomponents: [../b]\n", "b -> b"},
	} {
		_, err := build(t, archive(test.tree), "a")
		if text := wrong(err); !strings.Contains(text, test.want) {
			t.Errorf("%s: got %s, want %s", test.name, text, test.want)
		}
	}
}

// TestMultiplication: every kustomization doubles what is below it.
func TestMultiplication(t *testing.T) {
	f := files{"k0/kustomization.yaml": "resources: [a.yaml]\n", "k0/a.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n"}
	for i := 1; i < 40; i++ {
		f[fmt.Sprintf("a%d/kustomization.yaml", i)] = fmt.Sprintf("namePrefix: a\nresources: [../k%d]\n", i-1)
		f[fmt.Sprintf("b%d/kustomization.yaml", i)] = fmt.Sprintf("namePrefix: b\nresources: [../k%d]\n", i-1)
		f[fmt.Sprintf("k%d/kustomization.yaml", i)] = fmt.Sprintf("resources: [../a%d, ../b%d]\n", i, i)
	}
	start := time.Now()
	_, err := build(t, f, "k39")
	if text := wrong(err); !strings.Contains(text, "split it") {
		t.Errorf("got %s", text)
	}
	if d := time.Since(start); d > 5*time.Second {
		t.Errorf("took %v", d)
	}
}

func FuzzKustomization(f *testing.F) {
	f.Add("resources: [a.yaml]\nnamePrefix: x-\n", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndata: {a: b}\n")
	f.Add("resources: [https://127.0.0.1/x]\n", "{}")
	f.Add("patches: [{patch: '[{op: add, path: /data/x, value: 3}]', target: {kind: ConfigMap}}]\nresources: [a.yaml]", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n")
	f.Add("configMapGenerator: [{name: x, behavior: merge, literals: [a=b]}]\nresources: [a.yaml]", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndata: [1]\n")
	f.Add("replacements: [{source: {kind: ConfigMap}, targets: [{select: {kind: Service}, fieldPaths: [a.b]}]}]\nresources: [a.yaml]", "apiVersion: v1\nkind: Service\nmetadata: {name: x}\n")
	f.Add("vars: [{name: X, objref: {kind: Service, name: x, apiVersion: v1}}]\nresources: [a.yaml]", "apiVersion: v1\nkind: Service\nmetadata: {name: x, annotations: {a: $(X)}}\n")
	f.Add("labels: [{pairs: {a: b}, includeSelectors: true, fields: [{path: a/b, create: true}]}]\nresources: [a.yaml]", "apiVersion: v1\nkind: List\nitems: [{apiVersion: v1, kind: Service, metadata: {name: x}}]\n")
	f.Add("namespace: x\nimages: [{name: a, newTag: b}]\nreplicas: [{name: x, count: 3}]\nresources: [a.yaml]", "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x}\nspec: {replicas: 1}\n")
	// What makes kustomize panic is an error of the input like any other.
	f.Add("namespace: B\nresources: [a.yaml]", "x: 20\nkind: D,0\nmetadata: {name: 0}\n")
	w := newOutside(f)
	f.Fuzz(func(t *testing.T, kustomization, document string) {
		tree := files{"d/kustomization.yaml": kustomization, "d/a.yaml": document, "b/kustomization.yaml": "resources: []\n"}
		nodes, err := build(t, tree, "d")
		if err != nil {
			if text := wrong(err); strings.HasPrefix(text, "no schema.Errors") {
				t.Error(text)
			}
			return
		}
		for _, n := range nodes {
			if n.Pos.File == "" {
				t.Errorf("an object without a file: %v", n.Value())
			}
		}
		w.check(t)
	})
}
