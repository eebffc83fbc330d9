package apply

import (
	"context"
	"sync"

	"golang.org/x/sync/errgroup"
)

// task is one object's part of something that is done for many.
type task func(ctx context.Context) *Error

// after says what an error of one task means for those that have not begun.
type after string

const (
	// keepGoing finds all that is wrong.
	keepGoing after = "keep going"
	// stop begins no more.
	stop after = "stop"
)

// each does tasks, a few at the same time, begun in their order, and waits for all that it began. It gives their errors, sorted. Once the context has
// ended, or the API server is not there, none is begun.
func each(ctx context.Context, tasks []task, then after) error {
	var mu sync.Mutex
	var errs Errors
	ended := false
	var g errgroup.Group
	g.SetLimit(workers)
	for _, do := range tasks {
		mu.Lock()
		over := ended
		mu.Unlock()
		if over {
			break
		}
		g.Go(func() error {
			if err := do(ctx); err != nil {
				mu.Lock()
				defer mu.Unlock()
				if err.Reason != ReasonUnavailable || !errs.has(ReasonUnavailable) { // one says it for all
					errs = append(errs, err)
				}
				ended = ended || then == stop || ctx.Err() != nil || err.Reason == ReasonUnavailable
			}
			return nil
		})
	}
	g.Wait() //nolint:errcheck // the errors are in errs
	return errs.sorted()
}
