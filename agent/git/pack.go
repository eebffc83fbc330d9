package git

import (
	"bufio"
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// packSizes are the sizes of a pack's objects when inflated, in bytes.
type packSizes struct {
	objects        int64
	largest, total int64
}

// Kinds of a pack's entries that are not whole objects.
const (
	offsetDelta = 6
	baseDelta   = 7
)

// measure walks through a pack without keeping anything, so that what is too large is known before go-git reads it into
// memory: a megabyte can inflate to a gigabyte.
func measure(r io.Reader) (packSizes, error) {
	br := bufio.NewReaderSize(r, 64<<10)
	head := make([]byte, 12)
	if _, err := io.ReadFull(br, head); err != nil || !bytes.Equal(head[:4], []byte("PACK")) {
		return packSizes{}, errors.New("it is not a pack")
	}
	s := packSizes{objects: int64(binary.BigEndian.Uint32(head[8:]))}
	z, err := zlib.NewReader(bytes.NewReader(emptyZlib))
	if err != nil {
		return s, err
	}
	for i := range s.objects {
		n, err := measureEntry(br, z)
		if err != nil {
			return s, fmt.Errorf("object %d: %w", i, err)
		}
		s.total += n
		if s.largest = max(s.largest, n); s.largest > maxObject {
			return s, nil
		}
	}
	return s, nil
}

// emptyZlib gives a reader something to begin with.
var emptyZlib = []byte{0x78, 0x9c, 0x03, 0x00, 0x00, 0x00, 0x00, 0x01}

// measureEntry gives the size that an entry says it has, and moves past it. It stops at one beyond maxObject.
func measureEntry(br *bufio.Reader, z io.ReadCloser) (int64, error) {
	kind, size, err := entryHead(br)
	if err != nil || size > maxObject {
		return size, err
	}
	if err := z.(zlib.Resetter).Reset(br, nil); err != nil {
		return 0, err
	}
	in := bufio.NewReaderSize(io.LimitReader(z, size+1), 32)
	if kind == offsetDelta || kind == baseDelta {
		made, err := madeBy(in)
		if err != nil || made > maxObject {
			return made, err
		}
		_, err = io.Copy(io.Discard, in)
		return max(size, made), err
	}
	n, err := io.Copy(io.Discard, in)
	if err == nil && n != size {
		err = errors.New("it has another size than it says")
	}
	return size, err
}

// entryHead reads up to where an entry's compressed bytes begin.
func entryHead(br *bufio.Reader) (kind byte, size int64, err error) {
	b, err := br.ReadByte()
	if err != nil {
		return 0, 0, err
	}
	kind, size = b>>4&7, int64(b&15)
	for shift := 4; b&0x80 != 0; shift += 7 {
		if b, err = br.ReadByte(); err != nil {
			return 0, 0, err
		}
		if shift > 53 {
			return 0, 0, errors.New("a size that is none")
		}
		size |= int64(b&0x7f) << shift
	}
	switch kind {
	case offsetDelta:
		_, err = binary.ReadUvarint(br) // as long as Git's own encoding, if not the same number
	case baseDelta:
		_, err = br.Discard(20)
	}
	return kind, size, err
}

// madeBy reads the beginning of a delta: the sizes of its base and of what it makes of it.
func madeBy(in *bufio.Reader) (int64, error) {
	if _, err := binary.ReadUvarint(in); err != nil {
		return 0, err
	}
	made, err := binary.ReadUvarint(in)
	if err == nil && made > 1<<62 {
		err = errors.New("a delta of an impossible size")
	}
	return int64(made), err
}
