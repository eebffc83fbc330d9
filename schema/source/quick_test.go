package source

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// whole is what the parser reads of a document.
func whole(c chunk) (*Node, Errors) { return parseFully("x.yaml", c, DefaultLimits) }

func nodesEqual(a, b *Node) string { return cmp.Diff(a, b, cmp.AllowUnexported(Node{})) }

// sameAsParser fails when a document is read quickly and differently, and tells whether it was read quickly.
func sameAsParser(t *testing.T, data []byte) (read bool) {
	data, problem := checkEncoding("x.yaml", data)
	if problem != nil {
		return false
	}
	for c := range splitDocuments(data) {
		got, ok := parseQuickly("x.yaml", c, DefaultLimits)
		if !ok {
			continue
		}
		read = true
		want, errs := whole(c)
		if len(errs) > 0 {
			t.Fatalf("read quickly, and wrong:\n%s\n%v", c.text, errs)
		}
		if diff := nodesEqual(want, got); diff != "" {
			t.Fatalf("%s\n%s", c.text, diff)
		}
	}
	return read
}

var plain = []string{
	"apiVersion: headgate.dev/v1alpha1\nkind: ServiceSpec\nmetadata: {name: shop}\nspec:\n  hosts: [shop.test, \"*.shop.test\"]\n  port: 8080\n",
	"# a comment\n---\na: b\n",
	"---\na:   b c  # why\nlist:\n- x\n- y: 1\n  z: 'two words'\n- [1, 2.5, true]\nnested:\n  - a:\n    - b: http://x:80/y\n      c: 0x1F\n    d: {}\n  - e: []\n",
	"a: 1e3\nb: .5\nc: \"\"\nd: {e: {f: [g, {h: i}]}, j: ''}\nk:\n  # deeper\n  l: m,n\n",
}

func TestQuickIsTheParser(t *testing.T) {
	for _, text := range plain {
		if !sameAsParser(t, []byte(text)) {
			t.Errorf("not read quickly:\n%s", text)
		}
	}
	read, all := 0, 0
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".yaml" && filepath.Ext(path) != ".txtar" {
			return err
		}
		data, err := os.ReadFile(path)
		all++
		if sameAsParser(t, data) {
			read++
		}
		return err
	})
	if err != nil || read < 100 {
		t.Errorf("%d of %d files read: %v", read, all, err)
	}
}

func FuzzQuick(f *testing.F) {
	for _, text := range plain {
		f.Add([]byte(text))
	}
	for _, text := range []string{"a:\n- b\nc: d", "- a", "a: - b", "a: b\n  c", "a: b: c", "a: [b, c", "a: {b: c}x", "a: 'b''c'", "a: \"b\\n\"", "a: *b", "a: &b c", "a: |\n b", "? a\n: b", "a: 1_0", "a:\n  b: c\n d: e", "- - a", "a: ~", "<<: {a: b}", "a: b #c", "a: b#c", "a: #c", "a: [b #c\n]", "x: 0777", "a : b", "a: [b , c]", "a: -1", "a: .inf"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) { sameAsParser(t, data) })
}

func BenchmarkSmallSpec(b *testing.B) {
	for _, how := range []struct {
		name string
		read func(chunk) bool
	}{
		{"quickly", func(c chunk) bool { _, ok := parseQuickly("x.yaml", c, DefaultLimits); return ok }},
		{"by the parser", func(c chunk) bool { _, errs := whole(c); return len(errs) == 0 }},
	} {
		b.Run(how.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if !how.read(chunk{text: []byte(plain[0])}) {
					b.Fatal("not read")
				}
			}
		})
	}
}
