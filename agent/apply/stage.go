package apply

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"headgate.dev/agent/fields"
	"headgate.dev/agent/plan"
	"headgate.dev/render/object"
)

// attempts is how often a write is tried while others change the same object.
const attempts = 5

// job is one write of a stage.
type job struct {
	plan.Write
	target target
	// content is what is sent: marked, and with what is left to others.
	content map[string]any
	yielded []plan.Yielded
	// locked content was made from what is live, and is for that resource version alone.
	locked bool
	// force takes over fields that people own, or with the request's force those of anybody.
	force bool
	// recreate deletes the object first.
	recreate bool
	// would is what a try returned.
	would   map[string]any
	written Written
}

func (j *job) id() object.ID { return j.Object.ID }

// metadata is that of the content, which is the job's own.
func (j *job) metadata() map[string]any { return j.content["metadata"].(map[string]any) }

// stage tries a stage as a whole, and then writes it.
func (r *run) stage(ctx context.Context, s plan.Stage, p *plan.Plan) error {
	jobs, err := r.jobs(s)
	if err != nil {
		return err
	}
	trying := func(ctx context.Context, j *job) *Error {
		err := r.try(ctx, j)
		j.would = nil // of thousands it would be much
		return err
	}
	if err := each(ctx, tasks(jobs, trying), keepGoing); err != nil {
		return err
	}
	if err := r.grow(ctx, p.Before); err != nil {
		return err
	}
	for _, w := range waves(jobs, func(j *job) object.ID { return j.id() }) {
		err := each(ctx, tasks(w, r.write), stop)
		for _, j := range w {
			if j.written.Object != nil {
				r.result.Written = append(r.result.Written, j.written)
			}
		}
		if err != nil {
			return err
		}
	}
	if s.Name == plan.StageDefinitions {
		return r.settle(ctx, jobs)
	}
	return nil
}

func tasks(jobs []*job, do func(context.Context, *job) *Error) []task {
	out := make([]task, len(jobs))
	for i, j := range jobs {
		out[i] = func(ctx context.Context) *Error { return do(ctx, j) }
	}
	return out
}

// waves cuts a list into runs of the same kind: what is done at the same time. Plans are sorted by kind, what is referred to first, so
// that no route is written before the Service that it names.
func waves[T any](items []T, id func(T) object.ID) [][]T {
	var out [][]T
	for _, item := range items {
		n := len(out)
		if n > 0 && sameKind(id(out[n-1][0]), id(item)) {
			out[n-1] = append(out[n-1], item)
			continue
		}
		out = append(out, []T{item})
	}
	return out
}

func sameKind(a, b object.ID) bool { return a.Group == b.Group && a.Kind == b.Kind }

// jobs finds where the objects of a stage are. The errors are of all objects that are nowhere.
func (r *run) jobs(s plan.Stage) ([]*job, error) {
	var out []*job
	var errs Errors
	for _, w := range s.Writes {
		j, err := r.job(w)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		out = append(out, j)
	}
	return out, errs.sorted()
}

func (r *run) job(w plan.Write) (*job, *Error) {
	t, err := r.kinds.find(w.Object.ID, w.Object.Version)
	if err != nil {
		e := r.answered("applying", w.Object.ID, w.Object, nil, err)
		e.Doing, e.Origin = "applying", w.Object.Origin
		return nil, e
	}
	if wrong := t.scope(w.Object.ID); wrong != "" {
		return nil, &Error{
			Reason: ReasonInvalid, Doing: "applying", ID: w.Object.ID, Origin: w.Object.OriginOf("/metadata/namespace"), Message: wrong,
		}
	}
	return &job{Write: w, target: t, force: r.request.Force}, nil
}

// try asks the API server what it would say to a write.
func (r *run) try(ctx context.Context, j *job) *Error {
	if err := r.prepare(ctx, j); err != nil {
		return err
	}
	for n := 1; ; n++ {
		would, err := r.as.apply(ctx, j.target, j.id(), patch{content: j.content, dry: true, force: j.force})
		if err == nil {
			j.would = would.Object
			return nil
		}
		e := r.answered("trying", j.id(), j.Object, j.content, err)
		if j.early(e) && n < settling && pause(ctx, firstPause<<n) {
			continue
		}
		again, e := r.overcome(ctx, j, e)
		if e != nil || !again || n >= attempts {
			return e
		}
	}
}

// An API server takes a moment until it follows a definition that has changed, and does not say when. An object that comes with its definition is tried
// this often, with pauses that double, three seconds in all.
const (
	settling   = 7
	firstPause = 25 * time.Millisecond
)

// early tells whether an error may come of a definition that was written a moment ago.
func (j *job) early(e *Error) bool {
	return (e.Reason == ReasonInvalid || e.Reason == ReasonNotServed) &&
		slices.ContainsFunc(j.Waits, func(id object.ID) bool { return kindOf(id) == definitionKind })
}

// pause waits. It is false when the context ended.
func pause(ctx context.Context, d time.Duration) bool {
	select { // the end; the time
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// overcome says what to do about an error of a try: nothing (the error stays), try again with what it changed, or go on to write.
func (r *run) overcome(ctx context.Context, j *job, e *Error) (again bool, _ *Error) {
	switch {
	case r.mayForce(j, e):
		return true, nil
	case e.Reason == ReasonChanged && j.locked:
		return true, r.prepare(ctx, j)
	case e.Reason == ReasonImmutable:
		if e = r.replaceable(j, e); e == nil {
			j.recreate = true
		}
	}
	return false, e
}

// mayForce tells whether a conflict is none that stands in the way, and has the job take the fields over then.
func (r *run) mayForce(j *job, e *Error) bool {
	if e.Reason != ReasonConflict || j.force {
		return false
	}
	if e.Conflicts = r.standing(j, e.Conflicts); len(e.Conflicts) > 0 {
		e.Message = conflictMessage(e.Conflicts)
		return false
	}
	j.force = true
	return true
}

// standing gives the conflicts that stand in the way: neither with a person's tools, nor about an atomic field in which others have a part that is left
// to them. That part is in what is sent, as it is live, and the resource version keeps it so.
func (r *run) standing(j *job, conflicts []fields.Conflict) []fields.Conflict {
	return slices.DeleteFunc(slices.Clone(conflicts), func(c fields.Conflict) bool {
		return isHand(c.Manager.Name) || j.locked && c.Pointer != "" && r.leavesPart(j.Object, c.Pointer)
	})
}

// leavesPart tells whether a rule leaves something inside a field to others.
func (r *run) leavesPart(o *object.Object, pointer string) bool {
	for _, rule := range r.request.Ignore {
		if !rule.Target.Selects(o) {
			continue
		}
		inside := func(field string) bool { return strings.HasPrefix(field, pointer+"/") }
		if rule.Weights && pointer == "/spec/rules" || slices.ContainsFunc(rule.Fields, inside) {
			return true
		}
	}
	return false
}

var (
	namespaceKind  = group{"", "Namespace", ""}
	definitionKind = group{"apiextensions.k8s.io", "CustomResourceDefinition", ""}

	// holding are kinds with which others go.
	holding = []group{namespaceKind, definitionKind}
	// precious are kinds that are never deleted to be made again: with them goes what is in them.
	precious = []group{namespaceKind, definitionKind, {"", "PersistentVolume", ""}, {"", "PersistentVolumeClaim", ""}}
)

func kindOf(id object.ID) group { return group{id.Group, id.Kind, ""} }

// replaceable tells whether an object may be deleted and made again because of an error; else it gives the error to report.
func (r *run) replaceable(j *job, e *Error) *Error {
	switch {
	case !r.request.Force:
		return e
	case slices.Contains(precious, kindOf(j.id())):
		e.Message += ", but force does not delete a " + j.id().Kind + ": what is in it would go too"
		return e
	case r.known(j.id()).mark.Protected:
		e.Message += ", but its annotation " + plan.AnnotationPrune + " keeps it from being deleted"
		return e
	}
	return nil
}

func (r *run) known(id object.ID) seen {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.seen[id]
}

// ofTheServer is metadata that an object has when it was copied out of a cluster. It says nothing about what is wanted, and would be refused.
var ofTheServer = []string{"creationTimestamp", "deletionGracePeriodSeconds", "deletionTimestamp", "generation", "managedFields", "resourceVersion", "selfLink", "uid"}

// prepare makes the content to send. Where rules leave fields to others, it is made from the live object.
func (r *run) prepare(ctx context.Context, j *job) *Error {
	content, version := j.Object.Content, ""
	j.yielded, j.locked = nil, false
	if j.Action != plan.Create && slices.ContainsFunc(r.request.Ignore, func(rule plan.Rule) bool { return rule.Target.Selects(j.Object) }) {
		live, err := r.as.in(j.target, j.id().Namespace).Get(ctx, j.id().Name, metav1.GetOptions{})
		switch {
		case isMissing(err):
		case err != nil:
			return r.answered("reading", j.id(), j.Object, nil, err)
		default:
			content, j.yielded = plan.Yield(j.Object, live.Object, r.request.Ignore)
			version, j.locked = live.GetResourceVersion(), true
		}
	}
	j.content = plan.Stamp(content, r.config.Owner, j.Key)
	for _, key := range ofTheServer {
		delete(j.metadata(), key)
	}
	if j.locked {
		j.metadata()["resourceVersion"] = version
	}
	return nil
}

// write applies one object.
func (r *run) write(ctx context.Context, j *job) *Error {
	for n := 1; ; n++ {
		live, err := r.writeOnce(ctx, j)
		if err == nil {
			r.wrote(j, live)
			return nil
		}
		e := r.answered("applying", j.id(), j.Object, j.content, err)
		if !r.mayForce(j, e) && e.Reason != ReasonChanged || n == attempts {
			return e
		}
		if e := r.again(ctx, j); e != nil {
			return e
		}
	}
}

// again reads anew what a write builds on.
func (r *run) again(ctx context.Context, j *job) *Error {
	if err := r.get(ctx, j.target, j.id()); err != nil {
		return err
	}
	return r.prepare(ctx, j)
}

// writeOnce makes the calls of one write. As long as they are not answered, nothing is known of the object.
func (r *run) writeOnce(ctx context.Context, j *job) (*unstructured.Unstructured, error) {
	if j.recreate {
		if err := r.makeRoom(ctx, j); err != nil {
			return nil, err
		}
	}
	if j.Action == plan.Adopt && !j.recreate {
		return r.adopt(ctx, j)
	}
	return r.put(ctx, j)
}

// put sends an object. One that is being deleted is waited for, and made anew.
func (r *run) put(ctx context.Context, j *job) (*unstructured.Unstructured, error) {
	r.unsee(j.id())
	telling := context.WithValue(ctx, warningKey{}, func(text string) { r.warn(j.Object, text) })
	for {
		live, err := r.as.apply(telling, j.target, j.id(), patch{content: j.content, force: j.force})
		if err != nil || live.GetDeletionTimestamp() == nil {
			return live, err
		}
		if err := r.awaitGone(ctx, j.target, j.id(), live.GetUID()); err != nil {
			return nil, r.beingDeleted(j, err)
		}
		delete(j.metadata(), "resourceVersion")
		r.noteRemade(j)
	}
}

// noteRemade notes that what an object holds is gone with it.
func (r *run) noteRemade(j *job) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.remade = r.remade || slices.Contains(holding, kindOf(j.id()))
}

// beingDeleted says that there was no time to wait for an object to be gone.
func (r *run) beingDeleted(j *job, err error) error {
	if !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return &Error{
		Reason: ReasonTerminating, Doing: "applying", ID: j.id(), Origin: j.Object.Origin, cause: err,
		Message: "it is being deleted, and is still there: see its finalizers",
	}
}

// makeRoom deletes an object that is to be made again.
func (r *run) makeRoom(ctx context.Context, j *job) error {
	s := r.known(j.id())
	r.unsee(j.id())
	if s.uid != "" {
		background := metav1.DeletePropagationBackground
		err := r.as.in(j.target, j.id().Namespace).Delete(ctx, j.id().Name, metav1.DeleteOptions{
			PropagationPolicy: &background, Preconditions: &metav1.Preconditions{UID: &s.uid},
		})
		if err != nil && !isMissing(err) {
			return err
		}
		if err := r.awaitGone(ctx, j.target, j.id(), s.uid); err != nil {
			return r.beingDeleted(j, err)
		}
	}
	delete(j.metadata(), "resourceVersion")
	j.written.Recreated = true
	return nil
}

// unsee drops what is known of an object.
func (r *run) unsee(id object.ID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.seen, id)
}

func (r *run) warn(o *object.Object, text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.result.Warnings = append(r.result.Warnings, Warning{ID: o.ID, Origin: o.Origin, Text: r.mask().text(text, o)})
}

// wrote keeps what an apply returned.
func (r *run) wrote(j *job, live *unstructured.Unstructured) {
	w := &j.written
	w.Object, w.Action, w.Yielded = j.Object, j.Action, j.yielded
	w.UID, w.Generation, w.ResourceVersion, w.Live = string(live.GetUID()), live.GetGeneration(), live.GetResourceVersion(), live.Object
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen[j.id()] = seen{
		mark: plan.ReadMark(live.GetLabels(), live.GetAnnotations()), uid: live.GetUID(), version: live.GetResourceVersion(),
	}
}
