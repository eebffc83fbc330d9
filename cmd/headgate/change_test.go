package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
)

var commitID = regexp.MustCompile(`\b(main@)?[0-9a-f]{7}\b`)

// TestExplainAndDiff runs the commands of each file in testdata/change, one a line of its head, on a repository that has
// what lies under before/ committed and what lies under after/ saved. Run with -update to write what they print.
func TestExplainAndDiff(t *testing.T) {
	files, err := filepath.Glob("testdata/change/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			must(t, err)
			before, after, want := map[string]string{}, map[string]string{}, map[string]string{}
			result := &txtar.Archive{Comment: archive.Comment}
			for _, f := range archive.Files {
				if name, ok := strings.CutPrefix(f.Name, "before/"); ok {
					before[name] = string(f.Data)
				} else if name, ok := strings.CutPrefix(f.Name, "after/"); ok {
					after[name] = string(f.Data)
				} else {
					want[f.Name] = string(f.Data)
					continue
				}
				result.Files = append(result.Files, f)
			}
			repo := newRepo(t, before)
			for name := range before {
				must(t, repo.Write(name, ""))
			}
			for name, content := range after {
				must(t, repo.Write(name, content))
			}
			t.Chdir(repo.Dir)
			for line := range strings.Lines(string(archive.Comment)) {
				command, is := strings.CutPrefix(strings.TrimSpace(line), "headgate ")
				if !is {
					continue
				}
				code, out, errs := headgate(t, strings.Fields(command)...)
				out = strings.ReplaceAll(commitID.ReplaceAllString(out+errs, "${1}COMMIT"), repo.Dir, "REPOSITORY")
				if code != exitFine {
					out += "exit " + itoa(code) + "\n"
				}
				result.Files = append(result.Files, txtar.File{Name: command, Data: []byte(out)})
				if diff := cmp.Diff(want[command], out); diff != "" && !*update {
					t.Errorf("%s: wanted (-), got (+):\n%s", command, diff)
				}
			}
			if *update {
				must(t, os.WriteFile(golden(file), txtar.Format(result), 0o644))
			}
		})
	}
}

// golden is where a file lay before the test changed its directory.
func golden(file string) string { return filepath.Join(packageDir, file) }

var packageDir, _ = os.Getwd()

func TestExplainAndDiffJSON(t *testing.T) {
	repo := newRepo(t, map[string]string{"shop.yaml": spec("shop", "shop.test", "  - {path: /api, to: {a: 90, b: 10}}\n")})
	code, out, errs := headgate(t, "explain", repo.Dir, "--host", "shop.test", "--path", "/api/x", "-o", "json")
	var explained struct {
		Listeners []struct {
			Rule struct {
				From     string
				Backends []struct{ Percent float64 }
			}
		}
	}
	if err := json.Unmarshal([]byte(out), &explained); err != nil || code != exitFine || len(explained.Listeners) != 1 ||
		explained.Listeners[0].Rule.From != "shop.yaml:8:5" || len(explained.Listeners[0].Rule.Backends) != 2 {
		t.Errorf("explain: exit %d, %v %s\n%s", code, err, errs, out)
	}
	must(t, repo.Write("shop.yaml", spec("shop", "shop.test", "  - {path: /api, to: {a: 50, b: 50}}\n")))
	code, out, errs = headgate(t, "diff", repo.Dir, "-o", "json")
	var changed struct {
		Traffic []struct{ Before, After struct{ From string } }
		Objects []struct {
			Change string
			Fields []struct{ Field, Old, New string }
		}
	}
	if err := json.Unmarshal([]byte(out), &changed); err != nil || code != exitFine || len(changed.Traffic) != 1 ||
		changed.Traffic[0].Before.From == "" || len(changed.Objects) != 1 || len(changed.Objects[0].Fields) != 2 {
		t.Errorf("diff: exit %d, %v %s\n%s", code, err, errs, out)
	}
}
