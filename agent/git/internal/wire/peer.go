// Package wire speaks the client's side of Git's fetch protocol: version 2, and 0 with servers that know no other. What
// carries the bytes is a Transport.
//
// A server is told what is wanted as exactly as the version allows: in version 2 it lists only the references asked for;
// in version 0 it lists all of them, of which only those asked for are kept. One object is fetched at a time, with depth 1.
// Answers are bounded in bytes. Nothing is kept between calls except what the server can.
package wire

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
)

// Transport carries requests to git-upload-pack on a server. A caller uses it for one exchange at a time:
// advertise, then any number of calls, then end.
type Transport interface {
	// Advertise begins an exchange and gives what the server says first.
	Advertise(ctx context.Context) (io.ReadCloser, error)
	// Call sends a request and gives the answer, which must be read up to its end or closed.
	Call(ctx context.Context, body []byte) (io.ReadCloser, error)
	// Stateless: each Call stands alone and needs no Advertise before it.
	Stateless() bool
}

// maxLines bounds what is not references or a pack: capabilities and acknowledgements.
const maxLines = 1 << 20

const agent = "headgate"

var fullID = regexp.MustCompile(`^[0-9a-f]{40}$`)

// Limits bound what a server may send, in bytes, and say what error it is to send more.
type Limits struct {
	Refs, Pack          int64
	TooManyRefs, TooBig error
	// Blob is the largest blob that is wanted, where the server can leave out larger ones.
	Blob int64
	// WrongFormat is the error for a repository whose ids are not SHA-1.
	WrongFormat error
}

// Peer is the server of one remote. It remembers what the server can. One goroutine uses it.
type Peer struct {
	t      Transport
	limits Limits

	version int // 2, 0, or -1 when not known yet
	caps    map[string]string
	all     map[string]Ref // version 0: the wanted ones of the references last advertised
}

// NewPeer gives a Peer that nothing is known of yet.
func NewPeer(t Transport, l Limits) *Peer { return &Peer{t: t, limits: l, version: -1} }

// Reset forgets what the server can, and any exchange.
func (p *Peer) Reset() { p.version = -1 }

// Ref is a reference as a server lists it.
type Ref struct {
	Hash string
	// Symref is the reference it points at, if it is symbolic and the server says so.
	Symref string
}

// Query is which references are asked for.
type Query struct {
	Names  []string // in full
	Prefix string   // or all that begin with this
}

func (q Query) wants(name string) bool {
	return slices.Contains(q.Names, name) || q.Prefix != "" && strings.HasPrefix(name, q.Prefix)
}

// List asks for references. It begins an exchange, which Fetch may continue.
func (p *Peer) List(ctx context.Context, q Query) (map[string]Ref, error) {
	if p.version != 2 || !p.t.Stateless() {
		if err := p.hello(ctx, q); err != nil {
			return nil, err
		}
	}
	if p.version == 0 {
		return p.all, nil
	}
	refs, err := p.listV2(ctx, q)
	if err != nil {
		p.version = -1 // the next try asks again what the server can
	}
	return refs, err
}

// hello reads what the server says first: its capabilities, and in version 0 all its references.
func (p *Peer) hello(ctx context.Context, q Query) error {
	p.version, p.caps, p.all = -1, map[string]string{}, map[string]Ref{}
	r, err := p.t.Advertise(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	in := newPackets(r, p.limits.Refs, p.limits.TooManyRefs)
	m, line, err := in.next()
	if err == nil && m == data && bytes.HasPrefix(line, []byte("# service=")) {
		if _, _, err = in.next(); err == nil { // the flush after it
			m, line, err = in.next()
		}
	}
	if err != nil {
		return err
	}
	text := strings.TrimSuffix(string(line), "\n")
	if m == data && text == "version 2" {
		return p.capabilities(in)
	}
	return p.referencesV0(in, m, text, q)
}

func (p *Peer) capabilities(in *packets) error {
	for {
		m, line, err := in.next()
		if err != nil {
			return err
		}
		if m != data {
			break
		}
		key, value, _ := strings.Cut(strings.TrimSuffix(string(line), "\n"), "=")
		p.caps[key] = value
	}
	p.version = 2
	return p.checkFormat()
}

func (p *Peer) checkFormat() error {
	if f := p.caps["object-format"]; f != "" && f != "sha1" {
		return p.limits.WrongFormat
	}
	return nil
}

// referencesV0 reads the list every reference is in, and keeps the wanted ones.
func (p *Peer) referencesV0(in *packets, m mark, text string, q Query) error {
	head, capabilities, _ := strings.Cut(text, "\x00")
	symrefs := map[string]string{}
	for c := range strings.FieldsSeq(capabilities) {
		key, value, _ := strings.Cut(c, "=")
		if key == "symref" {
			from, to, _ := strings.Cut(value, ":")
			symrefs[from] = to
			continue
		}
		p.caps[key] = value
	}
	p.version = 0
	for text = head; m == data; {
		hash, name, _ := strings.Cut(text, " ")
		if fullID.MatchString(hash) && q.wants(name) {
			p.all[name] = Ref{Hash: hash, Symref: symrefs[name]}
		}
		var line []byte
		var err error
		m, line, err = in.next()
		if errors.Is(err, in.tooBig) && p.t.Stateless() && len(q.Names) > 0 && p.all[q.Names[0]].Hash != "" {
			return p.checkFormat() // the best name is found, and this connection is not needed again
		}
		if err != nil {
			return err
		}
		text = strings.TrimSuffix(string(line), "\n")
	}
	return p.checkFormat()
}

func (p *Peer) listV2(ctx context.Context, q Query) (map[string]Ref, error) {
	var b request
	p.command(&b, "ls-refs")
	b.line("symrefs")
	for _, name := range q.Names {
		b.line("ref-prefix %s", name)
	}
	if q.Prefix != "" {
		b.line("ref-prefix %s", q.Prefix)
	}
	b.flush()
	r, err := p.t.Call(ctx, b.bytes())
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }()
	in := newPackets(r, p.limits.Refs, p.limits.TooManyRefs)
	refs := map[string]Ref{}
	for {
		m, line, err := in.next()
		if err != nil {
			return nil, err
		}
		if m != data {
			return refs, nil
		}
		fields := strings.Fields(string(line))
		if len(fields) < 2 || !fullID.MatchString(fields[0]) || !q.wants(fields[1]) {
			continue
		}
		a := Ref{Hash: fields[0]}
		for _, f := range fields[2:] {
			if to, ok := strings.CutPrefix(f, "symref-target:"); ok {
				a.Symref = to
			}
		}
		refs[fields[1]] = a
	}
}

func (p *Peer) command(b *request, name string) {
	b.line("command=%s", name)
	b.line("agent=%s", agent)
	if p.caps["object-format"] != "" {
		b.line("object-format=sha1")
	}
	b.delim()
}

// Fetch asks for one object with all it needs except history, and except what the commits in have need. The answer is
// a pack: a thin one, with deltas against objects of those commits, unless have is empty. (Of a shallow history only a thin
// pack leaves out what the client has.) It continues the exchange that List began, or begins one.
func (p *Peer) Fetch(ctx context.Context, want string, have []string) (io.ReadCloser, error) {
	if p.version < 0 {
		if err := p.hello(ctx, Query{Names: []string{"HEAD"}}); err != nil {
			return nil, err
		}
	}
	if p.version == 2 {
		return p.fetchV2(ctx, want, have)
	}
	return p.fetchV0(ctx, want, have)
}

// Filters tells whether the server can leave out the large blobs, and is asked to.
func (p *Peer) Filters() bool {
	_, v0 := p.caps["filter"]
	return v0 || slices.Contains(strings.Fields(p.caps["fetch"]), "filter")
}

func (p *Peer) filterLine(b *request) {
	if p.Filters() {
		b.line("filter blob:limit=%d", p.limits.Blob+1)
	}
}

func (p *Peer) fetchV2(ctx context.Context, want string, have []string) (io.ReadCloser, error) {
	var b request
	p.command(&b, "fetch")
	b.line("ofs-delta")
	b.line("no-progress")
	if len(have) > 0 {
		b.line("thin-pack")
	}
	b.line("want %s", want)
	for _, h := range have {
		b.line("shallow %s", h)
	}
	b.line("deepen 1")
	p.filterLine(&b)
	for _, h := range have {
		b.line("have %s", h)
	}
	b.line("done")
	b.flush()
	r, err := p.t.Call(ctx, b.bytes())
	if err != nil {
		return nil, err
	}
	in := p.packPackets(r)
	for {
		m, line, err := in.next()
		if err != nil {
			return nil, errors.Join(err, r.Close())
		}
		if m == flush || m == endOfAll {
			return nil, errors.Join(errors.New("the answer has no pack"), r.Close())
		}
		if m == data && string(line) == "packfile\n" {
			return &pack{Reader: &sideband{p: in}, Closer: r}, nil
		}
	}
}

// pack is a pack as it arrives.
type pack struct {
	io.Reader
	io.Closer
}

func (p *Peer) packPackets(r io.Reader) *packets {
	return newPackets(r, p.limits.Pack, p.limits.TooBig)
}

func (p *Peer) fetchV0(ctx context.Context, want string, have []string) (io.ReadCloser, error) {
	var b request
	b.line("want %s %s", want, strings.Join(p.capsV0(len(have) > 0), " "))
	for _, h := range have {
		b.line("shallow %s", h)
	}
	b.line("deepen 1")
	p.filterLine(&b)
	b.flush()
	for _, h := range have {
		b.line("have %s", h)
	}
	b.line("done")
	r, err := p.t.Call(ctx, b.bytes())
	if err != nil {
		return nil, err
	}
	in := p.packPackets(r)
	if err := acknowledgements(in); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	if _, ok := p.caps["side-band-64k"]; !ok {
		return &pack{Reader: io.LimitReader(in.r, p.limits.Pack), Closer: r}, nil
	}
	return &pack{Reader: &sideband{p: in}, Closer: r}, nil
}

// capsV0 are the capabilities asked for, of those the server has. Without multi_ack some servers (Azure DevOps) answer
// no one; with one batch of haves and "done" right after it, it only adds lines to skip.
func (p *Peer) capsV0(thin bool) []string {
	caps := []string{"agent=" + agent}
	if _, ok := p.caps["thin-pack"]; ok && thin {
		caps = append(caps, "thin-pack")
	}
	for _, c := range []string{"multi_ack_detailed", "side-band-64k", "ofs-delta", "no-progress", "shallow", "filter"} {
		if _, ok := p.caps[c]; ok {
			caps = append(caps, c)
		}
	}
	return caps
}

// acknowledgements reads up to where the pack begins: the new ends of history, then which haves the server knows.
func acknowledgements(in *packets) error {
	for left := maxLines; left > 0; left-- {
		m, line, err := in.next()
		if err != nil {
			return err
		}
		fields := strings.Fields(string(line))
		switch {
		case m != data || len(fields) == 0 || fields[0] == "shallow" || fields[0] == "unshallow":
		case fields[0] == "NAK", fields[0] == "ACK" && len(fields) == 2:
			return nil
		case fields[0] != "ACK":
			return fmt.Errorf("the answer has %.40q where the server should acknowledge", line)
		}
	}
	return errors.New("the answer never gets to the pack")
}
