//go:build cluster

package admit

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
	"golang.org/x/tools/txtar"
	kjson "k8s.io/apimachinery/pkg/util/json"

	"headgate.dev/render/object"
)

const (
	differentialNamespace = "headgate-admit"
	mutants               = 2000
	seed                  = 1
)

// Every object of the golden files, and many random mutants of them, is offered to a real API server as a dry run: it accepts
// what Admit accepts, refuses what Admit refuses, and fills in the same defaults.
func TestClusterAdmitSaysWhatTheServerSays(t *testing.T) {
	server := connect(t)
	originals := corpus(t)
	random := rand.New(rand.NewPCG(seed, seed))
	cases := slices.Clone(originals)
	for range mutants {
		cases = append(cases, mutate(random, originals))
	}
	work := make(chan int)
	var counts struct {
		sync.Mutex
		accepted, refused int
	}
	var workers sync.WaitGroup
	for range 4 {
		workers.Go(func() {
			for i := range work {
				accepted := compare(t, server, cases[i])
				counts.Lock()
				if accepted {
					counts.accepted++
				} else {
					counts.refused++
				}
				counts.Unlock()
			}
		})
	}
	for i := range cases {
		work <- i
	}
	close(work)
	workers.Wait()
	t.Logf("%d accepted, %d refused by both", counts.accepted, counts.refused)
	if counts.accepted < len(cases)/10 || counts.refused < len(cases)/10 {
		t.Error("nearly all the cases have the same verdict: they no longer try anything")
	}
}

// subject is an object to be judged, and how it came to be.
type subject struct {
	from    string
	content map[string]any
}

// compare asks both, and returns whether Admit accepts.
func compare(t *testing.T, s *apiServer, c subject) bool {
	t.Helper()
	o, err := object.New(c.content, object.Origin{File: c.from}, nil)
	if err != nil {
		t.Errorf("%s: %v", c.from, err)
		return false
	}
	body, err := json.Marshal(c.content)
	if err != nil {
		t.Errorf("%s: %v", c.from, err)
		return false
	}
	ours, errs := Admit(o)
	theirs, refusal := s.create(t, o, body)
	switch {
	case (len(errs) > 0) != (refusal != ""):
		t.Errorf("%s\nadmit:  %v\nserver: %s\n%s", c.from, errs, refusal, body)
	case refusal == "":
		if diff := cmp.Diff(written(theirs), written(normal(t, ours))); diff != "" {
			t.Errorf("%s: not what the server stores (-server +admit):\n%s", c.from, diff)
		}
	}
	return len(errs) == 0
}

// written takes out what the server writes itself whatever it is given. The status is among it: Gateway's has a default, which Admit leaves
// out because nobody but a controller writes a status.
func written(content map[string]any) map[string]any {
	metadata := content["metadata"].(map[string]any)
	for _, own := range []string{"uid", "creationTimestamp", "generation", "managedFields", "resourceVersion"} {
		delete(metadata, own)
	}
	delete(content, "status")
	return content
}

// normal is a value as it comes out of JSON.
func normal(t *testing.T, content map[string]any) map[string]any {
	t.Helper()
	data, err := json.Marshal(content)
	if err != nil {
		t.Error(err)
	}
	var out map[string]any
	if err := kjson.Unmarshal(data, &out); err != nil {
		t.Error(err)
	}
	return out
}

// messages are what expansion has to say, behind the objects or instead of them.
var messages = regexp.MustCompile(`(?m)^[a-z0-9/.-]+\.yaml:\d+.*\n`)

// corpus is what the golden files of this package hold, and what expansion makes, each in the namespace of the test.
func corpus(t *testing.T) []subject {
	t.Helper()
	var out []subject
	add := func(archive, name, text string) {
		for i, o := range parse(t, name, text) {
			k := load(o.ID.Kind)
			if o.ID.Group != Group || k == nil {
				continue // Admit has nothing to say about it
			}
			content := normal(t, o.Content)
			if k.Namespaced {
				content["metadata"].(map[string]any)["namespace"] = differentialNamespace
			}
			out = append(out, subject{fmt.Sprintf("%s/%s#%d", filepath.Base(archive), name, i), content})
		}
	}
	for pattern, suffix := range map[string]string{"testdata/*.txtar": ".yaml", "../expand/testdata/*.txtar": ".out"} {
		archives, err := filepath.Glob(pattern)
		if err != nil || len(archives) == 0 {
			t.Fatalf("%s: no archives: %v", pattern, err)
		}
		for _, path := range archives {
			archive, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range archive.Files {
				if strings.HasSuffix(f.Name, suffix) {
					add(path, f.Name, messages.ReplaceAllString(string(f.Data), ""))
				}
			}
		}
	}
	slices.SortStableFunc(out, func(a, b subject) int { return strings.Compare(a.from, b.from) })
	return out
}

// place is a value in an object: an element of a map or of a list.
type place struct {
	path string
	get  func() any
	set  func(any)
	drop func()
	key  string // in a map
}

// places lists everything below v, in order.
func places(path string, v any, replace func(any), out []place) []place {
	switch v := v.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			p := place{path + "." + key, func() any { return v[key] }, func(x any) { v[key] = x }, func() { delete(v, key) }, key}
			out = places(p.path, v[key], p.set, append(out, p))
		}
	case []any:
		for i := range v {
			p := place{fmt.Sprintf("%s[%d]", path, i), func() any { return v[i] }, func(x any) { v[i] = x },
				func() { replace(slices.Delete(slices.Clone(v), i, i+1)) }, ""}
			out = places(p.path, v[i], p.set, append(out, p))
		}
	}
	return out
}

// strange are values that are often wrong, and of each type.
var strange = []any{
	nil, true, false, int64(0), int64(-1), int64(1), int64(65535), int64(65536), int64(1) << 31, int64(1) << 53, 0.5, "", "a", "A", "*", "a.b", "*.a.b", "a_b", "/", "/a/../b",
	"10s", "0s", "1h1h", "99999999h", "a b", "ü", "1.2.3.4", "::1", "HTTP", "Exact", "Same", strings.Repeat("a", 64), strings.Repeat("a", 254), strings.Repeat("a", 5000),
	[]any{}, []any{int64(1)}, []any{"a", "a"}, []any{map[string]any{}}, map[string]any{}, map[string]any{"name": "a"}, map[string]any{"unknown": "a"},
}

// untouchable is what the request needs, and what the server writes itself.
func untouchable(path string) bool {
	return path == ".apiVersion" || path == ".kind" || path == ".metadata" || path == ".metadata.name" || path == ".metadata.namespace"
}

// mutate changes one or two things in one of the originals.
func mutate(random *rand.Rand, originals []subject) subject {
	from := originals[random.IntN(len(originals))]
	content := object.CloneMap(from.content)
	out := subject{from.from, content}
	for range 1 + random.IntN(2) {
		all := slices.DeleteFunc(places("", content, nil, nil), func(p place) bool { return untouchable(p.path) })
		if len(all) == 0 {
			continue
		}
		p := all[random.IntN(len(all))]
		out.from += "; " + change(random, p, originals)
	}
	return out
}

func change(random *rand.Rand, p place, originals []subject) string {
	switch n := random.IntN(6); {
	case n == 0:
		p.drop()
		return "without " + p.path
	case n == 1:
		if m, ok := p.get().(map[string]any); ok {
			m["unknown"] = "value"
			return "unknown field in " + p.path
		}
	case n == 2:
		if l, ok := p.get().([]any); ok && len(l) > 0 {
			times := []int{2, 9, 17, 65, 129}[random.IntN(5)]
			var many []any
			for range times {
				many = append(many, object.Clone(l[0]))
			}
			p.set(many)
			return fmt.Sprintf("%d times the same in %s", times, p.path)
		}
	case n == 3 && p.key != "":
		// A value that the field has somewhere else is more often right.
		other := originals[random.IntN(len(originals))]
		for _, q := range places("", other.content, nil, nil) {
			if q.key == p.key && !reflect.DeepEqual(q.get(), p.get()) {
				p.set(object.Clone(q.get()))
				return fmt.Sprintf("%s of %s", p.path, other.from)
			}
		}
	}
	v := strange[random.IntN(len(strange))]
	p.set(object.Clone(v))
	return fmt.Sprintf("%.40v in %s", v, p.path)
}

// apiServer is the test cluster's.
type apiServer struct {
	url    string
	client *http.Client
}

// connect brings the standard channel and the namespace of the test to the cluster.
func connect(t *testing.T) *apiServer {
	t.Helper()
	tool, path := os.Getenv("HEADGATE_TESTCLUSTER"), os.Getenv("KUBECONFIG")
	if tool == "" || path == "" {
		t.Fatal("HEADGATE_TESTCLUSTER and KUBECONFIG name the test cluster; run make test-cluster")
	}
	if out, err := exec.CommandContext(t.Context(), tool, "crds", "standard").CombinedOutput(); err != nil {
		t.Fatalf("installing the CRDs: %v: %s", err, out)
	}
	s := newAPIServer(t, path)
	namespace := fmt.Sprintf(`{"apiVersion":"v1","kind":"Namespace","metadata":{"name":%q}}`, differentialNamespace)
	if status, answer := s.post(t, "/api/v1/namespaces", []byte(namespace)); status != http.StatusCreated && status != http.StatusConflict {
		t.Fatalf("making the namespace: %d: %s", status, answer)
	}
	t.Cleanup(func() {
		if out, err := exec.Command(tool, "kubectl", "delete", "namespace", differentialNamespace, "--wait=false").CombinedOutput(); err != nil {
			t.Errorf("removing the namespace: %v: %s", err, out)
		}
	})
	return s
}

func newAPIServer(t *testing.T, path string) *apiServer {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var config struct {
		Clusters []struct {
			Cluster struct {
				Server string
				CA     string `yaml:"certificate-authority-data"`
			}
		}
		Users []struct {
			User struct {
				Certificate string `yaml:"client-certificate-data"`
				Key         string `yaml:"client-key-data"`
			}
		}
	}
	if err := yaml.Unmarshal(text, &config); err != nil || len(config.Clusters) != 1 || len(config.Users) != 1 {
		t.Fatalf("%s is not the test cluster's: %v", path, err)
	}
	plain := func(encoded string) []byte {
		data, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		return data
	}
	pair, err := tls.X509KeyPair(plain(config.Users[0].User.Certificate), plain(config.Users[0].User.Key))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(plain(config.Clusters[0].Cluster.CA))
	return &apiServer{config.Clusters[0].Cluster.Server, &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}}, ForceAttemptHTTP2: true,
	}}}
}

func (s *apiServer) post(t *testing.T, path string, body []byte) (int, []byte) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+path, bytes.NewReader(body))
	if err != nil {
		t.Error(err)
		return 0, nil
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := s.client.Do(request)
	if err != nil {
		t.Error(err)
		return 0, nil
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		t.Error(err)
	}
	return response.StatusCode, answer
}

// create gives what the server would store, or why it refuses.
func (s *apiServer) create(t *testing.T, o *object.Object, body []byte) (stored map[string]any, refusal string) {
	t.Helper()
	path := "/apis/" + o.APIVersion() + "/"
	if o.ID.Namespace != "" {
		path += "namespaces/" + o.ID.Namespace + "/"
	}
	status, answer := s.post(t, path+resource(o.ID.Kind)+"?dryRun=All&fieldValidation=Strict", body)
	var said map[string]any
	if err := kjson.Unmarshal(answer, &said); status != http.StatusNotFound && err != nil {
		t.Errorf("the server answered %d: %s", status, answer)
	}
	switch status {
	case http.StatusCreated:
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
		return nil, fmt.Sprint(said["message"])
	case http.StatusNotFound:
		return nil, "the version is not served"
	default:
		t.Errorf("the server answered %d: %s", status, answer)
		return nil, string(answer)
	}
	return said, ""
}

func resource(kind string) string {
	kind = strings.ToLower(kind)
	switch {
	case strings.HasSuffix(kind, "class"):
		return kind + "es"
	case strings.HasSuffix(kind, "cy"): // not that of a gateway
		return strings.TrimSuffix(kind, "y") + "ies"
	}
	return kind + "s"
}
