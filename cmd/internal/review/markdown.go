package review

import (
	"fmt"
	"io"
	"strings"

	"headgate.dev/cmd/internal/changes"
)

// MarkdownRows is how many rows a table has at most: a comment that is too long is refused by the hosts of pull requests, and read by nobody.
const MarkdownRows = 100

// Markdown writes a pull request's comment. Everything that comes out of a repository stands in code, so that it cannot
// link, mention, format or break the table.
func (d *Difference) Markdown(w io.Writer) {
	fmt.Fprintf(w, "**Traffic** %s → %s\n\n", changes.Code(d.From), changes.Code(d.To))
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
			changes.Code(hiddenRequests(h)), changes.Code(h.Object), changes.Code(h.From), words, changes.Code(h.By), changes.Code(h.ByFrom), changes.Code(hiddenWhy(h)))
	}
	for _, e := range d.Unserved {
		fmt.Fprintf(w, "\n> **Not served:** %s\n", changes.Code(e.Error()))
	}
	for _, e := range d.Warnings {
		fmt.Fprintf(w, "\n> **Warning:** %s\n", changes.Code(e.Error()))
	}
	fmt.Fprintf(w, "\n%s.\n", strings.ToUpper(d.summary()[:1])+d.summary()[1:])
	changes.Markdown(w, d.Objects)
}

// TrafficMarkdown writes what becomes of traffic alone; nothing where every request is answered as before.
func (d *Difference) TrafficMarkdown(w io.Writer) {
	if len(d.Traffic) > 0 {
		fmt.Fprintln(w)
		d.table(w)
	}
}

func (d *Difference) table(w io.Writer) {
	fmt.Fprintf(w, "| request | %s | %s |\n|---|---|---|\n", changes.Code(d.From), changes.Code(d.To))
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
		fmt.Fprintf(w, "| %s | %s | %s |\n", changes.Code(d.requests(row)), changes.Code(before), changes.Code(after))
	}
}
