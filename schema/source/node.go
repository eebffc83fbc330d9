package source

import (
	"cmp"
	"math"
	"slices"
	"strconv"
)

// NodeKind is the JSON type of a node.
type NodeKind uint8

// Values of NodeKind.
const (
	NullNode NodeKind = iota
	BoolNode
	IntNode
	FloatNode
	StringNode
	ListNode
	MapNode
)

// Node is one value of a document: YAML 1.2 core schema, aliases followed, merge keys merged, keys unique. Nodes of
// aliased values are shared, so a document is a graph without cycles; never write to one.
type Node struct {
	Kind NodeKind
	// Flow is set for lists and maps written in brackets or braces.
	Flow bool
	// Text is the text of a scalar as written, without quotes.
	Text    string
	Pos     Position
	Items   []*Node
	Entries []Entry
	number  float64 // of a FloatNode
	integer int64   // of an IntNode; 1 for true
}

// Entry is one entry of a map, in the order of the file.
type Entry struct {
	Key   string
	Pos   Position // of the key
	Value *Node
}

// Value gives the node as a JSON value that shares nothing with the node: map[string]any, []any, string, bool, int64,
// float64 or nil.
func (n *Node) Value() any {
	switch n.Kind {
	case BoolNode:
		return n.integer != 0
	case IntNode:
		return n.integer
	case FloatNode:
		return n.number
	case StringNode:
		return n.Text
	case ListNode:
		out := make([]any, len(n.Items))
		for i, item := range n.Items {
			out[i] = item.Value()
		}
		return out
	case MapNode:
		out := make(map[string]any, len(n.Entries))
		for _, e := range n.Entries {
			out[e.Key] = e.Value.Value()
		}
		return out
	default:
		return nil
	}
}

// Int gives the value of an IntNode.
func (n *Node) Int() int64 { return n.integer }

// Float gives the value of a FloatNode.
func (n *Node) Float() float64 { return n.number }

// Bool gives the value of a BoolNode.
func (n *Node) Bool() bool { return n.integer != 0 }

// FromValue makes the node of a JSON value, for documents that went through a program since they were parsed. The
// position of every value is asked for by its RFC 6901 pointer; that of an entry is its value's. Maps are in the order
// of their keys. A value that is none of JSON's becomes null.
func FromValue(v any, at func(pointer string) Position) *Node {
	return fromValue(v, "", at)
}

func fromValue(v any, pointer string, at func(string) Position) *Node {
	n := &Node{Pos: at(pointer)}
	switch v := v.(type) {
	case bool:
		n.Kind, n.Text = BoolNode, strconv.FormatBool(v)
		if v {
			n.integer = 1
		}
	case int:
		n.setInt(int64(v))
	case int64:
		n.setInt(v)
	case float64:
		n.setFloat(v)
	case string:
		n.Kind, n.Text = StringNode, v
	case []any:
		n.Kind = ListNode
		n.Items = make([]*Node, len(v))
		for i, item := range v {
			n.Items[i] = fromValue(item, pointer+"/"+strconv.Itoa(i), at)
		}
	case map[string]any:
		n.Kind = MapNode
		n.Entries = make([]Entry, 0, len(v))
		for key, value := range v {
			child := fromValue(value, pointer+"/"+EscapePointer(key), at)
			n.Entries = append(n.Entries, Entry{Key: key, Pos: child.Pos, Value: child})
		}
		slices.SortFunc(n.Entries, func(a, b Entry) int { return cmp.Compare(a.Key, b.Key) })
	}
	return n
}

func (n *Node) setInt(v int64) {
	n.Kind, n.integer, n.Text = IntNode, v, strconv.FormatInt(v, 10)
}

// setFloat keeps whole numbers integers: JSON, which a value may have been through, does not tell 80 from 80.0.
func (n *Node) setFloat(v float64) {
	if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
		n.setInt(int64(v))
		return
	}
	n.Kind, n.number, n.Text = FloatNode, v, strconv.FormatFloat(v, 'g', -1, 64)
}
