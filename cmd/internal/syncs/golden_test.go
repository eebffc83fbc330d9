package syncs

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
	"k8s.io/apimachinery/pkg/util/yaml"

	"headgate.dev/cmd/internal/term"
	"headgate.dev/schema"
)

var update = flag.Bool("update", false, "write the golden files again")

var teller = Teller{Program: "headgate", Now: time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)}

// read gives the Syncs of a YAML file.
func read(t *testing.T, data []byte) (list []schema.Sync) {
	t.Helper()
	for doc := range bytes.SplitSeq(data, []byte("---\n")) {
		var s schema.Sync
		if err := yaml.UnmarshalStrict(doc, &s); err != nil {
			t.Fatal(err)
		}
		list = append(list, s)
	}
	return list
}

// TestGolden prints the Syncs of each file in testdata in every way. Run with -update to write what they print.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			list := read(t, archive.Files[0].Data)
			var status, history string
			for i := range list {
				status += teller.Status(&list[i])
				history += teller.History(&list[i])
			}
			got := &txtar.Archive{Comment: archive.Comment, Files: []txtar.File{
				archive.Files[0],
				{Name: "status", Data: []byte(status)},
				{Name: "get", Data: []byte(teller.Table(list, Columns{}))},
				{Name: "get -A -o wide", Data: []byte(teller.Table(list, Columns{Namespace: true, Wide: true}))},
				{Name: "history", Data: []byte(history)},
			}}
			for _, f := range got.Files[1:] {
				for line := range strings.Lines(string(f.Data)) {
					if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > term.Columns && !strings.Contains(f.Name, "wide") && !strings.Contains(line, "://") {
						t.Errorf("%s: a line of %d characters: %s", f.Name, n, line)
					}
				}
			}
			if *update {
				if err := os.WriteFile(file, txtar.Format(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(txtar.Format(archive)), string(txtar.Format(got))); diff != "" {
				t.Errorf("wanted (-), got (+):\n%s", diff)
			}
		})
	}
}

// TestColour holds that colour is there where it is wanted, and nowhere else.
func TestColour(t *testing.T) {
	archive, err := txtar.ParseFile("testdata/refused.txtar")
	if err != nil {
		t.Fatal(err)
	}
	s := read(t, archive.Files[0].Data)[0]
	s.Status.History[0].Subject = "Live   no \x1b[31mred"
	plain := teller.Status(&s)
	colored := Teller{Program: teller.Program, Now: teller.Now, Style: term.Style{Color: true}}.Status(&s)
	if strings.Contains(plain, "\x1b") {
		t.Errorf("an escape sequence in plain text: %q", plain)
	}
	if n := strings.Count(colored, "\x1b[31m"); n != 1 || !strings.Contains(colored, "Ready     \x1b[31mno\x1b[0m ") {
		t.Errorf("%d words are red, expected the one behind Ready: %q", n, colored)
	}
}
