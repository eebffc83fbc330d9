package kustomize

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"

	"headgate.dev/schema"
)

// inline decodes the patches written into the kustomization itself.
func (w *walker) inline(u *unit) {
	for _, p := range u.file.patches {
		text := p.Patch.Patch
		if text == "" {
			continue
		}
		pos := w.before(u.file.root.At(p.textAt))
		docs, errs := schema.Documents(u.file.Path, []byte(text), schema.Limits{})
		for _, e := range errs {
			e.Position, e.Field = inlined(pos, e.Position), schema.FieldPath(p.textAt)
		}
		w.errs = append(w.errs, errs...)
		for i := range docs {
			docs[i].Root = shift(docs[i].Root, pos)
		}
		u.inline[p.textAt] = docs
	}
}

// before gives the line before the first one of a text: that of the key for a block scalar, the one above for any other.
func (w *walker) before(pos schema.Position) schema.Position {
	data, err := w.build.files.Read(pos.File)
	if err != nil {
		w.fault(err)
		return pos
	}
	for range pos.Line - 1 {
		_, data, _ = bytes.Cut(data, []byte("\n"))
	}
	line, _, _ := bytes.Cut(data, []byte("\n"))
	if at := pos.Column - 1; at >= 0 && at < len(line) && line[at] != '|' && line[at] != '>' {
		pos.Line--
	}
	return pos
}

// inlined makes a position inside a block scalar one of the file: the text begins on the line after its key. The column
// is not known, because a block's indentation is not part of it.
func inlined(block, inside schema.Position) schema.Position {
	return schema.Position{File: block.File, Line: block.Line + inside.Line}
}

func shift(n *schema.Node, block schema.Position) *schema.Node {
	out := *n
	out.Pos = inlined(block, n.Pos)
	out.Items = slices.Clone(n.Items)
	for i, item := range out.Items {
		out.Items[i] = shift(item, block)
	}
	out.Entries = slices.Clone(n.Entries)
	for i := range out.Entries {
		e := &out.Entries[i]
		e.Pos, e.Value = inlined(block, e.Pos), shift(e.Value, block)
	}
	return &out
}

// lists are the lists of specs that a merge patch would replace as a whole, dropping every item it does not repeat.
var lists = map[string][]string{
	schema.KindServiceSpec: {"routes", "grpc", "tcp", "udp", "tls", "patches"},
	schema.KindGatewaySpec: {"hosts", "ports", "clientAuth", "patches"},
}

// lossy refuses merge patches of such lists.
func (u *unit) lossy() schema.Errors {
	var errs schema.Errors
	for _, p := range u.file.patches {
		kind := ""
		if p.Target != nil {
			kind = p.Target.Kind
		}
		for _, doc := range u.patchDocs(p) {
			errs = append(errs, lossyPatch(doc.Root, kind)...)
		}
	}
	return errs
}

// patchDocs gives the documents of a patch.
func (u *unit) patchDocs(p patch) []schema.Document {
	for _, r := range u.file.refs {
		if r.at == p.pathAt {
			return u.docs[r.name]
		}
	}
	return u.inline[p.textAt]
}

func lossyPatch(patch *schema.Node, target string) schema.Errors {
	if patch.Kind != schema.MapNode {
		return nil // a JSON patch
	}
	var errs schema.Errors
	for _, kind := range []string{schema.KindServiceSpec, schema.KindGatewaySpec} {
		if !selects(target, textAt(patch, "/kind"), kind) {
			continue
		}
		for _, list := range lists[kind] {
			pointer := "/spec/" + list
			if n := patch.Get(pointer); n != nil && n.Kind == schema.ListNode {
				errs = append(errs, &schema.Error{
					Position: patch.At(pointer), Field: schema.FieldPath(pointer),
					Message: fmt.Sprintf("a merge patch replaces the whole list and drops what it does not repeat; "+
						"use a JSON patch, for example [{op: replace, path: %s/0/%s, value: …}]", pointer, exampleField[list]),
				})
			}
		}
	}
	return errs
}

var exampleField = map[string]string{
	"routes": "timeout", "grpc": "to", "tcp": "to", "udp": "to", "tls": "to", "patches": "patch", "ports": "port",
	"hosts": "tls", "clientAuth": "ca",
}

// selects tells whether a patch of the kind written in it, with a target or without, acts on a kind.
func selects(target, written, kind string) bool {
	if target == "" {
		return written == kind
	}
	expression, err := regexp.Compile("^(?:" + target + ")$")
	return err == nil && expression.MatchString(kind)
}
