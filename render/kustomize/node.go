package kustomize

import (
	"headgate.dev/schema"
)

// nodeSize is about the length of a node written as JSON.
func nodeSize(n *schema.Node) int {
	size := len(n.Text) + 4
	for _, item := range n.Items {
		size += nodeSize(item)
	}
	for _, e := range n.Entries {
		size += len(e.Key) + 4 + nodeSize(e.Value)
	}
	return size
}

// documents counts the objects of a document, those of a List each.
func documents(n *schema.Node) int {
	if items := n.Get("/items"); items != nil && items.Kind == schema.ListNode {
		return max(len(items.Items), 1)
	}
	return 1
}

func countKey(n *schema.Node, key string) int {
	count := 0
	for _, item := range n.Items {
		count += countKey(item, key)
	}
	for _, e := range n.Entries {
		if e.Key == key {
			count++
		}
		count += countKey(e.Value, key)
	}
	return count
}

// textAt gives the string at a pointer, "" when there is none.
func textAt(n *schema.Node, pointer string) string {
	if at := n.Get(pointer); at != nil && at.Kind == schema.StringNode {
		return at.Text
	}
	return ""
}

// equal tells whether two nodes hold the same value. A number is the same however it is written only where the text is.
func equal(a, b *schema.Node) bool {
	if a == b {
		return true
	}
	if a.Kind != b.Kind || a.Text != b.Text || len(a.Items) != len(b.Items) || len(a.Entries) != len(b.Entries) {
		return false
	}
	for i := range a.Items {
		if !equal(a.Items[i], b.Items[i]) {
			return false
		}
	}
	for _, e := range a.Entries {
		if other := lookup(b, e.Key); other == nil || !equal(e.Value, other.Value) {
			return false
		}
	}
	return true
}

// lookup gives the entry of a key, nil when there is none.
func lookup(n *schema.Node, key string) *schema.Entry {
	for i := range n.Entries {
		if n.Entries[i].Key == key {
			return &n.Entries[i]
		}
	}
	return nil
}
