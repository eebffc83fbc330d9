package source

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
)

// explainSyntax turns what the YAML parser says ("yaml: line 3: did not find expected ...") into an error with a
// position, and says what to quote where the line shows one of the classic traps.
func explainSyntax(file string, c chunk, err error) *Error {
	message := strings.TrimPrefix(err.Error(), "yaml: ")
	line := 0
	if rest, ok := strings.CutPrefix(message, "line "); ok {
		number, text, _ := strings.Cut(rest, ": ")
		if n, bad := strconv.Atoi(number); bad == nil {
			line, message = n, text
		}
	}
	if strings.HasPrefix(message, "exceeded max depth") {
		return &Error{Position: Position{File: file, Line: c.line + max(line, 1), Column: 1}, Message: "nested far too deep"}
	}
	lines := bytes.Split(c.text, []byte("\n"))
	line = min(max(line, 1), len(lines))
	hint, hintLine, column := findTrap(lines, line, message)
	if hint != "" {
		message = hint
	} else {
		message = "not valid YAML: " + message
	}
	return &Error{Position: Position{File: file, Line: c.line + hintLine, Column: column}, Message: message}
}

// findTrap looks for the trap on the reported line, then on the ones beside it, because the parser often notices only
// later (or counts from the start of the context).
func findTrap(lines [][]byte, line int, message string) (hint string, at, column int) {
	for _, trap := range []func(text, message string) (string, int){tabTrap, trapOn} { // a tab is one wherever it is
		for _, candidate := range []int{line, line - 1, line + 1} {
			if candidate < 1 || candidate > len(lines) {
				continue
			}
			text := strings.TrimRight(string(lines[candidate-1]), "\r")
			if hint, column := trap(text, message); hint != "" {
				return hint, candidate, column
			}
		}
	}
	if strings.Contains(message, "<document start>") {
		return "this line does not belong to what is above it: indent it as the first line is, or put a line --- between them", min(line+1, len(lines)), 1
	}
	if name, ok := strings.CutPrefix(message, "unknown anchor '"); ok {
		name = strings.TrimSuffix(name, "' referenced")
		for i, l := range lines {
			if j := bytes.Index(l, []byte("*"+name)); j >= 0 {
				return "*" + name + " is read as an alias, and there is no &" + name + "; quote a text that begins with \"*\"", i + 1, j + 1
			}
		}
	}
	text := lines[line-1]
	return "", line, 1 + len(text) - len(bytes.TrimLeft(text, " \t"))
}

func tabTrap(text, _ string) (hint string, column int) {
	indent := text[:len(text)-len(strings.TrimLeft(text, " \t"))]
	if i := strings.IndexByte(indent, '\t'); i >= 0 {
		return "YAML is indented with spaces, and this line has a tab", i + 1
	}
	return "", 0
}

func trapOn(text, message string) (hint string, column int) {
	start, value := valueOf(text)
	says := func(parts ...string) bool {
		return slices.ContainsFunc(parts, func(part string) bool { return strings.Contains(message, part) })
	}
	switch {
	case value == "" || strings.HasPrefix(text, "%"):
		return "", 0
	case says("alphabetic or numeric", "unknown anchor"):
		return starTrap(text)
	case strings.ContainsAny(value[:1], "@`%"):
		return "quote a text that begins with \"" + value[:1] + "\"", start + 1
	case says("mapping values are not allowed") && strings.Contains(value, ": "):
		return "quote a text with \": \" in it", start + 1
	case says("flow", "',' or") && strings.ContainsAny(text, "{["):
		return openFlow, strings.IndexAny(text, "{[") + 1
	case strings.ContainsAny(value[:1], "{[") && !strings.ContainsAny(value[len(value)-1:], "}]"):
		return openFlow, start + 1
	}
	return "", 0
}

const openFlow = "this brace or bracket is not closed, or a text inside it has one of { } [ ] , ? and must be quoted"

// starTrap finds a text that begins with "*", wherever in the line.
func starTrap(text string) (hint string, column int) {
	for i := range len(text) {
		if text[i] == '*' && (i == 0 || strings.ContainsAny(text[i-1:i], " \t[{,")) {
			end := i + strings.IndexAny(text[i:]+",", " ,]}")
			return "quote a text that begins with \"*\": \"" + text[i:end] + "\"", i + 1
		}
	}
	return "", 0
}

// valueOf gives what stands after "- " and "key: " on a line, and where.
func valueOf(text string) (start int, value string) {
	value = text
	for {
		value = strings.TrimLeft(value, " \t")
		if rest, ok := strings.CutPrefix(value, "- "); ok {
			value = rest
			continue
		}
		if i := strings.Index(value, ": "); i > 0 && !strings.ContainsAny(value[:i], "\"'{[*") {
			value = strings.TrimLeft(value[i+2:], " \t")
		}
		return len(text) - len(value), value
	}
}
