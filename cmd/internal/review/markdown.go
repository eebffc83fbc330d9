package review

import (
	"fmt"
	"io"
	"strings"
	"unicode"

	"headgate.dev/cmd/internal/term"
)

// A comment that is too long is refused by the hosts of pull requests, and read by nobody.
const (
	MarkdownRows   = 100
	markdownFields = 200
)

// Markdown writes a pull request's comment. Everything that comes out of a repository stands in code, so that it cannot
// link, mention, format or break the table.
func (d *Difference) Markdown(w io.Writer) {
	fmt.Fprintf(w, "**Traffic** %s → %s\n\n", Code(d.From), Code(d.To))
	if len(d.Traffic) == 0 {
		fmt.Fprint(w, "Every request is answered as before.\n")
	} else {
		d.table(w)
	}
	for i := range d.Hidden {
		h := &d.Hidden[i]
		words := "never answers: all its requests are taken by"
		if h.Same {
			words = "never answers: the same is claimed by"
		}
		fmt.Fprintf(w, "\n> **Warning:** %s of %s (%s) %s %s (%s), which goes first: %s\n",
			Code(hiddenRequests(h)), Code(h.Object), Code(h.From), words, Code(h.By), Code(h.ByFrom), Code(hiddenWhy(h)))
	}
	for _, e := range d.Unserved {
		fmt.Fprintf(w, "\n> **Not served:** %s\n", Code(e.Error()))
	}
	for _, e := range d.Warnings {
		fmt.Fprintf(w, "\n> **Warning:** %s\n", Code(e.Error()))
	}
	fmt.Fprintf(w, "\n%s.\n", strings.ToUpper(d.summary()[:1])+d.summary()[1:])
	d.details(w)
}

func (d *Difference) table(w io.Writer) {
	fmt.Fprintf(w, "| request | %s | %s |\n|---|---|---|\n", Code(d.From), Code(d.To))
	for i, c := range d.Traffic {
		if i == MarkdownRows {
			fmt.Fprintf(w, "\nand %d more\n", d.Total-i)
			return
		}
		row := c.After
		if row == nil {
			row = c.Before
		}
		before, after := d.sides(c)
		fmt.Fprintf(w, "| %s | %s | %s |\n", Code(d.requests(row)), Code(before), Code(after))
	}
}

func (d *Difference) details(w io.Writer) {
	if len(d.Objects) == 0 {
		return
	}
	fmt.Fprint(w, "\n<details><summary>Objects</summary>\n\n")
	lines := 0
	for i := range d.Objects {
		o := &d.Objects[i]
		if lines >= markdownFields {
			fmt.Fprintf(w, "\nand %d more objects\n", len(d.Objects)-i)
			break
		}
		fmt.Fprintf(w, "- %s %s %s\n", o.Change, Code(o.Object), Code(o.From))
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
