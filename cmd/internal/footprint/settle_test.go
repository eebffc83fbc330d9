package footprint

import (
	"runtime"
	"testing"
)

func TestSettling(t *testing.T) {
	const mib = 1 << 20
	var s settling
	for i, step := range []struct {
		allocated, live uint64 // MiB
		want            bool
	}{
		{20, 10, false},  // at work
		{100, 10, false}, // still
		{101, 60, true},  // it is over
		{102, 20, false}, // there is nothing more to give back
		{140, 20, false}, // at work again
		{141, 20, true},  // that was worth it
		{160, 20, false}, // a little work
		{161, 20, false}, // is not
		{1161, 400, false},
		{1162, 3000, false}, // a collection would cost more than is gained
		{1163, 400, true},
	} {
		if got := s.over(step.allocated*mib, step.live*mib); got != step.want {
			t.Errorf("step %d: %v", i, got)
		}
	}
	before, _ := allocations()
	garbage := make([]byte, mib)
	runtime.GC()
	after, live := allocations()
	runtime.KeepAlive(garbage)
	if after-before < mib || live < mib {
		t.Errorf("allocated %d and then %d, live %d", before, after, live)
	}
}
