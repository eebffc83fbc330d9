package source

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// At gives the position of the value at an RFC 6901 pointer, or of its nearest ancestor that exists. Scalars and list
// items are where they are written; a list or map that is the value of a key is where its key is.
func (n *Node) At(pointer string) Position {
	pos := n.Pos
	for token := range Tokens(pointer) {
		child, at, ok := n.child(token)
		if !ok {
			break
		}
		n, pos = child, at
	}
	return pos
}

// Get gives the node at an RFC 6901 pointer, nil where there is none.
func (n *Node) Get(pointer string) *Node {
	for token := range Tokens(pointer) {
		child, _, ok := n.child(token)
		if !ok {
			return nil
		}
		n = child
	}
	return n
}

// Lookup gives the value of a key, nil where n is no map or has no such key.
func (n *Node) Lookup(key string) *Node {
	for i := range n.Entries {
		if n.Entries[i].Key == key {
			return n.Entries[i].Value
		}
	}
	return nil
}

// TextOf gives the text a key has as its value, "" where there is none or the value is no text.
func (n *Node) TextOf(key string) string {
	if v := n.Lookup(key); v != nil && v.Kind == StringNode {
		return v.Text
	}
	return ""
}

func (n *Node) child(token string) (*Node, Position, bool) {
	switch n.Kind {
	case MapNode:
		for i := range n.Entries {
			e := &n.Entries[i]
			if e.Key != token {
				continue
			}
			if e.Value.Kind >= ListNode || e.Value.Kind == NullNode {
				return e.Value, e.Pos, true
			}
			return e.Value, e.Value.Pos, true
		}
	case ListNode:
		i, err := strconv.Atoi(token)
		if err == nil && i >= 0 && i < len(n.Items) {
			return n.Items[i], n.Items[i].Pos, true
		}
	}
	return nil, Position{}, false
}

// Tokens yields the unescaped reference tokens of an RFC 6901 pointer.
func Tokens(pointer string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for pointer != "" {
			token, rest, more := strings.Cut(strings.TrimPrefix(pointer, "/"), "/")
			if !yield(unescapePointer(token)) || !more {
				return
			}
			pointer = "/" + rest
		}
	}
}

func unescapePointer(token string) string {
	if !strings.Contains(token, "~") {
		return token
	}
	return strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~")
}

// EscapePointer makes a key a reference token of an RFC 6901 pointer.
func EscapePointer(key string) string {
	if !strings.ContainsAny(key, "~/") {
		return key
	}
	return strings.ReplaceAll(strings.ReplaceAll(key, "~", "~0"), "/", "~1")
}

// FieldPath writes an RFC 6901 pointer as users write fields: "/spec/routes/1/to" is "spec.routes[1].to", a key that is
// no plain name is quoted in brackets.
func FieldPath(pointer string) string {
	return Field(slices.Collect(Tokens(pointer)))
}

// Field is FieldPath for a pointer that is taken apart already.
func Field(tokens []string) string {
	var b strings.Builder
	for _, token := range tokens {
		appendField(&b, token)
	}
	return b.String()
}

func appendField(b *strings.Builder, token string) {
	if _, err := strconv.ParseUint(token, 10, 31); err == nil {
		fmt.Fprintf(b, "[%s]", token)
		return
	}
	if !plainField(token) {
		fmt.Fprintf(b, "[%q]", token)
		return
	}
	if b.Len() > 0 {
		b.WriteByte('.')
	}
	b.WriteString(token)
}

func plainField(token string) bool {
	for i := range len(token) {
		c := token[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return token != ""
}
