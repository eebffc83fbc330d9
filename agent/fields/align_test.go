package fields

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

func TestAlign(t *testing.T) {
	for _, c := range []struct{ a, b, want string }{
		{`[1,2,3]`, `[1,2,3]`, "0=0 1=1 2=2"},
		{`[1,2,3]`, `[0,1,2,3]`, "+0 0=1 1=2 2=3"},
		{`[1,2,3]`, `[1,3]`, "0=0 -1 2=1"},
		{`[1,2,3]`, `[1,9,3]`, "0=0 1=1 2=2"},
		{`[{"p":1,"q":1}]`, `[{"p":2,"q":2},{"p":1,"q":3}]`, "+0 0=1"},
		{`[{"p":1,"q":1},{"p":2,"q":2}]`, `[{"p":2,"q":3}]`, "-0 1=0"},
		{`[]`, `[1]`, "+0"},
		{`[1]`, `[]`, "-0"},
	} {
		var a, b []any
		if json.Unmarshal([]byte(c.a), &a) != nil || json.Unmarshal([]byte(c.b), &b) != nil {
			t.Fatal(c)
		}
		var words []string
		for _, p := range align(a, b) {
			switch {
			case p.a < 0:
				words = append(words, fmt.Sprintf("+%d", p.b))
			case p.b < 0:
				words = append(words, fmt.Sprintf("-%d", p.a))
			default:
				words = append(words, fmt.Sprintf("%d=%d", p.a, p.b))
			}
		}
		if got := strings.Join(words, " "); got != c.want {
			t.Errorf("%s and %s: %s, want %s", c.a, c.b, got, c.want)
		}
	}
}

// TestAlignHasEveryItemOnce holds that nothing is lost, whatever the lists are.
func TestAlignHasEveryItemOnce(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	list := func(n int) []any {
		out := make([]any, n)
		for i := range out {
			out[i] = map[string]any{"a": float64(random.IntN(3)), "b": float64(random.IntN(3))}
		}
		return out
	}
	for range 2000 {
		a, b := list(random.IntN(8)), list(random.IntN(8))
		if random.IntN(100) == 0 {
			a, b = list(150), list(150) // too many to be aligned
		}
		nextA, nextB := 0, 0
		for _, p := range align(a, b) {
			if p.a >= 0 && p.a != nextA || p.b >= 0 && p.b != nextB || p.a < 0 && p.b < 0 {
				t.Fatalf("%v and %v: %v", a, b, align(a, b))
			}
			if p.a >= 0 {
				nextA++
			}
			if p.b >= 0 {
				nextB++
			}
		}
		if nextA != len(a) || nextB != len(b) {
			t.Fatalf("%v and %v: %v", a, b, align(a, b))
		}
	}
}
