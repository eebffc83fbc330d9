package main

import (
	"context"
	"os"
	"runtime/debug"
	"time"
)

// This process does next to nothing for most of its life, beside an Envoy that could use the memory.

// saveMemory has the runtime keep little more than what is in use.
func saveMemory() {
	const percent, limit = 25, 12 << 20
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(percent)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(limit)
	}
}

// returnMemory gives back what only the start needed: garbage, and the pages of the program itself that were mapped for
// it. Those that are used again come back from the page cache by themselves.
func returnMemory() {
	debug.FreeOSMemory()
	unmapProgram()
}

// keepSmall returns memory from time to time: what a certificate or a scrape needed is not needed for hours.
func keepSmall(ctx context.Context) {
	const pause = 10 * time.Minute
	ticker := time.NewTicker(pause)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			returnMemory()
		case <-ctx.Done():
			return
		}
	}
}
