// Package render turns a tree of files into Kubernetes objects, and the next revision of the tree into the next set of
// objects for what the change costs.
//
// A leaf is a file, or a kustomization that must be built in one piece; leaves are what is counted as units. A node is a
// leaf, a plain directory or a kustomization that is the sum of what it lists. A node is kept from revision to revision
// as long as the digests of everything it was made from stay the same: its own, and those of what it read elsewhere. A
// chain is the transforms of the kustomizations around a leaf, the innermost first. An offer is a gateway of the tree
// that wants to be the default of some namespaces.
//
// Rendering has two passes: the first reads, builds and decodes, leaf by leaf; the second expands specs, which needs to
// know the offers and the custom resources of the whole tree. What comes out must pass what an API server checks
// (package admit); the defaults it would fill in are left to it.
package render

import (
	"io/fs"
	"path"
	"slices"

	"headgate.dev/render/kustomize"
	"headgate.dev/render/object"
	"headgate.dev/schema"
)

// Options is what a render depends on beside the tree.
type Options struct {
	// Gateway is the default gateway ("namespace/name", optionally "#listener") where the tree offers none; may be empty.
	Gateway string
	// Namespace is given to objects of namespaced kinds that say none. Empty: they keep none.
	Namespace string
	// Unadmitted leaves out what an API server would say to the objects (package admit), which costs most of a first render.
	// Whoever sets it asks about the objects that matter. It is the same for all revisions of a Renderer.
	Unadmitted bool
	// Each calls f for every number below n, in any order or at once, and returns when all calls have. Objects are expanded and
	// admitted through it, of which none needs another one. nil: one after the other.
	Each func(n int, f func(i int))
}

// Digester is implemented by a file system that knows content digests without reading: Digest gives the digest of a
// file or a directory, the same for the same content and never for another (Git's blob and tree ids). The error of a
// name that does not exist is fs.ErrNotExist.
type Digester interface {
	Digest(name string) (string, error)
}

// Digested is implemented by the directory entries of a Digester that know their digests: HasDigest tells whether Digest would give
// this one.
type Digested interface {
	HasDigest(digest string) bool
}

// Decoder is implemented by a file system that decodes files by itself, on another core perhaps: Documents gives what
// schema.Documents gives of a file with at most MaxFile bytes. It does not know a file that it has not decoded or could not
// read; that one is read.
type Decoder interface {
	Documents(name string) (docs []schema.Document, errs schema.Errors, known bool)
}

// Result is a tree rendered without an error.
type Result struct {
	// Set is never nil; a tree without any object gives an empty one.
	Set *object.Set
	// Warnings are about input that renders, but probably not to what was meant.
	Warnings schema.Errors
	// Ungranted are the warnings about routes to Services of another namespace for which the tree has no ReferenceGrant.
	// Whoever serves the objects hears the same from the proxy.
	Ungranted schema.Errors
	// Units is the number of leaves of the tree, Rendered how many of them were not kept from the last revision.
	Rendered, Units int
}

// Renderer renders revision after revision of a tree. It is for one goroutine at a time. After an error it still knows
// what it knew, so that the next good revision costs no more than its change.
type Renderer struct {
	root *node
	dir  string
	set  *object.Set
	// in is what set was made from, supply what that says about Services, loose which of it uses Services in vain.
	in     []*output
	supply supply
	loose  []*output
	pass   int
}

// New gives a Renderer that knows no revision yet.
func New() *Renderer { return &Renderer{} }

// Empty tells whether the next revision is read as a whole, because none is known.
func (r *Renderer) Empty() bool { return r.root == nil }

// Tree renders a directory with a Renderer of its own.
func Tree(fsys fs.FS, dir string, options Options) (Result, error) {
	return New().Tree(fsys, dir, options)
}

// Tree renders the directory dir of fsys; kustomizations may name what lies elsewhere in fsys. The error is
// schema.Errors, everything that is wrong in all files, when the input is wrong, and any other when reading went wrong.
// The objects of the Set are shared between revisions where they did not change.
func (r *Renderer) Tree(fsys fs.FS, dir string, options Options) (Result, error) {
	dir = path.Clean(dir)
	t := newTree(fsys)
	t.before, t.unadmitted = r.set, options.Unadmitted
	kind, err := t.Kind(dir)
	if err != nil {
		return Result{}, err
	}
	if kind != kustomize.Directory {
		return Result{}, schema.Errors{{Position: schema.Position{File: dir}, Message: "is no directory of the tree"}}
	}
	old := r.root
	if r.dir != dir {
		old = nil
	}
	root, err := t.node(old, dir, env{})
	if err != nil {
		return Result{}, err
	}
	r.root, r.dir = root, dir
	return r.assemble(t, options)
}

// assemble runs the second pass and makes the Set.
func (r *Renderer) assemble(t *tree, options Options) (Result, error) {
	leaves, errs := make([]*leaf, 0, len(r.in)+16), schema.Errors(nil)
	r.root.collect(&leaves, &errs)
	world, wrong := newWorld(leaves, options)
	errs = append(errs, wrong...)
	result := Result{Units: len(leaves)}
	if err := t.expand(leaves, world, options.Each); err != nil {
		return Result{}, err
	}
	in := make([]*output, 0, len(leaves))
	for _, l := range leaves {
		out := l.out
		errs = append(errs, out.errs...)
		result.Warnings = append(result.Warnings, out.warnings...)
		in = append(in, out)
	}
	if len(errs) > 0 {
		return Result{}, errs.Sort()
	}
	if errs = r.replace(in); len(errs) > 0 {
		return Result{}, errs
	}
	for _, out := range r.loose {
		result.Warnings = append(result.Warnings, out.facts.loose...)
		result.Ungranted = append(result.Ungranted, out.facts.ungranted...)
	}
	result.Warnings, result.Ungranted = result.Warnings.Sort(), result.Ungranted.Sort()
	result.Set, result.Rendered = r.set, t.rendered
	return result, nil
}

// replace makes the Set of the outputs from the one before.
func (r *Renderer) replace(in []*output) schema.Errors {
	r.pass++
	var add, drop []*object.Object
	var added, dropped []*output
	for _, out := range in {
		out.pass = r.pass
		if !out.in {
			add, added = append(add, out.objects...), append(added, out)
		}
	}
	for _, out := range r.in {
		if out.pass != r.pass {
			drop, dropped = append(drop, out.objects...), append(dropped, out)
		}
	}
	set, errs := r.set.Replace(add, drop)
	if len(errs) > 0 {
		return errs
	}
	for _, out := range r.in {
		out.in = false
	}
	for _, out := range in {
		out.in = true
	}
	r.look(in, dropped, added)
	r.set, r.in = set, in
	return nil
}

// look brings what is known about Services up to date: for all outputs where it changed, else for those that were added.
func (r *Renderer) look(in, dropped, added []*output) {
	if r.supply.change(dropped, added) {
		r.loose, added = nil, in
	}
	r.loose = slices.DeleteFunc(r.loose, func(out *output) bool { return !out.in })
	for _, out := range added {
		if r.supply.warn(out.facts); len(out.facts.loose)+len(out.facts.ungranted) > 0 {
			r.loose = append(r.loose, out)
		}
	}
}
