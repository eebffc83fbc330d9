package controller

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"headgate.dev/proxy/controller/inbox"
	"headgate.dev/proxy/engine"
	"headgate.dev/proxy/envoy"
	"headgate.dev/proxy/kube"
	"headgate.dev/proxy/live"
	"headgate.dev/proxy/track"
	"headgate.dev/proxy/xds"
)

// loop turns changes into steps of the engine and hands out their effects. See newLoop.
type loop struct {
	inbox *inbox.Inbox
	xds   *xds.Server
	log   *slog.Logger
	// effects is told what a step brought, with its epoch. It must not wait.
	effects func(epoch uint64, e *engine.Effects)
	// taken is told of a step before that, with the point up to which everything is in.
	taken func(epoch uint64, p live.Point, batch []kube.Change, e *engine.Effects)

	nacked chan struct{} // has room for one: something is refusing

	mu       sync.Mutex          // guards refusing, and the engine for those who read
	refusing map[string]struct{} // fleets where a proxy refuses something
	engine   *engine.Engine
	epoch    uint64
	fleets   map[string]struct{} // those that were published
	point    live.Point          // what is in; only of the goroutine that makes steps
}

// newLoop makes a loop; whoever needs more of it than steps sets its other fields.
func newLoop(in *inbox.Inbox, log *slog.Logger, controller string) *loop {
	return &loop{
		inbox: in, log: log, nacked: make(chan struct{}, 1), refusing: map[string]struct{}{}, fleets: map[string]struct{}{},
		engine: engine.New(engine.Options{Controller: controller}),
	}
}

// run makes steps until ctx ends.
func (l *loop) run(ctx context.Context) {
	for {
		// The cases: objects changed; proxies refused something.
		select {
		case <-ctx.Done():
			return
		case <-l.inbox.Wake():
			l.next()
		case <-l.nacked:
			l.refused()
		}
	}
}

// next makes a step with all there is in the inbox. The first step is made even with nothing.
func (l *loop) next() {
	changes, point := l.inbox.Take()
	if len(changes) == 0 && l.epoch > 0 && l.point.Has(point) {
		return
	}
	l.point = l.point.Join(point)
	l.step(changes)
}

// refuse has a fleet looked at where a proxy refuses something.
func (l *loop) refuse(fleet string) {
	l.mu.Lock()
	l.refusing[fleet] = struct{}{}
	l.mu.Unlock()
	select {
	case l.nacked <- struct{}{}:
	default:
	}
}

// refused makes a step for each resource that proxies refuse as it is now.
func (l *loop) refused() {
	l.mu.Lock()
	fleets := l.refusing
	l.refusing = map[string]struct{}{}
	l.mu.Unlock()
	for fleet := range fleets {
		seen := map[envoy.Key]bool{}
		for _, proxy := range l.xds.States(fleet) {
			for _, r := range proxy.Refused {
				if !seen[r.Key] {
					seen[r.Key] = true
					l.make(nil, func(e *engine.Engine) engine.Effects { return e.Refused(fleet, r.Key, r.Epoch, r.Message) })
				}
			}
		}
	}
}

func (l *loop) step(batch []kube.Change) {
	l.make(batch, func(e *engine.Engine) engine.Effects { return e.Step(batch) })
}

// make makes a step and hands out what comes of it.
func (l *loop) make(batch []kube.Change, by func(*engine.Engine) engine.Effects) {
	start := time.Now()
	l.mu.Lock()
	effects := by(l.engine)
	l.epoch++
	epoch := l.epoch
	l.mu.Unlock()
	l.publish(epoch, &effects)
	steps.Observe(time.Since(start).Seconds())
	changes.Add(float64(len(batch)))
	l.taken(epoch, l.point, batch, &effects)
	l.effects(epoch, &effects)
	l.log.Debug("step", "epoch", epoch, "changes", len(batch), "resources", len(effects.XDS), "took", time.Since(start))
}

// publish sends the resources of a step to the fleets they are for. A fleet is there as long as its Gateway is ours, with or
// without resources.
func (l *loop) publish(epoch uint64, e *engine.Effects) {
	byFleet := map[string][]xds.Change{}
	for _, c := range e.XDS { // sorted by fleet
		byFleet[c.Fleet] = append(byFleet[c.Fleet], c.Resource)
	}
	for _, g := range e.Gateways {
		fleet := fleetOf(g.Name)
		if g.Result == nil {
			delete(l.fleets, fleet)
			delete(byFleet, fleet)
			l.xds.Drop(fleet)
			continue
		}
		if _, there := l.fleets[fleet]; !there {
			l.fleets[fleet] = struct{}{}
			if _, has := byFleet[fleet]; !has {
				byFleet[fleet] = nil
			}
		}
	}
	for fleet, changes := range byFleet {
		l.xds.Publish(fleet, epoch, changes)
	}
}

// fleetOf names the proxies of a Gateway.
func fleetOf(gateway types.NamespacedName) string { return gateway.String() }

// read gives f the engine while no step runs.
func (l *loop) read(f func(*engine.Engine)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f(l.engine)
}

// behind lists the objects that a resource of a fleet comes from: whom to tell when a proxy refuses it.
func (l *loop) behind(fleet string, key envoy.Key) (refs []kube.Ref) {
	l.read(func(e *engine.Engine) { refs = e.Behind(fleet, key) })
	return refs
}

// pinned lists the routes in quarantine.
func (l *loop) pinned() (pins []engine.Pinned) {
	l.read(func(e *engine.Engine) { pins = e.Pinned() })
	return pins
}

// rejected lists the routes among refs that a Gateway does not take.
func (l *loop) rejected(refs []kube.Ref) (out []Refused) {
	l.read(func(e *engine.Engine) {
		for _, r := range e.Rejected(refs) {
			out = append(out, Refused{Object: r.Route, Gateway: r.Gateway, Message: r.Message})
		}
	})
	return out
}

// settle is told of routes that all proxies have.
func (l *loop) settle(refs []track.Settled) {
	l.read(func(e *engine.Engine) {
		for _, r := range refs {
			e.Settle(r.Ref, r.Generation)
		}
	})
}
