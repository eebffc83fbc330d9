package admit

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"headgate.dev/render/object"
)

// Every NAME.yaml of an archive is admitted; NAME.out has the objects with their defaults, or what they are refused for.
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
	out, wants := &txtar.Archive{Comment: archive.Comment}, map[string]string{}
	for _, f := range archive.Files {
		wants[f.Name] = string(f.Data)
	}
	for _, f := range archive.Files {
		name, ok := strings.CutSuffix(f.Name, ".yaml")
		if !ok {
			continue
		}
		got := say(t, parse(t, f.Name, string(f.Data)))
		out.Files = append(out.Files, f, txtar.File{Name: name + ".out", Data: got})
		if want := wants[name+".out"]; !*update && want != string(got) {
			t.Errorf("%s: %s:\n--- want\n%s--- got\n%s", path, f.Name, want, got)
		}
	}
	if *update {
		if err := os.WriteFile(path, txtar.Format(out), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func say(t *testing.T, objects []*object.Object) []byte {
	var b bytes.Buffer
	for _, o := range objects {
		before := o.Digest
		content, errs := Admit(o)
		if again, err := object.New(o.Content, o.Origin, nil); err != nil || again.Digest != before {
			t.Errorf("%s was written to", o.ID)
		}
		if len(errs) > 0 {
			fmt.Fprintln(&b, errs)
			continue
		}
		defaulted, err := object.New(content, o.Origin, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := object.WriteYAML(&b, func(yield func(*object.Object) bool) { yield(defaulted) }, object.PrintOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

// Every definition can be made ready, and all of its rules compile.
func TestKinds(t *testing.T) {
	entries, err := files.ReadDir("crds")
	if err != nil || len(entries) != 10 {
		t.Fatalf("%d kinds: %v", len(entries), err)
	}
	for _, entry := range entries {
		data, err := files.ReadFile("crds/" + entry.Name())
		if err != nil {
			t.Fatal(err)
		}
		k, err := compile(data)
		if err != nil {
			t.Errorf("%s: %v", entry.Name(), err)
			continue
		}
		if load(k.Kind) == nil || !k.serves("v1") {
			t.Errorf("%s is not known as %s v1", entry.Name(), k.Kind)
		}
	}
	for _, name := range []string{"httproute", "HttpRoute", "", "../x", "Backend"} {
		if load(name) != nil {
			t.Errorf("there is a kind %q", name)
		}
	}
}

// What is made of 129 matches, 17 hostnames and so on.
func TestLimits(t *testing.T) {
	list := func(n int, item string) string {
		return "[" + strings.TrimSuffix(strings.Repeat(item+", ", n), ", ") + "]"
	}
	numbered := func(n int, item string) string {
		var items []string
		for i := range n {
			items = append(items, fmt.Sprintf(item, i))
		}
		return "[" + strings.Join(items, ", ") + "]"
	}
	match := "{path: {value: /a}}"
	for _, test := range []struct{ name, kind, spec, want string }{
		{"16 hostnames", "HTTPRoute", "hostnames: " + numbered(16, "h%d.example.com"), ""},
		{"17 hostnames", "HTTPRoute", "hostnames: " + numbered(17, "h%d.example.com"),
			"x.yaml:4:8: spec.hostnames: HTTPRoute a/x: has 17 items; must have at most 16 items"},
		{"64 matches", "HTTPRoute", "rules: [{matches: " + list(64, match) + "}]", ""},
		{"65 matches", "HTTPRoute", "rules: [{matches: " + list(65, match) + "}]",
			"x.yaml:4:17: spec.rules[0].matches: HTTPRoute a/x: has 65 items; must have at most 64 items"},
		{"128 matches", "HTTPRoute", "rules: " + list(2, "{matches: "+list(64, match)+"}"), ""},
		{"129 matches", "HTTPRoute", "rules: " + list(3, "{matches: "+list(43, match)+"}"),
			"x.yaml:4:8: spec.rules: HTTPRoute a/x: While 16 rules and 64 matches per rule are allowed, the total number of matches across all rules in a route must be less than 128"},
		{"17 rules", "HTTPRoute", "rules: " + list(17, "{}"), "x.yaml:4:8: spec.rules: HTTPRoute a/x: has 17 items; must have at most 16 items"},
		{"64 listeners", "Gateway", "gatewayClassName: c, listeners: " + numbered(64, "{name: l%[1]d, port: 80, protocol: HTTP, hostname: h%[1]d}"), ""},
		{"65 listeners", "Gateway", "gatewayClassName: c, listeners: " + numbered(65, "{name: l%[1]d, port: 80, protocol: HTTP, hostname: h%[1]d}"),
			"x.yaml:4:29: spec.listeners: Gateway a/x: has 65 items; must have at most 64 items"},
	} {
		o := parse(t, "x.yaml", "apiVersion: gateway.networking.k8s.io/v1\nkind: "+test.kind+
			"\nmetadata: {name: x, namespace: a}\nspec: {"+test.spec+"}\n")[0]
		_, errs := Admit(o)
		if got := errs.Error(); got != test.want {
			t.Errorf("%s: got %q, want %q", test.name, got, test.want)
		}
	}
}
