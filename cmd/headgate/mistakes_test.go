package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"headgate.dev/cmd/internal/lab"
)

// TestMistakes validates every directory of examples/90-mistakes as a tree of its own, and compares what is said with its
// expected.txt. Run with -update to write these again.
func TestMistakes(t *testing.T) {
	const mistakes = "../../examples/90-mistakes"
	entries, err := os.ReadDir(mistakes)
	must(t, err)
	tried := 0
	for _, entry := range entries {
		if !entry.IsDir() {
			continue
		}
		tried++
		t.Run(entry.Name(), func(t *testing.T) {
			source, dir := filepath.Join(mistakes, entry.Name()), t.TempDir()
			must(t, os.CopyFS(dir, os.DirFS(source)))
			code, out, errs := headgate(t, "validate", dir, "-o", "json")
			var said struct{ Errors, Warnings []lab.Problem }
			if err := json.Unmarshal([]byte(out), &said); err != nil {
				t.Fatalf("exit %d, %v: %s%s", code, err, out, errs)
			}
			if (code == exitInput) != (len(said.Errors) > 0) {
				t.Errorf("exit %d with %d errors", code, len(said.Errors))
			}
			got := listProblems("error", said.Errors) + listProblems("warning", said.Warnings)
			if got == "" {
				t.Fatal("nothing is wrong with it")
			}
			expected := filepath.Join(source, "expected.txt")
			if *update {
				must(t, os.WriteFile(expected, []byte(got), 0o644))
			}
			want, err := os.ReadFile(expected)
			must(t, err)
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("wanted (-), got (+):\n%s", diff)
			}
		})
	}
	if tried < 20 {
		t.Errorf("only %d mistakes", tried)
	}
}

func listProblems(level string, problems []lab.Problem) string {
	var b strings.Builder
	for _, p := range problems {
		fmt.Fprintf(&b, "%s %s:%d:%d: ", level, p.File, p.Line, p.Column)
		if p.Field != "" {
			b.WriteString(p.Field + ": ")
		}
		b.WriteString(p.Message + "\n")
	}
	return b.String()
}
