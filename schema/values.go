package schema

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"headgate.dev/schema/internal/punycode"
	"headgate.dev/schema/source"
)

// text decodes a text; what names it in errors ("a path").
func (d *decoder) text(n *Node, what string) (string, bool) {
	switch n.Kind {
	case StringNode:
		return n.Text, true
	case BoolNode, IntNode, FloatNode:
		d.errorf(n.Pos, "expected %s, found %s; write \"%s\" in quotes if it is meant as text", what, n.Describe(), n.Text)
	default:
		d.expected(n, what)
	}
	return "", false
}

// textUpTo decodes a text of at most this many bytes.
func (d *decoder) textUpTo(n *Node, what string, most int) (string, bool) {
	text, ok := d.text(n, what)
	if ok && len(text) > most {
		d.errorf(n.Pos, "expected %s of at most %d characters, found %d", what, most, len(text))
		return "", false
	}
	return text, ok
}

// integer decodes a whole number from least to most.
func (d *decoder) integer(n *Node, what string, least, most int64) (int64, bool) {
	switch {
	case n.Kind == StringNode:
		if _, err := strconv.ParseInt(n.Text, 10, 64); err == nil {
			d.errorf(n.Pos, "expected %s, found the text %q; write it without quotes", what, n.Text)
			return 0, false
		}
		d.expected(n, what)
	case n.Kind == FloatNode && n.Float() == float64(int64(n.Float())) && n.Float() >= float64(least) && n.Float() <= float64(most):
		return int64(n.Float()), true
	case n.Kind != IntNode:
		d.expected(n, what)
	case n.Int() < least || n.Int() > most:
		d.errorf(n.Pos, "expected %s from %d to %d, found %d", what, least, most, n.Int())
	default:
		return n.Int(), true
	}
	return 0, false
}

func (d *decoder) boolean(n *Node) (value, ok bool) {
	if n.Kind != BoolNode {
		hint := ""
		if n.Kind == StringNode && slices.Contains([]string{"yes", "on", "y", "no", "off", "n"}, strings.ToLower(n.Text)) {
			hint = "; YAML 1.2 knows true and false only"
		}
		d.errorf(n.Pos, "expected true or false, found %s%s", n.Describe(), hint)
		return false, false
	}
	return n.Bool(), true
}

func (d *decoder) port(n *Node) Port {
	v, _ := d.integer(n, "a port", 1, 65535)
	return Port(v)
}

func onlyDigits(text string) bool { return strings.Trim(text, "0123456789") == "" }

// choice decodes a text out of a few.
func choice[T ~string](d *decoder, n *Node, what string, known ...T) T {
	text, ok := d.text(n, what)
	if !ok {
		return ""
	}
	if slices.Contains(known, T(text)) {
		return T(text)
	}
	all := make([]string, len(known))
	for i, k := range known {
		all[i] = string(k)
	}
	d.errorf(n.Pos, "%q is not %s%s", source.Shorten(text), what, source.DidYouMean(text, all))
	return ""
}

// label decodes a DNS label; what says whose name it is ("a Service name").
func (d *decoder) label(n *Node, what string) Label {
	text, ok := d.text(n, what)
	if !ok {
		return ""
	}
	if problem := labelProblem(text); problem != "" {
		d.errorf(n.Pos, "%q is not %s: %s", source.Shorten(text), what, problem)
		return ""
	}
	return Label(text)
}

// labelProblem says what keeps a text from being a DNS label (RFC 1123), "" for nothing.
func labelProblem(text string) string {
	switch {
	case text == "":
		return "it is empty"
	case len(text) > 63:
		return fmt.Sprintf("it has %d characters, at most 63 are possible", len(text))
	case text[0] == '-' || text[len(text)-1] == '-':
		return "it begins or ends with \"-\""
	}
	for _, r := range text {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' {
			return fmt.Sprintf("%q is none of a-z, 0-9 and \"-\"", r)
		}
	}
	return ""
}

// subdomainProblem is labelProblem for names of several labels.
func subdomainProblem(text string) string {
	if len(text) > 253 {
		return fmt.Sprintf("it has %d characters, at most 253 are possible", len(text))
	}
	for label := range strings.SplitSeq(text, ".") {
		if problem := labelProblem(label); problem != "" {
			return "in the label \"" + source.Shorten(label) + "\": " + problem
		}
	}
	return ""
}

// host decodes a hostname; with wildcard its first label may be "*".
func (d *decoder) host(n *Node, wildcard bool) Hostname {
	text, ok := d.text(n, "a hostname")
	if !ok {
		return ""
	}
	if problem := hostProblem(text, wildcard); problem != "" {
		d.errorf(n.Pos, "%q is not a hostname: %s", source.Shorten(text), problem)
		return ""
	}
	return Hostname(text)
}

func hostProblem(text string, wildcard bool) string {
	if text == "" {
		return "it is empty"
	}
	if problem := notAHost(text); problem != "" {
		return problem
	}
	if lower := strings.ToLower(text); lower != text {
		return "it must be in lower case: \"" + punycode.Host(lower) + "\""
	}
	for _, r := range text {
		if r >= 0x80 {
			return "write it in its ASCII form: \"" + punycode.Host(text) + "\""
		}
	}
	rest := text
	if wildcard {
		rest = strings.TrimPrefix(text, "*.")
	}
	switch {
	case strings.Contains(rest, "*") && wildcard:
		return "\"*\" is possible as the whole first label only, as in \"*.example.com\""
	case strings.Contains(rest, "*"):
		return "\"*\" is not possible here"
	}
	return subdomainProblem(rest)
}

// notAHost recognises what people write in place of a hostname.
func notAHost(text string) string {
	if _, err := netip.ParseAddr(text); err == nil {
		return "it is an IP address"
	}
	switch {
	case strings.Contains(text, "://"):
		return "it has a scheme; write the host alone"
	case strings.Contains(text, "/"):
		return "it has a path; write the host alone"
	case strings.Contains(text, ":"):
		return "it has a port; ports belong to the gateway"
	case strings.HasSuffix(text, "."):
		return "it ends with a dot"
	}
	return ""
}

// headerName decodes a header name.
func (d *decoder) headerName(n *Node) HeaderName {
	text, ok := d.text(n, "a header name")
	if !ok || !d.checkToken(n.Pos, text, "a header name") {
		return ""
	}
	return HeaderName(text)
}

// checkToken checks a token of RFC 9110 section 5.6.2, which Gateway API wants for headers and query parameters.
func (d *decoder) checkToken(at Position, text, what string) bool {
	if text == "" || len(text) > 256 {
		d.errorf(at, "%s has 1 to 256 characters, found %d", what, len(text))
		return false
	}
	for _, r := range text {
		if !isTokenRune(r) {
			d.errorf(at, "%q is not %s: %q is not possible in it", source.Shorten(text), what, r)
			return false
		}
	}
	return true
}

func isTokenRune(r rune) bool {
	return r < 0x80 && isAlphanumeric(byte(r)) || strings.ContainsRune("!#$%&'*+-.^_`|~", r)
}

// stringMap decodes a map of texts.
func (d *decoder) stringMap(n *Node, what string, check func(d *decoder, e *Entry)) map[string]string {
	if n.Kind != MapNode {
		d.expected(n, what)
		return nil
	}
	out := make(map[string]string, len(n.Entries))
	for i := range n.Entries {
		e := &n.Entries[i]
		d.push(e.Key)
		if text, ok := d.text(e.Value, "text"); ok {
			check(d, e)
			out[e.Key] = text
		}
		d.pop()
	}
	return out
}
