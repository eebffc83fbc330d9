package pack

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
)

const (
	ofsDelta = byte(plumbing.OFSDeltaObject)
	refDelta = byte(plumbing.REFDeltaObject)
)

// packOf makes a pack of one entry that says it has a size.
func packOf(kind byte, size uint64, between, content []byte) []byte {
	b := append([]byte("PACK\x00\x00\x00\x02\x00\x00\x00\x01"), kind<<4|byte(size&15))
	for size >>= 4; size > 0; size >>= 7 {
		b[len(b)-1] |= 0x80
		b = append(b, byte(size&0x7f))
	}
	var z bytes.Buffer
	w := zlib.NewWriter(&z)
	_, _ = w.Write(content)
	_ = w.Close()
	return append(append(b, between...), z.Bytes()...)
}

func TestMeasurePacks(t *testing.T) {
	delta := append(binary.AppendUvarint(binary.AppendUvarint(nil, 10), MaxObject+1), 1, 2, 3)
	for name, c := range map[string]struct {
		pack    []byte
		largest int64
	}{
		"a blob":            {packOf(3, 5, nil, []byte("hello")), 5},
		"a large blob":      {packOf(3, MaxObject+1, nil, []byte("hello")), MaxObject + 1},
		"an offset delta":   {packOf(ofsDelta, uint64(len(delta)), []byte{5}, delta), MaxObject + 1},
		"a delta of a base": {packOf(refDelta, uint64(len(delta)), make([]byte, 20), delta), MaxObject + 1},
	} {
		s, err := Measure(bytes.NewReader(c.pack))
		if err != nil || s.Largest != c.largest || s.Objects != 1 {
			t.Errorf("%s: %+v, %v", name, s, err)
		}
	}
	for name, pack := range map[string][]byte{
		"nothing": nil, "no pack": []byte("PICK"), "another size": packOf(3, 4, nil, []byte("hello")),
		"too short": packOf(3, 5, nil, []byte("hello"))[:16], "endless size": append([]byte("PACK\x00\x00\x00\x02\x00\x00\x00\x01"), bytes.Repeat([]byte{0xff}, 20)...),
	} {
		if s, err := Measure(bytes.NewReader(pack)); err == nil {
			t.Errorf("%s: %+v", name, s)
		}
	}
}

func FuzzMeasure(f *testing.F) {
	f.Add(packOf(3, 5, nil, []byte("hello")))
	f.Add(packOf(ofsDelta, 5, []byte{5}, []byte("\x01\x02abc")))
	f.Fuzz(func(t *testing.T, pack []byte) {
		if s, err := Measure(bytes.NewReader(pack)); err == nil && s.Objects > 0 && s.Total < s.Largest {
			t.Errorf("%+v", s)
		}
	})
}
