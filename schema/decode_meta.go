package schema

import (
	"strings"

	"headgate.dev/schema/source"
)

// header is the part every spec has; the kind was looked at before.
func headerFields[T any](meta func(*T) *Metadata) []field[T] {
	skip := func(*decoder, *Node, *T) {}
	return []field[T]{
		{name: "apiVersion", decode: skip},
		{name: "kind", decode: skip},
		{name: "metadata", required: true, decode: func(d *decoder, n *Node, s *T) {
			structure(d, n, meta(s), metadataFields)
		}},
	}
}

var metadataFields = []field[Metadata]{
	{name: "name", required: true, decode: func(d *decoder, n *Node, m *Metadata) { m.Name = string(d.label(n, "a name")) }},
	{name: "namespace", decode: func(d *decoder, n *Node, m *Metadata) { m.Namespace = string(d.label(n, "a namespace")) }},
	{name: "labels", decode: func(d *decoder, n *Node, m *Metadata) { m.Labels = d.stringMap(n, "a map of labels", checkLabel) }},
	{name: "annotations", decode: func(d *decoder, n *Node, m *Metadata) {
		m.Annotations = d.stringMap(n, "a map of annotations", checkAnnotation)
	}},
}

func checkLabel(d *decoder, e *Entry) {
	checkAnnotation(d, e)
	if value := e.Value.Text; value != "" {
		if problem := qualifiedPartProblem(value); problem != "" {
			d.errorf(e.Value.Pos, "%q is not a label value: %s", source.Shorten(value), problem)
		}
	}
}

func checkAnnotation(d *decoder, e *Entry) {
	prefix, name, prefixed := strings.Cut(e.Key, "/")
	if !prefixed {
		prefix, name = "", e.Key
	}
	problem := qualifiedPartProblem(name)
	if problem == "" && prefixed {
		problem = subdomainProblem(prefix)
	}
	if problem != "" {
		d.errorf(e.Pos, "%q is not a key of labels and annotations: %s", source.Shorten(e.Key), problem)
	}
}

// qualifiedPartProblem checks the name part of a label's key, or a label's value.
func qualifiedPartProblem(text string) string {
	if text == "" || len(text) > 63 {
		return "1 to 63 characters are possible"
	}
	for i := range len(text) {
		if c := text[i]; !isAlphanumeric(c) && c != '-' && c != '_' && c != '.' {
			return "only letters, digits, \"-\", \"_\" and \".\" are possible"
		}
	}
	if !isAlphanumeric(text[0]) || !isAlphanumeric(text[len(text)-1]) {
		return "it must begin and end with a letter or digit"
	}
	return ""
}

func isAlphanumeric(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

var patchFields = []field[Patch]{
	{name: "target", decode: func(d *decoder, n *Node, p *Patch) {
		structure(d, n, &p.Target, patchTargetFields)
		d.notEmpty(n)
	}},
	{name: "patch", required: true, decode: func(d *decoder, n *Node, p *Patch) {
		if n.Kind == StringNode {
			d.errorf(n.Pos, "expected a list of operations, found text; write the operations without \"|\"")
			return
		}
		p.Patch = list(d, n, 0, patchOperation)
	}},
}

var patchTargetFields = []field[PatchTarget]{
	{name: "kind", decode: func(d *decoder, n *Node, t *PatchTarget) { t.Kind, _ = d.textUpTo(n, "a kind", 63) }},
	{name: "name", decode: func(d *decoder, n *Node, t *PatchTarget) { t.Name, _ = d.textUpTo(n, "a name", 253) }},
}

var patchOperationFields = []field[PatchOperation]{
	{name: "op", required: true, decode: func(d *decoder, n *Node, o *PatchOperation) {
		o.Op = choice(d, n, "an operation", PatchAdd, PatchRemove, PatchReplace, PatchMove, PatchCopy, PatchTest)
	}},
	{name: "path", required: true, decode: func(d *decoder, n *Node, o *PatchOperation) { o.Path = d.pointer(n) }},
	{name: "from", decode: func(d *decoder, n *Node, o *PatchOperation) { o.From = d.pointer(n) }},
	{name: "value", decode: func(_ *decoder, n *Node, o *PatchOperation) { o.Value = n.Value() }},
}

func (d *decoder) pointer(n *Node) string {
	text, ok := d.text(n, "a JSON pointer")
	if ok && !strings.HasPrefix(text, "/") {
		d.errorf(n.Pos, "%q is not a JSON pointer; it begins with \"/\"", source.Shorten(text))
		return ""
	}
	return text
}

func decodePatch(d *decoder, n *Node) Patch {
	var p Patch
	structure(d, n, &p, patchFields)
	return p
}

func patchOperation(d *decoder, n *Node) PatchOperation {
	var o PatchOperation
	structure(d, n, &o, patchOperationFields)
	if n.Kind != MapNode {
		return o
	}
	switch o.Op {
	case PatchAdd, PatchReplace, PatchTest:
		if n.Lookup("value") == nil {
			d.errorAt(n, "value", "%s needs a value", o.Op)
		}
	case PatchMove, PatchCopy:
		if n.Lookup("from") == nil {
			d.errorAt(n, "from", "%s needs a pointer to take the value from", o.Op)
		}
	}
	return o
}
