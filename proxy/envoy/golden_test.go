package envoy_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"sigs.k8s.io/yaml"

	"headgate.dev/proxy/envoy"
	"headgate.dev/proxy/model"
)

var update = flag.Bool("update", false, "write the expected part of the golden cases again")

// config is a part of the model, as the cases write it in YAML under the names of the Go fields.
type config struct {
	Listeners []*model.Listener
	Tables    []*model.Table // for what they misdirect
	Hosts     []*model.Host
	Clusters  []*model.Cluster
	Endpoints []*model.Endpoints
	Secrets   []model.SecretID // what is in them is made by the test
	Public    map[int32]int32  // the ports of clients
}

func parse(t *testing.T, text []byte) config {
	t.Helper()
	var c config
	if err := yaml.UnmarshalStrict(text, &c); err != nil {
		t.Fatalf("reading the model: %v", err)
	}
	return c
}

func (c config) options() envoy.Options {
	if c.Public == nil {
		return envoy.Options{}
	}
	return envoy.Options{PublicPort: func(_ model.Name, port int32, host string) int32 {
		if p, ok := c.Public[port]; ok && host == "" {
			return p
		}
		return port
	}}
}

// translate gives the resources of a model in the order of its parts, and its problems.
func translate(t *testing.T, c config, o envoy.Options) (all []envoy.Resource, problems []envoy.Problem) {
	t.Helper()
	add := func(r envoy.Resource, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	for _, l := range c.Listeners {
		add(envoy.Listener(l, o))
	}
	for _, cl := range c.Clusters {
		add(envoy.Cluster(cl, o))
	}
	for _, e := range c.Endpoints {
		add(envoy.Endpoints(e))
	}
	var tables []model.TableID
	parts := map[model.TableID][]*envoy.Part{}
	for _, t := range c.Tables {
		tables = append(tables, t.ID)
		parts[t.ID] = nil
	}
	for _, h := range c.Hosts {
		if _, ok := parts[h.ID.Table]; !ok {
			tables = append(tables, h.ID.Table)
			parts[h.ID.Table] = nil
		}
		result := envoy.Host(h, o)
		problems = append(problems, result.Problems...)
		all = append(all, result.Resources...)
		if result.Part != nil {
			parts[h.ID.Table] = append(parts[h.ID.Table], result.Part)
		}
	}
	for _, table := range tables {
		all = append(all, envoy.Wildcards(c.table(table), parts[table], o)...)
	}
	return all, problems
}

func (c config) table(id model.TableID) *model.Table {
	for _, t := range c.Tables {
		if t.ID == id {
			return t
		}
	}
	return &model.Table{ID: id}
}

// message decodes a resource.
func message(t *testing.T, r envoy.Resource) proto.Message {
	t.Helper()
	_, name, _ := strings.Cut(r.Type.URL(), "/")
	mt, err := protoregistry.GlobalTypes.FindMessageByName(protoreflect.FullName(name))
	if err != nil {
		t.Fatal(err)
	}
	m := mt.New().Interface()
	if err := proto.Unmarshal(r.Body, m); err != nil {
		t.Fatalf("decoding %s %s: %v", r.Type, r.Name, err)
	}
	return m
}

func readable(t *testing.T, r envoy.Resource) []byte {
	t.Helper()
	text, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(message(t, r))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := json.Indent(&out, text, "", "  "); err != nil {
		t.Fatal(err)
	}
	out.WriteByte('\n')
	return out.Bytes()
}

func goldens(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases in testdata: %v", err)
	}
	// The case with the listener first: an Envoy without one asks for no routes.
	slices.SortFunc(files, func(a, b string) int {
		switch first := filepath.Join("testdata", "listener.txtar"); first {
		case a:
			return -1
		case b:
			return 1
		}
		return strings.Compare(a, b)
	})
	return files
}

// TestGolden translates the model in each case ("in.yaml") and compares with the other files of it: one per resource, and
// one with the problems. Only what a case is about stands there, the wildcard table if it has wildcard hosts.
func TestGolden(t *testing.T) {
	for _, file := range goldens(t) {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			c := parse(t, archive.Files[0].Data)
			resources, problems := translate(t, c, c.options())
			got := &txtar.Archive{Comment: archive.Comment, Files: archive.Files[:1:1]}
			for _, r := range resources {
				if len(r.Version) != 24 {
					t.Errorf("version %q of %s", r.Version, r.Name)
				}
				if r.Type == envoy.ScopeType || strings.HasSuffix(r.Name, "/*") && !hasWildcard(c, r.Name) {
					continue
				}
				got.Files = append(got.Files, txtar.File{Name: r.Type.String() + " " + r.Name, Data: readable(t, r)})
			}
			var text strings.Builder
			for _, p := range problems {
				fmt.Fprintf(&text, "%s rule %d: %s\n", p.Source.Object(), p.Source.Rule, p.Message)
			}
			if text.Len() > 0 {
				got.Files = append(got.Files, txtar.File{Name: "problems", Data: []byte(text.String())})
			}
			if *update {
				if err := os.WriteFile(file, txtar.Format(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(txtar.Format(archive)), string(txtar.Format(got))); diff != "" {
				t.Errorf("-want +got (go test -update writes it):\n%s", diff)
			}
		})
	}
}

// hasWildcard tells whether the wildcard scope of that name is what a case is about.
func hasWildcard(c config, name string) bool {
	for _, t := range c.Tables {
		if string(t.ID)+"/*" == name {
			return true
		}
	}
	for _, h := range c.Hosts {
		if h.ID.Wildcard() {
			return true
		}
	}
	return false
}

// TestSameBytes translates every case twice.
func TestSameBytes(t *testing.T) {
	for _, file := range goldens(t) {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		c := parse(t, archive.Files[0].Data)
		first, _ := translate(t, c, c.options())
		second, _ := translate(t, parse(t, archive.Files[0].Data), c.options())
		if diff := cmp.Diff(first, second); diff != "" {
			t.Errorf("%s: two translations differ: %s", file, diff)
		}
	}
}

type envoyResource = envoy.Resource

func mustListener(t *testing.T, l *model.Listener) envoy.Resource {
	t.Helper()
	r, err := envoy.Listener(l, envoy.Options{Bind: loopback})
	if err != nil {
		t.Fatal(err)
	}
	return r
}
