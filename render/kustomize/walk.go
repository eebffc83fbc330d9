package kustomize

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"headgate.dev/schema"
)

// Build is everything one unit is built from.
type Build struct {
	root  string           // directory
	units map[string]*unit // by directory
	files Files
	// renamed is what Run found.
	renamed []string
}

// unit is one kustomization of a build, with what its own fields name; what its kustomizations below name is theirs.
type unit struct {
	file  *File
	docs  map[string][]schema.Document // by name
	bytes map[string][]byte            // by name
	// inline has the patches written in the kustomization itself, by the pointer of the field.
	inline map[string][]schema.Document
	size   cost
	done   bool
}

// cost is what building a unit takes, everything counted once for every way that leads to it.
type cost struct{ documents, bytes, visits, work int }

// Find gives the kustomization file of a directory, "" when it has none. Two of them are an error naming both.
func Find(files Files, dir string) (string, error) {
	found := ""
	for _, name := range Names {
		name = path.Join(dir, name)
		kind, err := files.Kind(name)
		if err != nil {
			return "", err
		}
		switch {
		case kind == Missing || kind == Directory:
		case kind == Link:
			return "", schema.Errors{{Position: schema.Position{File: name}, Message: "is a link; links are not followed"}}
		case found != "":
			return "", schema.Errors{{
				Position: schema.Position{File: name},
				Message:  fmt.Sprintf("the directory has another kustomization, %s; keep one", found),
			}}
		default:
			found = name
		}
	}
	return found, nil
}

// Load reads and decodes the kustomization of a directory, nil when it has none. The error is schema.Errors when the
// input is wrong.
func Load(files Files, dir string) (*File, error) {
	name, err := Find(files, dir)
	if err != nil || name == "" {
		return nil, err
	}
	docs, err := files.Documents(name)
	if err != nil {
		return nil, err
	}
	f, errs := Decode(name, docs)
	if len(errs) > 0 {
		return nil, errs
	}
	return f, nil
}

// Walk collects everything the kustomization of dir builds on. The error is schema.Errors, all there are, when the
// input is wrong.
func Walk(files Files, dir string) (*Build, error) {
	w := walker{build: &Build{root: dir, units: map[string]*unit{}, files: files}}
	w.visit(dir, nil, false)
	if w.err != nil {
		return nil, w.err
	}
	if len(w.errs) > 0 {
		return nil, w.errs.Sort()
	}
	return w.build, nil
}

type walker struct {
	build *Build
	stack []string // directories being visited
	errs  schema.Errors
	err   error // I/O
}

// fault takes an error apart: wrong input is collected, anything else ends the walk.
func (w *walker) fault(err error) {
	var wrong schema.Errors
	if errors.As(err, &wrong) {
		w.errs = append(w.errs, wrong...)
		return
	}
	w.err = err
}

// visit walks one directory; from is the entry that names it, nil for the first.
func (w *walker) visit(dir string, from *Resource, wantComponent bool) {
	if w.err != nil || (from != nil && w.cycle(dir, from)) {
		return
	}
	u := w.build.units[dir]
	if u == nil {
		f, err := Load(w.build.files, dir)
		if err != nil {
			// A directory two kustomizations name is reported once: Sort drops the repeat.
			w.fault(err)
			return
		}
		if f == nil {
			w.missing(dir, from)
			return
		}
		u = &unit{
			file: f, docs: map[string][]schema.Document{}, bytes: map[string][]byte{}, inline: map[string][]schema.Document{},
		}
		w.build.units[dir] = u
	}
	if from != nil && u.file.Component() != wantComponent {
		w.errs = append(w.errs, mismatch(from, u.file))
		return
	}
	if !u.done {
		w.stack = append(w.stack, dir)
		w.collect(u)
		w.stack = w.stack[:len(w.stack)-1]
		u.done = true
		w.bound(u)
	}
}

func (w *walker) missing(dir string, from *Resource) {
	if from == nil {
		w.errs = append(w.errs, &schema.Error{Position: schema.Position{File: dir}, Message: "has no kustomization"})
		return
	}
	w.errs = append(w.errs, from.Errorf("the directory %s has no kustomization.yaml", dir))
}

func mismatch(from *Resource, f *File) *schema.Error {
	if f.Component() {
		return from.Errorf("%s is a Component; list it under components", f.Path)
	}
	return from.Errorf("%s is no Component; list it under resources", f.Path)
}

// cycle reports a kustomization that builds on itself, or on a directory above itself as kustomize forbids.
func (w *walker) cycle(dir string, from *Resource) bool {
	if i := slices.Index(w.stack, dir); i >= 0 {
		chain := append(slices.Clone(w.stack[i:]), dir)
		w.errs = append(w.errs, from.Errorf("kustomizations build on each other in a circle: %s", strings.Join(chain, " -> ")))
		return true
	}
	for _, open := range w.stack {
		if dir == "." || strings.HasPrefix(open, dir+"/") {
			w.errs = append(w.errs, from.Errorf("%s lies above %s, which builds on it; kustomize allows only what is beside or below", dir, open))
			return true
		}
	}
	return false
}

// collect reads what the fields of a unit name.
func (w *walker) collect(u *unit) {
	size := cost{visits: 1}
	for _, r := range u.file.refs {
		entry := Resource{Name: r.name, file: u.file, ref: r}
		kind, err := w.build.files.Kind(r.name)
		if err != nil {
			w.err = err
			return
		}
		if problem := entry.problem(kind); problem != nil {
			w.errs = append(w.errs, problem)
			continue
		}
		if kind == Regular {
			w.read(u, r, &size)
			continue
		}
		w.visit(r.name, &entry, r.use == component)
		if below := w.build.units[r.name]; below != nil {
			size.add(below.size)
		}
	}
	w.inline(u)
	w.errs = append(w.errs, u.lossy()...)
	size.work += w.acting(u) * max(size.documents, 1)
	u.size = size
}

// problem says what is wrong with what a path leads to, nil when it is what the field names.
func (r Resource) problem(kind Kind) *schema.Error {
	text := r.ref.text
	switch {
	case kind == Missing:
		return r.Errorf("%q: no such file or directory in the tree", text)
	case kind == Link:
		return r.Errorf("%q is a link; links are not followed", text)
	case kind == Regular && r.ref.use == component:
		return r.Errorf("%q is no directory", text)
	case kind == Directory && r.ref.use != resource && r.ref.use != component:
		return r.Errorf("%q is a directory; name a file", text)
	case kind == Regular && !within(r.file.Dir, r.Name):
		return r.Errorf("%q lies outside the directory of this kustomization; kustomize reads only files below it: "+
			"move it, or make it a base or component", text)
	}
	return nil
}

// acting is the size of what a unit does to each of its objects.
func (w *walker) acting(u *unit) int {
	n := 0
	for _, e := range u.file.root.Entries {
		if use := fields[e.Key]; use != resource && use != component {
			n += nodeSize(e.Value)
		}
	}
	for _, r := range u.file.refs {
		if r.use == file || r.use == fileInline {
			for _, doc := range u.docs[r.name] {
				n += nodeSize(doc.Root)
			}
		}
	}
	return n
}

// read takes in one file a unit names.
func (w *walker) read(u *unit, r ref, size *cost) {
	if r.use == raw || r.use == keyedRaw {
		data, err := w.build.files.Read(r.name)
		if err != nil {
			w.fault(err)
			return
		}
		u.bytes[r.name] = data
		size.bytes += len(data)
		return
	}
	docs, err := w.build.files.Documents(r.name)
	if err != nil {
		w.fault(err)
		return
	}
	u.docs[r.name] = docs
	for _, doc := range docs {
		size.bytes += nodeSize(doc.Root)
		if r.use == resource {
			size.documents += documents(doc.Root)
		}
	}
}

// bound refuses what a few lines have multiplied beyond reason.
func (w *walker) bound(u *unit) {
	over := ""
	switch size := u.size; {
	case size.visits > maxVisits:
		over = fmt.Sprintf("more than %d kustomizations", maxVisits)
	case size.documents > maxDocuments:
		over = fmt.Sprintf("more than %d objects", maxDocuments)
	case size.bytes > maxBytes:
		over = fmt.Sprintf("more than %d MiB of files", maxBytes>>20)
	case size.work > maxWork:
		over = fmt.Sprintf("patches and texts times objects of more than %d MiB", maxWork>>20)
	case u.splices() > maxSplices:
		over = fmt.Sprintf("more than %d replacements into a part of a field", maxSplices)
	default:
		return
	}
	u.size = cost{} // those above would only repeat it
	w.errs = append(w.errs, &schema.Error{
		Position: schema.Position{File: u.file.Path}, Message: "builds on " + over + "; split it",
	})
}

func (c *cost) add(d cost) {
	// Saturate: the sums grow exponentially in the depth of the tree.
	const limit = 1 << 40
	c.documents = min(c.documents+d.documents, limit)
	c.bytes = min(c.bytes+d.bytes, limit)
	c.visits = min(c.visits+d.visits, limit)
	c.work = min(c.work+d.work, limit)
}

// splices counts the replacements that write into a part of a field.
func (u *unit) splices() int {
	n := 0
	for i := range u.file.k.Replacements {
		for _, target := range u.file.k.Replacements[i].Targets {
			if target != nil && target.Options != nil && target.Options.Delimiter != "" {
				n += max(len(target.FieldPaths), 1)
			}
		}
	}
	for _, r := range u.file.refs {
		if r.use == file && strings.HasPrefix(r.at, "/replacements/") {
			for _, doc := range u.docs[r.name] {
				n += countKey(doc.Root, "delimiter")
			}
		}
	}
	return n
}

// within tells whether a file lies in a directory or below it.
func within(dir, name string) bool { return dir == "." || strings.HasPrefix(name, dir+"/") }
