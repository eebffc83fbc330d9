package fields

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utiljson "k8s.io/apimachinery/pkg/util/json"
)

var update = flag.Bool("update", false, "write the golden files")

// us is the field manager of the recordings.
const us = "headgate"

// TestRecordings reads what a real API server gave: an object as the apply by "headgate" returned it, and as it was later (or the refusal of a
// second apply). The last part is what is made of it.
func TestRecordings(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no golden files")
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			parts := map[string][]byte{}
			for _, f := range archive.Files {
				parts[f.Name] = f.Data
			}
			last := &archive.Files[len(archive.Files)-1]
			got := changesOf(t, parts)
			if last.Name == "conflicts" {
				got = conflictsOf(t, parts)
			}
			if *update {
				last.Data = []byte(got)
				if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if got != string(last.Data) {
				t.Errorf("got\n%s\nwant\n%s", got, last.Data)
			}
		})
	}
}

func decodeObject(t testing.TB, data []byte) map[string]any {
	t.Helper()
	var out map[string]any
	if err := utiljson.Unmarshal(data, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func changesOf(t *testing.T, parts map[string][]byte) string {
	if parts["live.json"] == nil {
		return ""
	}
	applied, live := decodeObject(t, parts["applied.json"]), decodeObject(t, parts["live.json"])
	changes, err := Compare(applied, live, us)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, c := range changes {
		fmt.Fprintf(&b, "%s %s\n  at %s", c.Kind, c, c.Pointer)
		for _, m := range c.By {
			fmt.Fprintf(&b, "; %s %s", m, m.Operation)
			if !m.Time.IsZero() {
				fmt.Fprintf(&b, " %s", m.Time.Format("15:04:05"))
			}
		}
		b.WriteString("\n")
	}
	before, err := Read(applied)
	if err != nil {
		t.Fatal(err)
	}
	now, err := Read(live)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range Lost(before, now, us) {
		fmt.Fprintf(&b, "lost %s to %s\n", l.Path, l.By)
	}
	return b.String()
}

func conflictsOf(t *testing.T, parts map[string][]byte) string {
	var status metav1.Status
	if err := json.Unmarshal(parts["status.json"], &status); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, c := range Conflicts(status.Details.Causes, decodeObject(t, parts["applied.json"])) {
		fmt.Fprintf(&b, "%s\n  at %s; %s with %s\n", c, c.Pointer, c.Manager.Operation, c.Manager.APIVersion)
	}
	return b.String()
}
