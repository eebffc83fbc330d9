// Package pack looks into packs of Git's objects before they are stored.
package pack

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/go-git/go-git/v5/plumbing/format/packfile"
)

// MaxObject is how many bytes one object may have, which go-git holds in memory.
const MaxObject = 128 << 20

// Sizes are the sizes of a pack's objects when inflated, in bytes.
type Sizes struct {
	Objects        int64
	Largest, Total int64
}

// Measure walks through a pack without keeping anything, so that what is too large is known before go-git reads it into
// memory: a megabyte can inflate to a gigabyte. It stops at an object beyond MaxObject.
func Measure(r io.Reader) (Sizes, error) {
	sc := packfile.NewScanner(r)
	_, n, err := sc.Header()
	s := Sizes{Objects: int64(n)}
	if err != nil {
		return s, err
	}
	for i := range s.Objects {
		size, err := measureEntry(sc)
		if err != nil {
			return s, fmt.Errorf("object %d: %w", i, err)
		}
		s.Total += size
		if s.Largest = max(s.Largest, size); s.Largest > MaxObject {
			return s, nil
		}
	}
	return s, nil
}

// measureEntry gives the size of the object that the next entry makes, and moves past it. It stops at one beyond MaxObject.
func measureEntry(sc *packfile.Scanner) (int64, error) {
	h, err := sc.NextObjectHeader()
	if err != nil || h.Length > MaxObject {
		return MaxObject + 1, err
	}
	var start beginning
	n, _, err := sc.NextObject(&start)
	switch {
	case err != nil:
		return 0, err
	case n != h.Length:
		return 0, errors.New("it has another size than it says")
	case !h.Type.IsDelta():
		return n, nil
	}
	made, err := madeBy(bytes.NewReader(start))
	return max(n, made), err
}

// madeBy reads the beginning of a delta: the sizes of its base and of what it makes of it.
func madeBy(delta io.ByteReader) (int64, error) {
	if _, err := binary.ReadUvarint(delta); err != nil {
		return 0, err
	}
	made, err := binary.ReadUvarint(delta)
	if err == nil && made > 1<<62 {
		err = errors.New("a delta of an impossible size")
	}
	return int64(made), err
}

// beginning keeps the first bytes that are written to it.
type beginning []byte

// Write implements io.Writer.
func (b *beginning) Write(p []byte) (int, error) {
	*b = append(*b, p[:min(len(p), 1024-len(*b))]...)
	return len(p), nil
}
