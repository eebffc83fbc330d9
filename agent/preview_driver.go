package agent

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"headgate.dev/agent/apply"
	"headgate.dev/agent/plan"
	"headgate.dev/agent/preview"
	"headgate.dev/render/object"
	"headgate.dev/schema"
)

// Reasons of the conditions of a Preview, beside those of a Sync.
const (
	ReasonProduction = "WaitingForProduction" // Ready: nothing of the Sync is applied since the start
	ReasonMoved      = "HeadMoved"            // Ready: the pull request's head is not the commit any more
	ReasonRules      = "RulesInvalid"         // Ready: what the Sync says about previews
	ReasonFork       = "ForkRefused"          // Ready: a fork asks for what it may not have
	ReasonEnded      = "Ended"                // Ready: the Sync has no previews, or goes
	ReasonSame       = "NothingDiffers"       // Ready: production answers everything
)

// PreviewOwner is who owns what a preview is made of: the inventory and the marks of objects name it as they name a Sync. Of a name that is too long for a
// label the end is a digest.
func PreviewOwner(namespace, name string) plan.Owner {
	const limit = 63
	owner := plan.PreviewOwner + name
	if len(owner) > limit {
		sum := sha256.Sum256([]byte(name))
		end := "." + hex.EncodeToString(sum[:6])
		owner = strings.TrimRight(owner[:limit-len(end)], "-.") + end
	}
	return plan.Owner{Namespace: namespace, Name: owner}
}

// IsPreviewOwner tells whether an owner is a preview and no Sync.
func IsPreviewOwner(o plan.Owner) bool { return strings.HasPrefix(o.Name, plan.PreviewOwner) }

// PreviewOf is what a preview is made from, as it is now.
type PreviewOf struct {
	// Sync is nil where it is not known.
	Sync *schema.Sync
	// Production is nil until the Sync has applied something since the start.
	Production *Production
	// Account is the service account as which it was made, empty where nothing ever was.
	Account string
	// Anew: what is known of the cluster may be wrong.
	Anew bool
}

// PreviewDriver makes one preview. It is for one goroutine, which calls Look whenever there is a reason, and Settle with whatever comes out of News.
type PreviewDriver struct {
	shared *Previews
	owner  plan.Owner // constant, and what follows
	sync   plan.Owner
	name   string
	log    *slog.Logger
	// report receives the standing whenever there is something new to say. It is called by the goroutine that calls the driver, and keeps nothing
	// of what it is given.
	report func(*PreviewStanding)
	source *previewSource

	spec    schema.PreviewSpec
	of      PreviewOf
	account Account
	as      string // the name of the account

	change    preview.Change
	changed   changeKey // what change is of; zero: of nothing
	wrong     changeKey // what cannot be rendered, and why
	why       *Problem
	concluded string      // what needs no other try as long as it is the same
	planned   *planned    // of the head, nil where it cannot be planned
	before    *object.Set // production when that was planned
	origins   map[object.ID]object.Origin
	resumed   bool // the first apply since the start was made
	old       schema.PreviewStatus

	standing PreviewStanding
	told     string
	tail     *tail
	pending  map[object.ID]Want
	expected map[object.ID]apply.Expectation
}

// planned is what is kept of a plan: its objects are the cluster's, and as many as production's.
type planned struct {
	sites    []preview.Site
	refusals []preview.Refusal
	refused  bool
}

// NewPreviewDriver makes the driver of a preview, as its object has it.
func NewPreviewDriver(shared *Previews, p *schema.Preview, report func(*PreviewStanding)) *PreviewDriver {
	sync := plan.Owner{Namespace: p.Namespace, Name: p.Spec.Sync}
	d := &PreviewDriver{
		shared: shared, owner: PreviewOwner(p.Namespace, p.Name), sync: sync, name: p.Name, report: report,
		log: shared.World.Log.With("preview", p.Namespace+"/"+p.Name), source: shared.source(sync), old: p.Status,
		pending: map[object.ID]Want{}, expected: map[object.ID]apply.Expectation{},
	}
	d.standing.begin(p)
	return d
}

// Look makes the preview what it is to be. The problem is nil when there is none; it is reported as well.
func (d *PreviewDriver) Look(ctx context.Context, p *schema.Preview, of PreviewOf) *Problem {
	d.take(p, of)
	if of.Sync == nil {
		return d.conclude(&Problem{Reason: ReasonProduction, Message: "there is no Sync " + d.sync.Name + " in the namespace"})
	}
	limit := timeoutOf(of.Sync)
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("it took longer than the timeout of %s", limit))
	defer cancel()
	err := d.look(ctx)
	if err != nil && context.Cause(ctx) != nil && !errors.Is(context.Cause(ctx), context.Canceled) {
		err = fmt.Errorf("%w: %w", err, context.Cause(ctx))
	}
	if errors.Is(err, context.Canceled) {
		return nil // the end; nothing is to be said
	}
	return d.conclude(err)
}

// take notes what the Preview says now.
func (d *PreviewDriver) take(p *schema.Preview, of PreviewOf) {
	d.of, d.spec = of, p.Spec
	d.standing.Generation = p.Generation
	if d.standing.Commit != p.Spec.Commit {
		d.standing.push(p.Spec.Commit, d.shared.World.Now())
	}
	if of.Anew {
		d.concluded, d.why = "", nil
		if d.account != nil {
			d.account.Forget()
		}
	}
}

// conclude reports how a look ended.
func (d *PreviewDriver) conclude(err error) *Problem {
	var p *Problem
	if err != nil && !errors.As(err, &p) {
		p = &Problem{Reason: ReasonApply, Message: err.Error(), Err: err}
	}
	if p != nil && p.Reason == ReasonProduction && d.standing.isApplied() {
		return p // it is as it was, and will be looked at when there is more to say
	}
	d.standing.Problem = p
	if p != nil && p.Reason != ReasonFork && p.Reason != ReasonUnhealthy && p.Reason != ReasonApply {
		d.planned, d.before = nil, nil
	}
	d.say()
	return p
}

// look is Look without the report.
func (d *PreviewDriver) look(ctx context.Context) error {
	s := d.of.Sync
	switch {
	case s.Spec.Previews == nil:
		return d.end(ctx, "Sync "+s.Name+" has no previews any more")
	case s.DeletionTimestamp != nil:
		return d.end(ctx, "Sync "+s.Name+" is being deleted")
	case s.Spec.Suspend:
		return nil
	case d.of.Production == nil:
		return &Problem{Reason: ReasonProduction, Message: d.keeps("nothing of Sync " + s.Name + " is applied since the start")}
	}
	name, err := PreviewAccount(s, d.shared.World.DefaultAccount)
	if err != nil {
		return err
	}
	if err := d.enter(name); err != nil {
		return err
	}
	key := changeKey{commit: d.spec.Commit, base: d.spec.Base, fork: d.spec.Fork, recipe: d.of.Production.recipe.key()}
	if key == d.wrong && d.why != nil {
		return d.why
	}
	if key != d.changed {
		change, err := d.findChange(ctx, d.of.Production.recipe)
		if err != nil {
			return d.remember(key, err)
		}
		d.change, d.changed = change, key
	}
	return d.bring(ctx)
}

// remember notes what need not be tried again, since it is the commits that are wrong.
func (d *PreviewDriver) remember(key changeKey, err error) error {
	if p := (*Problem)(nil); errors.As(err, &p) && p.Stalled {
		d.wrong, d.why = key, p
	}
	return err
}

// enter makes the account.
func (d *PreviewDriver) enter(name string) (err error) {
	if d.account != nil && d.as == name {
		return nil
	}
	if d.account, err = d.shared.World.Account(d.owner, name); err == nil {
		d.as = name
	}
	return err
}

// PreviewAccount names the service account as which the previews of a Sync are made and removed. The error is a *Problem where none is named.
func PreviewAccount(s *schema.Sync, otherwise string) (string, error) {
	names := []string{s.Spec.ServiceAccountName, otherwise}
	if p := s.Spec.Previews; p != nil {
		names = append([]string{p.ServiceAccountName}, names...)
	}
	for _, name := range names {
		if name != "" {
			return name, nil
		}
	}
	return "", &Problem{Reason: ReasonNoAccount, Stalled: true, Message: "neither spec.previews.serviceAccountName nor spec.serviceAccountName of Sync " +
		s.Name + " names a service account, and the controller has no default"}
}

// refused is a head of which nothing is written, and that does not become better by itself.
func (d *PreviewDriver) refused(reason, message string, err error) *Problem {
	return &Problem{Reason: reason, Message: d.keeps(message), Stalled: true, Result: schema.ResultRefused, Err: err}
}

// keeps says which commit goes on to serve.
func (d *PreviewDriver) keeps(message string) string {
	if s := &d.standing; s.Revision != "" && s.Serving() != s.Commit {
		return message + "; " + short(s.Revision) + " stays applied"
	}
	return message
}

// short is the head as people read it: "pr-42@8c1d22f".
func (d *PreviewDriver) short() string { return short(d.revision()) }

func (d *PreviewDriver) revision() string { return d.spec.Name + "@sha1:" + d.spec.Commit }

// end removes all that the preview is made of, because its Sync wants none.
func (d *PreviewDriver) end(ctx context.Context, why string) error {
	if d.concluded != why && d.of.Account != "" {
		if err := d.enter(d.of.Account); err != nil {
			return err
		}
		if _, err := d.account.Remove(ctx, apply.Delete); err != nil {
			return fmt.Errorf("removing what the preview is made of: %w", err)
		}
	}
	d.halt()
	d.concluded = why
	d.shared.leave(d.owner)
	d.planned, d.before, d.changed = nil, nil, changeKey{}
	d.standing.end()
	return &Problem{Reason: ReasonEnded, Message: why, Stalled: true}
}

// Delete removes all that the preview is made of, its routes first and its namespace last, as the account that is named. When it is done the object may go;
// the problem is then what was left behind. It is never kept for longer than limit, whatever happens.
func (d *PreviewDriver) Delete(ctx context.Context, p *schema.Preview, account string, limit time.Duration) (done bool, problem *Problem) {
	d.halt()
	if account == "" {
		return true, nil // nothing was ever written for it
	}
	err := d.enter(account)
	if err != nil {
		return false, &Problem{Reason: ReasonApply, Message: err.Error(), Err: err}
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if _, err = d.account.Remove(ctx, apply.Delete); err == nil {
		d.ended()
		return true, nil
	}
	problem = &Problem{Reason: ReasonApply, Message: "removing what the preview is made of: " + err.Error(), Err: err}
	if since := p.DeletionTimestamp; since != nil && d.shared.World.Now().Sub(since.Time) >= limit {
		problem.Message = fmt.Sprintf("some of what the preview was made of stays, because it could not be removed within %s: %v", limit, err)
		d.ended()
		return true, problem
	}
	return false, problem
}

// ended tells that nothing is left.
func (d *PreviewDriver) ended() {
	d.shared.leave(d.owner)
	d.planned, d.before = nil, nil
	d.standing.end()
	d.standing.Ended = true
	d.tell()
}

// Timeout bounds the end of a preview as it bounds that of its Sync.
func Timeout(s *schema.Sync) time.Duration { return timeoutOf(s) }

// Close ends the driver. What is applied stays.
func (d *PreviewDriver) Close() error {
	d.halt()
	d.shared.leave(d.owner)
	return d.shared.release(d.sync, d.source)
}

func (d *PreviewDriver) halt() {
	if d.tail != nil {
		d.tail.stop()
		d.tail = nil
	}
	d.standing.Waiting = false
}

// wasLive tells whether a process before has seen a revision live.
func wasLive(s *schema.PreviewStatus, revision string) bool {
	return s.Revision == revision && meta.IsStatusConditionTrue(s.Conditions, schema.PreviewLive)
}
