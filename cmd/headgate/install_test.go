package main

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"

	"headgate.dev/deploy"
)

// TestInstallIsWhatKustomizeBuilds compares what `headgate install` prints with what kustomize makes of the same bases, with the
// flags as fields of a kustomization.
func TestInstallIsWhatKustomizeBuilds(t *testing.T) {
	for _, c := range []struct{ args, kustomization string }{
		{"", "resources: [default]"},
		{"--gateway-api", "resources: [gateway-api]"},
		{
			"--namespace edge --replicas 3 --image example.com:5000/a/headgate@sha256:" + strings.Repeat("0", 64),
			`{resources: [default], namespace: edge, replicas: [{name: headgate, count: 3}],
			images: [{name: registry.headgate.dev/headgate, newName: "example.com:5000/a/headgate", digest: "sha256:` + strings.Repeat("0", 64) + `"}]}`,
		},
		{
			"--image example.com/headgate:v9 --replicas 0",
			`{resources: [default], replicas: [{name: headgate, count: 0}], images: [{name: registry.headgate.dev/headgate, newName: example.com/headgate, newTag: v9}]}`,
		},
	} {
		code, out, errs := headgate(t, append([]string{"install"}, strings.Fields(c.args)...)...)
		if code != exitFine {
			t.Fatalf("install %s: exit %d: %s", c.args, code, errs)
		}
		got, want := byID(t, out), byID(t, kustomized(t, c.kustomization))
		for id, content := range want {
			if !reflect.DeepEqual(got[id], content) {
				t.Errorf("install %s: %s is\n%v\nwant\n%v", c.args, id, got[id], content)
			}
		}
		if len(got) != len(want) {
			t.Errorf("install %s: %d objects, want %d", c.args, len(got), len(want))
		}
		if first, _, _ := strings.Cut(strings.TrimPrefix(out, "---\n"), "---\n"); c.args != "--gateway-api" && !strings.Contains(first, "kind: Namespace") {
			t.Errorf("install %s begins with\n%s", c.args, first)
		}
	}
}

func kustomized(t *testing.T, kustomization string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, deploy.Files); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "kustomization.yaml"), []byte(kustomization), 0o600); err != nil {
		t.Fatal(err)
	}
	m, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), dir)
	if err != nil {
		t.Fatal(err)
	}
	text, err := m.AsYaml()
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// byID reads a stream. The namespace that kustomize puts into a cluster-scoped kind it does not know is left out: an API
// server does so, too.
func byID(t *testing.T, stream string) map[string]map[string]any {
	t.Helper()
	out := map[string]map[string]any{}
	for text := range strings.SplitSeq("\n"+stream, "\n---\n") {
		content := map[string]any{}
		if err := yaml.Unmarshal([]byte(text), &content); err != nil {
			t.Fatal(err)
		}
		if len(content) == 0 {
			continue
		}
		metadata := content["metadata"].(map[string]any)
		if content["kind"] == "GatewayClass" {
			delete(metadata, "namespace")
		}
		namespace, _ := metadata["namespace"].(string)
		out[content["kind"].(string)+" "+namespace+"/"+metadata["name"].(string)] = content
	}
	return out
}

func TestInstallRefuses(t *testing.T) {
	for _, args := range []string{
		"--namespace Edge", "--image headgate", "--image :v1", "--replicas -2", "--gateway-api --namespace edge", "-o xml", "now",
	} {
		if code, out, errs := headgate(t, append([]string{"install"}, strings.Fields(args)...)...); code != exitUsage || out != "" {
			t.Errorf("install %s: exit %d, %q, %q", args, code, out, errs)
		}
	}
}
