package controller

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"headgate.dev/proxy/envoy"
	"headgate.dev/proxy/kube"
	"headgate.dev/proxy/live"
	"headgate.dev/proxy/resolve/condition"
)

const (
	// together is how long the status of a route waits for its Envoys' answers, so that both are written at once.
	together = 100 * time.Millisecond
	// patience is how long a generation may be under way before the status says so.
	patience = 5 * time.Second
	// startup is how long the known proxies of a Gateway may be fewer than its ready pods before that is said: after a restart all have
	// to call again.
	startup = 15 * time.Second
)

// verdict is what is known of a route on the Envoys of one Gateway.
type verdict struct {
	live    bool
	refused string        // what an Envoy says, if it refuses something that comes from the route
	age     time.Duration // of what is under way
	served  bool          // the Gateway has a ready Envoy
}

// route judges a generation of a route on the Envoys of a Gateway.
func (t *tracker) route(ref kube.Ref, generation int64, gateway types.NamespacedName) verdict {
	t.mu.Lock()
	defer t.mu.Unlock()
	fleet := fleetOf(gateway)
	o := t.records.Get(ref)
	if o == nil || o.Removed || o.Generation != generation {
		return verdict{}
	}
	v := verdict{age: t.now().Sub(o.Since), refused: t.refused[fleet][objectOf(ref)]}
	open := t.records.Open(fleet, ref)
	v.live = !open && v.refused == ""
	v.served = v.live
	if open {
		standing := t.standing(fleet)
		v.served = len(standing.Proxies) > 0
	}
	return v
}

// condition is what the status of a route says; nil: what is there stays. again is when to look again, 0: when something changes.
// stale: what is there is about an earlier generation.
func (v verdict) condition(there, stale bool) (c *condition.Condition, again time.Duration) {
	say := func(c condition.Condition) (*condition.Condition, time.Duration) { return &c, 0 }
	switch {
	case envoy.CannotBind(v.refused):
		return say(condition.False(condition.Live, condition.Refused, "an Envoy of the Gateway cannot open the port; it is served by those that can: "+v.refused))
	case v.refused != "":
		return say(condition.False(condition.Live, condition.Refused, "an Envoy of the Gateway refuses what comes from this route and keeps what it had before; change the route: "+v.refused))
	case v.live:
		return say(condition.True(condition.Live, condition.LiveReason, "every ready Envoy of the Gateway has acknowledged this generation"))
	}
	// Without an Envoy nothing is late, but a condition about an earlier generation would mislead.
	wait := patience
	if !v.served {
		wait = pace
	}
	switch {
	case there && !stale, !there && !v.served:
		return nil, 0
	case v.age < wait:
		return nil, wait - v.age
	}
	return say(condition.False(condition.Live, condition.Pending, "not every Envoy of the Gateway has acknowledged this generation yet; see the Gateway's status"))
}

// fleetCount is how many proxies of a fleet have all that was there a moment ago.
type fleetCount struct {
	acked, total int
	known        bool // the numbers are
	missing      time.Time
}

// look counts again, and lists the Gateways with other counts than before.
func (t *tracker) look() (refs []kube.Ref) {
	t.mu.Lock()
	defer t.mu.Unlock()
	due := t.past[1]
	t.past[1], t.past[0] = t.past[0], t.trail.Last()
	for fleet, gateway := range t.gateways {
		c := t.counts[fleet]
		if c == nil {
			c = &fleetCount{}
			t.counts[fleet] = c
		}
		standing := t.standing(fleet)
		if c.count(&standing, due, t.now()) {
			refs = append(refs, kube.Ref{Kind: kube.Gateway, Name: gateway})
			gatewayProxies.WithLabelValues(gateway.Namespace, gateway.Name).Set(float64(c.total))
			gatewayProxiesLive.WithLabelValues(gateway.Namespace, gateway.Name).Set(float64(c.acked))
		}
	}
	return refs
}

// count counts the proxies that are at a point, and tells whether that is not what it was.
func (c *fleetCount) count(s *live.Standing, due live.Point, now time.Time) bool {
	if s.Missing == 0 {
		c.missing = time.Time{}
	} else if c.missing.IsZero() {
		c.missing = now
	}
	if s.Missing > 0 && now.Sub(c.missing) < startup {
		return false
	}
	acked := 0
	for i := range s.Proxies {
		if s.Proxies[i].Point.Has(due) {
			acked++
		}
	}
	total := s.Missing + len(s.Proxies)
	same := c.known && c.acked == acked && c.total == total
	c.acked, c.total, c.known = acked, total, true
	return !same
}

// gateway is the condition Live of a Gateway; nil: what is there stays.
func (t *tracker) gateway(name types.NamespacedName) *condition.Condition {
	t.mu.Lock()
	defer t.mu.Unlock()
	fleet := fleetOf(name)
	c := t.counts[fleet]
	if c == nil || !c.known {
		return nil
	}
	said := fmt.Sprintf("%d of %d ready Envoys have acknowledged everything", c.acked, c.total)
	out := condition.True(condition.Live, condition.LiveReason, said)
	switch message := t.refused[fleet][objectOf(kube.Ref{Kind: kube.Gateway, Name: name})]; {
	case message != "":
		out = condition.False(condition.Live, condition.Refused, said+"; an Envoy refuses what comes from the Gateway and keeps what it had before: "+message)
	case c.total == 0:
		out = condition.False(condition.Live, condition.Pending, "no Envoy is ready")
	case c.acked < c.total:
		out = condition.False(condition.Live, condition.Pending, said)
	}
	return &out
}
