// Package term is how the commands write to people: colour only where it is wanted, columns that fit a screen.
package term

import (
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"golang.org/x/term"
)

// Style writes with or without colour. The zero value writes plain text.
type Style struct {
	// Color tells whether escape sequences are written.
	Color bool
	// Interactive tells whether somebody watches: progress is shown and lines may be written over.
	Interactive bool
}

// StyleOf finds out what w is. Colour needs a terminal, no NO_COLOR (https://no-color.org) and a TERM that is not "dumb".
func StyleOf(w io.Writer, getenv func(string) string) Style {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return Style{}
	}
	return Style{Color: getenv("NO_COLOR") == "" && getenv("TERM") != "dumb", Interactive: true}
}

// Good is for what is live and right.
func (s Style) Good(text string) string { return s.paint("32", text) }

// Bad is for what is refused, lost or broken.
func (s Style) Bad(text string) string { return s.paint("31", text) }

// Warn is for what works but is probably not meant.
func (s Style) Warn(text string) string { return s.paint("33", text) }

// Dim is for what is there to be found, not to be read first.
func (s Style) Dim(text string) string { return s.paint("2", text) }

// Bold is for headings.
func (s Style) Bold(text string) string { return s.paint("1", text) }

func (s Style) paint(code, text string) string {
	if !s.Color || text == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// Table lays rows out in columns of two spaces apart, each line after indent spaces. A row may be shorter than others;
// nothing is written behind its last cell. Cells are text without colour; what a terminal would not show as it is, is replaced.
func Table(indent int, rows [][]string) string {
	var width []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(width) {
				width = append(width, 0)
			}
			if i < len(row)-1 {
				width[i] = max(width[i], utf8.RuneCountInString(cell))
			}
		}
	}
	var b strings.Builder
	for _, row := range rows {
		line := strings.Repeat(" ", indent)
		for i, cell := range row {
			cell = Safe(cell, len(cell)+1)
			line += cell
			if i < len(row)-1 {
				line += strings.Repeat(" ", width[i]-utf8.RuneCountInString(cell)+2)
			}
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	return b.String()
}

// Safe makes foreign text (a commit's subject, a path) fit for a terminal: control characters become "�", and it is cut
// after limit characters.
func Safe(text string, limit int) string {
	clean := strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r == 0x202e || r == 0x2066 || r == 0x2067 {
			return utf8.RuneError
		}
		return r
	}, text)
	if runes := []rune(clean); len(runes) > limit {
		return string(runes[:limit-1]) + "…"
	}
	return clean
}

// Count gives "1 route", "2 routes".
func Count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
