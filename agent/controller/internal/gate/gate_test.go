package gate

import (
	"context"
	"testing"
	"time"

	"headgate.dev/agent/plan"
)

// TestGate holds that slow Syncs never have all turns, that turns are given in order, and that who gives up leaves the queue.
func TestGate(t *testing.T) {
	now := time.Unix(0, 0)
	g := New(4, func() time.Time { return now })
	owner := func(name string) plan.Owner { return plan.Owner{Namespace: "a", Name: name} }
	enter := func(name string) func() {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		done, err := g.Wait(ctx, owner(name))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		return done
	}
	refused := func(name string) {
		t.Helper()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := g.Wait(ctx, owner(name)); err == nil {
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
	if _, _, waiting, ok := g.Head(); ok {
		t.Errorf("%d wait, and nobody should", waiting)
	}
	turn := make(chan func())
	go func() {
		done, err := g.Wait(t.Context(), owner("huge4"))
		if err != nil {
			done = nil
		}
		turn <- done
	}()
	for {
		if head, _, waiting, ok := g.Head(); ok {
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
