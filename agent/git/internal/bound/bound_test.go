package bound

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestReader(t *testing.T) {
	beyond := errors.New("beyond")
	for limit, want := range map[int64]string{0: "", 3: "abc", 5: "abcde", 6: "abcde"} {
		r := &Reader{R: iotest.OneByteReader(strings.NewReader("abcde")), Left: limit, TooBig: beyond}
		got, err := io.ReadAll(r)
		if string(got) != want || errors.Is(err, beyond) != (limit < 5) {
			t.Errorf("limit %d: %q, %v", limit, got, err)
		}
		r = &Reader{R: strings.NewReader("abcde"), Left: limit, TooBig: beyond}
		if got, err := io.ReadAll(r); string(got) != want || errors.Is(err, beyond) != (limit < 5) {
			t.Errorf("limit %d: %q, %v", limit, got, err)
		}
	}
}
