package term

import (
	"bytes"
	"os"
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
