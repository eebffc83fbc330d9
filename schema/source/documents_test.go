package source

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

func TestLimits(t *testing.T) {
	bomb := "a: &a [x,x,x,x,x,x,x,x,x]\n"
	for _, c := range "bcdefghi" {
		bomb += fmt.Sprintf("%c: &%c [%s]\n", c, c, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*%c,", c-1), 9), ","))
	}
	for _, c := range []struct{ name, data, want string }{
		{"bytes", strings.Repeat("#", 1<<20+1), "the file has 1048577 bytes; at most 1048576 are read as YAML"},
		{"documents", strings.Repeat("---\na: 1\n", 10_000), "the file has more than 1000 documents; split it"},
		{"depth", strings.Repeat("[", 500) + strings.Repeat("]", 500), "nested more than 100 deep"},
		{"parser's depth", strings.Repeat("[", 50_000) + strings.Repeat("]", 50_000), "nested far too deep"},
		{"latin-1", "a: 1\nb: \"\xe9\"\n", "the byte 0xE9, which is not UTF-8"},
		{"aliases", bomb, "the document has more than 100000 values"},
		{"merges", mergeBomb(), "the document has more than 100000 values"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, errs := Documents("f.yaml", []byte(c.data), Limits{})
			if len(errs) != 1 || !strings.Contains(errs[0].Message, c.want) || errs[0].Line == 0 || errs[0].Column == 0 {
				t.Errorf("got %v, want one error with %q", errs, c.want)
			}
		})
	}
}

// mergeBomb is a map that is merged over and over.
func mergeBomb() string {
	var b strings.Builder
	b.WriteString("a: &a {")
	for i := range 1000 {
		fmt.Fprintf(&b, "k%d: 1, ", i)
	}
	b.WriteString("}\nb:\n")
	for range 1000 {
		b.WriteString("- {<<: *a}\n")
	}
	return b.String()
}

func TestManyErrors(t *testing.T) {
	_, errs := Documents("f.yaml", []byte(strings.Repeat("a: 1\n", 1000)), Limits{})
	if len(errs) != MaxErrors+1 || !strings.Contains(errs[MaxErrors].Message, "more errors") {
		t.Errorf("%d errors, the last: %v", len(errs), errs[len(errs)-1])
	}
}

func TestLimitsAreReached(t *testing.T) {
	documents, errs := Documents("f.yaml", []byte(strings.Repeat("---\na: 1\n", 1000)), Limits{})
	if len(documents) != 1000 || len(errs) > 0 {
		t.Errorf("%d documents, %v", len(documents), errs)
	}
	last := documents[999]
	if last.Index != 999 || last.Root.Pos.Line != 2000 {
		t.Errorf("the last document is %d at line %d", last.Index, last.Root.Pos.Line)
	}
}

func TestEncodings(t *testing.T) {
	for _, data := range []string{"\xef\xbb\xbfa: 1\r\nb: |\r\n  x\r\n  y\r\n", "a: 1\nb: |\n  x\n  y\n"} {
		documents, errs := Documents("f.yaml", []byte(data), Limits{})
		if len(errs) > 0 || !reflect.DeepEqual(documents[0].Root.Value(), map[string]any{"a": int64(1), "b": "x\ny\n"}) {
			t.Errorf("%q: %v", data, errs)
		}
	}
	for _, data := range []string{"a: 1\r---\rb: 2\r", "a: \u2028b", "a: \u0085b"} {
		if _, errs := Documents("f.yaml", []byte(data), Limits{}); len(errs) != 1 || !strings.Contains(errs[0].Message, "neither LF nor CRLF") {
			t.Errorf("%q: %v", data, errs)
		}
	}
	for _, data := range []string{"\xff\xfea\x00:\x00", "\xfe\xff\x00a\x00:", "a\x00:\x00"} {
		if _, errs := Documents("f.yaml", []byte(data), Limits{}); len(errs) != 1 || !strings.Contains(errs[0].Message, "UTF-16") {
			t.Errorf("%q: %v", data, errs)
		}
	}
}

// What an editor or a converter leaves behind, each with its whole message.
func TestStrangeFiles(t *testing.T) {
	utf16 := func(text string, order [2]int) string {
		out := []byte{0xff, 0xfe}
		if order[0] == 1 {
			out = []byte{0xfe, 0xff}
		}
		for _, c := range []byte(text) {
			pair := [2]byte{}
			pair[order[0]] = c
			out = append(out, pair[:]...)
		}
		return string(out)
	}
	for _, c := range []struct{ name, data, want string }{
		{"less indented than the first line", " a: 1\nb: 2\n", "f.yaml:2:1: this line does not belong to what is above it: indent it as the first line is, or put a line --- between them"},
		{"a tab behind brackets", "a: [x]\nb: 1\n\tc: 2\n", "f.yaml:3:1: YAML is indented with spaces, and this line has a tab"},
		{"CRLF", "a: 1\r\nb: [\r\n", "f.yaml:2:4: this brace or bracket is not closed, or a text inside it has one of { } [ ] , ? and must be quoted"},
		{"CRLF and a tab", "a:\r\n\tb: 1\r\n", "f.yaml:2:1: YAML is indented with spaces, and this line has a tab"},
		{"BOM", "\xef\xbb\xbfa: 1\na: 2\n", "f.yaml:2:1: the key \"a\" is already there on line 1"},
		{"UTF-16LE", utf16("a: 1\n", [2]int{0, 1}), "f.yaml:1:1: the file is UTF-16; save it as UTF-8"},
		{"UTF-16BE", utf16("a: 1\n", [2]int{1, 0}), "f.yaml:1:1: the file is UTF-16; save it as UTF-8"},
		{"Latin-1", "a: 1\nb: m\xfcller\n", "f.yaml:2:1: the line has the byte 0xFC, which is not UTF-8; save the file as UTF-8"},
		{"old Mac", "a: 1\rb: 2\r", "f.yaml:1:1: the line has a line break that is neither LF nor CRLF (CR, NEL, LS or PS); write it as an escape in double quotes"},
		{"one byte too large", "a: " + strings.Repeat("x", 1<<20-3) + "\n", "f.yaml:1:1: the file has 1048577 bytes; at most 1048576 are read as YAML"},
		{"exactly 1 MB", "a: " + strings.Repeat("x", 1<<20-4) + "\n", ""},
		{"1 MB of lists", "a: [" + strings.Repeat("x,", 1<<19-4) + "]\n", "f.yaml:1:200001: the document has more than 100000 values, every use of an alias counted; it would take too much memory"},
		{"empty", "", ""},
		{"white space", " \n\t\n", ""},
	} {
		_, errs := Documents("f.yaml", []byte(c.data), Limits{})
		if got := errs.Error(); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func TestAt(t *testing.T) {
	documents, errs := Documents("f.yaml", []byte("spec:\n  routes:\n  - path: /a\n    to:\n      x: 1\n    a/b: ~\n"), Limits{})
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	for pointer, want := range map[string]string{
		"":                     "f.yaml:1:1",
		"/spec":                "f.yaml:1:1",
		"/spec/routes/0":       "f.yaml:3:5",
		"/spec/routes/0/path":  "f.yaml:3:11",
		"/spec/routes/0/to":    "f.yaml:4:5",
		"/spec/routes/0/to/x":  "f.yaml:5:10",
		"/spec/routes/0/to/y":  "f.yaml:4:5",
		"/spec/routes/0/a~1b":  "f.yaml:6:5",
		"/spec/routes/7/path":  "f.yaml:2:3",
		"/spec/routes/-1/path": "f.yaml:2:3",
	} {
		if got := documents[0].Root.At(pointer).String(); got != want {
			t.Errorf("%s is at %s, want %s", pointer, got, want)
		}
	}
}

func TestFieldPath(t *testing.T) {
	for pointer, want := range map[string]string{
		"":                       "",
		"/spec/routes/1/to":      "spec.routes[1].to",
		"/metadata/labels/a~1b":  `metadata.labels["a/b"]`,
		"/spec/routes/0/to/a:80": `spec.routes[0].to["a:80"]`,
		"/spec/x-tenant":         "spec.x-tenant",
	} {
		if got := FieldPath(pointer); got != want {
			t.Errorf("%s is %s, want %s", pointer, got, want)
		}
	}
}

// A value that went through a program decodes like the file it came from.
func TestFromValue(t *testing.T) {
	documents, errs := Documents("f.yaml", []byte("a: [1, 2.5, x, true, null, {b: c}]\n"), Limits{})
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	value := documents[0].Root.Value()
	node := FromValue(value, documents[0].Root.At)
	if !reflect.DeepEqual(node.Value(), value) {
		t.Errorf("got %v, want %v", node.Value(), value)
	}
	if got := node.At("/a/5/b").String(); got != "f.yaml:1:32" {
		t.Errorf("b is at %s", got)
	}
}

func FuzzDocuments(f *testing.F) {
	archives, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range archives {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range txtar.Parse(data).Files {
			f.Add(file.Data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		documents, errs := Documents("f.yaml", data, Limits{Bytes: 1 << 14})
		lines := strings.Count(string(data), "\n") + 1
		for _, doc := range documents {
			if value := doc.Root.Value(); !reflect.DeepEqual(FromValue(value, doc.Root.At).Value(), normal(value)) {
				t.Errorf("%v does not survive", value)
			}
		}
		for _, e := range errs {
			if e.File != "f.yaml" || e.Line < 1 || e.Line > lines || e.Column < 1 || e.Message == "" {
				t.Errorf("no place in %d lines: %#v", lines, e)
			}
		}
	})
}

// normal is what FromValue keeps: whole numbers are integers.
func normal(v any) any {
	switch v := v.(type) {
	case float64:
		var n Node
		n.setFloat(v)
		return n.Value()
	case []any:
		for i := range v {
			v[i] = normal(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = normal(v[k])
		}
	}
	return v
}

func TestDidYouMean(t *testing.T) {
	known := []string{"redirect", "rewrite", "retry", "timeout", "backendTimeout", "to"}
	for name, want := range map[string]string{
		"rediret": "redirect", "Redirect": "redirect", "timeot": "timeout", "tiemout": "timeout",
		"backendtimeout": "backendTimeout", "ot": "to", "rerty": "retry",
	} {
		if got := DidYouMean(name, known); got != "; did you mean \""+want+"\"?" {
			t.Errorf("%s: %s", name, got)
		}
	}
	if got := DidYouMean("match", known); !strings.HasPrefix(got, "; known here: redirect") {
		t.Errorf("match: %s", got)
	}
	if got := EditDistance(strings.Repeat("a", 1000), "to"); got < 40 {
		t.Errorf("a long name is %d away", got)
	}
}
