package controller

import (
	"context"
	"crypto/rand"
	"sync"

	toolscache "k8s.io/client-go/tools/cache"

	"headgate.dev/agent/apply"
	"headgate.dev/agent/notify"
	"headgate.dev/agent/plan"
	"headgate.dev/render/object"
	"headgate.dev/schema"
)

// drifts has a follower for each Sync: it watches what the Sync owns once that is known, answers its drift, and tells people.
type drifts struct {
	agent   *Agent                   // constant
	key     []byte                   // constant; values of Secrets are hashed with it
	senders map[string]notify.Sender // constant

	attached attached // has a lock of its own

	mu        sync.Mutex // guards what follows
	followers map[plan.Owner]*follower
	syncs     map[plan.Owner]*schema.Sync
}

func newDrifts(a *Agent) *drifts {
	d := &drifts{agent: a, key: make([]byte, 32), followers: map[plan.Owner]*follower{}, syncs: map[plan.Owner]*schema.Sync{}}
	_, _ = rand.Read(d.key) // it does not fail (crypto/rand)
	d.senders = (&notify.HTTP{Local: a.options.NotifyLocal}).Senders()
	d.senders[notify.TypeEvent] = notify.KubernetesEvent{Recorder: recorder{a}}
	registerDriftMetrics()
	return d
}

// seen is told a Sync as it is now.
func (d *drifts) seen(o any) {
	s, ok := o.(*schema.Sync)
	if !ok || !d.agent.follows(s.Namespace) {
		return
	}
	owner := ownerOf(s)
	d.mu.Lock()
	d.syncs[owner] = s
	f := d.followers[owner]
	d.mu.Unlock()
	if f != nil {
		f.do(func() { f.take(s) })
		return
	}
	// It begins before the first apply: people are told too when nothing can be applied, and what they were told by a process before is not to lapse.
	if a := d.accountOf(s); a != nil && s.DeletionTimestamp == nil {
		d.of(a)
	}
}

// accountOf is the cluster as a Sync's account sees it; nil where it has none.
func (d *drifts) accountOf(s *schema.Sync) *account {
	r, err := d.agent.reader(s)
	if err != nil {
		return nil // the Sync's own look says so
	}
	a, _ := r.(*account)
	return a
}

// gone is told a Sync that is no more.
func (d *drifts) gone(o any) {
	if unknown, ok := o.(toolscache.DeletedFinalStateUnknown); ok {
		o = unknown.Obj
	}
	s, ok := o.(*schema.Sync)
	if !ok {
		return
	}
	owner := plan.Owner{Namespace: s.Namespace, Name: s.Name}
	d.mu.Lock()
	f := d.followers[owner]
	delete(d.followers, owner)
	delete(d.syncs, owner)
	d.mu.Unlock()
	if f != nil {
		f.do(f.close)
	}
}

// of gives the follower of a Sync, which begins where there is none. Nil: the Sync is not known any more.
func (d *drifts) of(a *account) *follower {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.syncs[a.owner]
	if s == nil {
		return nil
	}
	f := d.followers[a.owner]
	if f == nil {
		f = newFollower(d, a, s)
		d.followers[a.owner] = f
	}
	return f
}

// Apply implements agent.Account. What is written in the meantime is no drift.
func (a *account) Apply(ctx context.Context, r apply.Request) (*apply.Result, error) {
	f := a.drifts.of(a)
	if f == nil {
		return a.Applier.Apply(ctx, r)
	}
	begun := f.begin(a, r.Desired)
	result, err := a.Applier.Apply(ctx, r)
	f.applied(begun, r, result, err)
	return result, err
}

// Remove implements agent.Account: from now on the Sync owns nothing.
func (a *account) Remove(ctx context.Context, how apply.Deletion) (*apply.Result, error) {
	if f := a.drifts.of(a); f != nil {
		f.wait(f.close)
	}
	return a.Applier.Remove(ctx, how)
}

// kindKey is what one watch is for: a kind in a namespace.
type kindKey struct{ group, version, kind, namespace string }

func keyOf(o *object.Object) kindKey {
	return kindKey{o.ID.Group, o.Version, o.ID.Kind, o.ID.Namespace}
}
