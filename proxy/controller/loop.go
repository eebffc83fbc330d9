package controller

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"headgate.dev/proxy/engine"
	"headgate.dev/proxy/envoy"
	"headgate.dev/proxy/kube"
	"headgate.dev/proxy/xds"
)

// loop turns changes into steps of the engine and hands out their effects.
type loop struct {
	inbox *inbox
	xds   *xds.Server
	log   *slog.Logger
	// effects is told what a step brought, with its epoch. It must not wait.
	effects func(epoch uint64, e *engine.Effects)
	stepped signal // a step was made and published

	mu     sync.Mutex // guards the engine for those who read
	engine *engine.Engine
	epoch  uint64
	fleets map[string]struct{} // those that were published
}

// run makes steps until ctx ends.
func (l *loop) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.inbox.wake:
			l.next()
		}
	}
}

// next makes a step with all there is in the inbox. The first step is made even with nothing.
func (l *loop) next() {
	if changes := l.inbox.take(); len(changes) > 0 || l.epoch == 0 {
		l.step(changes)
	}
}

func (l *loop) step(batch []kube.Change) {
	start := time.Now()
	l.mu.Lock()
	effects := l.engine.Step(batch)
	l.epoch++
	epoch := l.epoch
	l.mu.Unlock()
	l.publish(epoch, &effects)
	steps.Observe(time.Since(start).Seconds())
	changes.Add(float64(len(batch)))
	l.effects(epoch, &effects)
	l.stepped.happened()
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

// behind lists the routes that a resource of a fleet comes from.
func (l *loop) behind(fleet string, key envoy.Key) (refs []kube.Ref) {
	l.read(func(e *engine.Engine) { refs = e.RoutesBehind(fleet, key) })
	return refs
}
