package wire

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
)

var errBound = errors.New("the bound")

func band(n byte, s string) string { return fmt.Sprintf("%04x%c%s", len(s)+5, n, s) }

func TestSideband(t *testing.T) {
	read := func(wire string, limit int64) (string, error) {
		s := &sideband{p: newPackets(strings.NewReader(wire), limit, errBound)}
		data, err := io.ReadAll(s)
		if err == nil {
			_, err = s.Read(make([]byte, 1)) // the end stays the end
			if errors.Is(err, io.EOF) {
				err = nil
			}
		}
		return string(data), err
	}
	if got, err := read(band(1, "PA")+band(2, "progress")+band(1, "CK")+"0000"+band(1, "not ours"), 1000); got != "PACK" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	var said ServerError
	if _, err := read(band(3, "out of memory"), 1000); !errors.As(err, &said) || said != "out of memory" {
		t.Error(err)
	}
	if _, err := read(band(1, "PACK")+"0000", 8); !errors.Is(err, errBound) {
		t.Error(err)
	}
	for _, bad := range []string{band(4, "x"), "0004", "0003", "00", "00zz", "fff1", "ffff", band(1, "x")} {
		if _, err := read(bad, 1<<20); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

func TestAcknowledgements(t *testing.T) {
	line := func(s string) string { return fmt.Sprintf("%04x%s", len(s)+4, s) }
	for _, fine := range []string{
		line("NAK\n"),
		line("shallow 1\n") + line("unshallow 2\n") + "0000" + line("ACK 3\n"),
		"0000" + line("ACK 3 common\n") + line("ACK 3 ready\n") + line("ACK 3\n"),
	} {
		p := newPackets(strings.NewReader(fine+"PACK"), 1000, errBound)
		if err := acknowledgements(p); err != nil {
			t.Errorf("%q: %v", fine, err)
		}
		if rest, _ := io.ReadAll(p.r); string(rest) != "PACK" {
			t.Errorf("%q: left %q", fine, rest)
		}
	}
	if err := acknowledgements(newPackets(strings.NewReader(line("PACK")), 1000, errBound)); err == nil {
		t.Error("a pack without an acknowledgement was accepted")
	}
}

func FuzzSideband(f *testing.F) {
	f.Add(band(1, "PACK") + "0000")
	f.Add(band(3, "x") + "0001")
	f.Fuzz(func(t *testing.T, wire string) {
		n, err := io.Copy(io.Discard, &sideband{p: newPackets(strings.NewReader(wire), 100, errBound)})
		if n > 100 {
			t.Errorf("%d bytes came through a bound of 100: %v", n, err)
		}
	})
}
