package controller

import (
	"context"
	"testing"
	"time"

	"headgate.dev/agent/plan"
)

// TestGate holds that slow Syncs never have all turns, that turns are given in order, and that who gives up leaves the queue.
func TestGate(t *testing.T) {
	now := time.Unix(0, 0)
	g := newGate(4, func() time.Time { return now })
	owner := func(name string) plan.Owner { return plan.Owner{Namespace: "a", Name: name} }
	enter := func(name string) func() {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		done, err := g.wait(ctx, owner(name))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		return done
	}
	refused := func(name string) {
		t.Helper()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := g.wait(ctx, owner(name)); err == nil {
			t.Fatalf("%s has a turn", name)
		}
	}
	quick := enter("quick")
	now = now.Add(10 * time.Millisecond)
	quick() // known to be quick from now on
	var huge []func()
	for _, name := range []string{"huge1", "huge2", "huge3"} {
		huge = append(huge, enter(name))
	}
	refused("huge4")
	quick = enter("quick")
	refused("quick2") // nothing is known of it
	if _, _, waiting, ok := g.head(); ok {
		t.Errorf("%d wait, and nobody should", waiting)
	}
	turn := make(chan func())
	go func() {
		done, err := g.wait(t.Context(), owner("huge4"))
		if err != nil {
			done = nil
		}
		turn <- done
	}()
	for {
		if head, _, waiting, ok := g.head(); ok {
			if head.Name != "huge4" || waiting != 1 {
				t.Errorf("the head is %s of %d", head, waiting)
			}
			break
		}
	}
	now = now.Add(time.Minute)
	quick()
	huge[0]()
	if done := <-turn; done == nil {
		t.Error("huge4 has no turn")
	} else {
		done()
	}
	huge[1]()
	huge[2]()
	if g.busy != 0 || g.slow != 0 {
		t.Errorf("%d turns, %d of slow ones, are left", g.busy, g.slow)
	}
}

func TestBackoff(t *testing.T) {
	for _, test := range []struct {
		failures int
		interval time.Duration
		random   float64
		want     time.Duration
	}{
		{1, time.Minute, 0, 500 * time.Millisecond}, {1, time.Minute, 1, time.Second}, {4, time.Minute, 1, 8 * time.Second},
		{100, time.Minute, 1, 5 * time.Minute}, {100, time.Hour, 1, time.Hour}, {0, time.Minute, 1, time.Second},
	} {
		if got := backoff(test.failures, test.interval, test.random); got != test.want {
			t.Errorf("%+v: got %s", test, got)
		}
	}
	if low, high := spread(time.Minute, 0), spread(time.Minute, 1); low != 54*time.Second || high != 66*time.Second {
		t.Errorf("spread from %s to %s", low, high)
	}
}
