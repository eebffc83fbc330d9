// Package substitute puts values into the files of a tree, and secret ones into the Secrets that are rendered from it.
package substitute

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"headgate.dev/agent/git"
	"headgate.dev/render/object"
	"headgate.dev/schema"
)

// Variables are what ${NAME} stands for in the files of a tree.
//
// Open values are put into the text of YAML and JSON files before they are read, so that they may be anywhere: in a port, in a host.
// Secret values are put into rendered objects, into those of kind Secret only; anywhere else naming one is an error, and until then
// its name stands where it will be. A name that is neither is an error at its place. $${NAME} stays ${NAME}. Comments are left alone.
type Variables struct {
	Open, Secret map[string]string
}

// variable is a name in a text, or one that is escaped.
var variable = regexp.MustCompile(`\$?\$\{([A-Za-z_][A-Za-z0-9_]*)\}`)

// Check says which value cannot be put into a text without changing what is around it.
func (v Variables) Check() error {
	for _, name := range slices.Sorted(maps.Keys(v.Open)) {
		if strings.ContainsAny(v.Open[name], "\n\r") {
			return fmt.Errorf("substituting ${%s}: its value has several lines, which could become other fields: put it into a ConfigMap or a Secret of the repository", name)
		}
	}
	return nil
}

// Digest tells sets of values apart.
func (v Variables) Digest() string {
	var all []any
	for _, m := range []map[string]string{v.Open, v.Secret} {
		values := map[string]any{}
		for name, value := range m {
			values[name] = value
		}
		all = append(all, values)
	}
	sum := sha256.Sum256(object.AppendJSON(nil, all))
	return hex.EncodeToString(sum[:16])
}

// substituted is a tree with open values in its files.
type substituted struct {
	git.Tree
	values Variables
	digest string // of values
}

// Tree gives a tree with open values in its files. Its digests tell values apart.
func Tree(t git.Tree, v Variables) git.Tree {
	return &substituted{Tree: t, values: v, digest: v.Digest()}
}

// Digest implements git.Tree.
func (s *substituted) Digest(name string) (string, error) {
	d, err := s.Tree.Digest(name)
	return d + "+" + s.digest, err
}

// ReadFile implements fs.ReadFileFS. The error is schema.Errors where a name has no value.
func (s *substituted) ReadFile(name string) ([]byte, error) {
	data, err := s.Tree.ReadFile(name)
	if err != nil || !isText(name) || !bytes.Contains(data, []byte("${")) {
		return data, err
	}
	out := make([]byte, 0, len(data)+len(data)/8)
	var errs schema.Errors
	line := 0
	for text := range bytes.Lines(data) {
		line++
		if trimmed := bytes.TrimLeft(text, " \t"); len(trimmed) > 0 && trimmed[0] == '#' {
			out = append(out, text...)
			continue
		}
		at := schema.Position{File: name, Line: line}
		out = append(out, s.line(text, at, &errs)...)
	}
	if len(errs) > 0 {
		return nil, errs
	}
	return out, nil
}

// Open implements fs.FS. The error is schema.Errors where a name has no value.
func (s *substituted) Open(name string) (fs.File, error) {
	info, err := s.Tree.Stat(name)
	if err != nil || !info.Mode().IsRegular() || !isText(name) {
		return s.Tree.Open(name)
	}
	data, err := s.ReadFile(name)
	if err != nil {
		return nil, err
	}
	return &opened{Reader: bytes.NewReader(data), info: sized{info, int64(len(data))}}, nil
}

// opened is a file with values in it.
type opened struct {
	*bytes.Reader
	info fs.FileInfo
}

func (o *opened) Stat() (fs.FileInfo, error) { return o.info, nil }
func (o *opened) Close() error               { return nil }

// sized is the info of a file that has another size.
type sized struct {
	fs.FileInfo
	size int64
}

func (s sized) Size() int64 { return s.size }

func isText(name string) bool {
	switch path.Ext(name) {
	case ".yaml", ".yml", ".json":
		return true
	}
	return false
}

// line puts values into a line.
func (s *substituted) line(text []byte, at schema.Position, errs *schema.Errors) []byte {
	var out []byte
	last := 0
	for _, m := range variable.FindAllSubmatchIndex(text, -1) {
		out = append(out, text[last:m[0]]...)
		name := string(text[m[2]:m[3]])
		value, isOpen := s.values.Open[name]
		_, isSecret := s.values.Secret[name]
		switch whole := text[m[0]:m[1]]; {
		case whole[1] == '$' && isSecret:
			out = append(out, whole...) // it is still to be told from the secret itself
		case whole[1] == '$':
			out = append(out, whole[1:]...)
		case isOpen:
			out = append(out, value...)
		case isSecret:
			out = append(out, whole...)
		default:
			at.Column = m[0] + 1
			errs.Add(&schema.Error{Position: at, Message: fmt.Sprintf("${%s} has no value: the Sync's substitute names none; write $${%s} where the text itself is meant", name, name)})
		}
		last = m[1]
	}
	return append(out, text[last:]...)
}

// Reveal puts secret values into the Secrets of a set. The error is schema.Errors where another object names one.
func (v Variables) Reveal(set *object.Set) (*object.Set, error) {
	if len(v.Secret) == 0 {
		return set, nil
	}
	objects := make([]*object.Object, 0, set.Len())
	var errs schema.Errors
	changed := false
	for o := range set.All() {
		next, err := v.revealIn(o)
		if err != nil {
			errs.Add(err)
			continue
		}
		changed = changed || next != o
		objects = append(objects, next)
	}
	if len(errs) > 0 {
		return nil, errs.Sort()
	}
	if !changed {
		return set, nil
	}
	out, wrong := object.NewSet(objects)
	if len(wrong) > 0 {
		return nil, wrong
	}
	return out, nil
}

func (v Variables) revealIn(o *object.Object) (*object.Object, *schema.Error) {
	r := revealing{values: v.Secret, inSecret: o.ID.Kind == "Secret" && o.ID.Group == ""}
	content, _ := r.value(o.Content, "").(map[string]any)
	if r.name != "" {
		return nil, &schema.Error{Position: o.OriginOf(r.pointer), Message: fmt.Sprintf(
			"${%s} comes from a Secret and can be put into objects of kind Secret only, not into %s", r.name, o.ID)}
	}
	if !r.changed {
		return o, nil
	}
	next, err := object.New(content, o.Origin, o.Fields)
	if err != nil {
		return nil, &schema.Error{Position: o.Origin, Message: "a value makes it no object: " + err.Error()}
	}
	return next, nil
}

// revealing is one object during Reveal.
type revealing struct {
	values   map[string]string
	inSecret bool
	changed  bool
	// name and pointer are of a secret that is named where it may not be.
	name, pointer string
}

// value gives a copy of v with secrets in it.
func (r *revealing) value(v any, pointer string) any {
	switch v := v.(type) {
	case string:
		return r.text(v, pointer)
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = r.value(item, fmt.Sprintf("%s/%d", pointer, i))
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for _, key := range slices.Sorted(maps.Keys(v)) {
			out[key] = r.value(v[key], pointer+"/"+escape.Replace(key))
		}
		return out
	}
	return v
}

// escape makes a key a part of a JSON pointer.
var escape = strings.NewReplacer("~", "~0", "/", "~1")

func (r *revealing) text(s, pointer string) string {
	out := r.replace(s, pointer)
	if r.inSecret && strings.HasPrefix(pointer, "/data/") && out == s {
		// A generator has encoded what names it.
		if plain, err := base64.StdEncoding.DecodeString(s); err == nil {
			if next := r.replace(string(plain), pointer); next != string(plain) {
				out = base64.StdEncoding.EncodeToString([]byte(next))
			}
		}
	}
	r.changed = r.changed || out != s
	return out
}

func (r *revealing) replace(s, pointer string) string {
	if !strings.Contains(s, "${") {
		return s
	}
	return variable.ReplaceAllStringFunc(s, func(whole string) string {
		name := strings.TrimSuffix(whole[strings.IndexByte(whole, '{')+1:], "}")
		value, isSecret := r.values[name]
		switch {
		case !isSecret:
			return whole
		case strings.HasPrefix(whole, "$$"):
			return whole[1:]
		case !r.inSecret:
			r.name, r.pointer = name, pointer
			return whole
		}
		return value
	})
}
