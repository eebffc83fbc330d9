package render

import (
	"errors"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"headgate.dev/render/kustomize"
	"headgate.dev/schema"
)

// node is what a name of the tree was made into, see the package comment. It does not change once made.
type node struct {
	name string
	env  env
	// digest is that of name; outside are the digests of what was read that does not lie below name.
	digest  string
	outside []dependency
	// inside is set for a kustomization built in one piece: every single thing it read.
	inside   []dependency
	children []*node
	leaf     *leaf // nil for a sum
	file     *kustomize.File
	errs     schema.Errors
	// whole says that something below cannot be transformed apart from what is beside it.
	whole bool
	// renames says that a leaf at or below it renamed something.
	renames bool
}

// dependency is something that was read, or looked for and not found (the digest is empty then).
type dependency struct{ name, digest string }

// env is what a node depends on beside the files.
type env struct {
	chain  *chain
	ignore *ignore
	// listed is set below a kustomization.
	listed bool
	// open are the kustomizations around the node, the outermost first. They follow from where the node hangs.
	open []string
}

func (e env) same(f env) bool {
	return e.listed == f.listed && e.chain.key() == f.chain.key() && e.ignore.key() == f.ignore.key()
}

// chain is the transforms around a leaf.
type chain struct {
	transforms []*kustomize.Transform // the innermost first
	text       string
}

func (c *chain) key() string {
	if c == nil {
		return ""
	}
	return c.text
}

// around gives the chain with one more transform inside.
func (c *chain) around(t *kustomize.Transform) *chain {
	if t == nil {
		return c
	}
	out := &chain{transforms: []*kustomize.Transform{t}, text: t.Key()}
	if c != nil {
		out.transforms = append(out.transforms, c.transforms...)
		out.text += "\n" + c.text
	}
	return out
}

func (c *chain) namespaced() bool {
	return c != nil && slices.ContainsFunc(c.transforms, (*kustomize.Transform).Namespaced)
}

// node gives the node of a name: the old one when nothing it was made from has changed.
func (t *tree) node(old *node, name string, e env) (*node, error) {
	digest, err := t.digest(name)
	if err != nil {
		return nil, err
	}
	if old != nil && (old.name != name || !old.env.same(e)) {
		old = nil
	}
	if old != nil {
		kept, err := t.keep(old, digest)
		if err != nil || kept != nil {
			return kept, err
		}
	}
	outer := t.reads
	t.reads = map[string]struct{}{}
	n := &node{name: name, env: e, digest: digest}
	err = t.fill(n, old)
	reads := t.reads
	t.reads = outer
	if err != nil {
		return nil, err
	}
	return n, t.depend(n, reads)
}

// keep gives the old node, or one that differs in nothing but the digest of a directory, when it is still true.
func (t *tree) keep(old *node, digest string) (*node, error) {
	same, err := t.unchanged(old.outside)
	if err != nil || !same {
		return nil, err
	}
	if old.digest == digest {
		return old, nil
	}
	if old.inside == nil {
		return nil, nil
	}
	same, err = t.unchanged(old.inside)
	if err != nil || !same {
		return nil, err
	}
	kept := *old
	kept.digest = digest
	return &kept, nil
}

func (t *tree) unchanged(dependencies []dependency) (bool, error) {
	for _, d := range dependencies {
		digest, err := t.digest(d.name)
		if err != nil || digest != d.digest {
			return false, err
		}
	}
	return true, nil
}

// depend notes what a node was made from.
func (t *tree) depend(n *node, reads map[string]struct{}) error {
	whole := n.leaf != nil && n.file != nil
	outside := map[string]struct{}{}
	for name := range reads {
		if t.folders[name] == kustomize.Directory {
			delete(reads, name) // that it is one shows in what was read below it
			continue
		}
		if !within(n.name, name) {
			outside[name] = struct{}{}
		}
	}
	for _, child := range n.children {
		if !within(n.name, child.name) {
			outside[child.name] = struct{}{}
		}
		for _, d := range child.outside {
			if !within(n.name, d.name) {
				outside[d.name] = struct{}{}
			}
		}
	}
	var err error
	if n.outside, err = t.dependencies(outside); err != nil || !whole {
		return err
	}
	n.inside, err = t.dependencies(reads)
	return err
}

func (t *tree) dependencies(names map[string]struct{}) ([]dependency, error) {
	var out []dependency
	for _, name := range slices.Sorted(maps.Keys(names)) {
		digest, err := t.digest(name)
		if err != nil {
			return nil, err
		}
		out = append(out, dependency{name, digest})
	}
	return out, nil
}

// within tells whether a name is a directory or lies below it.
func within(dir, name string) bool {
	return dir == "." || name == dir || len(name) > len(dir) && name[len(dir)] == '/' && strings.HasPrefix(name, dir)
}

// fill makes a node; old is what it was before, nil when it was not.
func (t *tree) fill(n, old *node) error {
	kind, err := t.Kind(n.name)
	if err != nil {
		return err
	}
	if kind == kustomize.Regular {
		return t.fillFile(n)
	}
	if old == nil || old.file == nil {
		_, _ = t.list(n.name) // what cannot be listed is told where it is needed
	}
	file, err := t.kustomization(n.name, old)
	if wrong := fault(err); wrong != nil {
		n.errs = append(wrong, t.listedErrors(n.name)...)
		return nil
	}
	if err != nil {
		return err
	}
	if file != nil {
		n.file = file
		return t.fillKustomization(n, old)
	}
	return t.fillDirectory(n, old)
}

// fault gives the part of an error that is wrong input, nil for any other error.
func fault(err error) schema.Errors {
	var wrong schema.Errors
	if errors.As(err, &wrong) {
		return wrong
	}
	return nil
}

// kustomization gives the kustomization of a directory, nil when it has none. One that did not change is not decoded
// again: the list of a root may be thousands of lines long.
func (t *tree) kustomization(dir string, old *node) (*kustomize.File, error) {
	name, err := kustomize.Find(t, dir)
	if err != nil || name == "" {
		return nil, err
	}
	digest, err := t.digest(name)
	if err != nil {
		return nil, err
	}
	if old != nil && old.file != nil && old.file.Path == name && old.file.Digest == digest {
		return old.file, nil
	}
	file, err := kustomize.Load(t, dir)
	if err == nil {
		file.Digest = digest
	}
	return file, err
}

// fillDirectory makes the sum of a plain directory.
func (t *tree) fillDirectory(n, old *node) error {
	entries, err := t.list(n.name)
	if err != nil {
		return err
	}
	below := n.env
	if below.ignore, err = t.ignore(n.name, n.env.ignore); err != nil {
		if n.errs = fault(err); n.errs == nil {
			return err
		}
	}
	previous := olds(old)
	for _, entry := range entries {
		was, name := previous.child(n.name, entry.Name())
		if below.ignore.match(name, entry.IsDir()) || skipped(entry) {
			continue
		}
		if was.stays(entry, below) {
			n.children = append(n.children, was)
			continue
		}
		if !entry.IsDir() && !entry.Type().IsRegular() {
			n.errs = append(n.errs, &schema.Error{
				Position: schema.Position{File: name},
				Message:  "is a link; links are not followed: commit the file itself or name the link in " + ignoreFile,
			})
			continue
		}
		child, err := t.node(was, name, below)
		if err != nil {
			return err
		}
		n.children = append(n.children, child)
	}
	return nil
}

// stays tells whether a node is known to be true still without asking the tree for a digest: of thousands of entries nearly all are
// as they were.
func (n *node) stays(entry fs.DirEntry, e env) bool {
	if n == nil || len(n.outside) > 0 || !n.env.same(e) || entry.Type()&^fs.ModeDir != 0 {
		return false
	}
	known, is := entry.(Digested)
	return is && known.HasDigest(n.digest)
}

// skipped tells what a plain directory is not read for: names that begin with a dot, files whose names are not those of
// documents, and links by such names. A link without an extension may be one to a directory, so it is not passed over.
func skipped(entry fs.DirEntry) bool {
	name := entry.Name()
	if hidden(name) || entry.IsDir() || Readable(name) {
		return hidden(name)
	}
	return entry.Type().IsRegular() || path.Ext(name) != ""
}

// Readable tells the names of files that hold documents.
func Readable(name string) bool {
	switch path.Ext(name) {
	case ".yaml", ".yml", ".json":
		return true
	}
	return false
}

// fillKustomization makes the sum of what a kustomization lists, or builds it in one piece.
func (t *tree) fillKustomization(n, old *node) error {
	if n.file.Component() && !n.env.listed {
		return nil // a part of others, nothing by itself
	}
	if n.file.Mode() == kustomize.Whole {
		return t.fillWhole(n)
	}
	below := env{chain: n.env.chain.around(n.file.Transform()), listed: true, open: append(slices.Clip(n.env.open), n.name)}
	entries := n.file.Resources()
	for _, entry := range entries {
		if slices.ContainsFunc(below.open, func(dir string) bool { return within(entry.Name, dir) }) {
			return t.fillWhole(n) // builds on itself: the walk says how
		}
	}
	if err := t.fillEntries(n, olds(old), entries, below); err != nil {
		return err
	}
	if !n.env.listed && (n.whole || n.crosses()) {
		n.children, n.errs = nil, nil
		return t.fillWhole(n)
	}
	return nil
}

// fillEntries makes the children of a kustomization that is a sum.
func (t *tree) fillEntries(n *node, previous *previous, entries []kustomize.Resource, below env) error {
	n.children = make([]*node, 0, len(entries))
	for _, entry := range entries {
		child, err := t.listed(n, previous.get(entry.Name), entry, below)
		if err != nil {
			return err
		}
		if child != nil {
			n.children = append(n.children, child)
			n.whole, n.renames = n.whole || child.whole, n.renames || child.renames
		}
	}
	return nil
}

// listed gives the node of an entry of a kustomization, nil when the entry is wrong.
func (t *tree) listed(n, old *node, entry kustomize.Resource, e env) (*node, error) {
	if old != nil && old.env.same(e) {
		digest, err := t.digest(entry.Name)
		if err != nil {
			return nil, err
		}
		if kept, err := t.keep(old, digest); err != nil || kept != nil {
			return kept, err
		}
	}
	problem, err := entry.Check(t)
	if wrong := fault(err); wrong != nil {
		// The kustomization of the entry is wrong: its own node says so.
		err = nil
	}
	if err != nil {
		return nil, err
	}
	if problem != nil {
		n.errs = append(n.errs, problem)
		return nil, nil
	}
	return t.node(old, entry.Name, e)
}

// previous finds the children a node had; they are mostly asked for in the order they are in.
type previous struct {
	nodes  []*node
	next   int
	byName map[string]*node
}

func olds(old *node) *previous {
	if old == nil {
		return &previous{}
	}
	return &previous{nodes: old.children}
}

// child gives the child of a directory, nil when it had none, and the name it has or would have.
func (p *previous) child(dir, base string) (*node, string) {
	if p.next < len(p.nodes) {
		n := p.nodes[p.next]
		if rest, is := strings.CutSuffix(n.name, base); is && (rest == "" && dir == "." || len(rest) == len(dir)+1 && within(dir, n.name)) {
			p.next++
			return n, n.name
		}
	}
	name := path.Join(dir, base)
	return p.get(name), name
}

func (p *previous) get(name string) *node {
	if p.next < len(p.nodes) && p.nodes[p.next].name == name {
		p.next++
		return p.nodes[p.next-1]
	}
	if p.byName == nil {
		p.byName = make(map[string]*node, len(p.nodes))
		for i, n := range p.nodes {
			p.byName[n.name] = n
			if n.name == name {
				p.next = i + 1
			}
		}
	}
	return p.byName[name]
}
