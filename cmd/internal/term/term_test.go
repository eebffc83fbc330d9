package term

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

func TestStyleOfAFileIsPlain(t *testing.T) {
	f, err := os.CreateTemp(t.TempDir(), "out")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	getenv := func(string) string { return "" }
	for _, s := range []Style{StyleOf(f, getenv), StyleOf(&bytes.Buffer{}, getenv)} {
		if s.Color || s.Interactive || s.Bad("x") != "x" {
			t.Errorf("colour without a terminal: %+v", s)
		}
	}
	if got := (Style{Color: true}).Bad("x"); got != "\x1b[31mx\x1b[0m" {
		t.Errorf("got %q", got)
	}
}

func TestTable(t *testing.T) {
	got := Table(2, [][]string{{"LISTENER", "HOST"}, {"http", "größe.test", "x"}, {"a", "", "y"}})
	want := "  LISTENER  HOST\n  http      größe.test  x\n  a                     y\n"
	if got != want {
		t.Errorf("got\n%q, want\n%q", got, want)
	}
}

func TestSafe(t *testing.T) {
	for in, want := range map[string]string{
		"plain": "plain", "a\x1b[31mb\nc": "a\ufffd[31mb\ufffdc", "0123456789x": "012345678…", "\u202eevil": "\ufffdevil",
	} {
		if got := Safe(in, 10); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestFit(t *testing.T) {
	short := [][]string{{"a", "bc", "d"}, {"aa", "b"}}
	if got, want := Fit(2, short), Table(2, short); got != want {
		t.Errorf("what fits is a table: got\n%s", got)
	}
	long := strings.TrimSpace(strings.Repeat("word and ", 20))
	got := Fit(2, [][]string{{"rule", long, "shop/service.yaml:8:5"}, {"", "short", "x:1"}, {"", strings.Repeat("x", 120)}})
	lines := strings.Split(strings.TrimRight(got, "\n"), "\n")
	for i, line := range lines[:len(lines)-1] {
		if len(line) > Columns {
			t.Errorf("line %d has %d characters: %s", i, len(line), line)
		}
	}
	if !strings.HasSuffix(lines[0], "shop/service.yaml:8:5") || !strings.HasPrefix(lines[1], "          ") || !strings.Contains(got, strings.Repeat("x", 120)) ||
		strings.Join(strings.Fields(strings.NewReplacer("rule", "", "shop/service.yaml:8:5", "", "short", "", "x:1", "", strings.Repeat("x", 120), "").Replace(got)), " ") != long {
		t.Errorf("got\n%s", got)
	}
}

func TestLines(t *testing.T) {
	long := strings.TrimSpace(strings.Repeat("word and ", 10))
	got := Lines(2, func(word string) string { return "<" + word + ">" }, "error", long+" `make envoy` helps\nand this")
	if want := "  <error> " + long + "\n    `make envoy` helps\n  and this\n"; got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestFitKeepsIndentsAndPercent(t *testing.T) {
	got := Fit(0, [][]string{{"    " + strings.Repeat("x", 95) + " yyy %"}})
	if want := "    " + strings.Repeat("x", 95) + "\n      yyy %\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestParagraphs breaks what runs and leaves what is to be copied.
func TestParagraphs(t *testing.T) {
	long := strings.TrimSpace(strings.Repeat("word ", 30))
	got := Paragraphs("A\nfew " + long + "\n\n  headgate up " + long + "\nend of\nit.")
	lines := strings.Split(got, "\n")
	if len(lines) != 5 || !strings.HasPrefix(lines[0], "A few word") || len(lines[0]) > Columns || lines[3] != "  headgate up "+long || lines[4] != "end of it." {
		t.Errorf("got\n%s", got)
	}
}
