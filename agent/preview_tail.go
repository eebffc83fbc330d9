package agent

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"headgate.dev/agent/apply"
	"headgate.dev/render/object"
)

// News has what happens after an apply. It is nil when nothing is to be expected.
func (d *PreviewDriver) News() <-chan News {
	if d.tail == nil {
		return nil
	}
	return d.tail.news
}

// follow begins to wait for the Envoys, and for objects to be healthy.
func (d *PreviewDriver) follow() {
	ctx, stop := context.WithCancel(context.Background())
	w := d.shared.World
	t := &tail{ctx: ctx, stop: stop, news: make(chan News, 4), applied: w.Now(), wait: true}
	d.tail = t
	patience := timeoutOf(d.of.Sync)
	if len(d.expected) > 0 {
		t.asking = true
		expected := slices.SortedFunc(maps.Values(d.expected), func(a, b apply.Expectation) int { return object.Compare(a.ID, b.ID) })
		account := d.account
		go func() {
			soon, cancel := context.WithTimeout(ctx, patience)
			defer cancel()
			unwell, err := account.Await(soon, expected)
			if len(unwell) > 0 {
				err = nil // the objects say more than that there was no more time
			}
			t.news <- News{of: t, unwell: unwell, err: err}
		}()
	}
	d.standing.Waiting = t.asking
	if w.Proxies == nil {
		t.reached = true
		d.standing.Unrouted = true
		d.live()
		d.rest()
		return
	}
	wants := slices.SortedFunc(maps.Values(d.pending), func(a, b Want) int { return object.Compare(a.ID, b.ID) })
	go w.reach(t, wants, patience)
}

// Settle takes in what has happened.
func (d *PreviewDriver) Settle(n News) {
	if n.of != d.tail || d.tail == nil {
		return // of an apply that another one has followed
	}
	if n.reach != nil {
		d.reached(n)
	} else {
		d.healed(n)
	}
	d.live()
	d.rest()
	d.say()
}

// rest ends a tail that expects nothing any more.
func (d *PreviewDriver) rest() {
	if d.tail.reached && !d.tail.asking {
		d.halt()
	}
}

// live notes when the head is.
func (d *PreviewDriver) live() {
	s := &d.standing
	if s.Refused != "" || !d.tail.reached || s.Unrouted && len(d.expected) > 0 {
		return
	}
	clear(d.pending)
	if s.Live.IsZero() && s.isApplied() { // else it is the head before that is live
		s.Live = d.shared.World.Now()
		s.LiveAfter = s.Live.Sub(s.Pushed)
	}
}

// reached notes what the Envoys say.
func (d *PreviewDriver) reached(n News) {
	s := &d.standing
	s.Refused, s.Late = "", n.late
	switch {
	case len(n.reach.Gateways) > 0:
		s.Unrouted = false
	case !n.late && s.Live.IsZero(): // later applies of the same head may touch no Envoy
		s.Unrouted = true
	}
	d.tail.reached = !n.late
	var parts []string
	for i, refusal := range n.reach.Refused {
		if i == listed {
			parts = append(parts, fmt.Sprintf("and %d more", len(n.reach.Refused)-i))
			break
		}
		parts = append(parts, placed(d.origins[refusal.ID])+refusal.ID.String()+": "+refusal.Message)
	}
	if len(parts) > 0 {
		s.Refused = short(s.Revision) + ": " + strings.Join(parts, "; ")
	}
}

// healed notes how healthy the objects are.
func (d *PreviewDriver) healed(n News) {
	d.tail.asking, d.standing.Waiting = false, false
	p := d.standing.Problem
	if p != nil && p.Reason != ReasonUnhealthy {
		return // of another head
	}
	d.standing.Problem = nil
	if n.err == nil && len(n.unwell) == 0 {
		clear(d.expected)
		return
	}
	var parts []string
	for i, u := range n.unwell {
		if i == listed {
			parts = append(parts, fmt.Sprintf("and %d more", len(n.unwell)-i))
			break
		}
		parts = append(parts, placed(u.Origin)+u.ID.String()+" is not healthy: "+u.Message)
	}
	if n.err != nil {
		parts = append(parts, n.err.Error())
	}
	d.standing.Problem = &Problem{Reason: ReasonUnhealthy, Message: short(d.standing.Revision) + ": " + strings.Join(parts, "; ")}
}
