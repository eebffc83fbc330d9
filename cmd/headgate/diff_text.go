package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"

	"headgate.dev/cmd/internal/local"
	"headgate.dev/cmd/internal/term"
)

// text writes for people at a terminal. Everything that comes out of a repository is made safe for it.
func (d *difference) text(w io.Writer, style term.Style) {
	fmt.Fprintf(w, "%s → %s: %s\n", style.Bold(safe(d.From)), style.Bold(safe(d.To)), d.summary())
	if len(d.Traffic) > 0 {
		fmt.Fprintf(w, "\n%s\n", style.Bold("traffic"))
		var rows [][]string
		for _, c := range d.Traffic {
			rows = append(rows, d.trafficCells(c))
		}
		fmt.Fprint(w, term.Table(2, rows))
		if d.Total > len(d.Traffic) {
			fmt.Fprintf(w, "  ... and %d more\n", d.Total-len(d.Traffic))
		}
	}
	for i := range d.Hidden {
		h := &d.Hidden[i]
		fmt.Fprintf(w, "  %s %s  %s, %s\n", style.Warn("!"), safe(hiddenWords(h)), safe(h.ByFrom), safe(h.From))
	}
	if len(d.Objects) > 0 {
		fmt.Fprintf(w, "\n%s\n", style.Bold("objects"))
		for i := range d.Objects {
			d.Objects[i].text(w)
		}
	}
	for _, e := range d.Unserved {
		fmt.Fprintf(w, "%s %s\n", style.Bad("not served"), safe(e.Error()))
	}
	for _, e := range d.Warnings {
		fmt.Fprintf(w, "%s %s\n", style.Warn("warning"), safe(e.Error()))
	}
}

// trafficCells is one row: sign and request, before → after, place.
func (d *difference) trafficCells(c trafficChange) []string {
	sign, row := "~ ", c.After
	switch {
	case c.Before == nil:
		sign = "+ "
	case c.After == nil:
		sign, row = "- ", c.Before
	}
	before, after := d.sides(c)
	text := safe(before) + " → " + safe(after)
	return []string{sign + safe(d.requests(row)), text, safe(row.From)}
}

// sides are the answers before and after. What a route does besides is named where it differs. A row that is not there
// has no answer of its own: other rules may take its requests.
func (d *difference) sides(c trafficChange) (before, after string) {
	before, after = "–", "–"
	if c.Before != nil {
		before = c.Before.Row.Answer + onlyIn(c.Before, c.After)
	}
	if c.After != nil {
		after = c.After.Row.Answer + onlyIn(c.After, c.Before)
	}
	return before, after
}

// onlyIn gives the details of a row that another one does not have.
func onlyIn(r, other *local.Row) string {
	var out []string
	for _, detail := range r.Row.Details {
		has := false
		if other != nil {
			for _, o := range other.Row.Details {
				has = has || o == detail
			}
		}
		if !has {
			out = append(out, detail)
		}
	}
	if len(out) == 0 {
		return ""
	}
	return " [" + strings.Join(out, ", ") + "]"
}

var signs = map[string]string{"added": "+", "changed": "~", "removed": "-"}

func (o *objectChange) text(w io.Writer) {
	fmt.Fprintf(w, "  %s %s  %s\n", signs[o.Change], safe(o.Object), safe(o.From))
	var rows [][]string
	for i := range o.Fields {
		f := &o.Fields[i]
		rows = append(rows, []string{safe(f.Field), f.old() + " → " + f.next(), safe(f.From)})
	}
	fmt.Fprint(w, term.Table(6, rows))
}

func (f *fieldChange) old() string  { return short(f.Old) }
func (f *fieldChange) next() string { return short(f.New) }

// short is a value on one line, cut where it is long.
func short(v *string) string {
	if v == nil {
		return "–"
	}
	text := *v
	if text == "" || strings.ContainsFunc(text, unicode.IsControl) {
		text = strconv.Quote(text)
	}
	return term.Safe(text, 100)
}
