package render_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"headgate.dev/render"
	"headgate.dev/render/object"
	"headgate.dev/schema"
)

func tree(text string) *gitFS {
	files := map[string]string{}
	for _, f := range txtar.Parse([]byte(text)).Files {
		files[f.Name] = string(f.Data)
	}
	return newGitFS(files)
}

// rendered gives a render as text, the errors where there are some.
func rendered(t *testing.T, result render.Result, err error) string {
	t.Helper()
	var wrong schema.Errors
	if errors.As(err, &wrong) {
		return wrong.Error()
	}
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := object.WriteJSON(&out, result.Set.All(), object.PrintOptions{Secrets: true}); err != nil {
		t.Fatal(err)
	}
	for o := range result.Set.All() {
		fmt.Fprintln(&out, o.ID, o.Origin)
	}
	fmt.Fprintln(&out, result.Warnings, result.Ungranted)
	return out.String()
}

const layered = `
-- gateway/gateway.yaml --
apiVersion: headgate.dev/v1alpha1
kind: GatewaySpec
metadata: {name: public}
spec: {hosts: ["*.example.com"], default: true}
-- overlays/dev/kustomization.yaml --
resources: [../../base, extra.yaml]
namespace: dev
-- overlays/dev/extra.yaml --
apiVersion: v1
kind: ConfigMap
metadata: {name: extra}
-- overlays/prod/kustomization.yaml --
resources: [../../base]
namePrefix: prod-
namespace: prod
components: [../../component]
patches: [{path: patch.yaml}]
-- overlays/prod/patch.yaml --
apiVersion: headgate.dev/v1alpha1
kind: ServiceSpec
metadata: {name: shop}
spec: {port: 9090}
-- base/.headgateignore --
*
-- base/kustomization.yaml --
resources: [shop.yaml, service.yaml]
-- base/shop.yaml --
apiVersion: headgate.dev/v1alpha1
kind: ServiceSpec
metadata: {name: shop}
spec: {hosts: [shop.example.com], port: 8080}
-- base/service.yaml --
apiVersion: v1
kind: Service
metadata: {name: shop}
-- component/kustomization.yaml --
apiVersion: kustomize.config.k8s.io/v1alpha1
kind: Component
commonAnnotations: {component: used}
-- .headgateignore --
base
-- plain/one.yaml --
apiVersion: v1
kind: ConfigMap
metadata: {name: one}
`

// TestIncrementalEqualsFresh makes random changes, good and bad ones, and compares what a Renderer that has seen all of
// them gives with what a new one gives.
func TestIncrementalEqualsFresh(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	f := tree(layered)
	first := map[string]string{}
	for name, file := range f.MapFS {
		first[name] = string(file.Data)
	}
	contents := map[string][]string{
		"base/shop.yaml": {
			"apiVersion: headgate.dev/v1alpha1\nkind: ServiceSpec\nmetadata: {name: shop}\nspec: {hosts: [a.example.com], port: 80}\n", "a: [", "",
			"apiVersion: headgate.dev/v1alpha1\nkind: ServiceSpec\nmetadata: {name: shop}\nspec: {hosts: [a.example.com], prot: 80}\n"},
		"base/kustomization.yaml":         {"resources: [shop.yaml]\n", "resources: [shop.yaml, service.yaml]\ncommonAnnotations: {x: y}\n", "resources: [nothing.yaml]\n", "resources: [../overlays/dev]\n"},
		"base/kustomization.yml":          {"resources: []\n"},
		"component/kustomization.yaml":    {"kind: Component\nnameSuffix: -x\n", "resources: []\n"},
		"overlays/prod/patch.yaml":        {"apiVersion: headgate.dev/v1alpha1\nkind: ServiceSpec\nmetadata: {name: shop}\nspec: {prot: 1}\n"},
		"overlays/prod/README.md":         {"a", "b"},
		"overlays/dev/kustomization.yaml": {"resources: [../../base]\nlabels: [{pairs: {a: b}}]\n", "resources: [extra.yaml]\n", "namePrefix: x-\nresources: [../../base, extra.yaml]\n"},
		"overlays/dev/extra.yaml":         {"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: extra, annotations: {kustomize.config.k8s.io/needs-hash: 'true'}}\n"},
		// Siblings of one kustomization, the one of which names what the other renames.
		"overlays/kustomization.yaml":               {"resources: [dev, prod]\n", "resources: [dev, prod]\nnamespace: both\n"},
		"overlays/prod/generate/kustomization.yaml": {"configMapGenerator: [{name: extra, literals: [a=b]}]\n", "configMapGenerator: [{name: extra, literals: [a=c]}]\n"},
		"joint/kustomization.yaml":                  {"resources: [use, ../overlays/prod/generate]\n", "resources: [use, ../overlays/prod/generate]\nnamespace: joint\n"},
		"joint/use/kustomization.yaml":              {"resources: [pod.yaml]\n", "resources: [pod.yaml]\nnamePrefix: p-\n"},
		"joint/use/pod.yaml":                        {"apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: c, envFrom: [{configMapRef: {name: extra}}]}]}\n", "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\n"},
		"gateway/gateway.yaml": {"apiVersion: headgate.dev/v1alpha1\nkind: GatewaySpec\nmetadata: {name: other}\nspec: {default: [dev]}\n",
			"apiVersion: headgate.dev/v1alpha1\nkind: GatewaySpec\nmetadata: {name: public, namespace: dev}\nspec: {hosts: [\"*.example.com\"], tls: cert, default: true}\n"},
		"plain/one.yaml":            {"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: two}\n", "b: c\n", "apiVersion: v1\nkind: Service\nmetadata: {name: shop, namespace: dev}\n"},
		"plain/kustomization.yaml":  {"resources: [one.yaml]\nnamespace: plain\n"},
		".headgateignore":           {"base\nplain/\n", "overlays\nbase\n"},
		"plain/.headgateignore":     {"one.yaml\n"},
		"plain/deep/er/widget.yaml": {"apiVersion: x.example.com/v1\nkind: Widget\nmetadata: {name: w}\n"},
		"crd/crd.yaml":              {"apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: widgets.x.example.com}\nspec: {group: x.example.com, names: {kind: Widget}, scope: Cluster}\n"},
	}
	var names []string
	for name := range contents {
		names = append(names, name)
	}
	// The order of a map must not decide what the test does.
	for i := range names {
		for j := i + 1; j < len(names); j++ {
			if names[j] < names[i] {
				names[i], names[j] = names[j], names[i]
			}
		}
	}
	r := render.New()
	good, bad := 0, 0
	for step := range 600 {
		name := names[random.IntN(len(names))]
		original, had := first[name]
		switch choice := random.IntN(len(contents[name]) + 2); {
		case choice < len(contents[name]):
			f.write(name, contents[name][choice])
		case had:
			f.write(name, original)
		case f.MapFS[name] != nil:
			f.remove(name)
		}
		f.prune()
		f.seal(".")
		options := render.Options{Namespace: "default", Gateway: "infra/fallback"}
		result, err := r.Tree(f, ".", options)
		got := rendered(t, result, err)
		fresh, freshErr := render.Tree(f, ".", options)
		if want := rendered(t, fresh, freshErr); got != want {
			t.Fatalf("step %d, %s: got\n%s\nwant\n%s", step, name, got, want)
		}
		if err == nil {
			good++
		} else {
			bad++
		}
	}
	if good < 20 || bad < 20 {
		t.Errorf("%d good and %d bad revisions test little", good, bad)
	}
}

// TestReadsWhatChanged looks at which files are read again.
func TestReadsWhatChanged(t *testing.T) {
	f := tree(layered)
	r := render.New()
	options := render.Options{Namespace: "default"}
	if _, err := r.Tree(f, ".", options); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		change, text string
		rendered     int
		read         string
	}{
		{"README.md", "hello\n", 0, ". .headgateignore"},
		{"overlays/prod/README.md", "hello\n", 0, ". .headgateignore overlays"},
		{"plain/one.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: two}\n", 1, ". .headgateignore plain plain/one.yaml"},
		{"base/service.yaml", "apiVersion: v1\nkind: Service\nmetadata: {name: shop, labels: {a: b}}\n", 2,
			". .headgateignore base/kustomization.yaml base/service.yaml base/shop.yaml component/kustomization.yaml overlays overlays/prod/kustomization.yaml overlays/prod/patch.yaml"},
	} {
		f.change(test.change, test.text)
		clear(f.reads)
		result, err := r.Tree(f, ".", options)
		if err != nil {
			t.Fatal(err)
		}
		if result.Rendered != test.rendered || result.Units != 6 {
			t.Errorf("%s: rendered %d of %d, want %d", test.change, result.Rendered, result.Units, test.rendered)
		}
		if read := strings.Join(sorted(f.reads), " "); read != test.read {
			t.Errorf("%s: read %s, want %s", test.change, read, test.read)
		}
	}
	clear(f.reads)
	if _, err := r.Tree(f, ".", options); err != nil || len(f.reads) > 0 {
		t.Errorf("nothing changed: read %v, %v", f.reads, err)
	}
}

// TestChangeCostsTheChange: a changed file costs the same in a tree of a hundred services and in one of two thousand.
func TestChangeCostsTheChange(t *testing.T) {
	cost := func(n int) float64 {
		revisions := []*gitFS{services(n, false, false), services(n, false, false)}
		revisions[1].change("svc-7/service.yaml", service(7, 9090))
		for _, tree := range revisions {
			list(t, tree, ".")
			list(t, tree, "svc-7")
		}
		r, i := render.New(), 0
		return testing.AllocsPerRun(6, func() {
			i++
			if _, err := r.Tree(revisions[i%2], ".", render.Options{Namespace: "default", Unadmitted: true}); err != nil {
				t.Fatal(err)
			}
		})
	}
	if small, large := cost(100), cost(2000); large > small+100 {
		t.Errorf("%.0f allocations in a tree of 100 services, %.0f in one of 2,000", small, large)
	}
}
