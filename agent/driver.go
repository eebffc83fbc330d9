package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"headgate.dev/agent/apply"
	"headgate.dev/agent/git"
	"headgate.dev/agent/internal/repositories"
	"headgate.dev/agent/plan"
	"headgate.dev/render"
	"headgate.dev/render/object"
	"headgate.dev/schema"
)

// Repositories are the repositories of many Syncs, each shared by those that ask for the same source with the same credentials.
type Repositories = repositories.Pool

// World is what the drivers of a process share. Every field is constant and required unless it says otherwise.
type World struct {
	Repositories *Repositories
	// Account gives the cluster as a service account of a namespace sees it, for the objects of one Sync.
	Account func(owner plan.Owner, serviceAccount string) (Account, error)
	// Worker waits for a turn to do what takes processor time or the API server's; the function gives it back.
	Worker func(ctx context.Context, owner plan.Owner) (done func(), err error)
	// Proxies may be nil: then a commit is live when its objects are healthy.
	Proxies Proxies
	// Ready tells whether another Sync is Ready, and if not, why.
	Ready func(plan.Owner) (why string)
	// DependsOn gives the Syncs that another Sync waits for; none where there is no such Sync.
	DependsOn func(plan.Owner) []plan.Owner
	// DefaultAccount is the service account of Syncs that name none; empty: they are refused.
	DefaultAccount string
	// Limits bound what a commit of any Sync may cost.
	Limits git.Limits
	// Traffic may be nil: then no commit is refused for what others serve.
	Traffic Traffic
	// Applied may be nil. It is told each apply that changed something, or that was the first since the start, in the
	// order in which they happened. It must not wait.
	Applied func(Applied)
	// Previewed may be nil. It is told how a preview is doing whenever that is another thing than before, from the goroutine of that preview, in
	// order; and once for each preview after a start. It must not wait.
	Previewed func(PreviewReport)
	// Now is the clock.
	Now func() time.Time
	Log *slog.Logger
}

// Trigger is why a driver looks at its Sync.
type Trigger struct {
	// At is when the reason came up: an answer of the repository that is older does not count.
	At time.Time
	// Inputs: what the Sync names in the cluster may have changed.
	Inputs bool
	// Anew: what was refused is tried again, though nothing changed.
	Anew bool
	// Pushed and Hooked are when a commit was pushed, and when the webhook told; zero where none did.
	Pushed, Hooked time.Time
	// Again are objects to write whatever is known of them, because they are not as they were left.
	Again []object.ID
}

// And gives a trigger for both reasons.
func (t Trigger) And(u Trigger) Trigger {
	if u.At.After(t.At) {
		t.At = u.At
	}
	t.Inputs, t.Anew = t.Inputs || u.Inputs, t.Anew || u.Anew
	if t.Hooked.IsZero() || !u.Hooked.IsZero() && u.Hooked.Before(t.Hooked) {
		t.Hooked, t.Pushed = u.Hooked, u.Pushed
	}
	t.Again = append(t.Again[:len(t.Again):len(t.Again)], u.Again...)
	return t
}

// Driver brings the commits of one Sync into a cluster. It is for one goroutine, which calls Look whenever there is a reason, and Settle with
// whatever comes out of Settled.
type Driver struct {
	world *World
	owner plan.Owner
	log   *slog.Logger
	// report receives the standing whenever there is something new to say. It is called by the goroutine that calls the driver, and keeps nothing
	// of what it is given.
	report func(*Standing)

	sync    *schema.Sync
	account Account              // nil: to be made
	handle  *repositories.Handle // nil: no repository is in use
	inputs  *inputs              // nil: to be read

	shown      atomic.Pointer[recipe]     // the last one, for Render
	production atomic.Pointer[Production] // the last apply, for Production

	renderer *render.Renderer // nil: not needed for long
	used     time.Time        // when renderer was used last
	// concluded is what needs no other try as long as it is the same.
	concluded conclusion
	// set is what is applied, as far as is known since the start, and commit what it was rendered from.
	set      *object.Set
	commit   *git.Commit
	kept     string // the revision that is applied
	standing Standing
	tail     *tail
	pending  map[object.ID]Want              // written or removed, and not known to be live
	expected map[object.ID]apply.Expectation // written, and not known to be healthy
}

// conclusion says from what a commit was made.
type conclusion struct {
	hash       string
	inputs     string
	generation int64
}

// NewDriver makes the driver of a Sync. Revision is the one that is applied, as far as is known; may be empty.
func NewDriver(w *World, owner plan.Owner, revision string, report func(*Standing)) *Driver {
	return &Driver{
		kept: revision, world: w, owner: owner, report: report, log: w.Log.With("sync", owner.Namespace+"/"+owner.Name),
		standing: Standing{Objects: -1}, pending: map[object.ID]Want{}, expected: map[object.ID]apply.Expectation{},
	}
}

// Look sees what the repository has, and brings it into the cluster if it is something new. What comes after that is Settled's. The problem
// is nil when there is none; it is reported as well.
func (d *Driver) Look(ctx context.Context, s *schema.Sync, t Trigger) *Problem {
	d.take(s, &t)
	if s.Spec.Suspend {
		d.halt()
		d.report(&d.standing)
		return nil
	}
	limit := timeoutOf(s)
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("it took longer than the timeout of %s", limit))
	defer cancel()
	err := d.look(ctx, t)
	if err != nil && context.Cause(ctx) != nil && !errors.Is(context.Cause(ctx), context.Canceled) {
		err = fmt.Errorf("%w: %w", err, context.Cause(ctx))
	}
	if errors.Is(err, context.Canceled) {
		return nil // the end; nothing is to be said
	}
	return d.conclude(err)
}

// take notes what the Sync says now.
func (d *Driver) take(s *schema.Sync, t *Trigger) {
	if d.sync == nil || d.sync.Generation != s.Generation {
		d.inputs, t.Inputs = nil, true
	}
	if request := s.Annotations[schema.ReconcileRequest]; request != d.standing.Handled {
		t.Anew, t.Inputs = true, true
		d.standing.Handled = request
	}
	if d.sync != nil && d.sync.Spec.ServiceAccountName != s.Spec.ServiceAccountName {
		d.account = nil
	}
	d.sync, d.standing.Generation = s, s.Generation
	if t.Inputs {
		d.inputs = nil
	}
}

// conclude reports how a look ended.
func (d *Driver) conclude(err error) *Problem {
	var p *Problem
	if err != nil && !errors.As(err, &p) {
		p = &Problem{Reason: ReasonApply, Message: err.Error(), Err: err}
	}
	d.standing.Problem, d.standing.Working = p, false
	if a := d.standing.Attempt; a != nil && p != nil && p.Result != "" {
		a.Took = d.world.Now().Sub(a.Seen)
	}
	d.report(&d.standing)
	return p
}

// look is Look without the report.
func (d *Driver) look(ctx context.Context, t Trigger) error {
	if err := d.prepare(ctx); err != nil {
		return err
	}
	began := d.world.Now()
	commit, err := d.resolve(ctx, t)
	if err != nil {
		return d.fetchProblem(err)
	}
	fetched := d.world.Now()
	next := conclusion{hash: commit.Hash, inputs: d.inputs.digest, generation: d.sync.Generation}
	if next == d.concluded && !t.Anew && len(t.Again) == 0 {
		return d.same()
	}
	if next.hash != d.concluded.hash || d.standing.Attempt == nil {
		d.begin(commit, t, began, fetched)
	}
	if err := d.permit(ctx, commit); err != nil {
		return d.definite(next, err)
	}
	return d.definite(next, d.bring(ctx, commit, t))
}

// same is the answer when nothing is new: what was the matter with the commit still is.
func (d *Driver) same() error {
	d.askAgain()
	p := d.standing.Problem
	switch {
	case p != nil && p.Reason == ReasonUnhealthy:
		if d.tail == nil {
			d.again()
		} else {
			d.ask(timeoutOf(d.sync))
		}
		return p
	case p != nil && p.Result != "":
		return p
	}
	return nil
}

// definite notes a commit that needs no other try.
func (d *Driver) definite(c conclusion, err error) error {
	var p *Problem
	if err == nil || errors.As(err, &p) && p.Stalled && p.Result != "" {
		d.concluded = c
	} else {
		d.concluded = conclusion{hash: c.hash} // the attempt goes on
	}
	return err
}

// begin makes a commit the attempt.
func (d *Driver) begin(c *git.Commit, t Trigger, began, fetched time.Time) {
	a := &Attempt{Revision: c.Revision, Author: c.Author, Subject: c.Subject, Seen: began, Fetch: fetched.Sub(began)}
	if !t.Hooked.IsZero() && t.Hooked.Before(began) {
		a.Seen, a.Fetch, a.Hooked = t.Hooked, fetched.Sub(t.Hooked), t.Hooked
		if !t.Pushed.IsZero() && t.Pushed.Before(t.Hooked) {
			a.Pushed, a.Hook = t.Pushed, t.Hooked.Sub(t.Pushed)
		}
	}
	d.standing.Attempt = a
}

// enter makes the account. The error is a *Problem where none is named.
func (d *Driver) enter() error {
	if d.account != nil {
		return nil
	}
	name := d.sync.Spec.ServiceAccountName
	if name == "" {
		name = d.world.DefaultAccount
	}
	if name == "" {
		return &Problem{Reason: ReasonNoAccount, Stalled: true, Message: "spec.serviceAccountName is missing, and the controller has no default: " +
			"name the service account of namespace " + d.owner.Namespace + " as which this Sync may read and write"}
	}
	var err error
	d.account, err = d.world.Account(d.owner, name)
	return err
}

// prepare sees to account, inputs and repository.
func (d *Driver) prepare(ctx context.Context) error {
	if err := d.enter(); err != nil {
		return err
	}
	if d.inputs != nil {
		return nil
	}
	in, err := readInputs(ctx, d.sync, d.account, d.world.Limits)
	if err != nil {
		return err
	}
	return d.use(in)
}

// use makes inputs those of the driver.
func (d *Driver) use(in *inputs) error {
	if d.handle == nil || !sameSource(d.handle.Source(), in.source) {
		if err := d.release(); err != nil {
			return err
		}
		handle, err := d.world.Repositories.Use(in.source, "")
		if err != nil {
			return err
		}
		d.handle = handle
	}
	d.inputs = in
	d.shown.Store(d.recipe())
	return nil
}

func (d *Driver) release() error {
	if d.handle == nil {
		return nil
	}
	err := d.handle.Release()
	d.handle = nil
	return err
}

// resolve asks the repository. Credentials that do not do any more may have been replaced.
func (d *Driver) resolve(ctx context.Context, t Trigger) (*git.Commit, error) {
	commit, err := d.handle.Resolve(ctx, t.At)
	var denied *git.AuthError
	if !errors.As(err, &denied) {
		return commit, err
	}
	before := d.handle
	in, readErr := readInputs(ctx, d.sync, d.account, d.world.Limits)
	if readErr != nil {
		return nil, err
	}
	if useErr := d.use(in); useErr != nil || d.handle.Same(before) {
		return nil, err
	}
	return d.handle.Resolve(ctx, t.At)
}

// fetchProblem says what is wrong with the repository.
func (d *Driver) fetchProblem(err error) error {
	var (
		p  *Problem
		nf *git.NotFoundError
		au *git.AuthError
		tb *git.TooBigError
		us *git.UnsupportedError
	)
	if errors.As(err, &p) || errors.Is(err, context.Canceled) {
		return err
	}
	message := err.Error()
	if kept := d.kept; kept != "" {
		message += "; " + short(kept) + " stays applied"
	}
	return &Problem{
		Reason: ReasonFetch, Message: message, Err: err,
		Stalled: errors.As(err, &nf) || errors.As(err, &au) || errors.As(err, &tb) || errors.As(err, &us),
	}
}

// halt stops what goes on beside the driver.
func (d *Driver) halt() {
	if d.tail != nil {
		d.tail.stop()
		d.tail = nil
	}
	d.standing.Working, d.standing.Waiting = false, false
}

// Rest gives back what an idle Sync does not need.
func (d *Driver) Rest(idle time.Duration) {
	if d.renderer != nil && d.world.Now().Sub(d.used) > idle {
		d.renderer = nil
	}
}

// Close ends the driver. What is applied stays.
func (d *Driver) Close() error {
	d.halt()
	return d.release()
}

// ShortRevision is a revision as people read it: "main@4f2a9c1".
func ShortRevision(revision string) string { return short(revision) }

// short is a revision as people read it: "main@4f2a9c1".
func short(revision string) string {
	name, hash, found := cutRevision(revision)
	if !found {
		return revision
	}
	if len(hash) > 7 {
		hash = hash[:7]
	}
	if name == "" {
		return hash
	}
	return name + "@" + hash
}

func timeoutOf(s *schema.Sync) time.Duration { return durationOf(s.Spec.Timeout, 5*time.Minute) }

// IntervalOf is the time between two looks at the repository of a Sync.
func IntervalOf(s *schema.Sync) time.Duration { return durationOf(s.Spec.Interval, time.Minute) }

func durationOf(d schema.SyncDuration, otherwise time.Duration) time.Duration {
	value, err := schema.ParseDuration(string(d))
	if err != nil || value.Value <= 0 {
		return otherwise
	}
	return value.Value
}
