package local

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/types"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/agent"
	"headgate.dev/proxy/engine"
	"headgate.dev/proxy/envoy"
	"headgate.dev/proxy/kube"
	"headgate.dev/render/object"
	"headgate.dev/schema"
)

// fleet is the only fleet there is: one Envoy serves every Gateway.
const fleet = "local"

// Apply implements agent.Target. Objects of kinds that the proxies do not know (a Deployment) are held and do nothing.
func (s *Stack) Apply(_ context.Context, c agent.Change) error {
	changes, errs := decode(c)
	if len(errs) > 0 {
		return errs.Sort()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	changes, err := s.prepare(changes, time.Now())
	if err != nil {
		return err
	}
	// From here on nothing can go wrong: everything below takes the changes or nothing does.
	changes = s.trustEcho(s.backends.complete(changes))
	effects := s.engine.Step(changes)
	s.epoch++
	if !s.options.Detached {
		s.xds.Publish(fleet, s.epoch, resources(effects.XDS))
	}
	s.before, s.set, s.effects = s.set, c.Set, effects
	s.retire(time.Now())
	return nil
}

// prepare adds what is made up to the changes, and finds a local port for every listener and an address for every Service.
// When that cannot be done, everything is as it was.
func (s *Stack) prepare(changes []kube.Change, now time.Time) ([]kube.Change, error) {
	if s.world.ca == nil && needsCA(changes) {
		if err := s.openCA(now); err != nil {
			return nil, err
		}
	}
	undo := s.world.undoing(changes, now)
	changes = s.world.complete(changes, now)
	ports, err := s.ports, error(nil)
	if !s.options.Detached {
		ports, err = s.ports.plan(s.world.sockets())
	}
	if err != nil {
		undo()
		return nil, err
	}
	if err := s.backends.reserve(changes); err != nil {
		undo()
		ports.release(s.ports)
		return nil, fmt.Errorf("giving Services an endpoint: %w", err)
	}
	s.ports.release(ports)
	s.ports = ports
	return changes, nil
}

// retireAfter is how long the echo backend goes on answering for a port that no route names any more: Envoy keeps the
// cluster for a while, for requests that are under way.
const retireAfter = time.Minute

// retire ends the echo backend's endpoints of ports that have not been routed for long enough.
func (s *Stack) retire(now time.Time) {
	for p := range s.retired {
		if _, still := s.backends.unrouted[p]; !still {
			delete(s.retired, p)
		}
	}
	for p := range s.backends.unrouted {
		since, known := s.retired[p]
		switch {
		case !known:
			s.retired[p] = now
		case now.Sub(since) > retireAfter:
			s.echo.Forget(echoTarget(p))
			delete(s.retired, p)
			s.backends.forget(p)
		}
	}
}

// decode makes typed changes of what is to be put and removed. An object that does not fit its type is an error at
// the place it comes from.
func decode(c agent.Change) (changes []kube.Change, errs schema.Errors) {
	for _, o := range c.Put {
		change, known, err := kube.Decode(o.Content)
		switch {
		case err != nil:
			errs = append(errs, &schema.Error{Position: o.Origin, Message: err.Error()})
		case known:
			changes = append(changes, change)
		}
	}
	for _, id := range c.Removed {
		if kind, known := kube.KindOf(id.Group, id.Kind); known {
			changes = append(changes, kube.Change{Kind: kind, Name: types.NamespacedName{Namespace: id.Namespace, Name: id.Name}})
		}
	}
	return changes, errs
}

func resources(changes []engine.Change) []envoy.Resource {
	out := make([]envoy.Resource, len(changes))
	for i := range changes {
		out[i] = changes[i].Resource
	}
	return out
}

// Wait implements agent.Liveness.
func (s *Stack) Wait(ctx context.Context) (agent.Live, error) {
	s.mu.Lock()
	epoch := s.epoch
	s.mu.Unlock()
	status, err := s.xds.Wait(ctx, fleet, epoch)
	live := agent.Live{Envoys: agent.Envoys{Acked: status.Acked, Total: status.Total}}
	s.mu.Lock()
	defer s.mu.Unlock()
	live.Refused = s.unserved()
	for _, r := range status.Refused {
		refusal := s.nacked(r.Key, r.Message)
		live.Refused = append(live.Refused, &refusal)
	}
	return live, err
}

// originOf finds where a route's rule was written.
func (s *Stack) originOf(kind string, name types.NamespacedName, rule int) schema.Position {
	return originIn(s.set, kind, name, rule)
}

func originIn(set *object.Set, kind string, name types.NamespacedName, rule int) schema.Position {
	if rule < 0 {
		return fieldIn(set, kind, name, "")
	}
	return fieldIn(set, kind, name, fmt.Sprintf("/spec/rules/%d", rule))
}

// fieldIn finds where a field of an object of the Gateway API was written.
func fieldIn(set *object.Set, kind string, name types.NamespacedName, pointer string) schema.Position {
	o := set.Get(object.ID{Group: gwv1.GroupName, Kind: kind, Namespace: name.Namespace, Name: name.Name})
	switch {
	case o == nil:
		return schema.Position{}
	case pointer == "":
		return o.Origin
	default:
		return o.OriginOf(pointer)
	}
}
