package agent

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"

	"k8s.io/apimachinery/pkg/api/meta"

	"headgate.dev/agent/apply"
	"headgate.dev/agent/plan"
	"headgate.dev/agent/preview"
	"headgate.dev/render/object"
	"headgate.dev/schema"
)

// bring lays the change over production as it is now, and makes the cluster hold what comes of that.
func (d *PreviewDriver) bring(ctx context.Context) error {
	done, err := d.shared.turn(ctx, d.owner)
	if err != nil {
		return err
	}
	defer done()
	p, err := d.plan()
	if err != nil {
		return d.refused(ReasonRules, "spec.previews of Sync "+d.sync.Name+": "+err.Error(), err)
	}
	d.planned, d.before = &planned{p.Sites, p.Refusals, p.Refused}, d.of.Production.Set
	if p.Refused {
		return d.refused(ReasonFork, d.short()+": a fork may not have this: "+refusals(p.Refusals), nil)
	}
	next := d.conclusion(p)
	if next == d.concluded {
		return d.same()
	}
	if err := d.apply(ctx, p); err != nil {
		return err
	}
	d.concluded = next
	return nil
}

// plan plans the preview. Hosts that are another one's are left out and named.
func (d *PreviewDriver) plan() (*preview.Plan, error) {
	d.shared.planning.Lock()
	defer d.shared.planning.Unlock()
	rules := preview.RulesOf(d.of.Sync, &d.spec)
	rules.Namespace = PreviewNamespace(d.sync.Namespace, d.sync.Name, &d.spec)
	for range 3 { // a host may be given away in between
		p, err := preview.New(d.of.Production.Set, d.change, rules)
		if err != nil {
			return nil, err
		}
		var hosts []string
		for i := range p.Sites {
			if p.Sites[i].Host != "" {
				hosts = append(hosts, p.Sites[i].Host)
			}
		}
		taken := d.shared.Claim(d.owner, hosts)
		if len(taken) == 0 {
			return p, nil
		}
		if rules.Taken == nil {
			rules.Taken = map[string]string{}
		}
		for host, whose := range taken {
			rules.Taken[host] = whose
		}
	}
	return nil, errors.New("its hosts change hands too often")
}

// PreviewNamespace is the namespace of a preview: preview-SYNC-N and a digest, because Syncs of two namespaces may have the same name.
func PreviewNamespace(namespace, sync string, p *schema.PreviewSpec) string {
	n := p.Name
	if p.Number > 0 {
		n = strconv.FormatInt(p.Number, 10)
	}
	sum := sha256.Sum256([]byte(namespace + "/" + sync + "/" + p.Name))
	return preview.NamespaceName(sync, n+"-"+hex.EncodeToString(sum[:4]))
}

// conclusion is all that decides what is applied.
func (d *PreviewDriver) conclusion(p *preview.Plan) string {
	d.shared.planning.Lock()
	defer d.shared.planning.Unlock()
	sum := sha256.New()
	fmt.Fprintln(sum, d.spec.Commit, d.as)
	for o := range p.Objects.All() {
		fmt.Fprintln(sum, o.ID, o.Digest)
	}
	return string(sum.Sum(nil))
}

// same is the answer when nothing is to be written.
func (d *PreviewDriver) same() error {
	p := d.standing.Problem
	unhealthy := p != nil && p.Reason == ReasonUnhealthy
	if d.tail == nil && (d.standing.Live.IsZero() || unhealthy && len(d.expected) > 0) {
		d.follow() // what was applied before may be the head again
	}
	if unhealthy {
		return p
	}
	return nil
}

// apply makes the cluster hold a plan. An empty one leaves nothing: everything is answered by production.
func (d *PreviewDriver) apply(ctx context.Context, p *preview.Plan) (err error) {
	d.halt()
	var result *apply.Result
	if p.Objects.Len() == 0 {
		result, err = d.account.Remove(ctx, apply.Delete)
	} else {
		result, err = d.account.Apply(ctx, apply.Request{
			Desired: p.Objects, Force: d.of.Sync.Spec.Force, Secrets: d.of.Production.recipe.inputs.secrets(),
		})
	}
	d.note(result)
	if err != nil {
		return d.applyProblem(err)
	}
	d.origins = map[object.ID]object.Origin{}
	for o := range p.Objects.All() {
		d.origins[o.ID] = o.Origin
	}
	d.resume(p)
	d.standing.applied(d.revision(), p, d.url(p))
	d.follow()
	return nil
}

// note keeps what an apply did, whether or not it came to its end.
func (d *PreviewDriver) note(result *apply.Result) {
	if result == nil {
		return
	}
	for _, w := range result.Written {
		d.pending[w.Object.ID] = Want{ID: w.Object.ID, UID: w.UID, Generation: w.Generation, ResourceVersion: w.ResourceVersion}
		d.expected[w.Object.ID] = w.Expect()
	}
	for _, r := range result.Removed {
		d.pending[r.ID] = Want{ID: r.ID, UID: r.UID, Removed: true}
		delete(d.expected, r.ID)
	}
}

// resume makes up, in the first apply since the start, for what a process before may not have seen to its end.
func (d *PreviewDriver) resume(p *preview.Plan) {
	if d.resumed {
		return
	}
	d.resumed = true
	if d.old.Revision == "" {
		return
	}
	live := wasLive(&d.old, d.revision())
	healthy := d.old.Revision == d.revision() && meta.IsStatusConditionTrue(d.old.Conditions, schema.PreviewReady)
	for o := range p.Objects.All() {
		if _, written := d.pending[o.ID]; !written && !live {
			d.pending[o.ID] = Want{ID: o.ID}
		}
		if _, written := d.expected[o.ID]; !written && !healthy {
			d.expected[o.ID] = apply.Expectation{ID: o.ID, Origin: o.Origin}
		}
	}
	d.old = schema.PreviewStatus{}
}

// applyProblem says what the API server did not like.
func (d *PreviewDriver) applyProblem(err error) error {
	if errors.Is(err, context.Canceled) {
		return context.Canceled
	}
	p := &Problem{Reason: ReasonApply, Message: d.keeps(d.short() + ": " + err.Error()), Err: err}
	var (
		owned *plan.OwnedError
		retry interface{ Retryable() bool }
	)
	switch {
	case errors.As(err, &owned):
		d.account.Forget() // the other one may let go of it, of which nobody tells
		p.Reason = ReasonOwned
	case errors.As(err, &retry):
		p.Stalled = !retry.Retryable()
	}
	return p
}

// refusals puts what is left out on one line.
func refusals(all []preview.Refusal) string {
	var errs schema.Errors
	for _, r := range all {
		errs = append(errs, r.Error)
	}
	return list(errs)
}

// url is where the first site answers, empty by header alone.
func (d *PreviewDriver) url(p *preview.Plan) string {
	for i := range p.Sites {
		host := p.Sites[i].Host
		if host == "" || p.Sites[i].Gone {
			continue
		}
		gateway := p.Gateway(host)
		if d.shared.Address == nil {
			return "http://" + host
		}
		return d.shared.Address(gateway.Namespace, gateway.Name, gateway.Section, host)
	}
	return ""
}
