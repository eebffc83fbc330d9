// Package gate gives out turns for what takes processor time or the API server's.
package gate

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"headgate.dev/agent/plan"
)

// slow is how long a turn takes from which on a Sync is a slow one.
const slow = 2 * time.Second

// Gate gives out turns for what takes processor time or the API server's: rendering and applying. There are a number of turns at a time, given in
// the order in which they were asked for; a few are kept for Syncs whose last turn was short. So a huge commit, or many of
// them, never makes a small one wait for it. A Sync without a turn yet counts as slow.
type Gate struct {
	size, reserved int // constant: turns at a time, and how many of them are not for slow Syncs
	now            func() time.Time

	mu         sync.Mutex // guards what follows
	busy, slow int
	queue      []*waiter // the head first
	took       map[plan.Owner]time.Duration
}

// waiter is a Sync that asks for a turn.
type waiter struct {
	owner plan.Owner
	slow  bool
	since time.Time
	turn  chan struct{} // closed when it has one
}

// New makes a gate of a number of turns at a time, at least two; now is the clock.
func New(size int, now func() time.Time) *Gate {
	size = max(size, 2)
	return &Gate{size: size, reserved: max(1, size/4), now: now, took: map[plan.Owner]time.Duration{}}
}

// Wait waits for a turn; the function gives it back.
func (g *Gate) Wait(ctx context.Context, owner plan.Owner) (done func(), err error) {
	g.mu.Lock()
	took, known := g.took[owner]
	w := &waiter{owner: owner, slow: !known || took >= slow, since: g.now(), turn: make(chan struct{})}
	g.queue = append(g.queue, w)
	g.admit()
	g.mu.Unlock()
	select {
	case <-w.turn:
	case <-ctx.Done():
		g.mu.Lock()
		defer g.mu.Unlock()
		if i := slices.Index(g.queue, w); i >= 0 {
			g.queue = slices.Delete(g.queue, i, i+1)
			return nil, fmt.Errorf("waiting behind others: %w", context.Cause(ctx))
		}
		g.leave(w) // it got its turn at the same moment
		return nil, fmt.Errorf("waiting behind others: %w", context.Cause(ctx))
	}
	began := g.now()
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.took[owner] = g.now().Sub(began)
		g.leave(w)
	}, nil
}

// admit gives turns to those in front.
func (g *Gate) admit() {
	for i := 0; i < len(g.queue) && g.busy < g.size; {
		w := g.queue[i]
		if w.slow && g.slow >= g.size-g.reserved {
			i++
			continue
		}
		g.queue = slices.Delete(g.queue, i, i+1)
		g.busy++
		if w.slow {
			g.slow++
		}
		close(w.turn)
	}
}

func (g *Gate) leave(w *waiter) {
	g.busy--
	if w.slow {
		g.slow--
	}
	g.admit()
}

// Forget drops what is known of a Sync that is no more.
func (g *Gate) Forget(owner plan.Owner) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.took, owner)
}

// Head gives the Sync that has waited longest, since when, and how many wait; false when none does.
func (g *Gate) Head() (owner plan.Owner, since time.Time, waiting int, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.queue) == 0 {
		return plan.Owner{}, time.Time{}, 0, false
	}
	return g.queue[0].owner, g.queue[0].since, len(g.queue), true
}

// Collector shows the queue in metrics.
func (g *Gate) Collector() prometheus.Collector { return &queueCollector{gate: g} }

// queueCollector shows the queue of Syncs that wait for a turn, its head by name.
type queueCollector struct{ gate *Gate }

var (
	queueLength = prometheus.NewDesc("headgate_sync_queue_length", "Syncs that wait for a turn to render and apply.", nil, nil)
	queueHead   = prometheus.NewDesc("headgate_sync_queue_head_seconds", "How long the Sync at the head of the queue has waited.", []string{"namespace", "name"}, nil)
)

// Describe implements prometheus.Collector.
func (q *queueCollector) Describe(ch chan<- *prometheus.Desc) { ch <- queueLength; ch <- queueHead }

// Collect implements prometheus.Collector.
func (q *queueCollector) Collect(ch chan<- prometheus.Metric) {
	head, since, waiting, ok := q.gate.Head()
	ch <- prometheus.MustNewConstMetric(queueLength, prometheus.GaugeValue, float64(waiting))
	if ok {
		ch <- prometheus.MustNewConstMetric(queueHead, prometheus.GaugeValue, q.gate.now().Sub(since).Seconds(), head.Namespace, head.Name)
	}
}
