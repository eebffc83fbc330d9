package schema

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"

	"headgate.dev/schema/source"
)

// maxProgram bounds the compiled size of a regular expression, in instructions: beyond it a match costs too much for
// the data path.
const maxProgram = 1000

// regexProblem says what keeps a text from being a regular expression for the data path, "" for nothing.
func regexProblem(text string) string {
	if text == "" {
		return "the regular expression is empty"
	}
	parsed, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		message := strings.TrimPrefix(err.Error(), "error parsing regexp: ")
		if strings.Contains(message, "invalid or unsupported Perl syntax") {
			message += " (RE2 has no look-around and no back references)"
		}
		return message
	}
	program, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return err.Error()
	}
	if len(program.Inst) > maxProgram {
		return fmt.Sprintf("the regular expression needs %d instructions, at most %d are possible", len(program.Inst), maxProgram)
	}
	return ""
}

// valueMatches decodes conditions on headers or query parameters.
func (d *decoder) valueMatches(n *Node, what string, longest int) []ValueMatch {
	var out []ValueMatch
	query := strings.Contains(what, "query")
	names := map[string]Position{}
	d.eachEntry(n, what, func(e *Entry) {
		name, kind := e.Key, "a header name"
		if query {
			kind = "the name of a query parameter"
		} else {
			name = strings.ToLower(e.Key)
		}
		if !d.checkToken(e.Pos, e.Key, kind) {
			return
		}
		if first, there := names[name]; there {
			d.errorf(e.Pos, "the same header is already there on line %d; upper and lower case do not matter", first.Line)
			return
		}
		names[name] = e.Pos
		m := d.valueMatch(e.Value, longest)
		m.Name = e.Key
		out = append(out, m)
	})
	if len(out) > 16 {
		d.errorf(n.Pos, "at most 16 are possible, found %d", len(out))
	}
	return out
}

var longValueFields = []field[ValueMatch]{
	{name: "exact", decode: func(d *decoder, n *Node, m *ValueMatch) {
		m.Kind = Exact
		m.Value, _ = d.text(n, "a value")
	}},
	{name: "regex", decode: func(d *decoder, n *Node, m *ValueMatch) {
		m.Kind = Regex
		m.Value, _ = d.text(n, "a value")
	}},
}

func (d *decoder) valueMatch(n *Node, longest int) ValueMatch {
	var m ValueMatch
	switch n.Kind {
	case MapNode:
		if len(n.Entries) != 1 {
			d.errorf(n.Pos, "expected a value, or a map with one of exact and regex%s", trapIn(n))
			return m
		}
		structure(d, n, &m, longValueFields)
		n = n.Entries[0].Value
	default:
		text, ok := d.text(n, "a value")
		if !ok {
			return m
		}
		m.Value = text
		if rest, regex := strings.CutPrefix(text, "~"); regex {
			m.Kind, m.Value = Regex, rest
		}
	}
	d.checkValue(n, m, longest)
	return m
}

func (d *decoder) checkValue(n *Node, m ValueMatch, longest int) {
	if len(m.Value) > longest {
		d.errorf(n.Pos, "at most %d characters are possible, found %d", longest, len(m.Value))
		return
	}
	if m.Kind == Regex {
		if problem := regexProblem(m.Value); problem != "" {
			d.errorf(n.Pos, "%q is not a value: %s", source.Shorten(n.Text), problem)
		}
		return
	}
	if strings.ContainsAny(m.Value, "\r\n\x00") {
		d.errorf(n.Pos, "a line break is not possible here")
	}
}

var originPattern = regexp.MustCompile(`^https?://(((\*\.)?([a-zA-Z0-9-]+\.)*[a-zA-Z0-9-]+|\*)(:[0-9]{1,5})?)$`)

func decodeOrigin(d *decoder, n *Node) Origin {
	text, ok := d.textUpTo(n, "an origin", 253)
	if !ok {
		return ""
	}
	if text != "*" && !originPattern.MatchString(text) {
		d.errorf(n.Pos, "%q is not an origin; write \"https://example.com\", \"https://*.example.com\" or \"*\"", source.Shorten(text))
		return ""
	}
	return Origin(text)
}
