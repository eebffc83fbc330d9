package kustomize

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"headgate.dev/schema"
)

// places knows the patches of a build, to say where a value that is in no base was written.
type places struct {
	patches []*schema.Node // roots of merge patches and lists of JSON patch operations, the later ones first
	files   map[string]*File
	root    *File
}

func (b *Build) places() *places {
	p := &places{files: map[string]*File{}, root: b.units[b.root].file}
	for _, dir := range slices.Sorted(maps.Keys(b.units)) {
		u := b.units[dir]
		p.files[dir] = u.file
		for _, r := range u.file.refs {
			if r.use == file || r.use == fileInline {
				p.add(u.docs[r.name])
			}
		}
		for _, at := range slices.Sorted(maps.Keys(u.inline)) {
			p.add(u.inline[at])
		}
	}
	slices.Reverse(p.patches)
	return p
}

func (p *places) add(docs []schema.Document) {
	for _, doc := range docs {
		p.patches = append(p.patches, doc.Root)
	}
}

// located finds the places of one object's values.
type located struct {
	places *places
	base   *schema.Node // the document it comes from; nil for a generated one
	pos    schema.Position
	found  map[string]*schema.Node // pointer -> node of the base that became it
	value  map[string]any
}

// object finds the document an object comes from among those of the file it comes from.
func (p *places) object(s *stage, staged string, content map[string]any) *located {
	l := &located{places: p, value: content, found: map[string]*schema.Node{}}
	l.pos = schema.Position{File: s.names[staged]}
	if f := p.files[s.names[staged]]; f != nil {
		l.pos = f.root.Pos // made by a generator of that kustomization
	}
	if staged == "" {
		l.pos = p.root.root.Pos // made by a generator of the root
	}
	l.base = origin(s.docs[staged], content)
	if l.base != nil {
		l.pos = l.base.Pos
		l.match("", l.base, content)
	}
	return l
}

// node makes the node of the object. An entry is where its key is written, as far as a base or merge patch has it.
func (l *located) node() *schema.Node {
	n := schema.FromValue(l.value, l.position)
	l.keys(n, "")
	return n
}

func (l *located) keys(n *schema.Node, pointer string) {
	for i, item := range n.Items {
		l.keys(item, pointer+"/"+strconv.Itoa(i))
	}
	written := l.found[pointer]
	for i := range n.Entries {
		e := &n.Entries[i]
		if written != nil {
			if base := lookup(written, e.Key); base != nil && base.Value.Pos == e.Value.Pos {
				e.Pos = base.Pos
			}
		}
		l.keys(e.Value, pointer+"/"+schema.EscapePointer(e.Key))
	}
}

// origin is the document of the same kind whose name the object's name still holds; the longest such name.
func origin(docs []schema.Document, content map[string]any) *schema.Node {
	var best *schema.Node
	longest := -1
	kind, _ := content["kind"].(string)
	metadata, _ := content["metadata"].(map[string]any)
	name, _ := metadata["name"].(string)
	consider := func(n *schema.Node) {
		own := textAt(n, "/metadata/name")
		if textAt(n, "/kind") == kind && strings.Contains(name, own) && len(own) > longest {
			best, longest = n, len(own)
		}
	}
	for _, doc := range docs {
		if items := doc.Root.Get("/items"); items != nil && items.Kind == schema.ListNode {
			for _, item := range items.Items {
				consider(item)
			}
			continue
		}
		consider(doc.Root)
	}
	if best == nil && len(docs) == 1 && documents(docs[0].Root) == 1 {
		return docs[0].Root // renamed by a patch
	}
	return best
}

// match walks a document and what became of it side by side and notes which node is where now.
func (l *located) match(pointer string, n *schema.Node, v any) {
	l.found[pointer] = n
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			if e := lookup(n, key); e != nil && sameShape(e.Value, value) {
				l.match(pointer+"/"+schema.EscapePointer(key), e.Value, value)
			}
		}
	case []any:
		l.matchList(pointer, n, v)
	}
}

// matchList pairs the items of a list: those that are equal, then those of the same name, then, where the length is
// still the same, those at the same place.
func (l *located) matchList(pointer string, n *schema.Node, v []any) {
	taken := make([]bool, len(n.Items))
	for i, value := range v {
		at := pair(n.Items, len(v), i, value)
		if at < 0 || taken[at] {
			continue
		}
		taken[at] = true
		l.match(pointer+"/"+strconv.Itoa(i), n.Items[at], value)
	}
}

// pair gives the index of the item that became the value at index i of a list of a length, -1 when there is none.
func pair(items []*schema.Node, length, i int, value any) int {
	if i < len(items) && holds(items[i], value) {
		return i
	}
	if length*len(items) <= 1<<12 { // in a long list, only what stayed in its place is found
		if at := slices.IndexFunc(items, func(item *schema.Node) bool { return holds(item, value) }); at >= 0 {
			return at
		}
		if at := slices.IndexFunc(items, func(item *schema.Node) bool { return sameName(item, value) }); at >= 0 {
			return at
		}
	}
	if length == len(items) && sameShape(items[i], value) {
		return i
	}
	return -1
}

// sameShape tells whether a node can have become a value: a scalar only by being it, anything else by its kind.
func sameShape(n *schema.Node, v any) bool {
	switch v.(type) {
	case map[string]any:
		return n.Kind == schema.MapNode
	case []any:
		return n.Kind == schema.ListNode
	default:
		return holds(n, v)
	}
}

func sameName(n *schema.Node, v any) bool {
	m, ok := v.(map[string]any)
	if !ok || n.Kind != schema.MapNode {
		return false
	}
	name, ok := m["name"].(string)
	return ok && textAt(n, "/name") == name
}

// holds tells whether a node has exactly a value.
func holds(n *schema.Node, v any) bool {
	return equal(n, schema.FromValue(v, func(string) schema.Position { return n.Pos }))
}

// position gives the place of the value at a pointer: where the base has it, else the last patch that could have
// brought it, else where the base has what is around it.
func (l *located) position(pointer string) schema.Position {
	if pointer == "" {
		return l.pos
	}
	if _, ok := l.found[pointer]; ok && l.base != nil {
		parent, key := cut(pointer)
		if at, ok := l.found[parent]; ok && at.Kind == schema.MapNode {
			return at.At("/" + key)
		}
		return l.found[pointer].Pos
	}
	for _, patch := range l.places.patches {
		if pos, ok := l.patched(patch, pointer); ok {
			return pos
		}
	}
	parent, key := cut(pointer)
	if n, ok := l.found[parent]; ok && l.base != nil && n.Kind == schema.MapNode && lookup(n, unescape(key)) != nil {
		return n.At("/" + key) // changed by a field of a kustomization, a prefix for one
	}
	return l.position(parent)
}

func unescape(token string) string {
	return strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~")
}

func cut(pointer string) (parent, key string) {
	i := strings.LastIndexByte(pointer, '/')
	return pointer[:i], pointer[i+1:]
}

// patched gives the place in a patch that has the value at a pointer.
func (l *located) patched(patch *schema.Node, pointer string) (schema.Position, bool) {
	value := at(l.value, pointer)
	if patch.Kind == schema.MapNode {
		if kind := textAt(patch, "/kind"); kind != "" && kind != kindOf(l.value) {
			return schema.Position{}, false
		}
		if n := patch.Get(pointer); n != nil && sameShape(n, value) {
			return patch.At(pointer), true
		}
		return schema.Position{}, false
	}
	for i := len(patch.Items) - 1; i >= 0; i-- {
		if pos, ok := l.operated(patch.Items[i], pointer, value); ok {
			return pos, true
		}
	}
	return schema.Position{}, false
}

// operated gives the place in an operation of a JSON patch that has the value at a pointer.
func (l *located) operated(op *schema.Node, pointer string, value any) (schema.Position, bool) {
	path := textAt(op, "/path")
	if !strings.HasPrefix(path, "/") {
		return schema.Position{}, false
	}
	if list, last := cut(path); last == "-" { // appended: at whatever index the same value is now
		rest, ok := strings.CutPrefix(pointer, list+"/")
		index, _, _ := strings.Cut(rest, "/")
		if path = list + "/" + index; !ok || !holds(valueOf(op), at(l.value, path)) {
			return schema.Position{}, false
		}
	}
	rest, ok := strings.CutPrefix(pointer, path)
	if !ok || rest != "" && rest[0] != '/' {
		return schema.Position{}, false
	}
	n := valueOf(op).Get(rest)
	return op.At("/value" + rest), n != nil && sameShape(n, value)
}

var noNode = &schema.Node{}

func valueOf(op *schema.Node) *schema.Node {
	if v := op.Get("/value"); v != nil {
		return v
	}
	return noNode
}

// at gives the value at a pointer.
func at(v any, pointer string) any {
	for pointer != "" {
		token, rest, more := strings.Cut(pointer[1:], "/")
		switch inner := v.(type) {
		case map[string]any:
			v = inner[unescape(token)]
		case []any:
			i, err := strconv.Atoi(token)
			if err != nil || i < 0 || i >= len(inner) {
				return nil
			}
			v = inner[i]
		default:
			return nil
		}
		if !more {
			break
		}
		pointer = "/" + rest
	}
	return v
}
