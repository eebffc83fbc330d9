package render

import (
	"strconv"

	"headgate.dev/schema"
)

// octals reads whole numbers that begin with 0 as octal ones, as kubectl and kustomize do: "defaultMode: 0644" is a file
// mode. The document is left alone; what is given shares with it what did not change. Specs have no such numbers.
func octals(root *schema.Node) *schema.Node {
	if schema.IsSpec(root) {
		return root
	}
	return octal(root)
}

func octal(n *schema.Node) *schema.Node {
	switch n.Kind {
	case schema.IntNode:
		if len(n.Text) < 2 || n.Text[0] != '0' {
			return n
		}
		if v, err := strconv.ParseInt(n.Text, 8, 64); err == nil {
			return schema.FromValue(v, func(string) schema.Position { return n.Pos })
		}
	case schema.ListNode:
		var out *schema.Node
		for i, item := range n.Items {
			if changed := octal(item); changed != item {
				out = copied(out, n)
				out.Items[i] = changed
			}
		}
		return either(out, n)
	case schema.MapNode:
		var out *schema.Node
		for i := range n.Entries {
			if changed := octal(n.Entries[i].Value); changed != n.Entries[i].Value {
				out = copied(out, n)
				out.Entries[i].Value = changed
			}
		}
		return either(out, n)
	}
	return n
}

// copied gives the copy there is, else a new one of a node.
func copied(out, n *schema.Node) *schema.Node {
	if out == nil {
		c := *n
		c.Items = append([]*schema.Node(nil), n.Items...)
		c.Entries = append([]schema.Entry(nil), n.Entries...)
		out = &c
	}
	return out
}

func either(out, n *schema.Node) *schema.Node {
	if out == nil {
		return n
	}
	return out
}
