package agent

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"headgate.dev/agent/apply"
	"headgate.dev/agent/git"
	"headgate.dev/render/object"
)

// tail is what goes on beside the driver after an apply: waiting for the Envoys, and for objects to be healthy.
type tail struct {
	ctx  context.Context
	stop context.CancelFunc
	news chan News
	// applied is when, wait whether the commit is Ready only when its objects are healthy.
	applied time.Time
	wait    bool
	// asking: a goroutine waits for objects to be healthy. reached: the Envoys have answered.
	asking, reached bool
	// comparing: a goroutine finds out whether the commit comes after the one before.
	comparing bool
}

// News is something that has happened after an apply, for Settle.
type News struct {
	of *tail
	// reach is how far the Envoys are; late: not all of them have answered, and there was time enough. Nil: it is about health.
	reach *Reach
	late  bool
	// unwell are the objects that are not healthy; none: all are. err is why that cannot be said.
	unwell []apply.Unwell
	err    error
	// compared: it is about history, and rewrote is the revision before where the commit does not come after it.
	compared bool
	rewrote  string
}

// News has what happens after an apply. It is nil when nothing is to be expected.
func (d *Driver) News() <-chan News {
	if d.tail == nil {
		return nil
	}
	return d.tail.news
}

// follow begins the tail of an apply.
func (d *Driver) follow(applied time.Time) {
	ctx, stop := context.WithCancel(context.Background())
	t := &tail{ctx: ctx, stop: stop, news: make(chan News, 8), applied: applied, wait: d.sync.Spec.Wait == nil || *d.sync.Spec.Wait}
	d.tail = t
	patience := timeoutOf(d.sync)
	d.ask(patience)
	d.standing.Waiting = t.wait && t.asking
	if d.world.Proxies == nil {
		t.reached = true
		d.standing.Attempt.Unrouted = true
		return
	}
	go d.world.reach(t, d.wants(), patience)
}

// reach tells how far the Envoys are: when they have answered, and once before when that takes too long.
func (w *World) reach(t *tail, wants []Want, patience time.Duration) {
	soon, cancel := context.WithTimeout(t.ctx, patience)
	defer cancel()
	reach, err := w.Proxies.Wait(soon, wants)
	if err != nil && t.ctx.Err() == nil {
		t.news <- News{of: t, reach: &reach, late: true}
		reach, err = w.Proxies.Wait(t.ctx, wants)
	}
	if err == nil {
		t.news <- News{of: t, reach: &reach}
	}
}

// compare finds out whether history was rewritten: it is followed, and said. A monotonic Sync has found it out before.
func (d *Driver) compare(c *git.Commit, before string) {
	_, hash, ok := cutRevision(before)
	spec := &d.sync.Spec
	if !ok || spec.Monotonic || spec.Pin != "" || hash == c.Hash || spec.Ref != nil && spec.Ref.Branch == "" {
		return
	}
	t, handle := d.tail, d.handle
	t.comparing = true
	go func() {
		n := News{of: t, compared: true}
		if after, err := handle.Descends(t.ctx, c, hash); err == nil && !after {
			n.rewrote = before
		}
		t.news <- n
	}()
}

// again begins a tail anew, for objects that were not healthy when the one before ended.
func (d *Driver) again() {
	ctx, stop := context.WithCancel(context.Background())
	d.tail = &tail{ctx: ctx, stop: stop, news: make(chan News, 8), applied: d.world.Now(), wait: true, reached: true}
	d.ask(timeoutOf(d.sync))
}

// askAgain begins a tail anew for a commit of which something is refused: a Gateway may have come to take it.
func (d *Driver) askAgain() {
	a := d.standing.Attempt
	if a == nil || a.Refused == "" || d.tail != nil || d.world.Proxies == nil {
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	d.tail = &tail{ctx: ctx, stop: stop, news: make(chan News, 8), applied: d.world.Now(), wait: d.sync.Spec.Wait == nil || *d.sync.Spec.Wait}
	go d.world.reach(d.tail, d.wants(), timeoutOf(d.sync))
}

// wants are what is written or removed and not known to be live, in order.
func (d *Driver) wants() []Want {
	return slices.SortedFunc(maps.Values(d.pending), func(a, b Want) int { return object.Compare(a.ID, b.ID) })
}

// ask has the tail wait for objects to be healthy, unless none needs it.
func (d *Driver) ask(patience time.Duration) {
	t := d.tail
	if len(d.expected) == 0 || t.asking {
		return
	}
	expected := slices.SortedFunc(maps.Values(d.expected), func(a, b apply.Expectation) int { return object.Compare(a.ID, b.ID) })
	t.asking = true
	account := d.account
	go func() {
		ctx, cancel := context.WithTimeout(t.ctx, patience)
		defer cancel()
		unwell, err := account.Await(ctx, expected)
		if len(unwell) > 0 {
			err = nil // the objects say more than that there was no more time
		}
		t.news <- News{of: t, unwell: unwell, err: err}
	}()
}

// Settle takes in what has happened.
func (d *Driver) Settle(n News) {
	t := d.tail
	if n.of != t || t == nil || d.standing.Attempt == nil {
		return // of a commit that another one has followed
	}
	switch {
	case n.compared:
		t.comparing, d.standing.Attempt.Rewrote = false, n.rewrote
	case n.reach != nil:
		d.reached(n)
	default:
		d.healed(n)
	}
	d.live()
	d.rest()
	d.report(&d.standing)
}

// rest ends a tail that expects nothing any more.
func (d *Driver) rest() {
	if d.tail.reached && !d.tail.asking && !d.tail.comparing {
		d.halt()
	}
}

// live notes when the attempt is.
func (d *Driver) live() {
	a := d.standing.Attempt
	if !a.Live.IsZero() || a.Refused != "" || !d.tail.reached || a.Unrouted && len(d.expected) > 0 {
		return
	}
	a.Live = d.world.Now()
	a.Ack = a.Live.Sub(d.tail.applied)
	clear(d.pending)
}

// healed notes how healthy the objects are.
func (d *Driver) healed(n News) {
	d.tail.asking, d.standing.Waiting = false, false
	p := d.standing.Problem
	if p != nil && p.Reason != ReasonUnhealthy {
		return // of another commit
	}
	d.standing.Problem = nil
	if n.err == nil && len(n.unwell) == 0 {
		clear(d.expected)
		return
	}
	if !d.tail.wait {
		return
	}
	message := ""
	if n.err != nil {
		message = n.err.Error()
	}
	var parts []string
	for i, u := range n.unwell {
		if i == listed {
			parts = append(parts, fmt.Sprintf("and %d more", len(n.unwell)-i))
			break
		}
		parts = append(parts, placed(u.Origin)+u.ID.String()+" is not healthy: "+u.Message)
	}
	message = strings.Join(append(parts, message), "; ")
	d.standing.Problem = &Problem{Reason: ReasonUnhealthy, Message: d.standing.Attempt.Short() + ": " + strings.TrimSuffix(message, "; ")}
}

// reached notes what the Envoys say.
func (d *Driver) reached(n News) {
	a := d.standing.Attempt
	a.Reach, a.Unrouted, a.Refused, a.Late = n.reach, len(n.reach.Gateways) == 0 && !n.late, "", n.late
	d.tail.reached = !n.late
	if a.Unrouted {
		a.Reach = nil // those of the commit before are still those that have it
	}
	var parts []string
	for i, refusal := range n.reach.Refused {
		if i == listed {
			parts = append(parts, fmt.Sprintf("and %d more", len(n.reach.Refused)-i))
			break
		}
		parts = append(parts, d.place(refusal.ID)+refusal.ID.String()+": "+refusal.Message)
	}
	if len(parts) > 0 {
		a.Refused = a.Short() + ": " + strings.Join(parts, "; ")
	}
}

// place is where an object of the applied set was written: "shop.yaml:3:1: ", empty where that is not known.
func (d *Driver) place(id object.ID) string {
	if o := d.before().Get(id); o != nil {
		return placed(o.Origin)
	}
	return ""
}

func placed(at object.Origin) string {
	if at.File == "" {
		return ""
	}
	return at.String() + ": "
}
