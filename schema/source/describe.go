package source

import "fmt"

// Describe names the node's type and, for scalars, its value.
func (n *Node) Describe() string {
	switch n.Kind {
	case NullNode:
		return "nothing (null)"
	case BoolNode:
		return "the boolean " + n.Text
	case IntNode, FloatNode:
		return "the number " + n.Text
	case StringNode:
		return fmt.Sprintf("the text %q", Shorten(n.Text))
	case ListNode:
		return "a list"
	default:
		return "a map"
	}
}

// Shorten keeps messages readable whatever was written.
func Shorten(text string) string {
	const most = 80
	if len(text) <= most {
		return text
	}
	cut := most
	for cut > 0 && text[cut]&0xc0 == 0x80 {
		cut--
	}
	return text[:cut] + "…"
}
