package controller

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"

	"headgate.dev/proxy/engine"
	"headgate.dev/proxy/kube"
)

// Want is an object as somebody wrote it, or its removal.
type Want struct {
	Group, Kind string
	Name        types.NamespacedName
	// UID of the object that was written or removed. Empty: whichever there is, as it is.
	UID types.UID
	// Generation that the object had after it was written; 0 for kinds that have none.
	Generation int64
	// ResourceVersion that the object had after it was written, or was last seen to have before it was removed. Without it, a
	// write that changes no generation (a Service, a Secret) may be taken for one before it, and the removal of an object that this
	// replica has not seen yet for done.
	ResourceVersion string
	// Removed: the object is to be gone.
	Removed bool
}

// Live says how far what somebody wanted has come.
type Live struct {
	// Gateways are those concerned, by name. None: there is nothing to wait for.
	Gateways []GatewayLive
	// Refused are the resources that Envoys refuse and that come from what was wanted.
	Refused []Refused
}

// GatewayLive is on how many of a Gateway's Envoys everything is acknowledged that was wanted.
type GatewayLive struct {
	Gateway types.NamespacedName
	// Acked of Total ready Envoys.
	Acked, Total int
}

// Refused is an object from which something came that Envoys refuse.
type Refused struct {
	Object  kube.Ref
	Gateway types.NamespacedName
	// Message is what Envoy said.
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

// Liveness tells what is live. It is for the replica that leads.
type Liveness struct {
	ready chan struct{} // closed when loop is there

	loop *loop
}

// Wait waits until this replica has taken in all that is wanted, in this generation or a later one, and every ready Envoy of
// every Gateway concerned has answered what came of it: with an acknowledgement or a refusal. A Gateway without a ready Envoy is waited for.
// Objects that have nothing to do with traffic count for nothing. With the context's error it returns how far it has come.
func (l *Liveness) Wait(ctx context.Context, wants []Want) (Live, error) {
	select {
	case <-l.ready:
	case <-ctx.Done():
		return Live{}, fmt.Errorf("waiting for the objects of the cluster to be read: %w", ctx.Err())
	}
	return l.loop.wait(ctx, wants)
}

// wait is Wait, for a loop that makes steps.
func (l *loop) wait(ctx context.Context, wants []Want) (Live, error) {
	epoch, concerns, err := l.taken(ctx, wants)
	if err != nil || !concerns {
		return Live{}, err
	}
	var live Live
	for _, g := range l.gateways() {
		status, err := l.xds.Wait(ctx, fleetOf(g), epoch)
		live.Gateways = append(live.Gateways, GatewayLive{Gateway: g, Acked: status.Acked, Total: status.Total})
		for _, r := range status.Refused {
			for _, ref := range l.behind(fleetOf(g), r.Key) {
				live.Refused = append(live.Refused, Refused{Object: ref, Gateway: g, Message: r.Message})
			}
		}
		if err != nil {
			return live, err
		}
	}
	return live, nil
}

// taken waits until a step has taken in all that is wanted, and returns it.
func (l *loop) taken(ctx context.Context, wants []Want) (epoch uint64, concerns bool, err error) {
	for {
		next := l.stepped.wait()
		missing := 0
		l.read(func(e *engine.Engine) {
			epoch, missing, concerns = l.epoch, 0, false
			for i := range wants {
				kind, known := kube.KindOf(wants[i].Group, wants[i].Kind)
				concerns = concerns || known
				if !known {
					continue
				}
				o := e.Snapshot().Object(kube.Ref{Kind: kind, Name: wants[i].Name})
				if unnamed := o == nil && onDemand[kind]; !unnamed && !wants[i].takenIn(o) {
					missing++
				}
			}
		})
		if missing == 0 {
			return epoch, concerns, nil
		}
		select {
		case <-next:
		case <-ctx.Done():
			return epoch, concerns, fmt.Errorf("waiting for %d of %d objects to arrive: %w", missing, len(wants), ctx.Err())
		}
	}
}

// takenIn tells whether an object as it is kept (nil: not at all) is what is wanted, or something later.
func (w *Want) takenIn(o kube.Object) bool {
	switch {
	case o == nil:
		return w.Removed
	case w.UID == "" && !w.Removed:
		return true
	case o.GetUID() != w.UID:
		return w.Removed || later(o.GetResourceVersion(), w.ResourceVersion)
	case w.Removed:
		return false
	default:
		return o.GetGeneration() >= w.Generation && (w.ResourceVersion == "" || !later(w.ResourceVersion, o.GetResourceVersion()))
	}
}

// later tells whether one resource version is known to be later than another.
func later(a, b string) bool {
	c, err := resourceversion.CompareResourceVersion(a, b)
	return err == nil && c > 0
}

// gateways lists the Gateways of ours, by name.
func (l *loop) gateways() []types.NamespacedName {
	var out []types.NamespacedName
	l.read(func(e *engine.Engine) {
		for _, g := range e.ListGateways() {
			out = append(out, g.Name)
		}
	})
	slices.SortFunc(out, kube.CompareNames)
	return out
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
