package schema

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"headgate.dev/schema/source"
)

func TestManyErrors(t *testing.T) {
	spec := "apiVersion: headgate.dev/v1alpha1\nkind: ServiceSpec\nmetadata: {name: a}\nspec:\n  port: 80\n  hosts:\n" + strings.Repeat("  - A\n", 1000)
	documents, none := Documents("f.yaml", []byte(spec), Limits{})
	if len(none) > 0 {
		t.Fatal(none)
	}
	_, wrong := Decode(documents[0].Root)
	if len(wrong) != source.MaxErrors+1 || !strings.Contains(wrong[source.MaxErrors].Message, "more errors") {
		t.Errorf("%d errors, the last: %v", len(wrong), wrong[len(wrong)-1])
	}
}

func FuzzDecode(f *testing.F) {
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
			spec, wrong := Decode(doc.Root)
			if (spec == nil) != (len(wrong) > 0) {
				t.Errorf("spec %v with errors %v", spec, wrong)
			}
			errs = append(errs, wrong...)
		}
		for _, e := range errs {
			if e.File != "f.yaml" || e.Line < 1 || e.Line > lines || e.Column < 1 || e.Message == "" {
				t.Errorf("no place in %d lines: %#v", lines, e)
			}
		}
	})
}

func TestParseDuration(t *testing.T) {
	for text, want := range map[string]string{
		"5s": "5s", "1.5s": "1s500ms", "1h30m": "1h30m", "90m": "90m", "0s": "0s", "0": "0s", "0.25h": "15m",
		"1m0.5s": "1m500ms", "100000ms": "1m40s",
	} {
		got, err := ParseDuration(text)
		if err != nil || got.Text != want {
			t.Errorf("%s: %s, %v; want %s", text, got.Text, err, want)
		}
		if again, err := ParseDuration(got.Text); err != nil || again != got {
			t.Errorf("%s does not stay what it is: %v, %v", got.Text, again, err)
		}
	}
}

func TestIsDefaultFor(t *testing.T) {
	for _, c := range []struct {
		value, namespace string
		want             bool
	}{{"*", "a", true}, {"a,b", "b", true}, {"a, b", "b", true}, {"a", "b", false}, {"", "", false}} {
		if got := IsDefaultFor(c.value, c.namespace); got != c.want {
			t.Errorf("%q takes in %q: %v", c.value, c.namespace, got)
		}
	}
}
