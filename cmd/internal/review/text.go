package review

import (
	"fmt"
	"io"
	"strings"

	"headgate.dev/cmd/internal/local"
	"headgate.dev/cmd/internal/term"
	"headgate.dev/schema"
)

// Text writes for people at a terminal. Everything that comes out of a repository is made safe for it.
func (d *Difference) Text(w io.Writer, style term.Style) {
	fmt.Fprintf(w, "%s → %s: %s\n", style.Bold(safe(d.From)), style.Bold(safe(d.To)), d.summary())
	d.TrafficText(w, style)
	if len(d.Objects) > 0 {
		fmt.Fprintf(w, "\n%s\n", style.Bold("objects"))
		for i := range d.Objects {
			d.Objects[i].Text(w)
		}
	}
	for _, e := range d.Unserved {
		fmt.Fprint(w, Problem(style.Bad, "not served", e))
	}
	for _, e := range d.Warnings {
		fmt.Fprint(w, Problem(style.Warn, "warning", e))
	}
}

// TrafficText writes what becomes of traffic alone; nothing where every request is answered as before.
func (d *Difference) TrafficText(w io.Writer, style term.Style) {
	if len(d.Traffic) > 0 {
		fmt.Fprintf(w, "\n%s\n", style.Bold("traffic"))
		var rows [][]string
		for _, c := range d.Traffic {
			rows = append(rows, d.trafficCells(c))
		}
		fmt.Fprint(w, term.Fit(2, rows))
		if d.Total > len(d.Traffic) {
			fmt.Fprintf(w, "  ... and %d more\n", d.Total-len(d.Traffic))
		}
	}
	var rows [][]string
	for i := range d.Hidden {
		h := &d.Hidden[i]
		what, by := HiddenWords(h)
		rows = append(rows, []string{"! " + safe(what), safe(h.From)}, []string{"    " + safe(by), safe(h.ByFrom)})
	}
	fmt.Fprint(w, term.Fit(2, rows))
}

// trafficCells is one row: sign and request, before → after, place.
func (d *Difference) trafficCells(c TrafficChange) []string {
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
func (d *Difference) sides(c TrafficChange) (before, after string) {
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

// Problem is an error behind a word, on as many lines as it takes.
func Problem(paint func(string) string, word string, e *schema.Error) string {
	return term.Lines(0, paint, word, safe(e.Error()))
}

func safe(text string) string { return term.Safe(text, 400) }
