package render

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"headgate.dev/schema"
)

// TestServedVersions compares the table of versions, and the scopes, with the CRDs of the standard channel.
func TestServedVersions(t *testing.T) {
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/gateway-api").Output()
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(dir)), "config/crd/standard/*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no CRDs: %v", err)
	}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		docs, errs := schema.Documents(name, data, schema.Limits{})
		if len(errs) > 0 {
			t.Fatal(errs)
		}
		for _, doc := range docs {
			if doc.Root.Get("/kind").Text == "CustomResourceDefinition" {
				checkCRD(t, doc.Root)
			}
		}
	}
}

func checkCRD(t *testing.T, crd *schema.Node) {
	kind := crd.Get("/spec/names/kind").Text
	cluster := crd.Get("/spec/scope").Text == "Cluster"
	if clusterScoped[groupKind{gatewayGroup, kind}] != cluster {
		t.Errorf("%s: cluster-scoped %v", kind, cluster)
	}
	for _, version := range crd.Get("/spec/versions").Items {
		name := version.Get("/name").Text
		if name == "v1" {
			if version.Get("/served").Text != "true" {
				t.Errorf("%s v1 is not served", kind)
			}
			continue
		}
		if !slices.Contains(served[kind], name) {
			t.Errorf("%s %s is a version that is not brought to v1", kind, name)
		}
	}
}
