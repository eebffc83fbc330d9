// Package parallel does many small things on all cores.
package parallel

import (
	"runtime"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
)

// Each calls f for the numbers below n, on all cores where there are many. The error is one that f gave; then not all were called.
func Each(n int, f func(i int) error) error {
	workers := max(1, min(runtime.GOMAXPROCS(0), n/32))
	var next atomic.Int64
	var group errgroup.Group
	for range workers {
		group.Go(func() error {
			for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
				if err := f(int(i)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}
