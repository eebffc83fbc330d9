package git

import (
	"io"

	"headgate.dev/agent/git/internal/bound"
)

// bounds say how many bytes a server may send.
type bounds struct {
	url        string // shown
	refs, pack int64
}

// listing bounds an answer with references.
func (b bounds) listing(r io.Reader) io.Reader {
	return &bound.Reader{R: r, Left: b.refs, TooBig: &TooBigError{What: "listing the references of " + b.url, Limit: b.refs, Unit: "bytes",
		Hint: "a server lists all of them: hide some there (transfer.hideRefs), or raise the limit"}}
}

// fetched bounds an answer with a pack.
func (b bounds) fetched(r io.Reader) io.Reader {
	return &bound.Reader{R: r, Left: b.pack, TooBig: &TooBigError{What: "fetching from " + b.url, Limit: b.pack, Unit: "bytes",
		Hint: "raise the limit, or keep large files elsewhere"}}
}
