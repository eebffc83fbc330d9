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
	"strings"
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
	// Apply makes the target hold c.Set. On an error the target still holds what it held, as far as it can tell.
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
	// Wait blocks until every write and removal of the last Apply is acknowledged by every ready proxy, and there is
	// at least one, or until ctx ends; then it returns how far it got together with the context's error.
	Wait(ctx context.Context) (Live, error)
}

// Stages is how long each stage of a revision took.
type Stages struct {
	Fetch, Render, Apply, Ack, Total time.Duration
}

// Outcome is what became of one commit. Exactly one of Err and "live" holds: Err nil means the commit is live.
type Outcome struct {
	Commit *git.Commit // nil when there is none because Err says so
	// Kept is the commit that served before; it keeps serving when Err is set, unless that is ErrNotLive. Nil when there
	// is none yet.
	Kept     *git.Commit
	Err      error // schema.Errors when the input is wrong
	Change   Change
	Warnings schema.Errors
	Live     Live
	Stages   Stages
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
	// Patience bounds the wait for the proxies; after it the commit is reported as applied but not live. Zero means
	// 30 seconds.
	Patience time.Duration
	// Report receives every outcome, in order, from the goroutine that called Run.
	Report func(Outcome)
	// Now is the clock; time.Now when nil.
	Now func() time.Time

	renderer *render.Renderer
	current  *git.Commit
	set      *object.Set
	failed   string // what was reported last and need not be said again
	// late is the outcome of the current commit while the proxies have not acknowledged it.
	late *Outcome
}

// Run follows the source until ctx ends or there are no more hints.
func (l *Loop) Run(ctx context.Context) {
	for {
		l.Once(ctx)
		if !l.rest(ctx) {
			return
		}
	}
}

// rest waits for a hint; whatever it was, the source says what is to run. Meanwhile it reports when a commit that was
// late is live after all. It is false at the end.
func (l *Loop) rest(ctx context.Context) bool {
	waiting, cancel := context.WithCancel(ctx)
	defer cancel()
	settled := l.settle(waiting)
	for {
		select {
		case <-ctx.Done():
			return false
		case _, open := <-l.Hints:
			return open
		case live := <-settled:
			settled = nil
			out := *l.late
			out.Err, out.Live = nil, live
			if strings.HasPrefix(l.failed, out.Commit.Revision+"\n") {
				l.failed = "" // else it is another commit's
			}
			l.late = nil
			l.Report(out)
		}
	}
}

// settle gives what the proxies say once the late commit is live; without one it gives nothing.
func (l *Loop) settle(ctx context.Context) <-chan Live {
	if l.late == nil {
		return nil
	}
	settled := make(chan Live, 1)
	go func() {
		if live, err := l.Liveness.Wait(ctx); err == nil {
			live.Refused = live.Refused.Sort()
			settled <- live
		}
	}()
	return settled
}

// Once brings the commit that is the head now to life and reports the outcome. Nothing is reported when the head is
// what already runs, unless the last report was an error, or when it fails exactly as it did before. It tells whether
// the head is live.
func (l *Loop) Once(ctx context.Context) bool {
	l.init()
	start := l.Now()
	commit, err := l.Source.Resolve(ctx)
	if ctx.Err() != nil {
		return false
	}
	running := err == nil && l.current != nil && commit.Revision == l.current.Revision
	if running && l.failed == "" {
		return true
	}
	out := Outcome{Commit: commit, Kept: l.current, Err: err}
	out.Stages.Fetch = l.Now().Sub(start)
	switch {
	case running:
		l.confirm(ctx, &out)
	case err == nil:
		l.bring(ctx, &out)
	}
	out.Stages.Total = l.Now().Sub(start)
	if out.Err == nil {
		l.failed = ""
	} else if said := failure(out); said == l.failed {
		return false
	} else {
		l.failed = said
	}
	if ctx.Err() == nil {
		l.Report(out)
	}
	return out.Err == nil
}

// ErrNotLive wraps the outcome of a commit that was applied but that not every proxy has acknowledged in time.
var ErrNotLive = errors.New("applied, but not acknowledged by every Envoy")

// ErrEmpty is the outcome of a tree that renders to no object at all.
var ErrEmpty = errors.New("nothing to serve")

func (l *Loop) bring(ctx context.Context, out *Outcome) {
	start := l.Now()
	result, err := l.renderer.Tree(out.Commit.Tree, l.Dir, l.Options)
	rendered := l.Now()
	out.Stages.Render = rendered.Sub(start)
	if err != nil {
		out.Err = err
		return
	}
	out.Warnings = result.Warnings
	if result.Set.Len() == 0 && !l.AllowEmpty {
		out.Err = fmt.Errorf("%w: %s holds no service spec and no manifest; --allow-empty serves nothing on purpose",
			ErrEmpty, l.Dir)
		return
	}
	out.Change.Set = result.Set
	out.Change.Put, out.Change.Removed = object.Diff(l.set, result.Set)
	if err := l.Target.Apply(ctx, out.Change); err != nil {
		out.Err = err
		return
	}
	l.set, l.current = result.Set, out.Commit
	out.Stages.Apply = l.Now().Sub(rendered)
	l.await(ctx, out)
}

// confirm tells again that the current commit is live: it was late, or the source gave an error or another commit since.
func (l *Loop) confirm(ctx context.Context, out *Outcome) {
	if l.late != nil {
		*out = *l.late
	} else {
		out.Change.Set = l.set
	}
	l.await(ctx, out)
}

// await waits, for as long as there is patience, until what was applied is live.
func (l *Loop) await(ctx context.Context, out *Outcome) {
	wait, cancel := context.WithTimeout(ctx, l.Patience)
	defer cancel()
	start := l.Now()
	live, err := l.Liveness.Wait(wait)
	out.Stages.Ack = l.Now().Sub(start)
	live.Refused = live.Refused.Sort()
	out.Live, out.Err, l.late = live, nil, nil
	if err == nil {
		return
	}
	late := *out
	l.late = &late
	if live.Envoys.Total == 0 {
		out.Err = fmt.Errorf("%w: none is connected", ErrNotLive)
	} else {
		out.Err = fmt.Errorf("%w: %d of %d", ErrNotLive, live.Envoys.Acked, live.Envoys.Total)
	}
}

// failure is what an outcome says that needs to be said only once.
func failure(o Outcome) string {
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
}
