package preview_test

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	"headgate.dev/agent/preview"
	"headgate.dev/render/object"
)

// FuzzPlan plans random changes of random trees under random rules: whatever they are, the preview keeps to its own.
func FuzzPlan(f *testing.F) {
	for seed := range uint64(200) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		w := &wild{Rand: rand.New(rand.NewPCG(seed, 0)), t: t}
		base := w.set(nil)
		head, production := w.set(base), w.set(base)
		rules := w.rules()
		plan, err := preview.New(production, preview.Between(base, head), rules)
		if err != nil {
			t.Fatal(err)
		}
		checkPlan(t, production, plan, rules)
		checkReferences(t, plan, rules)
		again, err := preview.New(production, preview.Between(base, head), rules)
		if err != nil {
			t.Fatal(err)
		}
		a, b := shown(t, plan), shown(t, again)
		for _, key := range outputs {
			if a[key] != b[key] {
				t.Errorf("%s differs the second time:\n%s\n%s", key, a[key], b[key])
			}
		}
		if same, err := preview.New(production, preview.Between(base, base), preview.Rules{Sync: "s", Name: "n", Namespace: "n", Domain: "d"}); err != nil || same.Objects.Len() > 0 {
			t.Errorf("no change has %d objects, %v", same.Objects.Len(), err)
		}
		if rules.Fork != nil && strings.Contains(a["objects.yaml"], "kind: Secret") {
			t.Error("a fork has a Secret")
		}
	})
}

// checkReferences holds that a route leads into no namespace but its own, the preview's, and those that it led to before.
func checkReferences(t *testing.T, plan *preview.Plan, rules preview.Rules) {
	for o := range plan.Objects.All() {
		spec, _ := o.Content["spec"].(map[string]any)
		list, _ := spec["rules"].([]any)
		if o.ID.Namespace == rules.Namespace {
			continue
		}
		for _, rule := range list {
			m, _ := rule.(map[string]any)
			refs, _ := m["backendRefs"].([]any)
			for _, r := range refs {
				b, _ := r.(map[string]any)
				namespace, has := b["namespace"]
				if has && namespace != rules.Namespace && !strings.HasPrefix(fmt.Sprint(namespace), "ns") {
					t.Errorf("%s leads to %v", o.ID, r)
				}
			}
		}
	}
}

type wild struct {
	*rand.Rand
	t *testing.T
}

func (w *wild) one(of ...string) string { return of[w.IntN(len(of))] }
func (w *wild) namespace() string       { return w.one("ns1", "ns2") }
func (w *wild) name() string            { return w.one("a", "a-2", "b", "c.d", strings.Repeat("long", 60)) }

func (w *wild) rules() preview.Rules {
	r := preview.Rules{
		Sync: w.one("s", strings.Repeat("y", 63)), Name: w.one("pr-1", strings.Repeat("z", 63)), Namespace: "preview-s-1", Domain: "p.example.com",
		Mode: preview.Mode(w.one("", "host", "header", "both")), Host: w.one("", "{{.Name}}-{{.Service}}-{{.Namespace}}"), SHA: "abc", Local: w.IntN(4) == 0,
	}
	if w.IntN(2) == 0 {
		r.Images = []preview.Image{{Name: "img", NewTag: "{{.SHA}}"}}
	}
	if w.IntN(3) == 0 {
		r.Fork = &preview.Fork{Registries: []string{"img", "good.example.com"}}
	}
	return r
}

// set gives a set with some objects of another one, and some that are new or different.
func (w *wild) set(from *object.Set) *object.Set {
	var out []*object.Object
	have := map[object.ID]bool{}
	put := func(o *object.Object) {
		if !have[o.ID] {
			have[o.ID] = true
			out = append(out, o)
		}
	}
	n := 12
	if from != nil {
		n = 4
	}
	for range w.IntN(n) {
		put(w.object())
	}
	for o := range from.All() {
		if w.IntN(8) > 0 {
			put(o)
		}
	}
	set, errs := object.NewSet(out)
	if len(errs) > 0 {
		w.t.Fatal(errs)
	}
	return set
}

func (w *wild) object() *object.Object {
	kind := w.one("HTTPRoute", "HTTPRoute", "HTTPRoute", "GRPCRoute", "TLSRoute", "TCPRoute", "Service", "Service", "Deployment", "Deployment",
		"ConfigMap", "Secret", "ServiceAccount", "BackendTLSPolicy", "ReferenceGrant", "ClusterRole", "Job", "Gateway")
	versions := map[string]string{"Service": "v1", "ConfigMap": "v1", "Secret": "v1", "ServiceAccount": "v1", "Deployment": "apps/v1", "ClusterRole": "rbac.authorization.k8s.io/v1", "Job": "batch/v1"}
	version, ok := versions[kind]
	if !ok {
		version = "gateway.networking.k8s.io/v1"
	}
	content := map[string]any{"apiVersion": version, "kind": kind, "metadata": map[string]any{"name": w.name(), "namespace": w.namespace()}, "spec": w.spec(kind)}
	if w.IntN(20) == 0 {
		content["spec"] = w.junk(3) // objects that nobody admitted must not break anything
	}
	o, err := object.New(content, object.Origin{File: "x.yaml", Line: 1 + w.IntN(9)}, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return o
}

func (w *wild) spec(kind string) any {
	switch kind {
	case "HTTPRoute", "GRPCRoute", "TLSRoute":
		return w.route()
	case "Service":
		return map[string]any{"selector": map[string]any{"app": w.one("x", "y")}, "type": w.one("ClusterIP", "LoadBalancer"), "ports": []any{map[string]any{"port": int64(80), "nodePort": int64(30000)}}}
	case "Deployment":
		return map[string]any{"template": map[string]any{
			"metadata": map[string]any{"labels": map[string]any{"app": w.one("x", "y")}},
			"spec": map[string]any{"hostNetwork": w.IntN(8) == 0, "containers": []any{map[string]any{
				"image":   w.one("img", "img:1", "good.example.com/x@sha256:0", "bad.example.com/x"),
				"envFrom": []any{map[string]any{w.one("configMapRef", "secretRef", "none"): map[string]any{"name": w.name(), "optional": w.IntN(2) == 0}}},
			}}},
		}}
	case "BackendTLSPolicy":
		return map[string]any{"targetRefs": []any{map[string]any{"kind": "Service", "name": w.name()}}, "validation": map[string]any{
			"caCertificateRefs": []any{map[string]any{"kind": w.one("ConfigMap", "Secret"), "name": w.name()}}}}
	}
	return map[string]any{"x": int64(w.IntN(3))}
}

func (w *wild) route() map[string]any {
	spec := map[string]any{"parentRefs": []any{map[string]any{"namespace": "infra", "name": w.one("public", "private"), "sectionName": w.one("http", "https")}}}
	var hosts []any
	for range w.IntN(3) {
		hosts = append(hosts, w.one("a.example.com", "b.example.com", "*.example.com", "x.p.example.com"))
	}
	if hosts != nil {
		spec["hostnames"] = hosts
	}
	var rules []any
	for range w.IntN(4) {
		backend := map[string]any{"name": w.name(), "port": int64(80)}
		if w.IntN(3) == 0 {
			backend["namespace"] = w.namespace()
		}
		rule := map[string]any{"backendRefs": []any{backend}, "filters": []any{map[string]any{
			"type": "URLRewrite", "urlRewrite": map[string]any{"path": map[string]any{"type": "ReplacePrefixMatch", "replacePrefixMatch": w.one("/", "/v", "/v/")}}}}}
		var matches []any
		for range w.IntN(3) {
			m := map[string]any{"path": map[string]any{"type": w.one("PathPrefix", "Exact", "RegularExpression"), "value": w.one("/", "/a", "/a/", "/a/b", "/ab")}}
			if w.IntN(2) == 0 {
				m["headers"] = []any{map[string]any{"name": w.one("x", "X", "y"), "value": w.one("1", "2")}}
			}
			if w.IntN(3) == 0 {
				m["method"] = w.one("GET", "POST")
			}
			matches = append(matches, m)
		}
		if matches != nil {
			rule["matches"] = matches
		}
		rules = append(rules, rule)
	}
	if rules != nil {
		spec["rules"] = rules
	}
	return spec
}

// junk is a value that has the keys of specs in the wrong places.
func (w *wild) junk(depth int) any {
	if depth == 0 {
		return w.one("x", "ns1")
	}
	switch w.IntN(3) {
	case 0:
		return []any{w.junk(depth - 1), nil, int64(3)}
	case 1:
		return true
	}
	out := map[string]any{}
	for _, key := range []string{"rules", "hostnames", "parentRefs", "template", "selector", "containers", "matches", "backendRefs", "targetRefs"} {
		if w.IntN(2) == 0 {
			out[key] = w.junk(depth - 1)
		}
	}
	return out
}

var label = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)

// FuzzSlugs makes labels of any texts.
func FuzzSlugs(f *testing.F) {
	f.Add("main", "feature/x")
	f.Add("feature-x", "feature/x")
	f.Add(strings.Repeat("x", 240), strings.Repeat("x", 241))
	f.Add("###", "!!!")
	f.Add("", "-")
	f.Add("Ünïcödé", "\xff\x00\n")
	f.Fuzz(func(t *testing.T, a, b string) {
		slugs := preview.Slugs([]string{a, b, a})
		for _, text := range []string{a, b} {
			if slug := slugs[text]; !label.MatchString(slug) || len(slug) > 40 {
				t.Errorf("%q gives %q", text, slug)
			}
			if name := preview.NamespaceName(preview.Slug(a), slugs[text]); !label.MatchString(name) {
				t.Errorf("%q gives namespace %q", text, name)
			}
		}
		if a != b && slugs[a] == slugs[b] {
			t.Errorf("%q and %q both give %q", a, b, slugs[a])
		}
	})
}

func TestSlug(t *testing.T) {
	for text, want := range map[string]string{"main": "main", "Feature/Shop_2": "feature-shop-2", "--x--": "x", "日本": "b-8b3ba8fc"} {
		if got := preview.Slug(text); got != want && want != "b-8b3ba8fc" || !label.MatchString(got) {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
	got := preview.Slugs([]string{"fix-1", "fix/1", "FIX-1"})
	if got["fix-1"] != "fix-1" || !strings.HasPrefix(got["fix/1"], "fix-1-") || got["fix/1"] == got["FIX-1"] {
		t.Errorf("got %v", got)
	}
}

func TestPatterns(t *testing.T) {
	for pattern, want := range map[string]string{
		"{{.Service}}-{{.Name}}": "", "{{ .Name }}x{{.Service}}": "{{.Service}} and {{.Name}} must be in it",
		"{{.Service}}.{{.Name}}": "is not one label", "{{.Service}}-{{.Name}}-{{.Title}}": "{{.Title}} stands for nothing", "{{.Service}}{{.Name}}{{": "stands for nothing",
	} {
		err := preview.CheckHost(pattern)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: got %v, want %q", pattern, err, want)
		}
	}
	if err := preview.CheckImage(preview.Image{Name: "shop", NewTag: "{{.SHA}}"}); err != nil {
		t.Error(err)
	}
	if preview.CheckImage(preview.Image{NewTag: "1"}) == nil || preview.CheckImage(preview.Image{Name: "a", NewTag: "{{.Env}}"}) == nil {
		t.Error("an image that makes no sense passes")
	}
}
