package footprint

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// A controller works in bursts. To apply 5,000 objects makes some 150 MiB of garbage (what the API server answered, once as bytes and once decoded) beside
// the 25 MiB that stay of them: what was rendered, and what drift is measured against. The runtime keeps that until it has allocated as much again, which
// takes an idle process hours, so that the burst was four fifths of what such a process seemed to need.

// Settle gives garbage back each time that work has come to an end, until the context ends.
func Settle(ctx context.Context) {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	var s settling
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if s.over(allocations()) {
			debug.FreeOSMemory()
		}
	}
}

const (
	lookEvery = 5 * time.Second
	// quiet is what a controller at rest allocates between two looks, in bytes: leases, probes, and looks at repositories.
	quiet = 8 << 20
	// worth is how much must have been allocated for a collection to be worth its time, about 50 ms for 100 MiB that stay.
	worth = 32 << 20
)

// settling is what is known of the work of a process.
type settling struct {
	last, returned uint64 // bytes that were allocated by the last look, and by the last return
}

// over tells whether work has come to an end of which there may be much to give back. Allocated are all bytes that ever were, live those that the last
// collection left.
func (s *settling) over(allocated, live uint64) bool {
	rested := allocated-s.last < quiet
	s.last = allocated
	if !rested || allocated-s.returned < max(worth, live/2) {
		return false
	}
	s.returned = allocated
	return true
}

// allocations gives what over wants.
func allocations() (allocated, live uint64) {
	samples := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}, {Name: "/gc/heap/live:bytes"}}
	metrics.Read(samples)
	return samples[0].Value.Uint64(), samples[1].Value.Uint64()
}
