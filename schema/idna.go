package schema

import "golang.org/x/net/idna"

// asciiHost gives the ASCII form (punycode) of a hostname, or the hostname itself where it has none.
func asciiHost(text string) string {
	ascii, err := idna.Lookup.ToASCII(text)
	if err != nil {
		return text
	}
	return ascii
}
