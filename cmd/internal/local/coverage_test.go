package local

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
	"sigs.k8s.io/yaml"
)

// TestExamplesHaveEveryField: every row of the field reference is in an example, and every example is served by TestExamples. A
// row stands for all the places its table is for.
func TestExamplesHaveEveryField(t *testing.T) {
	rows := fieldReference(t)
	if len(rows) < 100 {
		t.Fatalf("only %d rows were found in the field reference", len(rows))
	}
	used := map[string]bool{}
	for _, example := range exampleNames(t) {
		err := filepath.WalkDir(filepath.Join(examplesDir, example), func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || filepath.Ext(name) != ".yaml" {
				return err
			}
			data, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			for document := range strings.SplitSeq("\n"+string(data), "\n---\n") {
				var value map[string]any
				if err := yaml.Unmarshal([]byte(document), &value); err != nil {
					t.Errorf("%s: %v", name, err)
				}
				kind, _ := value["kind"].(string)
				collectFields(used, kind+" ", value)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, row := range rows {
		if !slices.ContainsFunc(row, func(field string) bool { return used[field] }) {
			t.Errorf("no example has %s", strings.Join(row, " or "))
		}
	}
}

// fieldReference reads the tables of schema/README.md: for each row the fields it is for, "ServiceSpec spec.routes.to.weight".
func fieldReference(t *testing.T) (rows [][]string) {
	t.Helper()
	text, err := os.ReadFile("../../../schema/README.md")
	if err != nil {
		t.Fatal(err)
	}
	plain := strings.NewReplacer("[]", "", "`", "")
	var kinds, tables []string
	for line := range strings.Lines(string(text)) {
		if heading, is := strings.CutPrefix(line, "## "); is {
			switch kind := strings.TrimSpace(heading); kind {
			case "ServiceSpec", "GatewaySpec":
				kinds = []string{kind}
			case "Patches":
				kinds = []string{"ServiceSpec", "GatewaySpec"}
			default:
				kinds = nil
			}
		}
		if heading, is := strings.CutPrefix(line, "### "); is {
			tables = strings.Split(plain.Replace(strings.TrimSpace(heading)), ", ")
		}
		if !strings.HasPrefix(line, "| `") {
			continue
		}
		field, _, _ := strings.Cut(strings.TrimPrefix(line, "| `"), "`")
		var row []string
		for _, kind := range kinds {
			for _, table := range tables {
				row = append(row, kind+" "+table+"."+field)
			}
		}
		if len(row) > 0 {
			rows = append(rows, row)
		}
	}
	return rows
}

// collectFields notes every field of a value, lists left out of the names.
func collectFields(used map[string]bool, path string, value any) {
	switch v := value.(type) {
	case map[string]any:
		for key, inner := range v {
			used[path+key] = true
			collectFields(used, path+key+".", inner)
		}
	case []any:
		for _, inner := range v {
			collectFields(used, path, inner)
		}
	}
}

// TestExampleREADMEs: what the README of an example tells people to run is among the requests that its golden files answer, and
// what it serves is what these serve. Other commands of headgate are run by TestReadme.
func TestExampleREADMEs(t *testing.T) {
	for _, example := range exampleNames(t) {
		text, err := os.ReadFile(filepath.Join(examplesDir, example, "README.md"))
		if err != nil {
			t.Fatal(err)
		}
		files, err := filepath.Glob("testdata/examples/" + example + ".*txtar")
		if err != nil {
			t.Fatal(err)
		}
		var commands []string
		for _, file := range files {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range archive.Files {
				if f.Name == requestsFile {
					for _, s := range parseTranscript(string(f.Data)).steps {
						commands = append(commands, s.command)
					}
				}
			}
		}
		in, some := false, false
		for line := range strings.Lines(string(text)) {
			line = strings.TrimSuffix(line, "\n")
			switch {
			case strings.HasPrefix(line, "```"):
				in = line == "```sh"
			case in && strings.HasPrefix(line, "bin/headgate "):
			case in && !slices.Contains(commands, line):
				t.Errorf("examples/%s/README.md: %q is no request of its golden file", example, line)
			case in:
				some = true
			}
		}
		if !some {
			t.Errorf("examples/%s/README.md has nothing to try", example)
		}
	}
}
