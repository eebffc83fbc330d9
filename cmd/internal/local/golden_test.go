package local

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/anypb"
	"sigs.k8s.io/yaml"

	"headgate.dev/agent"
	"headgate.dev/proxy/envoy"
	"headgate.dev/render"
	"headgate.dev/render/object"
)

var update = flag.Bool("update", false, "write the golden files again")

// TestGolden follows a tree all the way: each file in testdata has the tree under in/, and what becomes of it: the
// objects, the rows of traffic, and every resource Envoy gets. Run with -update to write them again.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	for _, name := range files {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			tree, want := fstest.MapFS{}, map[string]string{}
			result := &txtar.Archive{Comment: archive.Comment}
			for _, f := range archive.Files {
				if in, ok := strings.CutPrefix(f.Name, "in/"); ok {
					tree[in] = &fstest.MapFile{Data: f.Data}
					result.Files = append(result.Files, f)
				} else {
					want[f.Name] = string(f.Data)
				}
			}
			compare(t, name, want, result, follow(t, tree, "."))
		})
	}
}

// compare holds what came out against what the file named wants of it, or writes the file with what came out behind result.
func compare(t *testing.T, name string, want map[string]string, result *txtar.Archive, came []txtar.File) {
	t.Helper()
	for _, out := range came {
		result.Files = append(result.Files, out)
		if diff := cmp.Diff(want[out.Name], string(out.Data)); diff != "" && !*update {
			t.Errorf("%s: wanted (-), got (+):\n%s", out.Name, diff)
		}
	}
	if *update {
		if err := os.WriteFile(name, txtar.Format(result), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// follow applies a directory of a tree to a Stack that no Envoy is connected to.
func follow(t *testing.T, tree fs.FS, dir string) []txtar.File {
	t.Helper()
	rendered, err := render.Tree(tree, dir, render.Options{Gateway: DefaultGateway, Namespace: DefaultNamespace})
	if err != nil {
		return []txtar.File{{Name: "errors", Data: []byte(err.Error() + "\n")}}
	}
	stack, err := New(Options{Listen: netip.MustParseAddr("127.0.0.1"), Detached: true})
	if err != nil {
		t.Fatal(err)
	}
	defer stack.Close()
	stack.backends.endpoint = func(p servicePort) (netip.AddrPort, error) {
		return netip.AddrPortFrom(netip.MustParseAddr("127.64.0.1"), uint16(p.port)), nil
	}
	change := agent.Change{Set: rendered.Set}
	change.Put, _ = object.Diff(nil, rendered.Set)
	if err := stack.Apply(t.Context(), change); err != nil {
		return []txtar.File{{Name: "errors", Data: []byte(err.Error() + "\n")}}
	}
	var objects, rows, resources bytes.Buffer
	if err := object.WriteYAML(&objects, rendered.Set.All(), object.PrintOptions{}); err != nil {
		t.Fatal(err)
	}
	served, _ := stack.Rows(1000)
	for _, r := range served {
		fmt.Fprintf(&rows, "%s %s %s → %s", r.Listener, r.Row.Host, r.Row.Request, r.Row.Answer)
		for _, d := range r.Row.Details {
			fmt.Fprintf(&rows, "; %s", d)
		}
		fmt.Fprintf(&rows, "  (%s)\n", r.From)
	}
	for _, e := range stack.unserved() {
		fmt.Fprintf(&rows, "not served: %s\n", e.Error())
	}
	for _, r := range stack.effects.XDS {
		fmt.Fprintf(&resources, "--- # %s %s\n%s", r.Type, r.Name, text(t, r.Resource))
	}
	return []txtar.File{
		{Name: "objects.yaml", Data: objects.Bytes()}, {Name: "traffic", Data: rows.Bytes()}, {Name: "envoy", Data: resources.Bytes()}}
}

// text is a resource as YAML, which reads and compares well, without what is the same in every tree.
func text(t *testing.T, r envoy.Resource) string {
	t.Helper()
	message, err := (&anypb.Any{TypeUrl: r.Type.URL(), Value: r.Body}).UnmarshalNew()
	if err != nil {
		t.Fatal(err)
	}
	raw, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(message)
	if err != nil {
		t.Fatal(err)
	}
	var value map[string]any
	if err := json.Unmarshal(raw, &value); err != nil {
		t.Fatal(err)
	}
	if certificate, is := value["tls_certificate"].(map[string]any); is {
		for key := range certificate {
			certificate[key] = "(made by the local CA)"
		}
	}
	abridge(value)
	out, err := yaml.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// abridge leaves out how HTTP is handled in general: proxy/envoy has its golden.
func abridge(value any) {
	switch v := value.(type) {
	case map[string]any:
		if v["name"] == "envoy.filters.network.http_connection_manager" {
			v["typed_config"] = "(as for every listener)"
		}
		for _, inner := range v {
			abridge(inner)
		}
	case []any:
		for _, inner := range v {
			abridge(inner)
		}
	}
}
