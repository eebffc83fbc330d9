// Package agent ties fetching, rendering and applying to one followed source: for every new commit it renders the
// tree, hands the difference to a target, waits until it is live and reports what happened.
//
// A revision is what a commit is called ("main@sha1:..."). Everything the loop needs from outside is an interface
// declared here: a Source of commits, a Target that holds objects, Liveness that knows what the Envoys acknowledged.
// The loop keeps the last good state: whatever goes wrong with a commit, the target still holds the revision before.
package agent

import (
	"context"
	"errors"
	"fmt"
	"time"

	"headgate.dev/agent/git"
	"headgate.dev/render"
	"headgate.dev/render/object"
	"headgate.dev/schema"
)

// Source gives the commit that is to run now, the same pointer as long as nothing changed. An error leaves everything as
// it is; the loop asks again at the next hint. A git.Repository is one.
type Source interface {
	Resolve(ctx context.Context) (*git.Commit, error)
}

// Change is what a revision asks of a target.
type Change struct {
	// Set is everything the revision renders to.
	Set *object.Set
	// Put are the objects that are new or whose content differs from the last revision applied, Removed those no
	// longer in the set. Both are sorted by ID.
	Put     []*object.Object
	Removed []object.ID
}

// Target holds objects: a cluster, or the engine of this very process.
type Target interface {
	// Apply makes the target hold c.Set. On an error the target still holds what it held, as far as it can tell; the error is
	// schema.Errors when the objects are wrong, and any other when trying again may help.
	// Problems with objects that the target accepted but cannot serve come back as Refusals of the Liveness.
	Apply(ctx context.Context, c Change) error
}

// Envoys counts proxies: how many of those that are ready have acknowledged.
type Envoys struct {
	Acked int `json:"acked"`
	Total int `json:"total"`
}

// Live is what the proxies say about the change applied last.
type Live struct {
	Envoys Envoys
	// Refused are objects, or parts of them, that no Envoy serves although they were applied.
	Refused schema.Errors
}

// Liveness tells when what was applied is what is served.
type Liveness interface {
	// Wait blocks until every write and removal of the last Apply is answered by every ready proxy, and there is at least
	// one, or until ctx ends; then it returns how far it got together with the context's error. What is answered may be
	// refused: then fewer have acknowledged than there are.
	Wait(ctx context.Context) (Live, error)
}

// Stages is how long each stage of a revision took.
type Stages struct {
	Fetch, Render, Apply, Ack, Total time.Duration
}

// Outcome is what became of one commit. Err is nil exactly when the commit is live.
type Outcome struct {
	Commit *git.Commit // nil when there is none because Err says so
	// Kept is the commit that served before; it keeps serving when Err is set, unless the commit was applied (Applied).
	// Nil when there is none yet.
	Kept     *git.Commit
	Err      error // schema.Errors when the input is wrong
	Change   Change
	Warnings schema.Errors
	Live     Live
	Stages   Stages
}

// Applied tells whether the target holds the commit: it is live, or on its way, or a proxy refuses a part of it.
func (o *Outcome) Applied() bool {
	return o.Err == nil || errors.Is(o.Err, ErrNotLive) || errors.Is(o.Err, ErrRefused)
}

// Loop follows one source. Fill in every field but the ones marked optional, then call Run once.
type Loop struct {
	Source Source
	// Hints has a value whenever Source may give something new; the loop ends when it is closed.
	Hints    <-chan struct{}
	Target   Target
	Liveness Liveness
	// Dir is the directory of the tree to render, "." for the root.
	Dir     string
	Options render.Options
	// AllowEmpty lets a tree that renders to nothing take everything away.
	AllowEmpty bool
	// Patience is how long the proxies may take until a commit is reported as applied but not live; when it is live after
	// all, that is reported too. Zero means 30 seconds.
	Patience time.Duration
	// Retry is how long after an error of the target that is not the input's the same commit is tried again. Zero means 5
	// seconds.
	Retry time.Duration
	// Report receives every outcome, in order, from the goroutine that called Run.
	Report func(Outcome)
	// Now is the clock; time.Now when nil.
	Now func() time.Time

	renderer *render.Renderer
	current  *git.Commit // what the target holds
	set      *object.Set // of current
	live     *git.Commit // what was last reported as live
	failed   string      // what was reported last and need not be said again
	retry    bool
	pending  *pending // the current commit, until it is reported as live or refused
}

// pending is an outcome that the proxies have not decided yet.
type pending struct {
	Outcome
	began, applied time.Time
	told           bool // that it is late
	// settled gives what the proxies say once all of them have answered; stop ends the wait for it.
	settled <-chan Live
	stop    context.CancelFunc
}

// Run follows the source until ctx ends or there are no more hints.
func (l *Loop) Run(ctx context.Context) {
	for {
		l.look(ctx)
		if !l.rest(ctx, l.Hints) {
			return
		}
	}
}

// Once brings the commit that is the head now to life, and returns when it is reported: whether it is live.
func (l *Loop) Once(ctx context.Context) bool {
	l.look(ctx)
	for l.pending != nil && !l.pending.told {
		if !l.rest(ctx, nil) {
			return false
		}
	}
	return l.failed == "" && ctx.Err() == nil
}

// look asks the source for its head and brings that to the target. What goes wrong is reported at once; whether a commit
// that was applied is live, is found out by rest. Nothing happens when the head is what the target holds, unless something
// else was said since: then it is told again.
func (l *Loop) look(ctx context.Context) {
	l.init()
	p := &pending{began: l.Now()}
	p.Commit, p.Err = l.Source.Resolve(ctx)
	if ctx.Err() != nil {
		return
	}
	p.Kept, l.retry = l.current, false
	p.Stages.Fetch = l.Now().Sub(p.began)
	switch {
	case p.Err != nil:
		l.report(p)
	case l.current != nil && p.Commit.Revision == l.current.Revision:
		if l.pending == nil && l.failed != "" {
			p.Change.Set, p.applied = l.set, l.Now()
			l.await(ctx, p)
		}
	case l.bring(ctx, p):
		l.await(ctx, p)
	default:
		l.report(p)
	}
}

// bring renders and applies a commit.
func (l *Loop) bring(ctx context.Context, p *pending) bool {
	start := l.Now()
	result, err := l.renderer.Tree(p.Commit.Tree, l.Dir, l.Options)
	rendered := l.Now()
	p.Stages.Render = rendered.Sub(start)
	if err != nil {
		p.Err = err
		return false
	}
	p.Warnings = result.Warnings
	if result.Set.Len() == 0 && !l.AllowEmpty {
		p.Err = fmt.Errorf("%w: %s holds no service spec and no manifest; --allow-empty serves nothing on purpose",
			ErrEmpty, l.Dir)
		return false
	}
	p.Change.Set = result.Set
	p.Change.Put, p.Change.Removed = object.Diff(l.set, result.Set)
	if err := l.Target.Apply(ctx, p.Change); err != nil {
		p.Err, l.retry = err, !errors.As(err, new(schema.Errors))
		return false
	}
	l.set, l.current = result.Set, p.Commit
	p.applied = l.Now()
	p.Stages.Apply = p.applied.Sub(rendered)
	return true
}

// rest waits for a reason to look again, and reports meanwhile what the proxies say about the pending commit. It is false
// at the end, and returns true without hints when there is nothing left to wait for.
func (l *Loop) rest(ctx context.Context, hints <-chan struct{}) bool {
	late, again := l.patience(), l.again()
	for {
		var settled <-chan Live
		if l.pending != nil {
			settled = l.pending.settled
		}
		select { // the end; a hint; the proxies' word, or none for too long; an error that may have gone
		case <-ctx.Done():
			return false
		case _, open := <-hints:
			return open
		case live := <-settled:
			l.decide(live)
			late = nil
		case <-late:
			l.pending.told, late = true, nil
			p := *l.pending
			p.Live = l.standing(ctx)
			p.Err = notLive(p.Live.Envoys)
			l.report(&p)
		case <-again:
			return true
		}
		if hints == nil {
			return true
		}
	}
}

// await makes p the pending commit. One that nobody has acknowledged yet is part of it now. The wait goes on while hints
// are followed: a source that hints all the time must not keep it from ending.
func (l *Loop) await(ctx context.Context, p *pending) {
	if l.pending != nil {
		l.pending.stop()
	}
	waiting, stop := context.WithCancel(ctx)
	settled := make(chan Live, 1)
	go func() {
		if live, err := l.Liveness.Wait(waiting); err == nil {
			settled <- live
		}
	}()
	p.settled, p.stop = settled, stop
	l.pending = p
}

// standing is what the proxies say at this moment.
func (l *Loop) standing(ctx context.Context) Live {
	now, cancel := context.WithCancel(ctx)
	cancel()
	live, _ := l.Liveness.Wait(now) // the error says only that there was no time to wait
	return live
}

func (l *Loop) patience() <-chan time.Time {
	if l.pending == nil || l.pending.told {
		return nil
	}
	return time.After(l.Patience - l.Now().Sub(l.pending.applied))
}

func (l *Loop) again() <-chan time.Time {
	if !l.retry {
		return nil
	}
	return time.After(l.Retry)
}

// decide ends the wait for the pending commit.
func (l *Loop) decide(live Live) {
	p := l.pending
	p.stop()
	l.pending = nil
	p.Live = live
	p.Stages.Ack = l.Now().Sub(p.applied)
	if live.Envoys.Acked < live.Envoys.Total {
		p.Err = fmt.Errorf("%w: %d of %d serve all of it", ErrRefused, live.Envoys.Acked, live.Envoys.Total)
	} else {
		p.Kept, l.live = l.live, p.Commit
	}
	l.report(p)
}

// report hands out an outcome unless it was said before.
func (l *Loop) report(p *pending) {
	p.Stages.Total = l.Now().Sub(p.began)
	p.Live.Refused = p.Live.Refused.Sort()
	if p.Err == nil {
		l.failed = ""
	} else if said := failure(&p.Outcome); said == l.failed {
		return
	} else {
		l.failed = said
	}
	l.Report(p.Outcome)
}

// ErrNotLive is in the outcome of a commit that was applied but that not every proxy has acknowledged in time.
var ErrNotLive = errors.New("applied, but not acknowledged by every Envoy")

// ErrRefused is in the outcome of a commit that was applied and of which a proxy refuses a part.
var ErrRefused = errors.New("applied, but refused by an Envoy")

// ErrEmpty is in the outcome of a tree that renders to no object at all.
var ErrEmpty = errors.New("nothing to serve")

func notLive(e Envoys) error {
	if e.Total == 0 {
		return fmt.Errorf("%w: none is connected", ErrNotLive)
	}
	return fmt.Errorf("%w: %d of %d", ErrNotLive, e.Acked, e.Total)
}

// failure is what an outcome says that needs to be said only once.
func failure(o *Outcome) string {
	if o.Commit == nil {
		return o.Err.Error()
	}
	return o.Commit.Revision + "\n" + o.Err.Error()
}

func (l *Loop) init() {
	if l.renderer != nil {
		return
	}
	l.renderer = render.New()
	l.set, _ = object.NewSet(nil)
	if l.Now == nil {
		l.Now = time.Now
	}
	if l.Patience == 0 {
		l.Patience = 30 * time.Second
	}
	if l.Retry == 0 {
		l.Retry = 5 * time.Second
	}
}
