// Package hostname compares hostnames as Gateway API does.
//
// Hostnames are in lower case here, "" is any, "*.example.com" is every name of one or more labels before ".example.com".
// In results "*" is any: the name of the host that answers whatever no other host does.
package hostname

import (
	"strings"
)

// Any is the name of a host for everything.
const Any = "*"

// Intersect gives what two hostnames have in common, for the name of a host ("*" for any); ok is false when that is
// nothing (Gateway API, HTTPRouteSpec.hostnames).
func Intersect(a, b string) (host string, ok bool) {
	switch {
	case a == "" && b == "":
		return Any, true
	case a == "" || a == b:
		return b, true
	case b == "" || Covers(b, a):
		return a, true
	case Covers(a, b):
		return b, true
	default:
		return "", false
	}
}

// Covers tells whether every name that host stands for is also one of pattern.
func Covers(pattern, host string) bool {
	switch {
	case pattern == "" || pattern == host:
		return true
	case pattern[0] != '*' || host == Any || host == "":
		return false
	}
	suffix := pattern[1:] // ".example.com"
	return len(host) > len(suffix) && strings.HasSuffix(host, suffix)
}

// Specificity orders hostnames: exact before wildcard before none, then by length (Gateway API, HTTPRouteSpec.hostnames:
// "characters in a matching non-wildcard hostname", then "characters in a matching hostname"; the same order serves
// listeners, where more labels behind the wildcard always mean more characters).
func Specificity(hostname string) int32 {
	const exact = 1 << 12 // more than any hostname is long
	switch {
	case hostname == "":
		return 0
	case hostname[0] == '*':
		return int32(len(hostname))
	default:
		return exact + int32(len(hostname))
	}
}

// Valid checks a hostname that may begin with a wildcard label (Gateway API, Hostname: RFC 1123 names, no IPs).
func Valid(h string) bool {
	return ValidPrecise(strings.TrimPrefix(h, "*."))
}

// ValidPrecise checks a hostname without a wildcard (Gateway API, PreciseHostname).
func ValidPrecise(h string) bool {
	if h == "" || len(h) > 253 {
		return false
	}
	digits := true
	for rest, more := h, true; more; {
		var label string
		label, rest, more = strings.Cut(rest, ".")
		if !validLabel(label) {
			return false
		}
		digits = digits && strings.Trim(label, "0123456789") == ""
	}
	return !digits
}

func validLabel(l string) bool {
	if l == "" || len(l) > 63 || l[0] == '-' || l[len(l)-1] == '-' {
		return false
	}
	for i := range len(l) {
		if c := l[i]; c != '-' && (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}
