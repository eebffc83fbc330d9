package preview_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"golang.org/x/tools/txtar"

	"headgate.dev/agent/preview"
	"headgate.dev/render"
	"headgate.dev/render/object"
	"headgate.dev/schema"
)

var update = flag.Bool("update", false, "rewrite the golden files")

var outputs = []string{"sites", "refusals", "objects.yaml"}

// TestGolden plans testdata/*.txtar. Files below base/ are the merge base; those below head/ are laid over it, and what "head/gone" lists is not there; those
// below main/ are laid over the base too and give production. The comment has lines "rule: value".
func TestGolden(t *testing.T) {
	names, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			c := readCase(t, archive)
			plan, err := preview.New(c.production, c.change, c.rules)
			if err != nil {
				t.Fatal(err)
			}
			checkPlan(t, c.production, plan, c.rules)
			got := shown(t, plan)
			if *update {
				archive.Files = c.inputs
				for _, key := range outputs {
					archive.Files = append(archive.Files, txtar.File{Name: key, Data: []byte(got[key])})
				}
				if err := os.WriteFile(name, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			for _, key := range outputs {
				if want := c.want[key]; got[key] != want {
					t.Errorf("%s: got\n%s\nwant\n%s", key, got[key], want)
				}
			}
		})
	}
}

func shown(t *testing.T, plan *preview.Plan) map[string]string {
	var sites, refusals strings.Builder
	for _, s := range plan.Sites {
		fmt.Fprintf(&sites, "%s/%s %s %v %v", s.Namespace, s.Service, s.Host, s.Hosts, s.Kinds)
		if s.Gone {
			sites.WriteString(" gone")
		}
		sites.WriteString("\n")
	}
	for _, r := range plan.Refusals {
		fmt.Fprintf(&refusals, "%s\n", r.Error)
	}
	if plan.Refused {
		refusals.WriteString("refused\n")
	}
	var objects bytes.Buffer
	if err := object.WriteYAML(&objects, plan.Objects.All(), object.PrintOptions{}); err != nil {
		t.Fatal(err)
	}
	return map[string]string{"sites": sites.String(), "refusals": refusals.String(), "objects.yaml": objects.String()}
}

type testCase struct {
	production *object.Set
	change     preview.Change
	rules      preview.Rules
	inputs     []txtar.File
	want       map[string]string
}

func readCase(t *testing.T, archive *txtar.Archive) testCase {
	c := testCase{want: map[string]string{}, rules: preview.Rules{
		Sync: "shop", Name: "pr-42", Namespace: "preview-shop-42", Domain: "preview.example.com", SHA: "8c1d22f", Taken: map[string]string{},
	}}
	trees := map[string]fstest.MapFS{"base": {}, "head": {}, "main": {}}
	for _, f := range archive.Files {
		dir, name, ok := strings.Cut(f.Name, "/")
		if !ok {
			c.want[f.Name] = string(f.Data)
			continue
		}
		c.inputs = append(c.inputs, f)
		if name == "gone" {
			for _, gone := range strings.Fields(string(f.Data)) {
				delete(trees[dir], gone)
			}
			continue
		}
		file := &fstest.MapFile{Data: f.Data}
		if trees[dir][name] = file; dir == "base" {
			trees["head"][name], trees["main"][name] = file, file
		}
	}
	base, head := rendered(t, trees["base"]), rendered(t, trees["head"])
	c.production, c.change = rendered(t, trees["main"]), preview.Between(base, head)
	for line := range strings.Lines(string(archive.Comment)) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), ": "); ok {
			c.rule(key, value)
		}
	}
	return c
}

func (c *testCase) rule(key, value string) {
	switch key {
	case "mode":
		c.rules.Mode = preview.Mode(value)
	case "name":
		c.rules.Name = value
	case "host":
		c.rules.Host = value
	case "gateway":
		namespace, rest, _ := strings.Cut(value, "/")
		name, section, _ := strings.Cut(rest, "#")
		c.rules.Gateway = preview.Parent{Namespace: namespace, Name: name, Section: section}
	case "image":
		name, tag, _ := strings.Cut(value, " ")
		c.rules.Images = append(c.rules.Images, preview.Image{Name: name, NewTag: tag})
	case "fork":
		c.rules.Fork = &preview.Fork{Registries: strings.Fields(value)}
	case "taken":
		host, owner, _ := strings.Cut(value, " ")
		c.rules.Taken[host] = owner
	case "local":
		c.rules.Local = true
	}
}

func rendered(t testing.TB, tree fstest.MapFS) *object.Set {
	t.Helper()
	if len(tree) == 0 {
		return &object.Set{}
	}
	result, err := render.Tree(tree, ".", render.Options{Namespace: "team-a", Gateway: "infra/public"})
	var wrong schema.Errors
	if errors.As(err, &wrong) {
		t.Fatalf("rendering: %s", wrong.Error())
	}
	if err != nil {
		t.Fatal(err)
	}
	return result.Set
}

// checkPlan holds what is so of every plan: an object is in the preview's namespace, or the namespace, or a route under a preview's name; none is one of
// production, none is there twice, and the same again gives the same.
func checkPlan(t testing.TB, production *object.Set, plan *preview.Plan, rules preview.Rules) {
	t.Helper()
	var before object.ID
	for o := range plan.Objects.All() {
		inside := o.ID.Namespace == rules.Namespace || o.ID.Kind == "Namespace" && o.ID.Name == rules.Namespace
		isRoute := strings.HasSuffix(o.ID.Kind, "Route") && strings.Contains(o.ID.Name, ".preview-"+rules.Sync+"-"+rules.Name)
		if !inside && !isRoute {
			t.Errorf("%s is neither in %s nor a route of the preview", o.ID, rules.Namespace)
		}
		if production.Get(o.ID) != nil {
			t.Errorf("%s is one of production", o.ID)
		}
		if o.ID == before {
			t.Errorf("%s is there twice", o.ID)
		}
		if len(o.ID.Name) > 253 {
			t.Errorf("%s has too long a name", o.ID)
		}
		before = o.ID
	}
	hosts := map[string]bool{}
	for _, s := range plan.Sites {
		label, domain, _ := strings.Cut(s.Host, ".")
		if rules.Mode != preview.ByHeader && (len(label) == 0 || len(label) > 63 || domain != rules.Domain || hosts[s.Host]) {
			t.Errorf("host %q of %s/%s", s.Host, s.Namespace, s.Service)
		}
		hosts[s.Host] = true
	}
	for _, r := range plan.Refusals {
		if !strings.Contains(r.Error.Message, "(rule "+string(r.Rule)+")") || r.Error.File == "" {
			t.Errorf("refusal %v does not name its rule and place", r)
		}
	}
	if plan.Refused && plan.Objects.Len() > 0 {
		t.Error("what is refused has objects")
	}
}
