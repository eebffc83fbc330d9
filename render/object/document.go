package object

import (
	"strconv"

	"headgate.dev/schema"
)

// FromDocument makes the Object of a document, with the origins of its fields. The error says what is missing.
func FromDocument(root *schema.Node) (*Object, error) {
	content, _ := root.Value().(map[string]any)
	return New(content, root.Pos, Fields(root))
}

// Fields gives the origins of the parts of a document by pointer: of Gateway API objects everything, of all others what
// is at most three levels deep, because somebody asks for the line of a route's timeout but not for one of ten thousand
// lines of a dashboard.
func Fields(root *schema.Node) map[string]Origin {
	depth := 3
	if group, _ := SplitAPIVersion(text(head(root), "apiVersion")); group == "gateway.networking.k8s.io" {
		depth = 100
	}
	out := map[string]Origin{}
	fieldsOf(out, root, "", depth)
	return out
}

func head(root *schema.Node) map[string]any {
	if n := root.Get("/apiVersion"); n != nil {
		return map[string]any{"apiVersion": n.Text}
	}
	return nil
}

func fieldsOf(out map[string]Origin, n *schema.Node, pointer string, depth int) {
	if depth == 0 {
		return
	}
	for i, item := range n.Items {
		at := pointer + "/" + strconv.Itoa(i)
		out[at] = item.Pos
		fieldsOf(out, item, at, depth-1)
	}
	for _, e := range n.Entries {
		at := pointer + "/" + schema.EscapePointer(e.Key)
		out[at] = e.Value.Pos
		if e.Value.Kind >= schema.ListNode {
			out[at] = e.Pos
		}
		fieldsOf(out, e.Value, at, depth-1)
	}
}
