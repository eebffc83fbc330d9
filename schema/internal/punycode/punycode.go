// Package punycode writes hostnames as the DNS has them.
package punycode

import (
	"strings"

	"golang.org/x/net/idna"
)

// Host gives the ASCII form (punycode) of a hostname, whose first label may be "*", or the hostname itself where it
// has none.
func Host(text string) string {
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
