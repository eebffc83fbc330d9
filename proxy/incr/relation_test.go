package incr

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestRelationBothWays checks, over random edits, that both directions always tell the same and that Put reports
// exactly the difference.
func TestRelationBothWays(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	var r Relation[int, int]
	want := map[int][]int{}
	for range 2000 {
		a := rnd.IntN(24)
		var bs []int
		for range rnd.IntN(5) {
			bs = append(bs, rnd.IntN(6))
		}
		added, removed := r.Put(a, bs)
		for b := range 6 {
			was, is := slices.Contains(want[a], b), slices.Contains(bs, b)
			if slices.Contains(added, b) != (is && !was) || slices.Contains(removed, b) != (was && !is) {
				t.Fatalf("%v -> %v: added %v, removed %v", want[a], bs, added, removed)
			}
		}
		want[a] = bs
		for b := range 6 {
			var users []int
			for a := range 24 {
				if slices.Contains(want[a], b) {
					users = append(users, a)
				}
			}
			if got := r.Users(b, Compare); !slices.Equal(got, users) {
				t.Fatalf("users of %d: %v, want %v", b, got, users)
			}
			if r.Used(b) != (len(users) > 0) {
				t.Fatalf("used(%d) = %v with users %v", b, r.Used(b), users)
			}
		}
	}
	for a := range 24 {
		r.Put(a, nil)
	}
	if len(r.forward) != 0 || len(r.back.sets) != 0 {
		t.Errorf("an emptied relation still holds %d and %d keys", len(r.forward), len(r.back.sets))
	}
}

func TestSetSorted(t *testing.T) {
	var s Set[string]
	if got := s.Sorted(Compare); len(got) != 0 {
		t.Errorf("an empty set lists %v", got)
	}
	s.Add("b", "a")
	s.Add("b", "c")
	if got := s.Sorted(Compare); !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Errorf("got %v", got)
	}
}
