package schema

import "headgate.dev/schema/source"

// Here are the names of package source that whoever reads specs meets, so that it imports one package: the error type for
// wrong input, and documents with their nodes.

// Position is source.Position.
type Position = source.Position

// Error is source.Error.
type Error = source.Error

// Errors is source.Errors.
type Errors = source.Errors

// Document is source.Document.
type Document = source.Document

// Limits is source.Limits.
type Limits = source.Limits

// Node is source.Node.
type Node = source.Node

// NodeKind is source.NodeKind.
type NodeKind = source.NodeKind

// Entry is source.Entry.
type Entry = source.Entry

// Values of NodeKind.
const (
	NullNode   = source.NullNode
	BoolNode   = source.BoolNode
	IntNode    = source.IntNode
	FloatNode  = source.FloatNode
	StringNode = source.StringNode
	ListNode   = source.ListNode
	MapNode    = source.MapNode
)

// Documents is source.Documents.
func Documents(file string, data []byte, limits Limits) ([]Document, Errors) {
	return source.Documents(file, data, limits)
}

// FromValue is source.FromValue.
func FromValue(v any, at func(pointer string) Position) *Node { return source.FromValue(v, at) }

// EscapePointer is source.EscapePointer.
func EscapePointer(key string) string { return source.EscapePointer(key) }

// FieldPath is source.FieldPath.
func FieldPath(pointer string) string { return source.FieldPath(pointer) }

// Printable is source.Printable.
func Printable(text string) string { return source.Printable(text) }
