package source

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Printable makes text that may hold foreign input fit for a terminal: whatever would not be shown as it is (escape
// sequences, control characters, marks that turn the direction of writing) is written as Go would quote it. Newlines stay.
func Printable(text string) string {
	foreign := func(r rune) bool { return r != '\n' && unprintable(r) }
	if !strings.ContainsFunc(text, foreign) {
		return text
	}
	var out []byte
	for _, r := range text {
		if !foreign(r) {
			out = utf8.AppendRune(out, r)
			continue
		}
		quoted := strconv.AppendQuoteRune(nil, r)
		out = append(out, quoted[1:len(quoted)-1]...)
	}
	return string(out)
}

func unprintable(r rune) bool { return !unicode.IsPrint(r) || r == utf8.RuneError }
