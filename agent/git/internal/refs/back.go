package refs

import (
	"regexp"
	"strings"
)

// steps are the ways back behind a reference: "~" and "~N" follow first parents, "^" and "^N" choose one.
var steps = regexp.MustCompile(`[~^][0-9]*`)

// CutBack separates a reference from the way back behind it. Neither character can be part of a name (git-check-ref-format). What stands
// for HEAD is called so.
func CutBack(s string) (name, back string) {
	name = s
	if i := strings.IndexAny(s, "~^"); i >= 0 {
		name, back = s[:i], s[i:]
	}
	if name == "@" || name == "" && back != "" {
		name = "HEAD"
	}
	return name, back
}

// ValidBack tells whether a way back is one.
func ValidBack(back string) bool { return steps.ReplaceAllString(back, "") == "" }

// Steps are the steps of a way back, each with its sign in front.
func Steps(back string) []string { return steps.FindAllString(back, -1) }
