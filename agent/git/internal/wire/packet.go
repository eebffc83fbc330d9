package wire

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// A packet line is what all of Git's protocol is made of: four hexadecimal digits of length, then that many bytes less
// four. Lengths below four are marks.
type mark int

const (
	data     mark = iota // a line
	flush                // 0000: the end of a list
	delim                // 0001: the end of a section
	endOfAll             // 0002: the end of an answer
)

// packets reads packet lines, up to a number of bytes.
type packets struct {
	r    *bufio.Reader
	buf  [65520]byte
	left int64
	// tooBig is the error when left is used up.
	tooBig error
}

func newPackets(r io.Reader, limit int64, tooBig error) *packets {
	return &packets{r: bufio.NewReaderSize(r, 32<<10), left: limit, tooBig: tooBig}
}

// next gives a line that is valid until the next call. A server's own error ("ERR …") comes as a ServerError.
func (p *packets) next() (mark, []byte, error) {
	head := p.buf[:4]
	if _, err := io.ReadFull(p.r, head); err != nil {
		return 0, nil, fmt.Errorf("the answer breaks off: %w", err)
	}
	n, err := strconv.ParseUint(string(head), 16, 16)
	switch {
	case err != nil || n == 3 || n > uint64(len(p.buf)):
		return 0, nil, fmt.Errorf("the answer is not Git's protocol: it begins with %q", head)
	case n < 3:
		return mark(n) + 1, nil, nil
	}
	if p.left -= int64(n); p.left < 0 {
		return 0, nil, p.tooBig
	}
	line := p.buf[:n-4]
	if _, err := io.ReadFull(p.r, line); err != nil {
		return 0, nil, fmt.Errorf("the answer breaks off: %w", err)
	}
	if msg, ok := strings.CutPrefix(string(line[:min(len(line), 512)]), "ERR "); ok {
		return 0, nil, ServerError(strings.TrimSpace(msg))
	}
	return data, line, nil
}

// ServerError is what a server says went wrong.
type ServerError string

// Error implements error.
func (e ServerError) Error() string { return fmt.Sprintf("the server says %q", string(e)) }

// sideband reads the pack out of the packet lines it is sent in.
type sideband struct {
	p    *packets
	rest []byte
	done bool
}

// Read implements io.Reader.
func (s *sideband) Read(b []byte) (int, error) {
	for len(s.rest) == 0 {
		if s.done {
			return 0, io.EOF
		}
		m, line, err := s.p.next()
		switch {
		case err != nil:
			return 0, err
		case m != data:
			s.done = true
			continue
		case len(line) == 0:
			return 0, errors.New("the answer has an empty line inside a pack")
		}
		switch line[0] {
		case 1:
			s.rest = line[1:]
		case 2: // progress
		case 3:
			return 0, ServerError(strings.TrimSpace(string(line[1:])))
		default:
			return 0, fmt.Errorf("the answer uses the unknown band %d", line[0])
		}
	}
	n := copy(b, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}

// request builds packet lines.
type request struct{ b strings.Builder }

func (r *request) line(format string, args ...any) {
	s := fmt.Sprintf(format, args...) + "\n"
	fmt.Fprintf(&r.b, "%04x%s", len(s)+4, s)
}

func (r *request) flush() { r.b.WriteString("0000") }
func (r *request) delim() { r.b.WriteString("0001") }

func (r *request) bytes() []byte { return []byte(r.b.String()) }
