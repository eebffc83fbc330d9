package git

import "io"

// bounds say how many bytes a server may send.
type bounds struct {
	url        string // shown
	refs, pack int64
}

// listing bounds an answer with references.
func (b bounds) listing(r io.Reader) io.Reader {
	return &bounded{r: r, left: b.refs, tooBig: &TooBigError{What: "listing the references of " + b.url, Limit: b.refs, Unit: "bytes",
		Hint: "a server lists all of them: hide some there (transfer.hideRefs), or raise the limit"}}
}

// fetched bounds an answer with a pack.
func (b bounds) fetched(r io.Reader) io.Reader {
	return &bounded{r: r, left: b.pack, tooBig: &TooBigError{What: "fetching from " + b.url, Limit: b.pack, Unit: "bytes",
		Hint: "raise the limit, or keep large files elsewhere"}}
}

// bounded is an io.LimitedReader with an error for what is beyond the limit.
type bounded struct {
	r      io.Reader
	left   int64 // negative beyond the limit
	tooBig error
}

// Read implements io.Reader.
func (b *bounded) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, b.tooBig
	}
	n, err := b.r.Read(p[:min(int64(len(p)), b.left+1)])
	if b.left -= int64(n); b.left < 0 {
		return n - 1, b.tooBig
	}
	return n, err
}

// bodyOf is a bounded reader with what closes it.
type bodyOf struct {
	io.Reader
	io.Closer
}

// Close implements io.Closer. It reads the few bytes behind what was wanted first, so that the connection can be used again.
func (b bodyOf) Close() error {
	_, _ = io.CopyN(io.Discard, b.Reader, 4096)
	return b.Closer.Close()
}
