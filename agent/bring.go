package agent

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"headgate.dev/agent/apply"
	"headgate.dev/agent/git"
	"headgate.dev/agent/plan"
	"headgate.dev/render"
	"headgate.dev/render/object"
	"headgate.dev/schema"
)

// permit sees whether a commit may be brought at all.
func (d *Driver) permit(_ context.Context, c *git.Commit) error {
	if d.inputs.keys != nil {
		if _, err := c.Verify(*d.inputs.keys); err != nil {
			return d.refused(ReasonVerify, c.Short()+": "+err.Error(), err)
		}
	}
	for _, dep := range d.sync.Spec.DependsOn {
		other := plan.Owner{Namespace: dep.Namespace, Name: dep.Name}
		if other.Namespace == "" {
			other.Namespace = d.owner.Namespace
		}
		if why := d.world.Ready(other); why != "" {
			return &Problem{Reason: ReasonDependency, Message: fmt.Sprintf("waiting for %s, which is not ready: %s", other, why)}
		}
	}
	return nil
}

// refused is a commit of which nothing is written, and that does not become better by itself.
func (d *Driver) refused(reason, message string, err error) *Problem {
	return &Problem{Reason: reason, Message: d.keeps(message), Stalled: true, Result: schema.ResultRefused, Err: err}
}

// keeps says which commit goes on to serve.
func (d *Driver) keeps(message string) string {
	if kept := d.kept; kept != "" && d.standing.Attempt != nil && kept != d.standing.Attempt.Revision {
		return message + "; " + short(kept) + " stays applied"
	}
	return message
}

// bring renders a commit and applies it.
func (d *Driver) bring(ctx context.Context, c *git.Commit, t Trigger) error {
	done, err := d.world.Worker(ctx, d.owner)
	if err != nil {
		return fmt.Errorf("waiting for a turn: %w", err)
	}
	defer done()
	a := d.standing.Attempt
	d.standing.Working = true
	start := d.world.Now()
	set, warnings, err := d.render(ctx, c)
	rendered := d.world.Now()
	a.Render = rendered.Sub(start)
	if err != nil {
		return d.renderProblem(ctx, c, err)
	}
	for _, w := range warnings {
		d.log.Debug("warning about a commit", "revision", c.Revision, "warning", w.Error())
	}
	if err := d.policy(ctx, c, set); err != nil {
		return err
	}
	d.halt()
	d.standing.Working = true
	result, err := d.account.Apply(ctx, d.request(set, t))
	applied := d.world.Now()
	a.Apply = applied.Sub(rendered)
	d.note(result)
	if err != nil {
		return d.applyProblem(c, err)
	}
	a.Took, a.Applied = applied.Sub(a.Seen), true
	d.tell(c, set, result)
	first := d.set == nil
	d.set, d.commit, d.kept = set, c, c.Revision
	d.standing.Working = false
	d.resume(first, set)
	d.follow(applied)
	d.live()
	d.rest()
	return nil
}

func (d *Driver) request(set *object.Set, t Trigger) apply.Request {
	spec := &d.sync.Spec
	r := apply.Request{
		Desired: set, Ignore: d.inputs.ignore, Keep: spec.Prune != nil && !*spec.Prune, Force: spec.Force, Again: t.Again,
	}
	if v := d.inputs.values; v != nil {
		for _, name := range sortedNames(v.Secret) {
			r.Secrets = append(r.Secrets, v.Secret[name])
		}
	}
	return r
}

// render gives the objects of a commit. It is done by a goroutine of its own, so that one that takes too long keeps nobody waiting
// but this Sync; the renderer that it holds is then given up.
func (d *Driver) render(ctx context.Context, c *git.Commit) (*object.Set, schema.Errors, error) {
	if d.renderer == nil {
		d.renderer = render.New()
	}
	d.used = d.world.Now()
	type outcome struct {
		result render.Result
		err    error
	}
	ch := make(chan outcome, 1)
	r, options := d.renderer, render.Options{Gateway: d.inputs.gateway, Namespace: renderNamespace(d.sync)}
	tree := git.Tree(bounded{Tree: c.Tree, ctx: ctx})
	if d.inputs.values != nil {
		tree = substitute(tree, *d.inputs.values)
	}
	dir := d.sync.Spec.Path
	if dir == "" {
		dir = "."
	}
	go func() {
		result, err := r.Tree(tree, dir, options)
		ch <- outcome{result, err}
	}()
	select {
	case <-ctx.Done():
		d.renderer = nil
		return nil, nil, fmt.Errorf("rendering %s: %w", c.Short(), context.Cause(ctx))
	case o := <-ch:
		if o.err != nil {
			return nil, nil, o.err
		}
		set, err := d.finish(o.result.Set)
		return set, o.result.Warnings, err
	}
}

// finish does what is left to do to a rendered set.
func (d *Driver) finish(set *object.Set) (*object.Set, error) {
	if target := d.sync.Spec.TargetNamespace; target != "" {
		if errs := outside(set, target); len(errs) > 0 {
			return nil, errs
		}
	}
	if d.inputs.values == nil {
		return set, nil
	}
	return d.inputs.values.reveal(set)
}

// outside names the objects that are in another namespace than the one that the Sync may use.
func outside(set *object.Set, target string) schema.Errors {
	var errs schema.Errors
	for o := range set.All() {
		if o.ID.Namespace != "" && o.ID.Namespace != target {
			errs.Add(&schema.Error{
				Position: o.OriginOf("/metadata/namespace"), Field: "metadata.namespace",
				Message: fmt.Sprintf("%s is in namespace %s, and the Sync's targetNamespace is %s", o.ID, o.ID.Namespace, target),
			})
		}
	}
	return errs.Sort()
}

// renderProblem says what is wrong with the files of a commit.
func (d *Driver) renderProblem(ctx context.Context, c *git.Commit, err error) error {
	var wrong schema.Errors
	switch {
	case errors.As(err, &wrong):
		return d.refused(ReasonRender, c.Short()+": "+list(wrong), err)
	case errors.Is(context.Cause(ctx), context.Canceled):
		return context.Canceled
	}
	return &Problem{Reason: ReasonRender, Message: d.keeps(c.Short() + ": " + err.Error()), Err: err, Result: schema.ResultRefused}
}

// listed is how many errors a message has.
const listed = 5

// list puts errors on one line.
func list(errs schema.Errors) string {
	var parts []string
	for i, err := range errs {
		if i == listed {
			parts = append(parts, fmt.Sprintf("and %d more", len(errs)-i))
			break
		}
		parts = append(parts, err.Error())
	}
	return strings.Join(parts, "; ")
}

// policy asks whether the commit may do what it would do.
func (d *Driver) policy(ctx context.Context, c *git.Commit, set *object.Set) error {
	if d.world.Policy == nil {
		return nil
	}
	candidate := Candidate{Owner: d.owner, Revision: c.Revision, Set: set}
	candidate.Put, candidate.Removed = object.Diff(d.before(), set)
	err := d.world.Policy(ctx, candidate)
	if err == nil {
		return nil
	}
	return d.refused(ReasonPolicy, c.Short()+": "+err.Error(), err)
}

// before is what was applied last, as far as is known.
func (d *Driver) before() *object.Set {
	if d.set == nil {
		empty, _ := object.NewSet(nil)
		return empty
	}
	return d.set
}

// applyProblem says what the API server did not like.
func (d *Driver) applyProblem(c *git.Commit, err error) error {
	if errors.Is(err, context.Canceled) {
		return context.Canceled
	}
	p := &Problem{Reason: ReasonApply, Message: d.keeps(c.Short() + ": " + err.Error()), Result: schema.ResultFailed, Err: err}
	var (
		empty *plan.EmptyError
		owned *plan.OwnedError
		retry interface{ Retryable() bool }
	)
	switch {
	case errors.As(err, &empty):
		p.Stalled, p.Result = true, schema.ResultRefused
	case errors.As(err, &owned):
		// The other Sync may let go of it, of which nobody tells.
		p.Reason, p.Result = ReasonOwned, schema.ResultRefused
	case errors.As(err, &retry):
		p.Stalled = !retry.Retryable()
	}
	return p
}

// note keeps what an apply did, whether or not it came to its end.
func (d *Driver) note(result *apply.Result) {
	if result == nil {
		return
	}
	if result.Inventory != nil {
		d.standing.Objects = len(result.Inventory)
	}
	for _, w := range result.Written {
		d.pending[w.Object.ID] = Want{ID: w.Object.ID, UID: w.UID, Generation: w.Generation, ResourceVersion: w.ResourceVersion}
	}
	for _, w := range result.Written {
		d.expected[w.Object.ID] = w.Expect()
	}
	for _, r := range result.Removed {
		d.pending[r.ID] = Want{ID: r.ID, UID: r.UID, Removed: true}
		delete(d.expected, r.ID)
	}
}

// resume makes up, in the first apply since the start, for what a process before may not have seen to its end: unless the status says that the
// commit is live and its objects are healthy, all of them are waited for.
func (d *Driver) resume(first bool, set *object.Set) {
	status := &d.sync.Status
	if !first || status.Revision == "" {
		return
	}
	revision := d.standing.Attempt.Revision
	live := status.Live != nil && status.Live.Revision == revision
	healthy := status.Revision == revision && meta.IsStatusConditionTrue(status.Conditions, schema.SyncReady)
	for o := range set.All() {
		if _, written := d.pending[o.ID]; !written && !live {
			d.pending[o.ID] = Want{ID: o.ID}
		}
		if _, written := d.expected[o.ID]; !written && !healthy {
			d.expected[o.ID] = apply.Expectation{ID: o.ID, Origin: o.Origin}
		}
	}
}

// Applied is an apply that came to its end.
type Applied struct {
	Owner  plan.Owner
	Sync   *schema.Sync
	Commit *git.Commit
	// Set is what was wanted; read it, never write to it.
	Set    *object.Set
	Result *apply.Result
	Time   time.Time
}

// tell hands an apply to whoever wants to know.
func (d *Driver) tell(c *git.Commit, set *object.Set, result *apply.Result) {
	for _, w := range result.Written {
		d.log.Debug("object written", "object", w.Object.ID.String(), "action", w.Action, "revision", c.Revision)
	}
	if d.world.Applied != nil && (d.set == nil || len(result.Written)+len(result.Removed) > 0 || d.commit != c) {
		d.world.Applied(Applied{Owner: d.owner, Sync: d.sync, Commit: c, Set: set, Result: result, Time: d.world.Now()})
	}
}
