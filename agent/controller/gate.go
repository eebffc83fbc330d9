package controller

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"headgate.dev/agent/plan"
)

// slow is how long a turn takes from which on a Sync is a slow one.
const slow = 2 * time.Second

// gate gives out turns for what takes processor time or the API server's: rendering and applying. There are a number of turns at a time, given in
// the order in which they were asked for; a few are kept for Syncs whose last turn was short. So a huge commit, or many of
// them, never makes a small one wait for it. A Sync without a turn yet counts as slow.
type gate struct {
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

func newGate(size int, now func() time.Time) *gate {
	size = max(size, 2)
	return &gate{size: size, reserved: max(1, size/4), now: now, took: map[plan.Owner]time.Duration{}}
}

// wait waits for a turn; the function gives it back.
func (g *gate) wait(ctx context.Context, owner plan.Owner) (done func(), err error) {
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
func (g *gate) admit() {
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

func (g *gate) leave(w *waiter) {
	g.busy--
	if w.slow {
		g.slow--
	}
	g.admit()
}

// forget drops what is known of a Sync that is no more.
func (g *gate) forget(owner plan.Owner) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.took, owner)
}

// head gives the Sync that has waited longest, since when, and how many wait; false when none does.
func (g *gate) head() (owner plan.Owner, since time.Time, waiting int, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.queue) == 0 {
		return plan.Owner{}, time.Time{}, 0, false
	}
	return g.queue[0].owner, g.queue[0].since, len(g.queue), true
}
