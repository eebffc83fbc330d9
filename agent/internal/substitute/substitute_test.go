package substitute

import (
	"errors"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"headgate.dev/render"
	"headgate.dev/render/object"
	"headgate.dev/schema"
)

// plainTree is files as a git.Tree; a digest is what it is of.
type plainTree struct{ fstest.MapFS }

func (t plainTree) Digest(name string) (string, error) {
	if info, err := fs.Stat(t.MapFS, name); err != nil || info.IsDir() {
		var all strings.Builder
		err := fs.WalkDir(t.MapFS, name, func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				data, _ := fs.ReadFile(t.MapFS, path)
				all.WriteString(path + "\n" + string(data))
			}
			return err
		})
		return all.String(), err
	}
	data, err := fs.ReadFile(t.MapFS, name)
	return string(data), err
}

func files(texts ...string) plainTree {
	t := plainTree{fstest.MapFS{}}
	for i := 0; i < len(texts); i += 2 {
		t.MapFS[texts[i]] = &fstest.MapFile{Data: []byte(texts[i+1])}
	}
	return t
}

func TestSubstitute(t *testing.T) {
	v := Variables{Open: map[string]string{"REGION": "eu", "PORT": "8080"}, Secret: map[string]string{"PASSWORD": "canary-7e3f"}}
	spec := "apiVersion: headgate.dev/v1alpha1\nkind: ServiceSpec\nmetadata: {name: shop}\n# ${COMMENT}\nspec:\n  gateway: edge/public\n  hosts: [shop.${REGION}.example.com]\n  port: ${PORT}\n"
	secret := "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {a: 'x-${PASSWORD}', b: '$${PASSWORD}', c: '$${OTHER}'}\ndata: {d: JHtQQVNTV09SRH0=}\n"
	for _, test := range []struct {
		name string
		tree plainTree
		want string // part of the objects' JSON, or of the error
	}{
		{"anywhere in a spec", files("a.yaml", spec), `"hostnames":["shop.eu.example.com"]`},
		{"in a number", files("a.yaml", spec), `"port":8080`},
		{"in a Secret", files("a.yaml", secret), `"a":"x-canary-7e3f"`},
		{"escaped", files("a.yaml", secret), `"b":"${PASSWORD}"`},
		{"escaped, of nothing", files("a.yaml", secret), `"c":"${OTHER}"`},
		{"in what a generator encoded", files("a.yaml", secret), `"d":"Y2FuYXJ5LTdlM2Y="`},
		{"no value", files("a.yaml", "kind: ConfigMap\napiVersion: v1\nmetadata: {name: c}\ndata:\n  a: ${NAME}\n"),
			"a.yaml:5:6: ${NAME} has no value"},
		{"a secret elsewhere", files("a.yaml", "kind: ConfigMap\napiVersion: v1\nmetadata: {name: c}\ndata:\n  a: ${PASSWORD}\n"),
			"a.yaml:5:6: ${PASSWORD} comes from a Secret and can be put into objects of kind Secret only, not into ConfigMap c"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := ""
			result, err := render.Tree(Tree(test.tree, v), ".", render.Options{})
			if err == nil {
				result.Set, err = v.Reveal(result.Set)
			}
			if err != nil {
				got = err.Error()
				if !errors.As(err, new(schema.Errors)) {
					t.Errorf("%v is not wrong input", err)
				}
			} else {
				for o := range result.Set.All() {
					got += string(object.AppendJSON(nil, o.Content))
				}
			}
			if !strings.Contains(got, test.want) {
				t.Errorf("got %s, want %s in it", got, test.want)
			}
		})
	}
}

// A renderer that is kept sees that values are other ones, though the files are the same.
func TestSubstituteAgain(t *testing.T) {
	tree := files("a.yaml", "kind: ConfigMap\napiVersion: v1\nmetadata: {name: c}\ndata: {a: '${NAME}'}\n")
	r := render.New()
	for _, value := range []string{"one", "two"} {
		result, err := r.Tree(Tree(tree, Variables{Open: map[string]string{"NAME": value}}), ".", render.Options{})
		if err != nil {
			t.Fatal(err)
		}
		for o := range result.Set.All() {
			if got := o.Content["data"].(map[string]any)["a"]; got != value {
				t.Errorf("got %s, want %s", got, value)
			}
		}
	}
}

func TestValuesOfSeveralLines(t *testing.T) {
	err := Variables{Open: map[string]string{"A": "x\ny: z"}}.Check()
	if err == nil || !strings.Contains(err.Error(), "${A}") {
		t.Errorf("got %v", err)
	}
}
