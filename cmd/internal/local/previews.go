package local

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/types"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/agent"
	"headgate.dev/proxy/kube"
	"headgate.dev/proxy/model"
	"headgate.dev/render/object"
)

// SetPreviews makes the Stack hold the objects of previews beside the tree, and nothing else of the kind. A route of theirs is reached by the listener
// by which an alias of it would be, whatever its parents are. On an error everything is as it was.
func (s *Stack) SetPreviews(_ context.Context, set *object.Set) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := agent.Change{Set: set}
	c.Put, c.Removed = object.Diff(s.previews, set)
	changes, errs := decode(c)
	if len(errs) > 0 {
		return errs.Sort()
	}
	next := map[kube.Ref]kube.Object{}
	for ref, route := range s.world.previews {
		next[ref] = route
	}
	var others []kube.Change
	for _, change := range changes {
		ref := kube.Ref{Kind: change.Kind, Name: change.Name}
		_, was := next[ref]
		switch {
		case routeSpec(change.Object) != nil:
			next[ref] = change.Object
		case was:
			delete(next, ref)
		default:
			others = append(others, change)
		}
	}
	before := s.world.previews
	s.world.nextPreviews = next
	if err := s.step(others); err != nil {
		s.world.nextPreviews = before
		return fmt.Errorf("serving previews: %w", err)
	}
	s.previews = set
	return nil
}

// step brings changes that are none of the tree to the proxies.
func (s *Stack) step(changes []kube.Change) error {
	changes, err := s.prepare(changes, time.Now())
	if err != nil {
		return err
	}
	effects := s.engine.Step(s.trustEcho(s.backends.complete(changes)))
	s.epoch++
	if !s.options.Detached {
		s.xds.Publish(fleet, s.epoch, resources(effects.XDS))
	}
	s.retire(time.Now())
	return nil
}

// WaitPreviews waits until every ready proxy has acknowledged what SetPreviews brought, or ctx ends.
func (s *Stack) WaitPreviews(ctx context.Context) (agent.Envoys, error) {
	s.mu.Lock()
	epoch := s.epoch
	s.mu.Unlock()
	status, err := s.xds.Wait(ctx, fleet, epoch)
	return agent.Envoys{Acked: status.Acked, Total: status.Total}, err
}

// PreviewURL gives where a host of a preview is served; empty when it is not.
func (s *Stack) PreviewURL(host string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for ref := range s.world.previews {
		a, served := s.world.aliases[ref]
		if !served {
			continue
		}
		for _, h := range hostnamesOf(a.source) {
			if string(h) == host {
				return fmt.Sprintf("http://%s:%d", host, s.ports.public(model.Name(a.front.gateway), a.front.port))
			}
		}
	}
	return ""
}

// AliasHosts gives the hosts that services of the tree have beside their own, each with the name of its route.
func (s *Stack) AliasHosts() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[string]string{}
	for ref, a := range s.world.aliases {
		if a.host != "" {
			out[a.host] = ref.Kind.String() + " " + types.NamespacedName{Namespace: ref.Name.Namespace, Name: a.source.GetName()}.String()
		}
	}
	return out
}

// wantedPreviews gives the routes of previews as aliases, which they are in all but their hosts. One that is passed through by TLS has none.
func (w *world) wantedPreviews() map[kube.Ref]alias {
	wanted := map[kube.Ref]alias{}
	for ref, route := range w.previews {
		if _, has := w.routes[ref]; has {
			continue
		}
		switch route.(type) {
		case *gwv1.HTTPRoute, *gwv1.GRPCRoute:
			if f, ok := w.frontOf(route, allBelowLocalhost(hostnamesOf(route))); ok {
				wanted[ref] = alias{source: route, front: f}
			}
		}
	}
	return wanted
}
