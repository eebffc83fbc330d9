package term

import (
	"strings"
	"unicode/utf8"
)

const (
	// Columns is the width that text for people is laid out for.
	Columns = 100
	// narrowest is what a column is made at least.
	narrowest = 16
	// hanging is how much deeper the further lines of a cell begin.
	hanging = 2
)

// Fit is Table for text of any length: what would be wider than Columns is broken at spaces, in the widest columns first. A
// word is never broken, so that what is printed can be copied.
func Fit(indent int, rows [][]string) string {
	width := widths(indent, rows)
	var out [][]string
	for _, row := range rows {
		var broken [][]string
		lines, offset := 0, indent
		for i, cell := range row {
			most := width[i]
			if i == len(row)-1 {
				most = Columns - offset
			}
			broken = append(broken, wrap(Safe(cell, len(cell)+1), most))
			lines, offset = max(lines, len(broken[i])), offset+width[i]+2
		}
		for line := range lines {
			cells := make([]string, len(row))
			last := 0
			for i := range row {
				if line < len(broken[i]) {
					cells[i], last = broken[i][line], i
				}
			}
			out = append(out, cells[:last+1])
		}
	}
	return Table(indent, out)
}

// Paragraphs breaks running text anew, so that no line is longer than Columns. What is indented stays as it is: it is to be copied.
func Paragraphs(text string) string {
	var out, words []string
	flush := func() {
		if len(words) > 0 {
			out, words = append(out, fill(words, Columns, "", "")...), nil
		}
	}
	for _, line := range strings.Split(text, "\n") {
		if line == "" || strings.HasPrefix(line, " ") {
			flush()
			out = append(out, line)
			continue
		}
		words = append(words, strings.Fields(line)...)
	}
	flush()
	return strings.Join(out, "\n")
}

// Lines is Fit for running text of several lines that begins with a word in a colour.
func Lines(indent int, paint func(string) string, word, text string) string {
	var out strings.Builder
	for _, line := range strings.Split(word+" "+text, "\n") {
		out.WriteString(Fit(indent, [][]string{{line}}))
	}
	before := strings.Repeat(" ", indent)
	return before + paint(word) + strings.TrimPrefix(out.String(), before+word)
}

// widths gives each column the width of its longest cell, and takes from the widest until everything fits. The last cell of a
// row that is shorter than others has the rest of the line.
func widths(indent int, rows [][]string) []int {
	columns := 0
	for _, row := range rows {
		columns = max(columns, len(row))
	}
	width := make([]int, columns)
	for _, row := range rows {
		for i, cell := range row {
			if i < len(row)-1 || i == columns-1 {
				width[i] = max(width[i], utf8.RuneCountInString(cell))
			}
		}
	}
	total := indent - 2
	for _, w := range width {
		total += w + 2
	}
	for ; total > Columns; total-- {
		widest := 0
		for i := range width {
			if width[i] > width[widest] {
				widest = i
			}
		}
		if width[widest] <= narrowest {
			break
		}
		width[widest]--
	}
	return width
}

// wrap breaks a text at spaces into lines of up to width characters. Those it begins with are kept.
func wrap(text string, width int) []string {
	rest := strings.TrimLeft(text, " ")
	indent := text[:len(text)-len(rest)]
	return fill(words(rest), width, indent, indent+strings.Repeat(" ", hanging))
}

// fill puts words into lines of up to width characters, of which the first begins with indent and all others with further.
func fill(words []string, width int, indent, further string) []string {
	var lines []string
	line := indent
	for i, word := range words {
		switch {
		case i == 0:
			line += word
		case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) <= width:
			line += " " + word
		default:
			lines = append(lines, strings.TrimRight(line, " "))
			line = further + word
		}
	}
	return append(lines, line)
}

// words splits a text at its spaces, but for those before a percent sign and those of a command, which stands in backticks.
func words(text string) []string {
	var out []string
	for _, word := range strings.Split(text, " ") {
		if last := len(out) - 1; last >= 0 && (strings.HasPrefix(word, "%") || strings.Count(out[last], "`")%2 == 1) {
			out[last] += " " + word
		} else {
			out = append(out, word)
		}
	}
	return out
}
