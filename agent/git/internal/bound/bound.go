// Package bound limits how many bytes are read of what a server sends.
package bound

import "io"

// Reader is an io.LimitedReader with an error for what is beyond the limit.
type Reader struct {
	R      io.Reader
	Left   int64 // how many bytes may still come; negative beyond the limit
	TooBig error
}

// Read implements io.Reader.
func (b *Reader) Read(p []byte) (int, error) {
	if b.Left < 0 {
		return 0, b.TooBig
	}
	n, err := b.R.Read(p[:min(int64(len(p)), b.Left+1)])
	if b.Left -= int64(n); b.Left < 0 {
		return n - 1, b.TooBig
	}
	return n, err
}

// Body is a bounded reader with what closes it.
type Body struct {
	io.Reader
	io.Closer
}

// Close implements io.Closer. It reads the few bytes behind what was wanted first, so that the connection can be used again.
func (b Body) Close() error {
	_, _ = io.CopyN(io.Discard, b.Reader, 4096)
	return b.Closer.Close()
}
