package controller

import (
	"context"
	"fmt"
	"sync"
	"time"

	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/agent/attach"
	"headgate.dev/agent/drift"
	"headgate.dev/agent/notify"
	"headgate.dev/render/object"
	"headgate.dev/schema"
)

// lag tells what does not follow, and who is a stranger at the Sync's Gateways; and when that is over.
func (f *follower) lag(now time.Time) {
	if !f.closed.IsZero() {
		return
	}
	s := f.sync.DeepCopy()
	s.Status = f.drifts.agent.statuses.Get(f.ctx, f.sync)
	f.measureLag(drift.Lags(s, now, 0))
	is := map[string]notify.Notice{}
	for _, l := range drift.Lags(s, now, drift.LagAfter) {
		n := f.notice(notify.Stale, l.Key, l.Title)
		n.Opened, n.Lines = l.Since, []string{l.Line}
		is[l.Key] = n
	}
	for _, s := range f.strangers {
		n := f.strange(s)
		is[n.Key] = n
	}
	f.stand(now, is)
}

// stand opens, updates and resolves the alerts of a follower that are no drift of an object, so that those that are given are open.
func (f *follower) stand(now time.Time, is map[string]notify.Notice) {
	for key, n := range is {
		known, told := f.lags[key]
		switch {
		case !told:
			n.Phase = notify.Opened
		case known.Lines[0] == n.Lines[0] && known.Severity == n.Severity || now.Sub(known.At) < drift.LagAfter && now.After(known.At):
			continue
		default:
			n.Phase, n.Opened = notify.Updated, known.Opened
		}
		f.lags[key] = n
		f.post(n)
	}
	for key, n := range f.lags {
		if _, open := is[key]; !open {
			n.Phase, n.At, n.Lines = notify.Resolved, now, nil
			delete(f.lags, key)
			f.post(n)
		}
	}
}

// lookForStrangers finds out what attaches to the Gateways that the Sync owns.
func (f *follower) lookForStrangers() {
	var gateways []object.ID
	if f.set != nil && f.closed.IsZero() && f.strangerPolicy() != schema.DriftIgnore {
		for o := range f.set.All() {
			if o.ID.Group == gwv1.GroupName && o.ID.Kind == "Gateway" {
				gateways = append(gateways, o.ID)
			}
		}
	}
	if gateways == nil {
		f.strangers = nil
		return
	}
	f.call(func(ctx context.Context) {
		all, err := f.drifts.attached.get(ctx, f.drifts.agent)
		if err != nil {
			f.log.Warn("looking for what attaches to the Sync's Gateways", "error", err)
			return // what was known stays
		}
		f.do(func() { f.strangers = drift.Strangers(gateways, all); f.lag(f.now()) })
	})
}

// strangerPolicy is empty for an Event alone.
func (f *follower) strangerPolicy() schema.DriftPolicy {
	if d := f.sync.Spec.Drift; d != nil {
		return d.Strangers
	}
	return ""
}

// strange makes a notice about a stranger.
func (f *follower) strange(s drift.Stranger) notify.Notice {
	n := f.notice(notify.Drift, fmt.Sprintf("stranger %s %s", s.Object, s.Gateway), fmt.Sprintf("%s attaches to %s, and no Sync owns it", s.Object, s.Gateway))
	n.Kind, n.Object, n.Severity = s.Object.Kind, s.Object.Namespace+"/"+s.Object.Name, notify.Info
	if f.strangerPolicy() == schema.DriftAlert {
		n.Severity = notify.Warning
	}
	n.Lines = []string{"It comes from no repository: put it into one, remove it, or let the Gateway's allowedRoutes keep it out."}
	return n
}

// attachedFor is how long what attaches to Gateways counts as known.
const attachedFor = 20 * time.Second

// attached has what attaches to Gateways, for all followers.
type attached struct {
	mu   sync.Mutex // guards what follows
	all  []drift.Attached
	read time.Time
}

// get gives it, out of the cache that the routes are served from.
func (t *attached) get(ctx context.Context, a *Agent) ([]drift.Attached, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if ago := a.now().Sub(t.read); ago >= 0 && ago < attachedFor {
		return t.all, nil
	}
	all, err := attach.List(ctx, a.manager.GetCache())
	if err == nil {
		t.all, t.read = all, a.now()
	}
	return all, err
}
