// Package queue is work by name: what is to be done again and again is done soon after it was asked for, and once for many asks.
package queue

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/client-go/util/workqueue"
)

// Queue is work by name, for the leader alone: what others put in is forgotten. A name is worked on by one worker at a time.
type Queue[K comparable] struct {
	Name    string // in metrics
	Workers int
	// Work may ask to be called again after a time. An error is one that may go away: the name comes again, ever later.
	Work func(context.Context, K) (again time.Duration, err error)
	// Failed is told each error.
	Failed func(K, error)

	leads atomic.Bool
	items workqueue.TypedRateLimitingInterface[K]
}

// Init makes a Queue that does not lead, once its fields are set.
func (q *Queue[K]) Init() {
	q.items = workqueue.NewTypedRateLimitingQueueWithConfig(
		workqueue.NewTypedItemExponentialFailureRateLimiter[K](20*time.Millisecond, 30*time.Second),
		workqueue.TypedRateLimitingQueueConfig[K]{Name: q.Name})
}

// Lead has what is added from now on worked on.
func (q *Queue[K]) Lead() { q.leads.Store(true) }

// Add asks for work on names, as soon as there is a worker.
func (q *Queue[K]) Add(keys ...K) {
	if !q.leads.Load() {
		return
	}
	for _, k := range keys {
		q.items.Add(k)
	}
}

// AddAfter is Add some time later.
func (q *Queue[K]) AddAfter(key K, after time.Duration) {
	if q.leads.Load() {
		q.items.AddAfter(key, after)
	}
}

// Run works until ctx ends.
func (q *Queue[K]) Run(ctx context.Context) {
	stop := context.AfterFunc(ctx, q.items.ShutDown)
	defer stop()
	var workers sync.WaitGroup
	for range q.Workers {
		workers.Go(func() {
			for q.next(ctx) {
			}
		})
	}
	workers.Wait()
}

func (q *Queue[K]) next(ctx context.Context) bool {
	k, end := q.items.Get()
	if end {
		return false
	}
	defer q.items.Done(k)
	again, err := q.Work(ctx, k)
	switch {
	case ctx.Err() != nil:
	case err != nil:
		q.Failed(k, err)
		q.items.AddRateLimited(k)
	case again > 0:
		q.items.AddAfter(k, again)
	default:
		q.items.Forget(k)
	}
	return true
}
