package watch

import (
	"context"
	"time"
)

// Poll hints whenever the timer that next starts has fired, until ctx ends; then it closes the channel. Hints that nobody has taken are one.
func Poll(ctx context.Context, next func() <-chan time.Time) <-chan struct{} {
	hints := make(chan struct{}, 1)
	go func() {
		defer close(hints)
		for {
			select {
			case <-next():
			case <-ctx.Done():
				return
			}
			select {
			case hints <- struct{}{}:
			default:
			}
		}
	}()
	return hints
}
