package source

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Position is a place in a file of the tree. File is slash-separated and relative to the root of the tree that was
// rendered; Line and Column count from 1, and 0 means "not known".
type Position struct {
	File   string `json:"file"`
	Line   int    `json:"line,omitempty"`
	Column int    `json:"column,omitempty"`
}

// String gives "file:line:column", leaving out what is not known. A name that a terminal would not show as it is, is
// quoted.
func (p Position) String() string {
	file := p.File
	if strings.ContainsFunc(file, unprintable) {
		file = strconv.Quote(file)
	}
	switch {
	case p.Line == 0:
		return file
	case p.Column == 0:
		return fmt.Sprintf("%s:%d", file, p.Line)
	default:
		return fmt.Sprintf("%s:%d:%d", file, p.Line, p.Column)
	}
}

// Error is one thing that is wrong with the input, at one place. It is the only error type for wrong input, from the
// decoder to the rendered objects, so that every command can print it the same way.
type Error struct {
	Position
	// Field is the path of the field as a user writes it ("spec.routes[1].timeout"); empty when the whole document is meant.
	Field string `json:"field,omitempty"`
	// Message says what was found and what was expected.
	Message string `json:"message"`
}

// Error gives "file:line:column: field: message".
func (e *Error) Error() string {
	parts := make([]string, 0, 3)
	if p := e.Position.String(); p != "" {
		parts = append(parts, p)
	}
	if e.Field != "" {
		parts = append(parts, e.Field)
	}
	return Printable(strings.Join(append(parts, e.Message), ": "))
}

// Errors is everything that is wrong with the input, all files at once. The zero value is "nothing wrong".
type Errors []*Error

// Error gives one line per error.
func (es Errors) Error() string {
	lines := make([]string, len(es))
	for i, e := range es {
		lines[i] = e.Error()
	}
	return strings.Join(lines, "\n")
}

// MaxErrors is how many errors one document can have before the rest is left out: more help nobody.
const MaxErrors = 100

// Add appends an error, as long as there are not too many already.
func (es *Errors) Add(e *Error) {
	switch {
	case len(*es) < MaxErrors:
		*es = append(*es, e)
	case len(*es) == MaxErrors:
		*es = append(*es, &Error{Position: e.Position, Message: "and more errors from here on; these are the first of the document"})
	}
}

// Sort orders by file, line, column, field and message and drops exact repeats, so that the same input always gives
// the same text.
func (es Errors) Sort() Errors {
	slices.SortFunc(es, func(a, b *Error) int {
		return cmp.Or(
			cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column),
			cmp.Compare(a.Field, b.Field), cmp.Compare(a.Message, b.Message))
	})
	return slices.CompactFunc(es, func(a, b *Error) bool { return *a == *b })
}
