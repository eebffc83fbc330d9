package source

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// Limits bound what one file may make the decoder do. The zero value of a field means that of DefaultLimits.
type Limits struct {
	Bytes     int // size of a file
	Documents int // documents in a file, empty ones too
	Depth     int // nesting of lists and maps
	Nodes     int // values in a document, every use of an alias counted in full
}

// DefaultLimits are far above what people write and far below what hurts.
var DefaultLimits = Limits{Bytes: 1 << 20, Documents: 1000, Depth: 100, Nodes: 100_000}

func (l Limits) withDefaults() Limits {
	for _, f := range []struct {
		field    *int
		standard int
	}{
		{&l.Bytes, DefaultLimits.Bytes}, {&l.Documents, DefaultLimits.Documents},
		{&l.Depth, DefaultLimits.Depth}, {&l.Nodes, DefaultLimits.Nodes},
	} {
		if *f.field == 0 {
			*f.field = f.standard
		}
	}
	return l
}

// Document is one YAML document that is not empty.
type Document struct {
	// File is the file's name as given.
	File string
	// Index counts the documents of the file from 0, empty ones too.
	Index int
	// Root is never nil.
	Root *Node
}

// Documents decodes a file of YAML 1.2 (or JSON) documents. Documents without content are left out; a document that is
// wrong is reported, with everything that is wrong with it, and left out unless its only fault is a repeated key (the
// first counts then), and the others are given all the same.
// Every error has a line. Merge keys (<<) are merged. Keys must be scalars and unique.
func Documents(file string, data []byte, limits Limits) ([]Document, Errors) {
	limits = limits.withDefaults()
	if len(data) > limits.Bytes {
		return nil, Errors{{Position: Position{File: file, Line: 1, Column: 1}, Message: fmt.Sprintf(
			"the file has %d bytes; at most %d are read as YAML", len(data), limits.Bytes)}}
	}
	data, problem := checkEncoding(file, data)
	if problem != nil {
		return nil, Errors{problem}
	}
	var documents []Document
	var errs Errors
	index := 0
	for chunk := range splitDocuments(data) {
		if index >= limits.Documents {
			return documents, append(errs, &Error{Position: Position{File: file, Line: chunk.line + 1, Column: 1}, Message: fmt.Sprintf(
				"the file has more than %d documents; split it", limits.Documents)})
		}
		root, wrong := parseDocument(file, chunk, limits)
		errs = append(errs, wrong...)
		if root != nil {
			documents = append(documents, Document{File: file, Index: index, Root: root})
		}
		index++
	}
	return documents, errs
}

// checkEncoding takes a byte order mark of UTF-8 away and refuses every other encoding.
func checkEncoding(file string, data []byte) ([]byte, *Error) {
	at := func(line int, message string) *Error {
		return &Error{Position: Position{File: file, Line: line, Column: 1}, Message: message}
	}
	if rest, ok := bytes.CutPrefix(data, []byte("\xef\xbb\xbf")); ok {
		data = rest
	}
	utf16 := bytes.HasPrefix(data, []byte("\xff\xfe")) || bytes.HasPrefix(data, []byte("\xfe\xff")) ||
		len(data) > 1 && (data[0] == 0) != (data[1] == 0)
	if utf16 {
		return nil, at(1, "the file is UTF-16; save it as UTF-8")
	}
	if i := bytes.IndexByte(data, 0); i >= 0 {
		return nil, at(1+bytes.Count(data[:i], []byte("\n")), "the file has a NUL byte; it is no text")
	}
	if !utf8.Valid(data) {
		line, found := firstInvalid(data)
		return nil, at(line, fmt.Sprintf("the line has the byte 0x%X, which is not UTF-8; save the file as UTF-8", found))
	}
	if i := strangeBreak(data); i >= 0 {
		return nil, at(1+bytes.Count(data[:i], []byte("\n")), "the line has a line break that is neither LF nor CRLF (CR, NEL, LS or PS); write it as an escape in double quotes")
	}
	return data, nil
}

// firstInvalid finds the first byte that belongs to no character, and its line.
func firstInvalid(data []byte) (line int, found byte) {
	line = 1
	for len(data) > 0 {
		r, size := utf8.DecodeRune(data)
		switch {
		case r == utf8.RuneError && size == 1:
			return line, data[0]
		case r == '\n':
			line++
		}
		data = data[size:]
	}
	return line, 0
}

// strangeBreak finds what the parser takes for a line break and an editor does not, so that lines would be counted
// differently. YAML 1.2 has only CR of them; nobody means that either.
func strangeBreak(data []byte) int {
	for _, text := range []string{"\u0085", "\u2028", "\u2029"} {
		if i := bytes.Index(data, []byte(text)); i >= 0 {
			return i
		}
	}
	for from := 0; ; {
		i := bytes.IndexByte(data[from:], '\r')
		if i < 0 {
			return -1
		}
		from += i + 1
		if from >= len(data) || data[from] != '\n' {
			return from - 1
		}
	}
}

// chunk is the text of one document; line is how many lines of the file come before it.
type chunk struct {
	text []byte
	line int
}

// splitDocuments cuts at document markers: "---" and "..." at the start of a line are never anything else in YAML.
// So an error in one document does not hide those of the next.
func splitDocuments(data []byte) func(yield func(chunk) bool) {
	return func(yield func(chunk) bool) {
		start, startLine, line, content := 0, 0, 0, false
		pos := 0
		for text := range bytes.Lines(data) {
			end := pos + len(text)
			switch {
			case isMarker(text, "---") && content:
				if !yield(chunk{data[start:pos], startLine}) {
					return
				}
				start, startLine = pos, line
			case isMarker(text, "..."):
				if content && !yield(chunk{data[start:end], startLine}) {
					return
				}
				start, startLine, content = end, line+1, false
			default:
				content = content || beginsDocument(text)
			}
			pos = end
			line++
		}
		if content {
			yield(chunk{data[start:], startLine})
		}
	}
}

// beginsDocument is false for lines that may stand before a document: blank ones, comments, directives.
func beginsDocument(line []byte) bool {
	first := bytes.TrimLeft(line, " \t\r\n")
	return len(first) > 0 && first[0] != '#' && line[0] != '%'
}

func isMarker(line []byte, marker string) bool {
	return len(line) >= 3 && string(line[:3]) == marker && (len(line) == 3 || strings.IndexByte(" \t\r\n", line[3]) >= 0)
}

// parseDocument gives nil for a document without content and for one that could not be read; one with a repeated key is
// given together with the error.
func parseDocument(file string, c chunk, limits Limits) (*Node, Errors) {
	if root, ok := parseQuickly(file, c, limits); ok {
		return root, nil
	}
	return parseFully(file, c, limits)
}

func parseFully(file string, c chunk, limits Limits) (*Node, Errors) {
	var doc yaml.Node
	if err := parseYAML(withoutVersion(c.text), &doc); err != nil {
		return nil, Errors{explainSyntax(file, c, err)}
	}
	if len(doc.Content) == 0 {
		return nil, nil
	}
	b := builder{file: file, line: c.line, limits: limits}
	root := b.node(doc.Content[0], 0)
	if b.lost || root.Kind == NullNode {
		return nil, b.errs
	}
	return root, b.errs
}

// parseYAML parses one document. The parser gives up by panicking in places it calls impossible; a file must not stop
// the program, so that is an error like any other.
func parseYAML(text []byte, doc *yaml.Node) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("yaml: %v", r)
		}
	}()
	d := yaml.NewDecoder(bytes.NewReader(text))
	if err := d.Decode(doc); err != nil {
		if errors.Is(err, io.EOF) {
			return nil // nothing but comments
		}
		return err
	}
	// The parser ends a document at whatever does not belong to it, and would leave the rest unread.
	if err := d.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// withoutVersion makes the directive "%YAML 1.2" a comment: the parser reads 1.2 but knows only the older name.
func withoutVersion(text []byte) []byte {
	if !bytes.HasPrefix(text, []byte("%YAML 1.2")) {
		return text
	}
	return append([]byte("#"), text[1:]...)
}
