package git

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"os/exec"
	"strings"
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
	delta := append(binary.AppendUvarint(binary.AppendUvarint(nil, 10), maxObject+1), 1, 2, 3)
	for name, c := range map[string]struct {
		pack    []byte
		largest int64
	}{
		"a blob":            {packOf(3, 5, nil, []byte("hello")), 5},
		"a large blob":      {packOf(3, maxObject+1, nil, []byte("hello")), maxObject + 1},
		"an offset delta":   {packOf(ofsDelta, uint64(len(delta)), []byte{5}, delta), maxObject + 1},
		"a delta of a base": {packOf(refDelta, uint64(len(delta)), make([]byte, 20), delta), maxObject + 1},
	} {
		s, err := measure(bytes.NewReader(c.pack))
		if err != nil || s.largest != c.largest || s.objects != 1 {
			t.Errorf("%s: %+v, %v", name, s, err)
		}
	}
	for name, pack := range map[string][]byte{
		"nothing": nil, "no pack": []byte("PICK"), "another size": packOf(3, 4, nil, []byte("hello")),
		"too short": packOf(3, 5, nil, []byte("hello"))[:16], "endless size": append([]byte("PACK\x00\x00\x00\x02\x00\x00\x00\x01"), bytes.Repeat([]byte{0xff}, 20)...),
	} {
		if s, err := measure(bytes.NewReader(pack)); err == nil {
			t.Errorf("%s: %+v", name, s)
		}
	}
}

func TestMeasureRealPack(t *testing.T) {
	dir := newRepo(t)
	for range 5 {
		commit(t, dir, "a.yaml", readFile(t, dir, "a.yaml")+strings.Repeat("line\n", 100))
	}
	cmd := exec.Command("git", "pack-objects", "--all", "--stdout", "-q", "--delta-base-offset")
	cmd.Dir, cmd.Env = dir, gitEnv
	pack, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	s, err := measure(bytes.NewReader(pack))
	if err != nil || s.objects != 18 || s.largest != 2505 {
		t.Errorf("%+v, %v", s, err)
	}
}

func FuzzMeasure(f *testing.F) {
	f.Add(packOf(3, 5, nil, []byte("hello")))
	f.Add(packOf(ofsDelta, 5, []byte{5}, []byte("\x01\x02abc")))
	f.Fuzz(func(t *testing.T, pack []byte) {
		if s, err := measure(bytes.NewReader(pack)); err == nil && s.objects > 0 && s.total < s.largest {
			t.Errorf("%+v", s)
		}
	})
}
