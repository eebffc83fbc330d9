package fleet

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/tools/txtar"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/yaml"

	"headgate.dev/proxy/model"
	"headgate.dev/schema"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// TestGolden holds the objects of a fleet. A case is a txtar file: gateway.yaml, and where there is one class.yaml and
// config.yaml (the ProxyConfigs of the class and of the Gateway) and running.yaml (Running); objects.yaml is what comes out.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, path := range files {
		t.Run(filepath.Base(path), func(t *testing.T) {
			c := readCase(t, path)
			got := c.print(t, Objects(c.input))
			if *update {
				c.write(t, path, got)
				return
			}
			if want := c.file("objects.yaml"); !bytes.Equal(got, want) {
				t.Errorf("the objects differ; look at the difference after `go test ./proxy/fleet -update`:\n%s", got)
			}
		})
	}
}

type golden struct {
	archive *txtar.Archive
	input   Input
}

func (g *golden) file(name string) []byte {
	for _, f := range g.archive.Files {
		if f.Name == name {
			return f.Data
		}
	}
	return nil
}

func readCase(t *testing.T, path string) *golden {
	t.Helper()
	archive, err := txtar.ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}
	g := &golden{archive: archive}
	var gateway gwv1.Gateway
	g.decode(t, "gateway.yaml", &gateway)
	var class, own *schema.ProxyConfig
	if g.file("class.yaml") != nil {
		class = &schema.ProxyConfig{}
		g.decode(t, "class.yaml", class)
	}
	if g.file("config.yaml") != nil {
		own = &schema.ProxyConfig{}
		g.decode(t, "config.yaml", own)
	}
	g.input = inputOf(&gateway, class, own)
	if g.file("running.yaml") != nil {
		g.decode(t, "running.yaml", &g.input.Running)
		g.input.Running.Exists = true
	}
	return g
}

func (g *golden) decode(t *testing.T, name string, into any) {
	t.Helper()
	if err := yaml.UnmarshalStrict(g.file(name), into); err != nil {
		t.Fatalf("reading %s: %v", name, err)
	}
}

func (g *golden) print(t *testing.T, objects []Object) []byte {
	t.Helper()
	var out bytes.Buffer
	for _, o := range objects {
		text, err := yaml.Marshal(o.Object)
		if err != nil {
			t.Fatal(err)
		}
		out.WriteString("---\n# " + o.Manager + "\n")
		out.Write(text)
	}
	return out.Bytes()
}

func (g *golden) write(t *testing.T, path string, got []byte) {
	t.Helper()
	var files []txtar.File
	for _, f := range g.archive.Files {
		if f.Name != "objects.yaml" {
			files = append(files, f)
		}
	}
	g.archive.Files = append(files, txtar.File{Name: "objects.yaml", Data: got})
	if err := os.WriteFile(path, txtar.Format(g.archive), 0o644); err != nil {
		t.Fatal(err)
	}
}

// inputOf does what the engine does: a Gateway and the configs of its class and of itself become an Input.
func inputOf(gateway *gwv1.Gateway, class, own *schema.ProxyConfig) Input {
	in := Input{
		Gateway: GatewayOf(gateway),
		Config:  Merge(specOf(class), specOf(own)),
		Controller: Controller{
			Image: "registry.example.com/headgate:v2",
			XDS:   "headgate.headgate-system.svc:18000", Exchange: "headgate.headgate-system.svc:18001",
			Anchors: []byte("-----BEGIN CERTIFICATE-----\n"),
		},
	}
	for _, l := range gateway.Spec.Listeners {
		in.Sockets = append(in.Sockets, model.ListenerID{Gateway: in.Gateway.Name, Port: int32(l.Port), UDP: l.Protocol == gwv1.UDPProtocolType})
	}
	return in
}

func specOf(c *schema.ProxyConfig) *schema.ProxyConfigSpec {
	if c == nil {
		return nil
	}
	return &c.Spec
}
