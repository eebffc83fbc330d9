package controller

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/client-go/util/workqueue"
)

// queue is work by name, for the leader alone: what others put in is forgotten. A name is worked on by one worker at a time.
type queue[K comparable] struct {
	name    string
	workers int
	// work may ask to be called again after a time. An error is one that may go away: the name comes again, ever later.
	work func(context.Context, K) (again time.Duration, err error)
	// failed is told each error.
	failed func(K, error)

	leads atomic.Bool
	items workqueue.TypedRateLimitingInterface[K]
}

func (q *queue[K]) init() {
	q.items = workqueue.NewTypedRateLimitingQueueWithConfig(
		workqueue.NewTypedItemExponentialFailureRateLimiter[K](20*time.Millisecond, 30*time.Second),
		workqueue.TypedRateLimitingQueueConfig[K]{Name: q.name})
}

func (q *queue[K]) add(keys ...K) {
	if !q.leads.Load() {
		return
	}
	for _, k := range keys {
		q.items.Add(k)
	}
}

// addAfter is add some time later.
func (q *queue[K]) addAfter(key K, after time.Duration) {
	if q.leads.Load() {
		q.items.AddAfter(key, after)
	}
}

// run works until ctx ends.
func (q *queue[K]) run(ctx context.Context) {
	stop := context.AfterFunc(ctx, q.items.ShutDown)
	defer stop()
	var workers sync.WaitGroup
	for range q.workers {
		workers.Go(func() {
			for q.next(ctx) {
			}
		})
	}
	workers.Wait()
}

func (q *queue[K]) next(ctx context.Context) bool {
	k, end := q.items.Get()
	if end {
		return false
	}
	defer q.items.Done(k)
	again, err := q.work(ctx, k)
	switch {
	case ctx.Err() != nil:
	case err != nil:
		q.failed(k, err)
		q.items.AddRateLimited(k)
	case again > 0:
		q.items.AddAfter(k, again)
	default:
		q.items.Forget(k)
	}
	return true
}
