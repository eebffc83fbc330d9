package expand

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"headgate.dev/render/admit"
	"headgate.dev/render/object"
	"headgate.dev/schema"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// Every NAME.yaml of an archive is expanded; NAME.out has the objects, or the errors. A first line "# origins" in
// NAME.yaml adds where the fields come from; "# gateway: X" sets the default gateway, which is infra/public otherwise. The
// GatewaySpecs of a file are known to its ServiceSpecs.
func TestGolden(t *testing.T) {
	archives, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(archives) == 0 {
		t.Fatalf("no archives: %v", err)
	}
	for _, path := range archives {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) { golden(t, path) })
	}
}

func golden(t *testing.T, path string) {
	archive, err := txtar.ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}
	out := &txtar.Archive{Comment: archive.Comment}
	for _, f := range archive.Files {
		name, ok := strings.CutSuffix(f.Name, ".yaml")
		if !ok {
			continue
		}
		got := expandText(f.Name, f.Data)
		out.Files = append(out.Files, f, txtar.File{Name: name + ".out", Data: got})
		if want := section(archive, name+".out"); !*update && !bytes.Equal(want, got) {
			t.Errorf("%s:%s:\n--- want\n%s--- got\n%s", path, f.Name, want, got)
		}
	}
	if *update {
		if err := os.WriteFile(path, txtar.Format(out), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func section(a *txtar.Archive, name string) []byte {
	for _, f := range a.Files {
		if f.Name == name {
			return f.Data
		}
	}
	return nil
}

func expandText(name string, data []byte) []byte {
	c := Context{Gateway: "infra/public"}
	origins := false
	for line := range strings.Lines(string(data)) {
		directive, ok := strings.CutPrefix(strings.TrimSpace(line), "# ")
		if !ok {
			break
		}
		if gateway, ok := strings.CutPrefix(directive, "gateway:"); ok {
			c.Gateway = strings.TrimSpace(gateway)
		}
		origins = origins || directive == "origins"
	}
	var b bytes.Buffer
	specs, errs := decode(name, data)
	c.Redirects = redirectsOf(specs)
	for _, spec := range specs {
		objects, wrong := Spec(spec, c)
		errs = append(errs, wrong...)
		if err := object.WriteYAML(&b, slices.Values(objects), object.PrintOptions{}); err != nil {
			b.WriteString(err.Error())
		}
		for _, o := range objects {
			writeOrigins(&b, o, origins)
		}
	}
	for _, e := range errs.Sort() {
		b.WriteString(e.Error() + "\n")
	}
	return b.Bytes()
}

func decode(name string, data []byte) ([]schema.Spec, schema.Errors) {
	var specs []schema.Spec
	documents, errs := schema.Documents(name, data, schema.Limits{})
	for _, doc := range documents {
		spec, wrong := schema.Decode(doc.Root)
		errs = append(errs, wrong...)
		if spec != nil {
			specs = append(specs, spec)
		}
	}
	return specs, errs
}

// redirectsOf gives the gateways among the specs that redirect.
func redirectsOf(specs []schema.Spec) map[string]Redirects {
	out := map[string]Redirects{}
	for _, spec := range specs {
		if g, ok := spec.(*schema.GatewaySpec); ok {
			if r, ok := RedirectsOf(g); ok {
				out[g.Metadata.Namespace+"/"+g.Metadata.Name] = r
			}
		}
	}
	return out
}

func writeOrigins(b *bytes.Buffer, o *object.Object, origins bool) {
	if !origins {
		return
	}
	for _, pointer := range slices.Sorted(maps.Keys(o.Fields)) {
		b.WriteString("# " + pointer + " " + o.Fields[pointer].String() + "\n")
	}
}

// Splitting must keep every rule and every match, and every object within Gateway API's limits.
func TestSplitKeepsEverything(t *testing.T) {
	for _, n := range []int{1, 16, 17, 100} {
		s := &schema.ServiceSpec{Metadata: schema.Metadata{Name: "shop"}, Spec: schema.Service{Port: 80}}
		for i := range n {
			r := schema.Route{}
			for j := range 1 + i%70 {
				r.Path = append(r.Path, schema.PathMatch{Kind: schema.Prefix, Value: "/" + strings.Repeat("x", i+1) + "/" + strings.Repeat("y", j)})
			}
			s.Spec.Routes = append(s.Spec.Routes, r)
		}
		objects, errs := Service(s, Context{Gateway: "public"})
		if len(errs) > 0 {
			t.Fatal(errs)
		}
		total := 0
		for _, o := range objects {
			rules := o.Content["spec"].(map[string]any)["rules"].([]any)
			inObject := 0
			for _, r := range rules {
				matches := r.(map[string]any)["matches"].([]any)
				if len(matches) == 0 || len(matches) > maxRuleMatches {
					t.Errorf("%s: a rule with %d matches", o.ID, len(matches))
				}
				inObject += len(matches)
			}
			if len(rules) > maxRules || inObject > maxMatches {
				t.Errorf("%s: %d rules, %d matches", o.ID, len(rules), inObject)
			}
			total += inObject
		}
		want := 0
		for i := range n {
			want += 1 + i%70
		}
		if total != want {
			t.Errorf("%d routes: %d matches, want %d", n, total, want)
		}
	}
}

// One more than Gateway API takes is split, or refused where it cannot be.
func TestOneMoreThanPossible(t *testing.T) {
	list := func(format string, n int) string {
		var items []string
		for i := range n {
			items = append(items, fmt.Sprintf(format, i))
		}
		return "[" + strings.Join(items, ", ") + "]"
	}
	service := func(spec string) string { return strings.Replace(small, "  hosts: [shop.example.com]\n", spec, 1) }
	gateway := func(spec string) string {
		return "apiVersion: headgate.dev/v1alpha1\nkind: GatewaySpec\nmetadata: {name: public}\nspec: {" + spec + "}\n"
	}
	for _, c := range []struct{ name, text, want string }{
		{"16 hosts", service("  hosts: " + list("h%d.example.com", 16) + "\n"), "shop"},
		{"17 hosts", service("  hosts: " + list("h%d.example.com", 17) + "\n"), "shop shop-2"},
		{"128 matches", service("  routes: [{path: " + list("/%d", 128) + "}]\n"), "shop"},
		{"129 matches", service("  routes: [{path: " + list("/%d", 129) + "}]\n"), "shop shop-2"},
		{"16 rules", service("  routes: " + list("{path: /%d}", 16) + "\n"), "shop"},
		{"17 rules", service("  routes: " + list("{path: /%d}", 17) + "\n"), "shop shop-2"},
		{"128 calls", service("  grpc: [{method: " + list("a.B/M%d", 128) + "}]\n"), "shop"},
		{"129 calls", service("  grpc: [{method: " + list("a.B/M%d", 129) + "}]\n"), "shop shop-2"},
		{"17 TLS hosts", service("  tls: [{hosts: " + list("h%d.example.com", 17) + "}]\n"), "shop"},
		{"65 TCP ports", service("  tcp: " + list("{port: %d1}", 65) + "\n"),
			"f.yaml:4:1: spec: would become 65 routes of one kind, at most 64 are possible; split the spec"},
		{"64 listeners", gateway("hosts: " + list("h%d.example.com", 64)), "public"},
		{"65 listeners", gateway("hosts: " + list("h%d.example.com", 65)),
			"f.yaml:4:8: spec.hosts: 65 listeners are more than a Gateway can have, 64; use a wildcard or a second GatewaySpec"},
		{"65 listeners by ports", gateway("ports: " + list("{port: 80%02d, protocol: TCP}", 65)),
			"f.yaml:4:8: spec.ports: 65 listeners are more than a Gateway can have, 64; use a wildcard or a second GatewaySpec"},
	} {
		specs, errs := decode("f.yaml", []byte(c.text))
		var got []string
		for _, spec := range specs {
			objects, wrong := Spec(spec, Context{Gateway: "infra/public"})
			errs = append(errs, wrong...)
			for _, o := range objects {
				got = append(got, o.ID.Name)
				if _, wrong := admit.Admit(o); len(wrong) > 0 {
					t.Errorf("%s: %v", c.name, wrong)
				}
			}
		}
		if text := strings.Join(got, " ") + errs.Error(); text != c.want {
			t.Errorf("%s: got %q, want %q", c.name, text, c.want)
		}
	}
}

// A small file must not become a large heap.
func TestMultiplicationIsRefused(t *testing.T) {
	list := func(format string, n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, format, i)
		}
		return b.String()
	}
	for name, c := range map[string]struct{ spec, want string }{
		"hosts": {"  hosts: [" + list("h%d.example.com, ", 2000) + "]\n", "would become about"},
		"both": {"  hosts: [" + list("h%d.example.com, ", 300) + "]\n  routes:\n  - path: [" + list("/%d, ", 1000) + "]\n",
			"would become about"},
		"copies": {"  patches: [{patch: [{op: add, path: /spec/x, value: []}, " +
			strings.Repeat("{op: copy, from: /spec, path: /spec/x/-}, ", 100) + "]}]\n", "more than 100000 values"},
	} {
		text := strings.Replace(small, "  hosts: [shop.example.com]\n", c.spec, 1)
		if got := string(expandText("f.yaml", []byte(text))); !strings.Contains(got, c.want) {
			t.Errorf("%s: %.200s", name, got)
		}
	}
}

func TestSameInputSameBytes(t *testing.T) {
	data := []byte(middle)
	first := expandText("a.yaml", data)
	for range 20 {
		if got := expandText("a.yaml", data); !bytes.Equal(got, first) {
			t.Fatalf("differs:\n%s\n%s", first, got)
		}
	}
}

const small = `apiVersion: headgate.dev/v1alpha1
kind: ServiceSpec
metadata: {name: shop}
spec:
  hosts: [shop.example.com]
  port: 8080
`

const middle = small + `  routes:
  - path: /api
    methods: [GET, POST]
    headers: {x-tenant: acme, x-ring: ~b.*}
    to: {shop-v1:8080: 90, shop-v2:8080: 10}
    timeout: 5s
    retry: {attempts: 3, codes: [502, 503]}
  - path: /old
    redirect: {path: /new, code: 308}
`

func BenchmarkSmallSpec(b *testing.B)  { benchmark(b, small) }
func BenchmarkMiddleSpec(b *testing.B) { benchmark(b, middle) }

func benchmark(b *testing.B, text string) {
	data := []byte(text)
	b.ReportAllocs()
	for b.Loop() {
		documents, errs := schema.Documents("shop.yaml", data, schema.Limits{})
		if len(errs) > 0 {
			b.Fatal(errs)
		}
		spec, errs := schema.Decode(documents[0].Root)
		if len(errs) > 0 {
			b.Fatal(errs)
		}
		if _, errs := Spec(spec, Context{Gateway: "infra/public"}); len(errs) > 0 {
			b.Fatal(errs)
		}
	}
}
