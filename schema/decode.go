package schema

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"headgate.dev/schema/source"
)

// IsSpec tells whether a document is for Decode: one of group headgate.dev that is no object of a cluster.
func IsSpec(root *Node) bool {
	group, _, _ := strings.Cut(root.TextOf("apiVersion"), "/")
	if group != Group {
		return false
	}
	switch root.TextOf("kind") {
	case "Sync", "Preview", "ProxyConfig":
		return false
	}
	return true
}

// Decode decodes a spec strictly: every field known, of the right type and with a value that can be used. It reports
// everything that is wrong at once; the spec is nil then.
func Decode(root *Node) (Spec, Errors) {
	d := &decoder{}
	if root.Kind != MapNode {
		d.errorf(root.Pos, "expected a map with apiVersion, kind, metadata and spec, found %s", root.Describe())
		return nil, d.errs
	}
	if version := root.TextOf("apiVersion"); version != APIVersion {
		d.errorAt(root, "apiVersion", "expected %s, found %q", APIVersion, version)
		return nil, d.errs
	}
	var spec Spec
	switch kind := root.TextOf("kind"); kind {
	case KindServiceSpec:
		s := &ServiceSpec{origin: origin{root}}
		structure(d, root, s, serviceSpecFields)
		d.checkService(root, &s.Spec)
		spec = s
	case KindGatewaySpec:
		s := &GatewaySpec{origin: origin{root}}
		structure(d, root, s, gatewaySpecFields)
		d.checkGateway(root, &s.Spec)
		spec = s
	default:
		d.errorAt(root, "kind", "%q is no kind of %s%s", kind, APIVersion, source.DidYouMean(kind, []string{KindServiceSpec, KindGatewaySpec}))
		return nil, d.errs
	}
	if len(d.errs) > 0 {
		return nil, d.errs.Sort()
	}
	return spec, nil
}

// decoder collects errors; path is the RFC 6901 pointer of the node being decoded, in tokens.
type decoder struct {
	path []string
	errs Errors
}

func (d *decoder) push(token string) { d.path = append(d.path, token) }
func (d *decoder) pop()              { d.path = d.path[:len(d.path)-1] }

// errorf reports something wrong with the value at the current path.
func (d *decoder) errorf(at Position, format string, args ...any) {
	d.errs.Add(&Error{Position: at, Field: source.Field(d.path), Message: fmt.Sprintf(format, args...)})
}

// errorAt reports something wrong with a field of the map n, or with its absence.
func (d *decoder) errorAt(n *Node, field, format string, args ...any) {
	d.push(field)
	d.errorf(n.At("/"+EscapePointer(field)), format, args...)
	d.pop()
}

// expected reports a wrong type.
func (d *decoder) expected(n *Node, what string) {
	d.errorf(n.Pos, "expected %s, found %s%s", what, n.Describe(), trapIn(n))
}

// trapIn explains values that YAML reads as something else than what was meant.
func trapIn(n *Node) string {
	switch {
	case n.Kind == NullNode && n.Text == "~":
		return "; YAML reads a lone ~ as null: write \"~...\" in quotes"
	case n.Kind == MapNode && n.Flow && len(n.Entries) == 1 && n.Entries[0].Value.Kind == NullNode:
		return "; quote a text with braces"
	}
	return ""
}

// field is one field of a struct: how it is spelled and how it is decoded.
type field[T any] struct {
	name     string
	required bool
	refused  string // why there is no such field here, where people look for one; it is not decoded then
	decode   func(d *decoder, n *Node, into *T)
}

// refuse gives the fields without some, and the reason for these.
func refuse[T any](fields []field[T], reason string, names ...string) []field[T] {
	out := slices.Clone(fields)
	for i := range out {
		if slices.Contains(names, out[i].name) {
			out[i] = field[T]{name: out[i].name, refused: reason}
		}
	}
	return out
}

// structure decodes a map into a struct. Fields must be known, and the required ones be there.
func structure[T any](d *decoder, n *Node, into *T, fields []field[T]) {
	if n.Kind != MapNode {
		d.expected(n, "a map of "+listNames(fields))
		return
	}
	for i := range n.Entries {
		e := &n.Entries[i]
		f := lookup(fields, e.Key)
		if f == nil {
			d.push(e.Key)
			d.errorf(e.Pos, "unknown field%s", source.DidYouMean(e.Key, names(fields)))
			d.pop()
			continue
		}
		d.push(e.Key)
		if f.refused != "" {
			d.errorf(e.Pos, "%s", f.refused)
		} else {
			f.decode(d, e.Value, into)
		}
		d.pop()
	}
	for i := range fields {
		if fields[i].required && n.Lookup(fields[i].name) == nil {
			d.push(fields[i].name)
			d.errorf(n.Pos, "required field is missing")
			d.pop()
		}
	}
}

func lookup[T any](fields []field[T], name string) *field[T] {
	for i := range fields {
		if fields[i].name == name {
			return &fields[i]
		}
	}
	return nil
}

func names[T any](fields []field[T]) []string {
	out := make([]string, 0, len(fields))
	for i := range fields {
		if fields[i].refused == "" {
			out = append(out, fields[i].name)
		}
	}
	return out
}

func listNames[T any](fields []field[T]) string {
	all := names(fields)
	if len(all) == 1 {
		return all[0]
	}
	return strings.Join(all[:len(all)-1], ", ") + " and " + all[len(all)-1]
}

// list decodes every item of a list of 1 to most items (0: no limit).
func list[T any](d *decoder, n *Node, most int, item func(d *decoder, n *Node) T) []T {
	if n.Kind != ListNode {
		hint := ""
		if n.Kind == StringNode {
			hint = "; write [" + n.Text + "]"
		}
		d.errorf(n.Pos, "expected a list, found %s%s", n.Describe(), hint)
		return nil
	}
	if len(n.Items) == 0 {
		d.errorf(n.Pos, "the list is empty; leave the field out")
		return nil
	}
	if most > 0 && len(n.Items) > most {
		d.errorf(n.Pos, "at most %d are possible, found %d", most, len(n.Items))
	}
	out := make([]T, len(n.Items))
	for i, child := range n.Items {
		d.push(strconv.Itoa(i))
		out[i] = item(d, child)
		d.pop()
	}
	return out
}

// oneOrList is list, where a single item needs no brackets.
func oneOrList[T any](d *decoder, n *Node, most int, item func(d *decoder, n *Node) T) []T {
	if n.Kind == ListNode {
		return list(d, n, most, item)
	}
	return []T{item(d, n)}
}

// unique reports items that were there before. key gives "" for items that are wrong already.
func unique[T any](d *decoder, n *Node, items []T, key func(T) string) {
	if n.Kind != ListNode {
		return
	}
	seen := make(map[string]int, len(items))
	for i, item := range items {
		k := key(item)
		if k == "" {
			continue
		}
		if first, there := seen[k]; there {
			d.push(strconv.Itoa(i))
			d.errorf(n.Items[i].Pos, "%q is already there on line %d", k, n.Items[first].Pos.Line)
			d.pop()
			continue
		}
		seen[k] = i
	}
}

// eachEntry calls f for the entries of a map in the order of their keys.
func (d *decoder) eachEntry(n *Node, what string, f func(e *Entry)) {
	if n.Kind != MapNode {
		d.expected(n, what)
		return
	}
	if len(n.Entries) == 0 {
		d.errorf(n.Pos, "the map is empty; leave the field out")
	}
	entries := make([]*Entry, len(n.Entries))
	for i := range n.Entries {
		entries[i] = &n.Entries[i]
	}
	slices.SortFunc(entries, func(a, b *Entry) int { return cmp.Compare(a.Key, b.Key) })
	for _, e := range entries {
		d.push(e.Key)
		f(e)
		d.pop()
	}
}

// notEmpty reports a map that says nothing.
func (d *decoder) notEmpty(n *Node) {
	if n.Kind == MapNode && len(n.Entries) == 0 {
		d.errorf(n.Pos, "the map is empty; leave the field out")
	}
}
