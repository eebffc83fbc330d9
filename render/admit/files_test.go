package admit

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"
)

var update = flag.Bool("update", false, "rewrite the golden files and the definitions of kinds")

// The embedded definitions are those of the Gateway API module in go.mod.
func TestFilesAreCurrent(t *testing.T) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/gateway-api").Output()
	if err != nil {
		t.Fatalf("finding the Gateway API module: %v", err)
	}
	sources, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(out)), "config/crd/standard/*.yaml"))
	if err != nil || len(sources) == 0 {
		t.Fatalf("the Gateway API module has no definitions: %v", err)
	}
	want := map[string][]byte{}
	for _, source := range sources {
		if name, data := describe(t, source); name != "" {
			want["crds/"+name] = data
		}
	}
	have, err := filepath.Glob("crds/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range have {
		if want[name] == nil && !*update {
			t.Errorf("%s is of no kind of the standard channel; run make generate", name)
		} else if want[name] == nil {
			if err := os.Remove(name); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, data := range want {
		if *update {
			if err := os.WriteFile(name, data, 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if got, err := files.ReadFile(name); err != nil || !bytes.Equal(got, data) {
			t.Errorf("%s is not up to date (%v); run make generate", name, err)
		}
	}
}

// describe makes the file of a kind from its CustomResourceDefinition; the name is empty for what is none.
func describe(t *testing.T, source string) (string, []byte) {
	data, err := os.ReadFile(source)
	if err != nil {
		t.Fatal(err)
	}
	var crd apiextensionsv1.CustomResourceDefinition
	if err := yaml.Unmarshal(data, &crd); err != nil {
		t.Fatalf("%s: %v", source, err)
	}
	if crd.Kind != "CustomResourceDefinition" {
		return "", nil
	}
	if crd.Spec.Group != Group {
		t.Fatalf("%s is of group %s", source, crd.Spec.Group)
	}
	d := definition{Kind: crd.Spec.Names.Kind, Namespaced: crd.Spec.Scope == apiextensionsv1.NamespaceScoped}
	for _, version := range crd.Spec.Versions {
		if !version.Served {
			continue
		}
		text, err := json.Marshal(version.Schema.OpenAPIV3Schema)
		if err != nil {
			t.Fatal(err)
		}
		var tree any
		if err := json.Unmarshal(text, &tree); err != nil {
			t.Fatal(err)
		}
		undescribe(tree)
		text, err = json.Marshal(tree)
		if err != nil {
			t.Fatal(err)
		}
		status := version.Subresources != nil && version.Subresources.Status != nil
		if len(d.Served) > 0 && (!bytes.Equal(text, d.Schema) || status != d.Status) {
			t.Fatalf("the served versions of %s differ: a schema for each is needed", d.Kind)
		}
		d.Served, d.Schema, d.Status = append(d.Served, version.Name), text, status
	}
	slices.Sort(d.Served)
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", " ")
	if err := encoder.Encode(d); err != nil {
		t.Fatal(err)
	}
	return strings.ToLower(d.Kind) + ".json", out.Bytes()
}

// undescribe takes the descriptions out of a schema; a field may well be called description.
func undescribe(tree any) {
	switch tree := tree.(type) {
	case []any:
		for _, item := range tree {
			undescribe(item)
		}
	case map[string]any:
		if _, ok := tree["description"].(string); ok {
			delete(tree, "description")
		}
		for _, value := range tree {
			undescribe(value)
		}
	}
}
