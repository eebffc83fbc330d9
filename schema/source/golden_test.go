package source

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// Every NAME.yaml of an archive is decoded; NAME.out has its documents as JSON, and its errors.
func TestGolden(t *testing.T) {
	archives, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(archives) == 0 {
		t.Fatalf("no archives: %v", err)
	}
	for _, path := range archives {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) { golden(t, path) })
	}
}

func golden(t *testing.T, path string) {
	archive, err := txtar.ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}
	out := &txtar.Archive{Comment: archive.Comment}
	want := map[string][]byte{}
	for _, f := range archive.Files {
		want[f.Name] = f.Data
	}
	for _, f := range archive.Files {
		name, ok := strings.CutSuffix(f.Name, ".yaml")
		if !ok {
			continue
		}
		got := documentsText(f.Name, f.Data)
		out.Files = append(out.Files, f, txtar.File{Name: name + ".out", Data: got})
		if !*update && !bytes.Equal(want[name+".out"], got) {
			t.Errorf("%s:\n--- want\n%s--- got\n%s", f.Name, want[name+".out"], got)
		}
	}
	if *update {
		if err := os.WriteFile(path, txtar.Format(out), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func documentsText(name string, data []byte) []byte {
	var b bytes.Buffer
	documents, errs := Documents(name, data, Limits{})
	for _, doc := range documents {
		text, err := json.Marshal(doc.Root.Value())
		if err != nil {
			b.WriteString(err.Error())
		}
		b.Write(append(text, '\n'))
	}
	for _, e := range errs.Sort() {
		b.WriteString(e.Error() + "\n")
	}
	return b.Bytes()
}
