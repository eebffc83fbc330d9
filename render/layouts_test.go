package render_test

import (
	"fmt"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"golang.org/x/tools/txtar"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"

	"headgate.dev/render"
	"headgate.dev/render/object"
	"headgate.dev/schema"
)

// TestLayoutsRenderAsKustomizeDoes renders the trees of testdata/layouts, once by this package and once by kustomize called
// plainly: the same objects come out. A comment line "dir: NAME" is a directory to render.
func TestLayoutsRenderAsKustomizeDoes(t *testing.T) {
	names, err := filepath.Glob("testdata/layouts/*.txtar")
	if err != nil || len(names) < 5 {
		t.Fatalf("%d layouts: %v", len(names), err)
	}
	for _, name := range names {
		archive, err := txtar.ParseFile(name)
		if err != nil {
			t.Fatal(err)
		}
		files := map[string]string{}
		for _, file := range archive.Files {
			files[file.Name] = string(file.Data)
		}
		for line := range strings.Lines(string(archive.Comment)) {
			if dir, ok := strings.CutPrefix(line, "dir: "); ok {
				dir = strings.TrimSpace(dir)
				t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar")+"/"+dir, func(t *testing.T) {
					if difference := compareWithPlain(files, dir); difference != "" {
						t.Error(difference)
					}
				})
			}
		}
	}
}

// compareWithPlain says in what headgate and kustomize differ about a directory of files, "" when they do not.
func compareWithPlain(files map[string]string, dir string) string {
	want, plainErr := plain(files, dir)
	tree := fstest.MapFS{}
	for name, text := range files {
		tree[name] = &fstest.MapFile{Data: []byte(text)}
	}
	result, err := render.Tree(tree, dir, render.Options{})
	switch {
	case plainErr != nil && err != nil:
		return ""
	case plainErr != nil && strings.Contains(plainErr.Error(), "already registered id"):
		return "" // a name that two had only until the next kustomization changed it
	case plainErr != nil:
		return fmt.Sprintf("kustomize says %v, headgate nothing", plainErr)
	case err != nil:
		return fmt.Sprintf("headgate says %v, kustomize nothing", err)
	}
	var b strings.Builder
	for o := range want.All() {
		switch got := result.Set.Get(o.ID); {
		case got == nil:
			fmt.Fprintf(&b, "%s is missing\n", o.ID)
		case got.Digest != o.Digest:
			fmt.Fprintf(&b, "%s\nheadgate  %s\nkustomize %s\n", o.ID, object.AppendJSON(nil, got.Content), object.AppendJSON(nil, o.Content))
		}
	}
	for o := range result.Set.All() {
		if want.Get(o.ID) == nil {
			fmt.Fprintf(&b, "%s is too many\n", o.ID)
		}
	}
	return b.String()
}

// plain renders a directory by kustomize alone.
func plain(files map[string]string, dir string) (*object.Set, error) {
	system := filesys.MakeFsInMemory()
	for name, text := range files {
		if err := system.WriteFile(path.Join("/tree", name), []byte(text)); err != nil {
			return nil, err
		}
	}
	made, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(system, path.Join("/tree", dir))
	if err != nil {
		return nil, err
	}
	data, err := made.AsYaml()
	if err != nil {
		return nil, err
	}
	docs, errs := schema.Documents("plain.yaml", data, schema.Limits{Bytes: 64 << 20})
	if len(errs) > 0 {
		return nil, errs
	}
	var objects []*object.Object
	for _, doc := range docs {
		o, err := object.FromDocument(doc.Root)
		if err != nil {
			return nil, err
		}
		objects = append(objects, o)
	}
	set, errs := object.NewSet(objects)
	if len(errs) > 0 {
		return nil, errs
	}
	return set, nil
}
