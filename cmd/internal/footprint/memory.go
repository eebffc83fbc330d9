// Package footprint keeps the processes of a cluster small.
package footprint

import (
	"context"
	"os"
	"runtime/debug"
	"time"
)

// The process of `headgate proxy` does next to nothing for most of its life, beside an Envoy that could use the memory.

// Save has the runtime keep little more than what is in use.
func Save() {
	const percent, limit = 25, 12 << 20
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(percent)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(limit)
	}
}

// Return gives back what only the start needed: garbage, and the pages of the program itself that were mapped for
// it. Those that are used again come back from the page cache by themselves.
func Return() {
	debug.FreeOSMemory()
	unmap()
}

// KeepSmall returns memory from time to time: what a certificate or a scrape needed is not needed for hours.
func KeepSmall(ctx context.Context) {
	const pause = 10 * time.Minute
	ticker := time.NewTicker(pause)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			Return()
		case <-ctx.Done():
			return
		}
	}
}
