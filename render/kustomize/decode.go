package kustomize

import (
	"fmt"
	"path"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"sigs.k8s.io/kustomize/api/types"

	"headgate.dev/schema"
)

// File is a decoded kustomization without a refused field.
type File struct {
	// Path is the file in the tree, Dir its directory.
	Path, Dir string
	// Digest is for who keeps the File: the digest of what it was decoded from.
	Digest string

	k       types.Kustomization // without patches
	patches []patch             // in the order they are applied
	root    *schema.Node
	refs    []ref
	entries []Resource
}

// ref is a path a kustomization names.
type ref struct {
	use  use
	text string // as written, without "key="
	name string // relative to the root of the tree
	node *schema.Node
	at   string // pointer of the field
}

// Decode decodes the documents of a kustomization file. The errors name every field that is unknown, of a wrong type,
// refused, or names something that is no path inside the tree.
func Decode(name string, docs []schema.Document) (*File, schema.Errors) {
	f := &File{Path: name, Dir: path.Dir(name)}
	if len(docs) == 0 {
		return nil, schema.Errors{{Position: schema.Position{File: name},
			Message: "is empty; write at least \"resources: []\" with the files that belong to it"}}
	}
	if len(docs) != 1 {
		return nil, schema.Errors{{
			Position: schema.Position{File: name},
			Message:  fmt.Sprintf("a kustomization is one document, this file has %d", len(docs)),
		}}
	}
	f.root = docs[0].Root
	d := decoder{file: f}
	d.decode(f.root, reflect.ValueOf(&f.k).Elem(), "", "")
	d.list()
	if len(d.errs) > 0 {
		return nil, d.errs
	}
	for _, problem := range f.k.EnforceFields() {
		d.fail(f.root.Pos, "", "%s", problem)
	}
	f.modernise()
	return f, d.errs
}

// list gathers the resources.
func (d *decoder) list() {
	f, listed := d.file, map[string]bool{}
	for _, r := range f.refs {
		if r.use != resource {
			continue
		}
		if listed[r.name] {
			d.fail(r.node.Pos, r.at, "%q is listed twice", r.text)
		}
		listed[r.name] = true
		f.entries = append(f.entries, Resource{Name: r.name, file: f, ref: r})
	}
}

// modernise moves deprecated fields to their successors, as "kustomize edit fix" does: each is read in one place only.
func (f *File) modernise() {
	f.k.FixKustomization()
	f.k.SortOptions = nil // the order of the output is ours
	//nolint:staticcheck // people still write them
	merges, operations, labels := f.k.PatchesStrategicMerge, f.k.PatchesJson6902, f.k.CommonLabels
	//nolint:staticcheck // moved to their successors
	f.k.PatchesStrategicMerge, f.k.PatchesJson6902, f.k.CommonLabels = nil, nil, nil
	if len(labels) > 0 {
		f.k.Labels = append(f.k.Labels, types.Label{Pairs: labels, IncludeSelectors: true})
	}
	for i, text := range merges {
		at := "/patchesStrategicMerge/" + strconv.Itoa(i)
		p := patch{Patch: types.Patch{Path: string(text)}, pathAt: at, textAt: at}
		if !slices.ContainsFunc(f.refs, func(r ref) bool { return r.at == at }) {
			p.Path, p.Patch.Patch = "", string(text)
		}
		f.patches = append(f.patches, p)
	}
	f.addPatches("/patches/", f.k.Patches)
	f.addPatches("/patchesJson6902/", operations)
	f.k.Patches = nil
}

// patch is a patch from any of the fields for patches.
type patch struct {
	types.Patch
	pathAt, textAt string // pointers of the fields for path and text
}

func (f *File) addPatches(pointer string, patches []types.Patch) {
	for i, p := range patches {
		at := pointer + strconv.Itoa(i)
		f.patches = append(f.patches, patch{Patch: p, pathAt: at + "/path", textAt: at + "/patch"})
	}
}

// Component tells a component, which only makes sense inside a kustomization that lists it.
func (f *File) Component() bool { return f.k.Kind == types.ComponentKind }

// Mode tells how the kustomization is rendered.
func (f *File) Mode() Mode {
	rest := f.k
	rest.TypeMeta, rest.MetaData, rest.Resources = types.TypeMeta{}, nil, nil
	if f.Component() || len(f.patches) > 0 {
		return Whole
	}
	if reflect.DeepEqual(rest, types.Kustomization{}) {
		return Union
	}
	rest.Namespace, rest.Labels, rest.CommonAnnotations = "", nil, nil
	custom := slices.ContainsFunc(f.k.Labels, func(l types.Label) bool { return len(l.FieldSpecs) > 0 })
	if custom || !reflect.DeepEqual(rest, types.Kustomization{}) {
		return Whole
	}
	return PushDown
}

// Resource is an entry of a kustomization's list of resources.
type Resource struct {
	// Name is the file or directory, relative to the root of the tree.
	Name string
	file *File
	ref  ref
}

// Errorf makes an error at the entry.
func (r Resource) Errorf(format string, args ...any) *schema.Error {
	return r.file.errorf(r.ref, format, args...)
}

// Check tells what is wrong with the entry, nil when it names a file or a kustomization. The error is that of finding
// the kustomization.
func (r Resource) Check(files Files) (*schema.Error, error) {
	kind, err := files.Kind(r.Name)
	if err != nil {
		return nil, err
	}
	if problem := r.problem(kind); problem != nil || kind == Regular {
		return problem, nil
	}
	f, err := Load(files, r.Name)
	if err != nil {
		return nil, err
	}
	if f == nil {
		return r.Errorf("the directory %s has no kustomization.yaml", r.Name), nil
	}
	if f.Component() {
		return mismatch(&r, f), nil
	}
	return nil, nil
}

// Resources lists what a kustomization builds on, in the order of the file.
func (f *File) Resources() []Resource { return f.entries }

func (f *File) errorf(r ref, format string, args ...any) *schema.Error {
	return &schema.Error{Position: r.node.Pos, Field: schema.FieldPath(r.at), Message: fmt.Sprintf(format, args...)}
}

type decoder struct {
	file *File
	errs schema.Errors
}

func (d *decoder) fail(pos schema.Position, pointer, format string, args ...any) {
	d.errs = append(d.errs, &schema.Error{Position: pos, Field: schema.FieldPath(pointer), Message: fmt.Sprintf(format, args...)})
}

// decode sets v from n. Pointer is where n is, row its row in fields.
func (d *decoder) decode(n *schema.Node, v reflect.Value, pointer, row string) {
	if n.Kind == schema.NullNode {
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		d.decode(n, v.Elem(), pointer, row)
	case reflect.Struct:
		d.decodeStruct(n, v, pointer, row)
	case reflect.Slice:
		if n.Kind != schema.ListNode {
			d.fail(n.Pos, pointer, "expected a list")
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), len(n.Items), len(n.Items)))
		for i, item := range n.Items {
			if item.Kind == schema.NullNode {
				d.fail(item.Pos, pointer+"/"+strconv.Itoa(i), "is empty")
			}
			d.decode(item, v.Index(i), pointer+"/"+strconv.Itoa(i), row)
		}
	case reflect.Map:
		d.decodeMap(n, v, pointer)
	default:
		d.decodeScalar(n, v, pointer, row)
	}
}

func (d *decoder) decodeMap(n *schema.Node, v reflect.Value, pointer string) {
	if n.Kind != schema.MapNode {
		d.fail(n.Pos, pointer, "expected a map")
		return
	}
	v.Set(reflect.MakeMap(v.Type()))
	for _, e := range n.Entries {
		value := reflect.New(v.Type().Elem()).Elem()
		d.decode(e.Value, value, pointer+"/"+schema.EscapePointer(e.Key), "")
		v.SetMapIndex(reflect.ValueOf(e.Key), value)
	}
}

func (d *decoder) decodeScalar(n *schema.Node, v reflect.Value, pointer, row string) {
	switch {
	case v.Kind() == reflect.String:
		d.decodeText(n, v, pointer, row)
	case v.Kind() == reflect.Bool && n.Kind == schema.BoolNode:
		v.SetBool(n.Value() == true)
	case v.Kind() == reflect.Bool:
		d.fail(n.Pos, pointer, "expected true or false")
	default:
		i, ok := n.Value().(int64)
		if !ok || !v.CanInt() || v.OverflowInt(i) {
			d.fail(n.Pos, pointer, "expected a whole number")
			return
		}
		v.SetInt(i)
	}
}

func (d *decoder) decodeText(n *schema.Node, v reflect.Value, pointer, row string) {
	switch n.Kind {
	case schema.StringNode:
		v.SetString(n.Text)
		d.reference(n, pointer, row)
	case schema.ListNode, schema.MapNode:
		d.fail(n.Pos, pointer, "expected text")
	default:
		d.fail(n.Pos, pointer, "expected text; write %q in quotes", n.Text)
	}
}

func (d *decoder) decodeStruct(n *schema.Node, v reflect.Value, pointer, row string) {
	if n.Kind != schema.MapNode {
		d.fail(n.Pos, pointer, "expected a map")
		return
	}
	known := structFields(v)
	for _, e := range n.Entries {
		at, inner := pointer+"/"+schema.EscapePointer(e.Key), strings.TrimPrefix(row+"."+e.Key, ".")
		field, ok := known[e.Key]
		switch kind, listed := fields[inner]; {
		case !ok || !listed:
			d.fail(e.Pos, at, "unknown field%s", nearest(e.Key, known))
		case kind == refused:
			d.fail(e.Pos, at, "%s", reasons[inner])
		default:
			d.decode(e.Value, field, at, inner)
		}
	}
}

// structFields gives the fields of a struct by their JSON names, those of inlined structs too.
func structFields(v reflect.Value) map[string]reflect.Value {
	out := map[string]reflect.Value{}
	for i := range v.NumField() {
		t := v.Type().Field(i)
		if t.Anonymous {
			for name, field := range structFields(v.Field(i)) {
				out[name] = field
			}
			continue
		}
		if name, _, _ := strings.Cut(t.Tag.Get("json"), ","); t.IsExported() && name != "" {
			out[name] = v.Field(i)
		}
	}
	return out
}
