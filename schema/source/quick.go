package source

import "strings"

// Most files of a tree are written so plainly that they need none of YAML's harder rules: printable ASCII, plain keys, values on one line,
// no anchors, tags, block scalars or escapes. quick reads just these, at a fraction of what the parser costs; of anything else, and of
// everything that is wrong, it says that it is not for it. A fuzz test holds that what it reads is what the parser reads.

// quickDepth is how deep it follows lists and maps.
const quickDepth = 32

type quick struct {
	file  string
	lines []quickLine
	at    int // the next of lines
	count int // of nodes
}

// quickLine is a line with content.
type quickLine struct {
	text   string // to its end, comments and spaces at the end taken away
	number int    // in the file, from 1
	indent int    // where the content begins; behind the "- " of a list once that is read
}

// parseQuickly gives false for a document that is for the parser.
func parseQuickly(file string, c chunk, limits Limits) (*Node, bool) {
	q := quick{file: file}
	if !q.split(string(c.text), c.line) || len(q.lines) == 0 || len(c.text) > limits.Bytes {
		return nil, false
	}
	root, ok := q.block(q.lines[0].indent, 0)
	if !ok || q.at < len(q.lines) || root.Kind != MapNode || q.count > limits.Nodes || limits.Depth < quickDepth {
		return nil, false
	}
	return root, true
}

// split cuts a document into its lines with content.
func (q *quick) split(text string, before int) bool {
	q.lines = make([]quickLine, 0, 1+len(text)/16)
	number, begun := before, false
	for len(text) > 0 {
		line, rest, _ := strings.Cut(text, "\n")
		text = rest
		number++
		for i := range len(line) {
			if line[i] < ' ' || line[i] > '~' {
				return false
			}
		}
		if line == "---" && !begun && len(q.lines) == 0 {
			begun = true
			continue
		}
		indent := 0
		for indent < len(line) && line[indent] == ' ' {
			indent++
		}
		if line = strings.TrimRight(line, " "); indent >= len(line) || line[indent] == '#' {
			continue
		}
		q.lines = append(q.lines, quickLine{text: line, number: number, indent: indent})
	}
	return true
}

func (q *quick) node(l *quickLine, column int) *Node {
	q.count++
	return &Node{Pos: Position{File: q.file, Line: l.number, Column: column + 1}}
}

// block reads the map or list that begins at the next line, at an indentation.
func (q *quick) block(indent, depth int) (*Node, bool) {
	if depth >= quickDepth || q.at >= len(q.lines) || q.lines[q.at].indent != indent {
		return nil, false
	}
	if l := &q.lines[q.at]; isItem(l) {
		return q.list(indent, depth)
	}
	return q.mapping(indent, depth)
}

func isItem(l *quickLine) bool { return strings.HasPrefix(l.text[l.indent:], "- ") }

func (q *quick) list(indent, depth int) (*Node, bool) {
	n := q.node(&q.lines[q.at], indent)
	n.Kind, n.Items = ListNode, []*Node{}
	for q.at < len(q.lines) && q.lines[q.at].indent == indent && isItem(&q.lines[q.at]) {
		l := &q.lines[q.at]
		l.indent++
		for l.text[l.indent] == ' ' { // something follows: the spaces at the end are gone
			l.indent++
		}
		var item *Node
		var ok bool
		if _, _, isKey := quickKey(l.text, l.indent); isKey {
			item, ok = q.mapping(l.indent, depth+1)
		} else {
			q.at++
			item, ok = q.value(l, l.indent, depth+1)
		}
		if !ok {
			return nil, false
		}
		n.Items = append(n.Items, item)
	}
	return n, true
}

func (q *quick) mapping(indent, depth int) (*Node, bool) {
	n := q.node(&q.lines[q.at], indent)
	n.Kind, n.Entries = MapNode, make([]Entry, 0, 4)
	for q.at < len(q.lines) && q.lines[q.at].indent == indent && depth < quickDepth {
		l := &q.lines[q.at]
		if isItem(l) {
			break // of the list around the map
		}
		key, value, isKey := quickKey(l.text, indent)
		if !isKey || has(n.Entries, key) {
			return nil, false
		}
		q.at++
		child, ok := q.child(l, value, indent, depth+1)
		if !ok {
			return nil, false
		}
		n.Entries = append(n.Entries, Entry{Key: key, Pos: Position{File: q.file, Line: l.number, Column: indent + 1}, Value: child})
	}
	return n, len(n.Entries) > 0
}

// child reads the value of a key, which begins on its line or below it.
func (q *quick) child(l *quickLine, value, indent, depth int) (*Node, bool) {
	if value < len(l.text) {
		return q.value(l, value, depth)
	}
	if q.at == len(q.lines) {
		return nil, false
	}
	if next := &q.lines[q.at]; next.indent > indent || next.indent == indent && isItem(next) {
		return q.block(next.indent, depth)
	}
	return nil, false
}

func has(entries []Entry, key string) bool {
	for i := range entries {
		if entries[i].Key == key {
			return true
		}
	}
	return len(entries) > 100 // not for this
}

// quickKey reads a plain key, and gives where its value begins: at the end of the line when it is on the next ones.
func quickKey(text string, from int) (key string, value int, ok bool) {
	end := keyEnd(text, from)
	if end == from || end-from > 100 || end == len(text) || text[end] != ':' || text[from] <= '9' {
		return "", 0, false
	}
	switch key = text[from:end]; key {
	case "null", "Null", "NULL":
		return "", 0, false
	}
	rest := text[end+1:]
	if rest != "" && rest[0] != ' ' {
		return "", 0, false
	}
	rest = strings.TrimLeft(rest, " ")
	if rest == "" || rest[0] == '#' {
		return key, len(text), true
	}
	return key, len(text) - len(rest), true
}

func keyEnd(text string, from int) int {
	end := from
	for end < len(text) && (isWord(text[end]) || end > from && strings.IndexByte("./-", text[end]) >= 0) {
		end++
	}
	return end
}

func isWord(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_'
}

// value reads what stands on the rest of a line.
func (q *quick) value(l *quickLine, from, depth int) (*Node, bool) {
	n, end, ok := q.scalarOrFlow(l, from, depth, false)
	if !ok {
		return nil, false
	}
	for end < len(l.text) && l.text[end] == ' ' {
		end++
	}
	comment := end < len(l.text) && l.text[end] == '#' && l.text[end-1] == ' '
	return n, end == len(l.text) || comment
}

// scalarOrFlow reads one value and gives where it ends.
func (q *quick) scalarOrFlow(l *quickLine, from, depth int, flow bool) (n *Node, end int, ok bool) {
	if from >= len(l.text) || depth >= quickDepth {
		return nil, 0, false
	}
	n = q.node(l, from)
	switch c := l.text[from]; c {
	case '"', '\'':
		end, ok = n.quoted(l.text, from)
		return n, end, ok
	case '[':
		return q.flowList(n, l, from+1, depth)
	case '{':
		return q.flowMap(n, l, from+1, depth)
	default:
		if !isWord(c) && c != '/' && c != '.' {
			return nil, 0, false
		}
	}
	if end = blockEnd(l.text, from); flow {
		end = flowEnd(l.text, from)
	}
	return n, end, end > from && n.resolveScalar(l.text[from:end])
}

// quoted reads a text in quotes without an escape.
func (n *Node) quoted(text string, from int) (end int, ok bool) {
	c := text[from]
	length := strings.IndexByte(text[from+1:], c)
	if length < 0 {
		return 0, false
	}
	end = from + 1 + length
	n.Kind, n.Text = StringNode, text[from+1:end]
	if c == '"' && strings.Contains(n.Text, "\\") {
		return 0, false
	}
	again := end+1 < len(text) && text[end+1] == c // a quote in the text
	return end + 1, !again
}

// isPlain tells what means nothing else in a plain scalar, wherever it stands.
func isPlain(c byte) bool { return isWord(c) || strings.IndexByte("./-+=@~$*()^", c) >= 0 }

// flowEnd gives where a plain scalar in brackets or braces ends; nothing of it where a character could mean something else.
func flowEnd(text string, from int) int {
	end := from
	for end < len(text) && isPlain(text[end]) {
		end++
	}
	if end == len(text) || strings.IndexByte(",]}", text[end]) < 0 {
		return from
	}
	return end
}

// blockEnd is flowEnd outside of these.
func blockEnd(text string, from int) int {
	for end := from; end < len(text); end++ {
		switch c := text[end]; {
		case isPlain(c), c == ',':
		case c == ':' && end+1 < len(text) && text[end+1] != ' ':
		case c == ' ':
			rest := strings.TrimLeft(text[end:], " ") // something follows: the spaces at the end are gone
			if rest[0] == '#' {
				return end
			}
			if len(rest) != len(text)-end-1 {
				return from
			}
		default:
			return from
		}
	}
	return len(text)
}

func (q *quick) flowList(n *Node, l *quickLine, at, depth int) (*Node, int, bool) {
	n.Kind, n.Flow, n.Items = ListNode, true, []*Node{}
	if at < len(l.text) && l.text[at] == ']' {
		return n, at + 1, true
	}
	for {
		item, end, ok := q.scalarOrFlow(l, at, depth+1, true)
		if !ok || end >= len(l.text) {
			return nil, 0, false
		}
		n.Items = append(n.Items, item)
		if l.text[end] == ']' {
			return n, end + 1, true
		}
		if at, ok = afterComma(l.text, end); !ok {
			return nil, 0, false
		}
	}
}

func (q *quick) flowMap(n *Node, l *quickLine, at, depth int) (*Node, int, bool) {
	n.Kind, n.Flow, n.Entries = MapNode, true, make([]Entry, 0, 2)
	if at < len(l.text) && l.text[at] == '}' {
		return n, at + 1, true
	}
	for {
		key, value, ok := quickKey(l.text, at)
		if !ok || has(n.Entries, key) {
			return nil, 0, false
		}
		child, end, ok := q.scalarOrFlow(l, value, depth+1, true)
		if !ok || end >= len(l.text) {
			return nil, 0, false
		}
		n.Entries = append(n.Entries, Entry{Key: key, Pos: Position{File: q.file, Line: l.number, Column: at + 1}, Value: child})
		if l.text[end] == '}' {
			return n, end + 1, true
		}
		if at, ok = afterComma(l.text, end); !ok {
			return nil, 0, false
		}
	}
}

// afterComma gives where the next item begins.
func afterComma(text string, at int) (int, bool) {
	return at + 2, at+2 < len(text) && text[at:at+2] == ", "
}
