package apply

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"headgate.dev/agent/plan"
	"headgate.dev/render/object"
)

// Trials are what an apply would do.
type Trials struct {
	// Trials are the writes, in their order.
	Trials []Trial
	// Removals are the objects that would be removed, in their order.
	Removals []object.ID
	// Kept are objects that are not wanted any more and would stay, sorted by ID.
	Kept []plan.Kept
	// Unchanged is how many objects need no write.
	Unchanged int
}

// Trial is what one write would do.
type Trial struct {
	Object *object.Object
	Action plan.Action
	// Live is the object as it is, nil where there is none. Would is as it would be, by the API server's own word, defaults included in both; nil when it
	// was not tried. Both have the values of Secrets. Of an object that is to be adopted, Would still has the fields that Git lacks and the
	// adoption takes away.
	Live, Would map[string]any
	// Recreate says that the object would be deleted and made again.
	Recreate bool
	// Yielded are the fields that would be left to others.
	Yielded []plan.Yielded
	// Waits are the objects of the same plan without which it cannot be tried.
	Waits []object.ID
	// Err is what the API server has against it; nil: nothing.
	Err *Error
}

// Try says what an apply would do, and writes nothing. What the API server has against single objects is in the trials. The errors are those of Apply
// with which nothing is known.
func (a *Applier) Try(ctx context.Context, request Request) (*Trials, error) {
	a.busy.Lock()
	defer a.busy.Unlock()
	r := a.newRun(request)
	p, err := r.plan(ctx)
	if err != nil {
		return nil, err
	}
	out := &Trials{Removals: p.Removals, Kept: p.Kept, Unchanged: p.Unchanged}
	for _, s := range p.Stages {
		for _, w := range s.Writes {
			out.Trials = append(out.Trials, Trial{Object: w.Object, Action: w.Action, Waits: w.Waits})
		}
	}
	var list []task
	i := 0
	for _, s := range p.Stages {
		for _, w := range s.Writes {
			trial := &out.Trials[i]
			i++
			if len(w.Waits) > 0 {
				continue
			}
			list = append(list, func(ctx context.Context) *Error { return r.trial(ctx, w, trial) })
		}
	}
	return out, each(ctx, list, stop)
}

// trial tries one write. The error is one with which nothing is known of the others either.
func (r *run) trial(ctx context.Context, w plan.Write, trial *Trial) *Error {
	j, wrong := r.job(w)
	if wrong == nil && w.Action != plan.Create {
		live, err := r.as.in(j.target, j.id().Namespace).Get(ctx, j.id().Name, metav1.GetOptions{})
		switch {
		case err == nil:
			trial.Live = live.Object
		case !isMissing(err):
			wrong = r.answered("reading", j.id(), j.Object, nil, err)
		}
	}
	if wrong == nil {
		wrong = r.try(ctx, j)
		trial.Would, trial.Yielded, trial.Recreate = j.would, j.yielded, j.recreate
	}
	if wrong != nil && (wrong.Reason == ReasonUnavailable || ctx.Err() != nil) {
		return wrong
	}
	trial.Err = wrong
	return nil
}
