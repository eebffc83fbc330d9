package schema

import (
	"strings"

	"golang.org/x/net/idna"
)

// asciiHost gives the ASCII form (punycode) of a hostname, whose first label may be "*", or the hostname itself where it
// has none.
func asciiHost(text string) string {
	rest, wildcard := strings.CutPrefix(text, "*.")
	ascii, err := idna.Lookup.ToASCII(rest)
	switch {
	case err != nil:
		return text
	case wildcard:
		return "*." + ascii
	}
	return ascii
}
