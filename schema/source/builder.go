package source

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// builder turns the parser's nodes into ours and reports what is wrong with them.
type builder struct {
	file   string
	line   int // lines of the file before the document
	limits Limits
	errs   Errors
	count  int  // nodes built, aliases counted in full
	full   bool // the limit of nodes was reported
	lost   bool // something could not be built; what was built must not be looked at
	// anchors are the finished nodes of anchored values; nil while one is being built.
	anchors map[*yaml.Node]*anchored
}

type anchored struct {
	node *Node // nil while it is being built
	size int
}

func (b *builder) at(y *yaml.Node) Position {
	return Position{File: b.file, Line: y.Line + b.line, Column: y.Column}
}

func (b *builder) errorf(at Position, format string, args ...any) {
	b.lost = true
	b.errs.Add(&Error{Position: at, Message: fmt.Sprintf(format, args...)})
}

// node never gives nil; what is wrong becomes null.
func (b *builder) node(y *yaml.Node, depth int) *Node {
	if y.Kind == yaml.AliasNode {
		return b.alias(y)
	}
	n := &Node{Pos: b.at(y)}
	if !b.grow(1, n.Pos) {
		return n
	}
	if depth >= b.limits.Depth {
		b.errorf(n.Pos, "nested more than %d deep", b.limits.Depth)
		return n
	}
	var anchor *anchored
	before := b.count
	if y.Anchor != "" {
		if b.anchors == nil {
			b.anchors = map[*yaml.Node]*anchored{}
		}
		anchor = &anchored{}
		b.anchors[y] = anchor
	}
	switch y.Kind {
	case yaml.ScalarNode:
		b.scalar(n, y)
	case yaml.SequenceNode:
		b.list(n, y, depth)
	case yaml.MappingNode:
		b.mapping(n, y, depth)
	}
	if anchor != nil {
		anchor.node, anchor.size = n, b.count-before+1
	}
	return n
}

// grow counts nodes and reports once when there are too many.
func (b *builder) grow(by int, at Position) bool {
	b.count += by
	if b.count <= b.limits.Nodes {
		return true
	}
	if !b.full {
		b.full = true
		b.errorf(at, "the document has more than %d values, every use of an alias counted; it would take too much memory", b.limits.Nodes)
	}
	return false
}

func (b *builder) alias(y *yaml.Node) *Node {
	at := b.at(y)
	target := b.anchors[y.Alias]
	if target == nil && y.Alias.Kind == yaml.ScalarNode { // the anchor stands at a key
		n := &Node{Pos: at}
		if b.grow(1, at) {
			b.scalar(n, y.Alias)
		}
		return n
	}
	if target == nil || target.node == nil {
		b.errorf(at, "the alias *%s is inside the value it stands for", y.Value)
		return &Node{Pos: at}
	}
	if !b.grow(target.size, at) {
		return &Node{Pos: at}
	}
	return target.node
}

func (b *builder) scalar(n *Node, y *yaml.Node) {
	quoted := y.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0
	if y.Style&yaml.TaggedStyle != 0 {
		b.tagged(n, y)
		return
	}
	if quoted {
		n.Kind, n.Text = StringNode, y.Value
		return
	}
	if !n.resolveScalar(y.Value) {
		b.errorf(n.Pos, "%s is a number JSON cannot hold; quote it if it is meant as text", y.Value)
	}
}

// tagged takes the tags of the core schema, where they agree with the text.
func (b *builder) tagged(n *Node, y *yaml.Node) {
	want, known := map[string]NodeKind{
		"!!str": StringNode, "!!int": IntNode, "!!float": FloatNode, "!!bool": BoolNode, "!!null": NullNode,
	}[y.Tag]
	switch {
	case !known:
		b.errorf(n.Pos, "the tag %s is not supported", y.Tag)
	case want == StringNode:
		n.Kind, n.Text = StringNode, y.Value
	case !n.resolveScalar(y.Value):
		b.errorf(n.Pos, "%s is a number JSON cannot hold", y.Value)
	case want == FloatNode && n.Kind == IntNode:
		n.Kind, n.number = FloatNode, float64(n.integer)
	case n.Kind != want:
		b.errorf(n.Pos, "%q is no %s", y.Value, strings.TrimPrefix(y.Tag, "!!"))
	}
}

func (b *builder) list(n *Node, y *yaml.Node, depth int) {
	n.Kind, n.Flow = ListNode, y.Style&yaml.FlowStyle != 0
	b.collectionTag(y, "!!seq")
	n.Items = make([]*Node, len(y.Content))
	for i, item := range y.Content {
		n.Items[i] = b.node(item, depth+1)
	}
}

func (b *builder) mapping(n *Node, y *yaml.Node, depth int) {
	n.Kind, n.Flow = MapNode, y.Style&yaml.FlowStyle != 0
	b.collectionTag(y, "!!map")
	n.Entries = make([]Entry, 0, len(y.Content)/2)
	var merges []*Node
	seen := keySet{}
	for i := 0; i+1 < len(y.Content); i += 2 {
		key, value := y.Content[i], y.Content[i+1]
		if key.Kind == yaml.ScalarNode && key.Tag == "!!merge" {
			merges = append(merges, b.node(value, depth+1))
			continue
		}
		text, ok := b.key(key, n.Flow)
		child := b.node(value, depth+1)
		if !ok {
			continue
		}
		at := b.at(key)
		if first, repeated := seen.add(n.Entries, text); repeated {
			// Nothing is lost by it: the rest of the document can still be looked at.
			b.errs.Add(&Error{Position: at, Message: fmt.Sprintf("the key %q is already there on line %d", text, n.Entries[first].Pos.Line)})
			continue
		}
		n.Entries = append(n.Entries, Entry{Key: text, Pos: at, Value: child})
	}
	for _, m := range merges {
		b.merge(n, m, seen)
	}
}

func (b *builder) collectionTag(y *yaml.Node, standard string) {
	if y.Style&yaml.TaggedStyle != 0 && y.Tag != standard {
		b.errorf(b.at(y), "the tag %s is not supported", y.Tag)
	}
}

// key gives the text of a key. Numbers and booleans are keys by their text, as in every Kubernetes tool.
func (b *builder) key(y *yaml.Node, flow bool) (string, bool) {
	for y.Kind == yaml.AliasNode && y.Alias != nil {
		y = y.Alias
	}
	switch {
	case y.Kind != yaml.ScalarNode && flow:
		b.errorf(b.at(y), "a key must be a single text; in flow style a text with braces or brackets must be quoted")
	case y.Kind != yaml.ScalarNode:
		b.errorf(b.at(y), "a key must be a single text, no list or map; a text that begins with a brace or bracket must be quoted")
	default:
		scalar := &Node{Pos: b.at(y)}
		b.scalar(scalar, y)
		if scalar.Kind != NullNode {
			return scalar.Text, true
		}
		b.errorf(scalar.Pos, "a key is missing; quote it if %q is meant as text", y.Value)
	}
	return "", false
}

// merge adds the entries of a merge key's value that are not there yet; earlier maps of a list win.
func (b *builder) merge(n, from *Node, seen keySet) {
	if b.full {
		return
	}
	switch from.Kind {
	case MapNode:
		if !b.grow(len(from.Entries), from.Pos) {
			return
		}
		for _, e := range from.Entries {
			if _, there := seen.add(n.Entries, e.Key); !there {
				n.Entries = append(n.Entries, e)
			}
		}
	case ListNode:
		for _, item := range from.Items {
			if item.Kind != MapNode {
				b.errorf(item.Pos, "<< merges maps, and this is %s", item.Describe())
				continue
			}
			b.merge(n, item, seen)
		}
	default:
		b.errorf(from.Pos, "<< merges maps, and this is %s", from.Describe())
	}
}

// keySet finds a repeated key: by looking through short maps, by an index for long ones.
type keySet map[string]int

const shortMap = 12

// add tells where key is among entries; if it is not, the caller appends it.
func (s keySet) add(entries []Entry, key string) (int, bool) {
	if len(entries) < shortMap {
		i := slices.IndexFunc(entries, func(e Entry) bool { return e.Key == key })
		return i, i >= 0
	}
	for i := len(s); i < len(entries); i++ {
		s[entries[i].Key] = i
	}
	i, there := s[key]
	return i, there
}
