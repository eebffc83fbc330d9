// Package changes writes about objects that change, field by field, for people and for machines. It is pure, and shows no value of a Secret.
package changes

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"

	"headgate.dev/cmd/internal/term"
	"headgate.dev/render/object"
)

// What becomes of an object.
const (
	Added   = "added"
	Changed = "changed"
	Removed = "removed"
)

// Object is an object that changes.
type Object struct {
	Change string  `json:"change"` // Added, Changed or Removed
	Object string  `json:"object"`
	From   string  `json:"from,omitempty"` // where it is written; of one that is removed: where it was
	Fields []Field `json:"fields,omitempty"`
}

// Field is one field; Old is nil for one that came, New for one that went.
type Field struct {
	Field string  `json:"field"`
	Old   *string `json:"old,omitempty"`
	New   *string `json:"new,omitempty"`
	From  string  `json:"from,omitempty"`
}

// NewField is a field that differs between two versions of an object.
func NewField(old, next *object.Object, c object.FieldChange) Field {
	f := Field{Field: c.Field, Old: &c.Old, New: &c.New, From: next.OriginOf(c.Pointer).String()}
	if c.Added {
		f.Old = nil
	}
	if c.Removed {
		f.New, f.From = nil, old.OriginOf(c.Pointer).String()
	}
	return f
}

// Count tells how many objects are added, changed and removed.
func Count(all []Object) (added, changed, removed int) {
	for i := range all {
		switch all[i].Change {
		case Added:
			added++
		case Changed:
			changed++
		default:
			removed++
		}
	}
	return added, changed, removed
}

var signs = map[string]string{Added: "+", Changed: "~", Removed: "-"}

// Text writes an object for a terminal.
func (o *Object) Text(w io.Writer) {
	fmt.Fprintln(w, strings.TrimRight(fmt.Sprintf("  %s %s  %s", signs[o.Change], safe(o.Object), safe(o.From)), " "))
	var rows [][]string
	for i := range o.Fields {
		f := &o.Fields[i]
		rows = append(rows, []string{safe(f.Field), short(f.Old, shortText) + " → " + short(f.New, shortText), safe(f.From)})
	}
	fmt.Fprint(w, term.Fit(6, rows))
}

func safe(text string) string { return term.Safe(text, 400) }

// shortText and shortCode are how many characters of a value are shown.
const shortText, shortCode = 50, 100

// short is a value on one line, cut where it is long.
func short(v *string, limit int) string {
	if v == nil {
		return "–"
	}
	text := *v
	if text == "" || strings.ContainsFunc(text, unicode.IsControl) {
		text = strconv.Quote(text)
	}
	return term.Safe(text, limit)
}

// markdownFields is how many lines a pull request's comment has of objects.
const markdownFields = 200

// Markdown writes objects for a pull request's comment.
func Markdown(w io.Writer, all []Object) {
	if len(all) == 0 {
		return
	}
	fmt.Fprint(w, "\n<details><summary>Objects</summary>\n\n")
	lines := 0
	for i := range all {
		o := &all[i]
		if lines >= markdownFields {
			fmt.Fprintf(w, "\nand %d more objects\n", len(all)-i)
			break
		}
		from := ""
		if o.From != "" {
			from = " " + Code(o.From)
		}
		fmt.Fprintf(w, "- %s %s%s\n", o.Change, Code(o.Object), from)
		lines++
		for j := range o.Fields {
			f := &o.Fields[j]
			if lines++; lines > markdownFields {
				fmt.Fprintf(w, "  - and %d more fields\n", len(o.Fields)-j)
				break
			}
			fmt.Fprintf(w, "  - %s %s → %s\n", Code(f.Field), Code(short(f.Old, shortCode)), Code(short(f.New, shortCode)))
		}
	}
	fmt.Fprint(w, "\n</details>\n")
}

// Code is foreign text as code. A code span cannot hold what ends it or what ends a table's cell: such text is written
// with the number of each character instead.
func Code(text string) string {
	text = term.Safe(text, 200)
	if text == "–" {
		return text
	}
	if text != "" && !strings.ContainsAny(text, "`|\\") && strings.TrimSpace(text) == text {
		return "`" + text + "`"
	}
	var b strings.Builder
	b.WriteString("<code>")
	for _, r := range text {
		if r == ' ' || unicode.IsLetter(r) || unicode.IsDigit(r) {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, "&#%d;", r)
		}
	}
	return b.String() + "</code>"
}
