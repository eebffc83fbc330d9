package controller

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"headgate.dev/agent/apply"
	"headgate.dev/agent/controller/internal/verdict"
	"headgate.dev/agent/drift"
	"headgate.dev/agent/notify"
	"headgate.dev/agent/plan"
	"headgate.dev/render/object"
	"headgate.dev/schema"
)

const (
	// relistAfter is the time between two lists of everything, for what a watch may have missed.
	relistAfter = 10 * time.Minute
	// callTimeout bounds one call to the API server.
	callTimeout = 15 * time.Second
	// lagEvery is the time between two looks for what does not follow, and for strangers.
	lagEvery = 30 * time.Second
	// atOnce is how many calls a follower makes at the same time.
	atOnce = 8
	// lingering is how long a follower of a Sync that is gone tries to tell that its alerts are resolved.
	lingering = 10 * time.Minute
)

// follower is the goroutine that watches what one Sync owns. Everybody else gives it things to do.
type follower struct {
	drifts *drifts
	owner  plan.Owner
	log    *slog.Logger
	ctx    context.Context
	stop   context.CancelFunc
	inbox  chan func()
	calls  chan struct{} // a place for each call that is made
	setter setter        // has a lock of its own
	heard  struct {
		mu   sync.Mutex // guards what follows
		news []verdict.Preview
	}

	// of the goroutine alone
	state     *drift.State
	outbox    notify.Outbox
	lags      map[string]notify.Notice // what is no drift of an object and was told to be so: lags and strangers
	previews  map[string]string        // what was said last of each preview, by its name
	strangers []drift.Stranger         // at the Sync's Gateways, as they were seen last
	looked    time.Time                // when they were looked for last
	account   *account
	sync      *schema.Sync
	set       *object.Set
	rules     []plan.Rule
	receivers []notify.Receiver
	specs     map[string]schema.SyncNotify
	watches   map[kindKey]context.CancelFunc
	listed    time.Time // when everything was listed last
	forced    string    // the last request to correct
	tried     string    // the last request for a test notice
	trying    bool      // it is being answered
	dirty     bool      // there are records to write
	saving    bool      // they are being written
	uncounted bool      // the status does not say what is so
	counting  bool      // it is being written
	closed    time.Time // zero: it is open
}

// newFollower starts the follower of a Sync.
func newFollower(d *drifts, a *account, s *schema.Sync) *follower {
	ctx, stop := context.WithCancel(d.agent.ctx)
	f := &follower{
		drifts: d, owner: a.owner, account: a, ctx: ctx, stop: stop, inbox: make(chan func()), calls: make(chan struct{}, atOnce),
		log: d.agent.log.With("sync", a.owner.Namespace+"/"+a.owner.Name), sync: s, forced: s.Annotations[schema.DriftCorrectRequest],
		watches: map[kindKey]context.CancelFunc{}, lags: map[string]notify.Notice{}, previews: map[string]string{}, setter: setter{agent: d.agent, sync: s},
	}
	go f.run()
	return f
}

func (f *follower) now() time.Time { return f.drifts.agent.now() }

// do has something done by the goroutine, in order.
func (f *follower) do(what func()) {
	select {
	case f.inbox <- what:
	case <-f.ctx.Done():
	}
}

// wait is do, and returns when it is done.
func (f *follower) wait(what func()) {
	done := make(chan struct{})
	f.do(func() { defer close(done); what() })
	select {
	case <-done:
	case <-f.ctx.Done():
	}
}

// call makes a call beside the goroutine.
func (f *follower) call(what func(ctx context.Context)) {
	go func() {
		select { // a place; the end
		case f.calls <- struct{}{}:
		case <-f.ctx.Done():
			return
		}
		defer func() { <-f.calls }()
		ctx, cancel := context.WithTimeout(f.ctx, callTimeout)
		defer cancel()
		what(ctx)
	}()
}

func (f *follower) run() {
	defer f.stop()
	before := f.load()
	f.state = drift.New(drift.Config{
		Owner: f.owner, Manager: apply.Manager, Key: f.drifts.key, Policy: drift.PolicyOf(f.sync.Spec.Drift),
	}, before)
	f.take(f.sync)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		f.send()
		f.save()
		timer.Reset(f.pause())
		select { // the end; something to do; the time
		case <-f.ctx.Done():
			return
		case what := <-f.inbox:
			what()
		case <-timer.C:
			f.tick()
		}
		if !f.closed.IsZero() && (f.outbox.Empty() || f.now().Sub(f.closed) > lingering) {
			return
		}
	}
}

// pause is the time until something is due.
func (f *follower) pause() time.Duration {
	now := f.now()
	wait := lagEvery
	for _, at := range []time.Time{f.state.Next(now), f.outbox.Next(now)} {
		if !at.IsZero() {
			wait = min(wait, max(10*time.Millisecond, at.Sub(now)))
		}
	}
	return wait
}

func (f *follower) tick() {
	now := f.now()
	f.effects(f.state.Tick(now))
	f.lag(now)
	if now.Sub(f.looked) >= lagEvery || now.Before(f.looked) {
		f.looked = now
		f.lookForStrangers()
	}
	if f.set != nil && f.closed.IsZero() && now.Sub(f.listed) >= relistAfter {
		f.rewatch()
	}
}

// take takes over what the Sync says now.
func (f *follower) take(s *schema.Sync) {
	changed := f.receivers == nil || f.sync.Generation != s.Generation
	before := f.sync
	f.sync = s
	f.setter.take(s)
	if changed {
		if a := f.drifts.accountOf(s); a != nil {
			f.account = a
		}
		f.receivers, f.specs = receiversOf(s)
		f.outbox.Keep(f.receivers)
		f.effects(f.state.SetPolicy(f.now(), drift.PolicyOf(s.Spec.Drift)))
	}
	f.commits(&before.Status, &s.Status)
	if request := s.Annotations[schema.DriftCorrectRequest]; request != f.forced {
		f.forced = request
		for _, id := range requested(request) {
			f.effects(f.state.Force(f.now(), id))
		}
	}
	f.trial()
}

// requested reads a DriftCorrectRequest.
func requested(request string) []object.ID {
	_, list, _ := strings.Cut(request, " ")
	var out []object.ID
	for item := range strings.SplitSeq(list, ",") {
		parts := strings.Split(strings.TrimSpace(item), "/")
		kind, group, _ := strings.Cut(parts[0], ".")
		switch len(parts) {
		case 2:
			out = append(out, object.ID{Group: group, Kind: kind, Name: parts[1]})
		case 3:
			out = append(out, object.ID{Group: group, Kind: kind, Namespace: parts[1], Name: parts[2]})
		}
	}
	return out
}

// begin says that an apply begins, and gives the objects that it may write or remove.
func (f *follower) begin(a *account, desired *object.Set) []object.ID {
	var begun []object.ID
	f.wait(func() {
		f.account = a
		begun = f.state.Owned()
		for o := range desired.All() {
			begun = append(begun, o.ID)
		}
		slices.SortFunc(begun, object.Compare)
		begun = slices.Compact(begun)
		f.state.Begin(begun)
	})
	return begun
}

// applied says what came of an apply.
func (f *follower) applied(begun []object.ID, r apply.Request, result *apply.Result, err error) {
	a := drift.Applied{Begun: begun, Rules: r.Ignore}
	if err == nil {
		a.Set = r.Desired
	}
	if result != nil {
		for _, w := range result.Written {
			a.Written = append(a.Written, drift.Written{Object: w.Object, Content: drift.Hide(w.Live, f.drifts.key)})
		}
		for _, gone := range result.Removed {
			a.Removed = append(a.Removed, gone.ID)
		}
		a.Removed = append(a.Removed, result.Released...)
	}
	a.Intact = len(a.Written)+len(a.Removed) == 0
	f.do(func() {
		f.effects(f.state.Applied(f.now(), a))
		if a.Set != nil && f.closed.IsZero() {
			f.set, f.rules = a.Set, a.Rules
			f.watch()
		}
	})
}

// effects does what the state asks for.
func (f *follower) effects(e drift.Effects) {
	for _, err := range e.Errors {
		f.log.Warn("comparing an object with what was applied", "error", err)
	}
	for i := range e.Alerts {
		f.post(f.told(&e.Alerts[i]))
	}
	for _, c := range e.Correct {
		f.correct(c)
	}
	for _, id := range e.Try {
		f.try(id)
	}
	for _, id := range e.Look {
		f.look(id)
	}
	if e.Changed {
		f.changed()
		f.measure()
	}
}

// correct applies one object again.
func (f *follower) correct(c drift.Correction) {
	account, rules := f.account, f.rules
	f.call(func(ctx context.Context) {
		live, err := account.correct(ctx, f.owner, &c, rules)
		failed := ""
		if err != nil {
			live, failed = nil, err.Error()
		} else {
			live = drift.Hide(live, f.drifts.key)
			driftCorrected.WithLabelValues(f.label(), c.Object.ID.Kind).Inc()
		}
		f.do(func() { f.effects(f.state.Corrected(f.now(), c.Object.ID, live, failed)) })
	})
}

// correct applies an object, with what is left to others as it is live.
func (a *account) correct(ctx context.Context, owner plan.Owner, c *drift.Correction, rules []plan.Rule) (map[string]any, error) {
	var live map[string]any
	if len(c.Leave)+len(rules) > 0 {
		var err error
		if live, err = a.Read(ctx, c.Object.ID, c.Object.Version); err != nil {
			return nil, err
		}
	}
	return a.Correct(ctx, c.Object, c.Content(owner, rules, live))
}

// try finds out what an apply would return.
func (f *follower) try(id object.ID) {
	o := f.wanted(id)
	if o == nil {
		f.effects(f.state.Tried(f.now(), id, nil))
		return
	}
	account, rules := f.account, f.rules
	f.call(func(ctx context.Context) {
		content := plan.Stamp(o.Content, f.owner, plan.Key(o, rules))
		live, err := account.DryRun(ctx, o, content)
		if err != nil {
			f.log.Warn("finding out what an apply returns", "error", err)
			live = nil
		} else {
			live = drift.Hide(live, f.drifts.key)
		}
		f.do(func() { f.effects(f.state.Tried(f.now(), id, live)) })
	})
}

// look reads an object once more.
func (f *follower) look(id object.ID) {
	version := ""
	if o := f.wanted(id); o != nil {
		version = o.Version
	}
	account := f.account
	f.call(func(ctx context.Context) {
		live, err := account.Read(ctx, id, version)
		if err != nil {
			f.log.Debug("reading an object", "error", err)
			return // that it cannot be read does not mean that it is gone; the next list tells
		}
		f.do(func() {
			if live == nil {
				f.effects(f.state.Gone(f.now(), id))
				return
			}
			f.effects(f.state.Seen(f.now(), drift.Hide(live, f.drifts.key)))
		})
	})
}

func (f *follower) wanted(id object.ID) *object.Object {
	if f.set == nil {
		return nil
	}
	return f.set.Get(id)
}

// close ends what the Sync owns; what is to be told about that is told still.
func (f *follower) close() {
	if !f.closed.IsZero() {
		return
	}
	f.closed = f.now()
	for key, stop := range f.watches {
		stop()
		delete(f.watches, key)
	}
	f.effects(f.state.Close(f.now()))
	for key, n := range f.lags {
		n.Phase, n.At, n.Lines = notify.Resolved, f.now(), []string{"the Sync is gone"}
		f.post(n)
		delete(f.lags, key)
	}
	f.unmeasure()
}
