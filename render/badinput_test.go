package render_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"headgate.dev/render"
	"headgate.dev/schema"
)

// bounded runs f and fails when it takes long or allocates much.
func bounded(t *testing.T, f func()) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := time.Now()
	f()
	if d := time.Since(start); d > 5*time.Second {
		t.Errorf("took %v", d)
	}
	runtime.ReadMemStats(&after)
	if mib := (after.TotalAlloc - before.TotalAlloc) >> 20; mib > 500 {
		t.Errorf("allocated %d MiB", mib)
	}
}

func TestBadInput(t *testing.T) {
	var bomb strings.Builder
	bomb.WriteString("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: bomb}\na0: &a0 [x, x, x, x, x, x, x, x, x, x]\n")
	for i := 1; i < 12; i++ {
		before := strings.Repeat("*a"+string(rune('a'+i-2))+", ", 10)
		if i == 1 {
			before = strings.Repeat("*a0, ", 10)
		}
		bomb.WriteString("b" + string(rune('a'+i)) + ": &a" + string(rune('a'+i-1)) + " [" + before + "]\n")
	}
	for _, test := range []struct {
		name string
		file *fstest.MapFile
		want string
	}{
		{"alias bomb", &fstest.MapFile{Data: []byte(bomb.String())}, "x.yaml:"},
		{"100 MB", &fstest.MapFile{Data: make([]byte, 100<<20)}, "x.yaml: has 104857600 bytes"},
		{"10,000 documents", &fstest.MapFile{Data: []byte(strings.Repeat("---\napiVersion: v1\nkind: A\nmetadata: {name: a}\n", 10_000))}, "x.yaml:"},
		{"link", &fstest.MapFile{Data: []byte("/etc/passwd"), Mode: fs.ModeSymlink | 0o777}, "x.yaml: is a link"},
		{"binary", &fstest.MapFile{Data: []byte("\x7fELF\x00\x01")}, "x.yaml:1"},
		{"deep", &fstest.MapFile{Data: []byte(strings.Repeat("[", 100_000))}, "x.yaml:"},
		{"list", &fstest.MapFile{Data: []byte("[1, 2]")}, "x.yaml:1:1: is no Kubernetes object"},
		{"no version", &fstest.MapFile{Data: []byte("kind: A\n")}, "x.yaml:1:1: A has no apiVersion"},
		{"kustomization", &fstest.MapFile{Data: []byte("apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n")}, "must be in a file called kustomization.yaml"},
		{"repeated key", &fstest.MapFile{Data: []byte("apiVersion: headgate.dev/v1alpha1\nkind: ServiceSpec\nmetadata: {name: a}\nspec: {port: 1, port: 2, prt: 3}\n")}, "x.yaml:4:26: spec.prt: unknown field"},
		{"labels", &fstest.MapFile{Data: []byte("apiVersion: v1\nkind: A\nmetadata: {name: a, labels: {a: 1}}\n")}, "x.yaml:3:33: metadata.labels.a: expected text"},
		{"version", &fstest.MapFile{Data: []byte("apiVersion: gateway.networking.k8s.io/v7\nkind: HTTPRoute\nmetadata: {name: a}\n")}, "expected gateway.networking.k8s.io/v1"},
		{"two defaults", &fstest.MapFile{Data: []byte("apiVersion: headgate.dev/v1alpha1\nkind: GatewaySpec\nmetadata: {name: a}\nspec: {default: true}\n---\napiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: b, annotations: {headgate.dev/default-for: '*'}}\n")}, "a second default gateway; the other is at x.yaml"},
	} {
		t.Run(test.name, func(t *testing.T) {
			bounded(t, func() {
				_, err := render.Tree(fstest.MapFS{"x.yaml": test.file}, ".", render.Options{})
				var wrong schema.Errors
				if !errors.As(err, &wrong) || !strings.Contains(err.Error(), test.want) {
					t.Errorf("got %v, want %s", err, test.want)
				}
			})
		})
	}
}

// TestLinksOnDisk: what the operating system would follow is not followed, whether it leads out of the tree or not.
func TestLinksOnDisk(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	write := func(name, text string) {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(filepath.Join(outside, "kustomization.yaml"), "resources: [secret.yaml]\n")
	write(filepath.Join(outside, "secret.yaml"), "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: secret}\n")
	write(filepath.Join(dir, "a/kustomization.yaml"), "namePrefix: x-\nresources: [../base, ../base/secret.yaml, base]\n")
	write(filepath.Join(dir, "b/kustomization.yaml"), "resources: [../base]\n")
	write(filepath.Join(dir, "README.md"), "hello\n")
	for _, link := range []string{"base", "a/base", "c"} {
		if err := os.Symlink(outside, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	_, err := render.Tree(os.DirFS(dir), ".", render.Options{})
	var wrong schema.Errors
	if !errors.As(err, &wrong) {
		t.Fatal(err)
	}
	if len(wrong) != 6 || strings.Count(err.Error(), "is a link") != 6 {
		t.Errorf("got\n%v", err)
	}
}

func TestNoDirectory(t *testing.T) {
	for _, dir := range []string{"missing", "file.yaml", "../x", "/etc"} {
		_, err := render.Tree(fstest.MapFS{"file.yaml": {}}, dir, render.Options{})
		var wrong schema.Errors
		if !errors.As(err, &wrong) {
			t.Errorf("%s: got %v", dir, err)
		}
	}
}

// brokenFS is a tree in which one file cannot be read.
type brokenFS struct{ fs.FS }

var errDisk = errors.New("disk on fire")

func (f brokenFS) Open(name string) (fs.File, error) {
	if strings.HasSuffix(name, "x.yaml") {
		return nil, errDisk
	}
	return f.FS.Open(name)
}

func (f brokenFS) ReadLink(string) (string, error)        { return "", errDisk }
func (f brokenFS) Lstat(name string) (fs.FileInfo, error) { return fs.Stat(f.FS, name) }

func TestReadingFails(t *testing.T) {
	_, err := render.Tree(brokenFS{fstest.MapFS{"a/x.yaml": {}}}, ".", render.Options{})
	var wrong schema.Errors
	if !errors.Is(err, errDisk) || errors.As(err, &wrong) || !strings.Contains(err.Error(), "a/x.yaml") {
		t.Errorf("got %v", err)
	}
}

// TestEncodings: kustomizations and what they list may have a byte order mark and Windows line ends, and UTF-16 is
// refused with what to do.
func TestEncodings(t *testing.T) {
	utf16 := func(text string) string {
		out := "\xff\xfe"
		for _, c := range []byte(text) {
			out += string([]byte{c, 0})
		}
		return out
	}
	const service = "apiVersion: v1\nkind: Service\nmetadata:\n  name: a\n"
	const list = "resources:\n- a.yaml\nnamePrefix: x-\npatches:\n- target:\n    kind: Service\n  patch: |\n    - op: add\n      path: /spec\n      value: {type: ClusterIP}\n"
	crlf := func(text string) string { return strings.ReplaceAll(text, "\n", "\r\n") }
	for _, test := range []struct{ name, kustomization, file, want string }{
		{"windows", crlf(list), crlf(service), ""},
		{"mark", "\ufeff" + list, "\ufeff" + service, ""},
		{"both", "\ufeff" + crlf(list), "\ufeff" + crlf(service), ""},
		{"UTF-16", utf16(list), service, "kustomization.yaml"},
		{"UTF-16 below", list, utf16(service), "a.yaml"},
		{"Latin-1", "# caf\xe9\n" + list, service, "kustomization.yaml:1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			result, err := render.Tree(fstest.MapFS{
				"kustomization.yaml": {Data: []byte(test.kustomization)}, "a.yaml": {Data: []byte(test.file)},
			}, ".", render.Options{})
			var wrong schema.Errors
			switch {
			case test.want == "" && (err != nil || result.Set.Len() != 1):
				t.Errorf("%v, %d objects", err, result.Set.Len())
			case test.want != "" && (!errors.As(err, &wrong) || !strings.HasPrefix(err.Error(), test.want) || !strings.Contains(err.Error(), "UTF-8")):
				t.Errorf("got %v, want UTF-8 asked for in %s", err, test.want)
			}
		})
	}
}

// TestLargeDocument: a document of 1 MB renders, through kustomize too.
func TestLargeDocument(t *testing.T) {
	large := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n  big: " + strings.Repeat("x", 1<<20) + "\n"
	bounded(t, func() {
		for _, list := range []string{"resources: [a.yaml]\n", "resources: [a.yaml]\nnamePrefix: x-\n"} {
			result, err := render.Tree(fstest.MapFS{
				"kustomization.yaml": {Data: []byte(list)}, "a.yaml": {Data: []byte(large)},
			}, ".", render.Options{})
			if err != nil || result.Set.Len() != 1 {
				t.Errorf("%v, %d objects", err, result.Set.Len())
			}
		}
	})
}
