package controller

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/types"

	"headgate.dev/proxy/kube"
	"headgate.dev/proxy/live"
	"headgate.dev/proxy/track"
)

// Want is an object as somebody wrote it, or its removal.
type Want = track.Want

// Live says how far what somebody wanted has come.
type Live struct {
	// Gateways are those concerned, by name. None: there is nothing to wait for.
	Gateways []GatewayLive
	// Refused are the resources that Envoys refuse and that come from what was wanted, and the routes that Gateways do not take.
	Refused []Refused
}

// GatewayLive is on how many of a Gateway's Envoys everything is acknowledged that was wanted.
type GatewayLive struct {
	Gateway types.NamespacedName
	// Acked of Total ready Envoys.
	Acked, Total int
}

// Refused is an object from which something came that Envoys refuse, or that a Gateway does not take.
type Refused struct {
	Object  kube.Ref
	Gateway types.NamespacedName
	// Message is what Envoy said, or the reason and message of the condition Accepted.
	Message string
}

// Everywhere tells whether every ready Envoy of every Gateway concerned, and at least one of each, has it all.
func (l *Live) Everywhere() bool {
	for _, g := range l.Gateways {
		if g.Total == 0 || g.Acked < g.Total {
			return false
		}
	}
	return true
}

// Liveness tells what is live. It is for the replica that leads: the others know of their own proxies only.
type Liveness struct {
	tracker *tracker
}

// Wait waits until this replica has taken in all that is wanted, in this generation or a later one, and every ready Envoy of
// every Gateway concerned has answered what came of it: with an acknowledgement or a refusal. A Gateway without a ready Envoy is
// waited for; one that is gone is not. Objects that have nothing to do with traffic count for nothing. With the context's error it
// returns how far it has come.
func (l *Liveness) Wait(ctx context.Context, wants []Want) (Live, error) {
	return l.tracker.wait(ctx, wants)
}

func (t *tracker) wait(ctx context.Context, wants []Want) (Live, error) {
	var goal *goal
	for {
		next := t.news.wait()
		t.mu.Lock()
		missing := 0
		if goal == nil {
			goal, missing = t.goal(wants)
		}
		var live Live
		settled := false
		if goal != nil {
			live, settled = t.standingOf(goal)
		}
		t.mu.Unlock()
		if settled {
			live.Refused = append(live.Refused, t.rejected(goal.routes())...)
			return live, nil
		}
		select {
		case <-next:
		case <-ctx.Done():
			if goal == nil {
				return Live{}, fmt.Errorf("waiting for %d of %d objects to arrive: %w", missing, len(wants), ctx.Err())
			}
			return live, fmt.Errorf("waiting for Envoys to answer: %w", ctx.Err())
		}
	}
}

// goal is what the proxies of each fleet concerned must have.
type goal struct {
	fleets  map[string][]live.Need
	objects map[live.Object]bool
}

// goal says what is to be waited for, as soon as all that is wanted is in; until then how many are missing. The lock is held.
func (t *tracker) goal(wants []Want) (*goal, int) {
	if !t.began {
		return nil, len(wants) // nothing was read yet
	}
	g := &goal{fleets: map[string][]live.Need{}, objects: map[live.Object]bool{}}
	p := t.trail.Last()
	missing := 0
	for i := range wants {
		w := &wants[i]
		kind, known := kube.KindOf(w.Group, w.Kind)
		if !known {
			continue
		}
		o, in := t.records.Find(kind, w, p)
		if !in {
			missing++
			continue
		}
		g.objects[objectOf(kube.Ref{Kind: kind, Name: w.Name})] = true
		if o == nil {
			continue
		}
		for _, fleet := range o.Fleets {
			g.need(fleet, live.Need{Stream: int(kind), Version: o.Version})
		}
	}
	if missing > 0 {
		return nil, missing
	}
	return g, 0
}

// need keeps the latest version of each stream.
func (g *goal) need(fleet string, n live.Need) {
	needs := g.fleets[fleet]
	for i := range needs {
		if needs[i].Stream == n.Stream {
			needs[i].Version = max(needs[i].Version, n.Version)
			return
		}
	}
	g.fleets[fleet] = append(needs, n)
}

// routes lists the routes among the objects of a goal.
func (g *goal) routes() (refs []kube.Ref) {
	for o := range g.objects {
		if ref := refOf(o); isRoute(ref.Kind) {
			refs = append(refs, ref)
		}
	}
	slices.SortFunc(refs, kube.CompareRefs)
	return refs
}

// standingOf says how far the proxies are with a goal. The lock is held.
func (t *tracker) standingOf(g *goal) (out Live, settled bool) {
	settled = true
	for _, fleet := range slices.Sorted(maps.Keys(g.fleets)) {
		gateway, served := t.gateways[fleet]
		if !served {
			continue
		}
		standing := t.standing(fleet)
		count := standing.Count(g.fleets[fleet], g.objects)
		settled = settled && count.Settled()
		out.Gateways = append(out.Gateways, GatewayLive{Gateway: gateway, Acked: count.Acked, Total: count.Total})
		for o, messages := range standing.Refused() {
			for _, m := range messages {
				if g.objects[o] {
					out.Refused = append(out.Refused, Refused{Object: refOf(o), Gateway: gateway, Message: m})
				}
			}
		}
	}
	slices.SortFunc(out.Refused, func(a, b Refused) int {
		return cmp.Or(kube.CompareRefs(a.Object, b.Object), kube.CompareNames(a.Gateway, b.Gateway), cmp.Compare(a.Message, b.Message))
	})
	return out, settled
}

// signal wakes everybody who waits for the next time that something happens. The zero value is ready.
type signal struct {
	mu   sync.Mutex // guards next
	next chan struct{}
}

// wait gives a channel that is closed the next time.
func (s *signal) wait() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.next == nil {
		s.next = make(chan struct{})
	}
	return s.next
}

func (s *signal) happened() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.next != nil {
		close(s.next)
		s.next = nil
	}
}
