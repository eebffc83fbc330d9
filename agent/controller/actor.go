package controller

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"headgate.dev/agent"
	"headgate.dev/agent/pace"
	"headgate.dev/agent/plan"
	"headgate.dev/schema"
)

// idle is how long after the last render a Sync gives back what it keeps for the next one.
const idle = time.Hour

// actor is the goroutine of one Sync. It owns the Sync's driver; everybody else leaves a note.
type actor struct {
	owner  plan.Owner
	agent  *Agent
	driver *agent.Driver
	log    *slog.Logger
	stop   context.CancelFunc
	ended  chan struct{} // closed at the end

	wake chan struct{} // has room for one: there is a note
	// denied: the Sync wants what another one has.
	denied atomic.Bool

	mu      sync.Mutex // guards what follows
	sync    *schema.Sync
	trigger *agent.Trigger     // nil: nothing to do
	busy    context.CancelFunc // ends the look that is under way; nil when none is

	// of the goroutine alone
	failures int
	told     telling
	teller   *teller // nil: there has been nothing to tell a Git host
}

// newActor starts the goroutine of a Sync. It begins when after is closed; nil: at once.
func newActor(a *Agent, s *schema.Sync, after <-chan struct{}) *actor {
	owner := plan.Owner{Namespace: s.Namespace, Name: s.Name}
	ctx, stop := context.WithCancel(a.ctx)
	x := &actor{
		owner: owner, agent: a, stop: stop, sync: s, wake: make(chan struct{}, 1), ended: make(chan struct{}),
		log: a.log.With("sync", owner.Namespace+"/"+owner.Name),
	}
	x.told.begin(&s.Status)
	x.driver = agent.NewDriver(&a.world, owner, s.Status.Revision, func(standing *agent.Standing) { x.report(ctx, standing) })
	x.leave(agent.Trigger{At: a.now(), Inputs: true})
	go x.run(ctx, after)
	return x
}

// leave leaves a note that there is something to do.
func (x *actor) leave(t agent.Trigger) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.leaveLocked(t)
}

func (x *actor) leaveLocked(t agent.Trigger) {
	if x.trigger != nil {
		t = x.trigger.And(t)
	}
	x.trigger = &t
	select {
	case x.wake <- struct{}{}:
	default: // it will see this note with the one before
	}
}

// update hands over the Sync as it is now. One that says something else, or is being deleted, ends the look that is under way;
// it tells whether it is one.
func (x *actor) update(s *schema.Sync) (changed bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	before := x.sync
	x.sync = s
	changed = s.Generation != before.Generation || (s.DeletionTimestamp == nil) != (before.DeletionTimestamp == nil)
	asked := s.Annotations[schema.ReconcileRequest] != before.Annotations[schema.ReconcileRequest]
	if changed && x.busy != nil {
		x.busy()
	}
	if changed || asked {
		x.leaveLocked(agent.Trigger{At: x.agent.now()})
	}
	return changed
}

// take gives the Sync and what there is to do.
func (x *actor) take(ctx context.Context) (context.Context, context.CancelFunc, *schema.Sync, agent.Trigger) {
	x.mu.Lock()
	defer x.mu.Unlock()
	t := agent.Trigger{}
	if x.trigger != nil {
		t = *x.trigger
	}
	x.trigger = nil
	ctx, x.busy = context.WithCancel(ctx)
	return ctx, x.busy, x.sync, t
}

// run follows the Sync until ctx ends.
func (x *actor) run(ctx context.Context, after <-chan struct{}) {
	defer close(x.ended)
	if after != nil {
		<-after
	}
	defer func() {
		if err := x.driver.Close(); err != nil {
			x.log.Warn("closing the repository", "error", err)
		}
	}()
	next := time.NewTimer(time.Hour)
	defer next.Stop()
	for {
		select { // the end; a note; the interval; what has happened after an apply
		case <-ctx.Done():
			return
		case <-x.wake:
		case <-next.C:
			// What another Sync of the same repository has learned a moment ago will do.
			x.leave(agent.Trigger{At: x.agent.now().Add(-x.interval() / 2)})
		case n := <-x.driver.News():
			x.driver.Settle(n)
			continue
		}
		pause := x.look(ctx)
		x.driver.Rest(idle)
		next.Reset(pause)
	}
}

// look does what there is to do, and says how long to wait for the next look.
func (x *actor) look(ctx context.Context) time.Duration {
	looking, stop, s, t := x.take(ctx)
	defer stop()
	if s.DeletionTimestamp != nil {
		return x.delete(looking, s)
	}
	if err := x.agent.hold(looking, s); err != nil {
		x.log.Debug("taking hold of the Sync", "error", err)
		x.leave(t) // what there is to do is still to be done
		x.failures++
		return pace.Backoff(x.failures, time.Second, x.agent.jitter())
	}
	problem := x.driver.Look(looking, s, t)
	if problem == nil || problem.Stalled {
		x.failures = 0
		return pace.Spread(x.interval(), x.agent.jitter())
	}
	x.failures++
	return pace.Backoff(x.failures, x.interval(), x.agent.jitter())
}

func (x *actor) uid() types.UID {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.sync.UID
}

func (x *actor) dependsOn(other plan.Owner) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return slices.Contains(agent.Dependencies(x.sync), other)
}

// names tells whether the Sync names an object.
func (x *actor) names(in input) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return slices.Contains(inputsOf(x.sync), in)
}

// usesDefaultGateway tells whether the Sync may need the cluster's default Gateway.
func (x *actor) usesDefaultGateway() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.sync.Spec.Gateway == ""
}

func (x *actor) interval() time.Duration {
	x.mu.Lock()
	defer x.mu.Unlock()
	return agent.IntervalOf(x.sync)
}
