package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
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
func (d *Driver) permit(ctx context.Context, c *git.Commit) error {
	if err := d.verify(c); err != nil {
		return d.refused(ReasonVerify, c.Short()+": "+err.Error(), err)
	}
	if _, applied, ok := cutRevision(d.kept); ok && d.sync.Spec.Monotonic && d.sync.Spec.Pin == "" {
		switch after, err := d.handle.Descends(ctx, c, applied); {
		case err != nil:
			return d.fetchProblem(err)
		case !after:
			return d.refused(ReasonBackwards, c.Short()+" does not come after "+short(d.kept)+": history was rewritten, and the Sync is monotonic; pin the commit to go there", nil)
		}
	}
	for _, other := range Dependencies(d.sync) {
		why := d.world.Ready(other)
		if why == "" {
			continue
		}
		if cycle := d.cycle(other); cycle != nil {
			return &Problem{Reason: ReasonCycle, Stalled: true, Message: "spec.dependsOn leads back to this Sync, so that each waits for the next for ever: " +
				strings.Join(cycle, " → ") + "; take one of them out of a dependsOn"}
		}
		return &Problem{Reason: ReasonDependency, Message: fmt.Sprintf("waiting for %s, which is not ready: %s", other, why)}
	}
	return nil
}

// Dependencies gives the Syncs that a Sync waits for.
func Dependencies(s *schema.Sync) []plan.Owner {
	var out []plan.Owner
	for _, dep := range s.Spec.DependsOn {
		out = append(out, plan.Owner{Namespace: cmp.Or(dep.Namespace, s.Namespace), Name: dep.Name})
	}
	return out
}

// cycle gives the shortest way over dependsOn from this Sync over another one back to this one, this one first and last; nil where there is none.
func (d *Driver) cycle(over plan.Owner) []string {
	from := map[plan.Owner]plan.Owner{over: d.owner}
	for next := []plan.Owner{over}; len(next) > 0; next = next[1:] {
		at := next[0]
		if at == d.owner {
			way := []string{d.owner.String()}
			for at = from[at]; at != d.owner; at = from[at] {
				way = append(way, at.String())
			}
			way = append(way, d.owner.String())
			slices.Reverse(way)
			return way
		}
		for _, other := range d.world.DependsOn(at) {
			if _, seen := from[other]; !seen {
				from[other] = at
				next = append(next, other)
			}
		}
	}
	return nil
}

// verify checks the signatures that the Sync asks for.
func (d *Driver) verify(c *git.Commit) error {
	if d.inputs.keys == nil {
		return nil
	}
	mode := d.sync.Spec.Verify.Mode
	if mode != schema.VerifyTag {
		if _, err := c.Verify(*d.inputs.keys); err != nil {
			return err
		}
	}
	if mode == schema.VerifyTag || mode == schema.VerifyTagAndHEAD {
		if _, err := c.VerifyTag(*d.inputs.keys); err != nil {
			return err
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
	giveBack, err := d.world.Worker(ctx, d.owner)
	if err != nil {
		return fmt.Errorf("waiting for a turn: %w", err)
	}
	defer giveBack()
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
	written, err := d.conflicts(ctx, c, set)
	if err != nil {
		return err
	}
	defer written()
	d.halt()
	d.standing.Working = true
	if put, _ := object.Diff(d.before(), set); len(put) > many {
		d.report(&d.standing) // it will take a while
	}
	result, err := d.account.Apply(ctx, d.request(set, t))
	applied := d.world.Now()
	a.Apply = applied.Sub(rendered)
	d.note(result)
	if err != nil {
		return d.applyProblem(c, err)
	}
	a.Took, a.Applied, a.Changed = applied.Sub(a.Seen), true, len(result.Written)+len(result.Removed)
	d.production.Store(&Production{Commit: c.Hash, Set: set})
	d.tell(c, set, result)
	first, before := d.set == nil, d.kept
	d.set, d.commit, d.kept = set, c, c.Revision
	d.standing.Working = false
	d.resume(first, set)
	d.follow(applied)
	d.compare(c, before)
	d.live()
	d.rest()
	return nil
}

// many objects to write are worth a status of their own before they are written.
const many = 50

func (d *Driver) request(set *object.Set, t Trigger) apply.Request {
	spec := &d.sync.Spec
	r := apply.Request{
		Desired: set, Ignore: d.inputs.ignore, Keep: spec.Prune != nil && !*spec.Prune, Force: spec.Force, Again: t.Again,
	}
	r.Secrets = d.inputs.secrets()
	return r
}

// render gives the objects of a commit.
func (d *Driver) render(ctx context.Context, c *git.Commit) (*object.Set, schema.Errors, error) {
	if d.renderer == nil {
		d.renderer = render.New()
	}
	d.used = d.world.Now()
	set, warnings, err := d.recipe().render(ctx, d.renderer, c)
	if errors.Is(err, errGivenUp) {
		d.renderer = nil
	}
	return set, warnings, err
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
	var (
		wrong schema.Errors
		big   *git.TooBigError
	)
	switch {
	case errors.As(err, &wrong):
		return d.refused(ReasonRender, c.Short()+": "+list(wrong), err)
	case errors.As(err, &big):
		return d.refused(ReasonRender, c.Short()+": "+err.Error(), err)
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
		d.account.Forget()
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
