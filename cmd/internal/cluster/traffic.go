package cluster

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	k8sschema "k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/agent"
	"headgate.dev/agent/apply"
	"headgate.dev/cmd/internal/local"
	"headgate.dev/cmd/internal/review"
	"headgate.dev/cmd/internal/syncs"
	"headgate.dev/render/object"
)

// trafficOf says which requests to a Sync's objects would be answered differently. It holds these, as they are and as they would be, with the Gateways that
// they name, as far as the user may read them, and takes every class for headgate's. Routes of others are not looked at.
func trafficOf(ctx context.Context, c *connection, wanted *object.Set, trials *apply.Trials) (*syncs.Traffic, error) {
	s := sides{c: c, seen: map[object.ID]bool{}}
	if err := s.fill(ctx, wanted, trials); err != nil {
		return nil, err
	}
	return compareTraffic(ctx, s.before, s.after)
}

// compareTraffic compares what objects before and after mean for requests.
func compareTraffic(ctx context.Context, objects, afterwards []*object.Object) (*syncs.Traffic, error) {
	before, errs := object.NewSet(objects)
	after, more := object.NewSet(afterwards)
	if errs = append(errs, more...); len(errs) > 0 {
		return nil, errs
	}
	change := agent.Change{Set: after}
	change.Put, change.Removed = object.Diff(before, change.Set)
	out := review.New("", "", nil)
	if len(change.Put)+len(change.Removed) == 0 {
		return syncs.TrafficOf(out), nil
	}
	stack, err := local.New(local.Options{Detached: true})
	if err != nil {
		return nil, err
	}
	defer stack.Close()
	if err := stack.Apply(ctx, agent.Change{Set: before, Put: objects}); err != nil {
		return nil, err
	}
	if err := out.Apply(ctx, stack, before, change); err != nil {
		return nil, err
	}
	return syncs.TrafficOf(out), nil
}

// sides are objects as they are and as they would be.
type sides struct {
	c             *connection
	before, after []*object.Object
	seen          map[object.ID]bool
}

func (s *sides) fill(ctx context.Context, wanted *object.Set, trials *apply.Trials) error {
	tried := map[object.ID]*apply.Trial{}
	for i := range trials.Trials {
		tried[trials.Trials[i].Object.ID] = &trials.Trials[i]
	}
	for o := range wanted.All() {
		if !routes(o.ID) {
			continue
		}
		if err := s.put(o, tried[o.ID]); err != nil {
			return err
		}
	}
	for _, id := range trials.Removals {
		if routes(id) {
			if err := s.read(ctx, id, &s.before); err != nil {
				return err
			}
		}
	}
	return s.surround(ctx)
}

// routes tells whether an object says where traffic goes. Certificates are made up.
func routes(id object.ID) bool {
	return id.Group == gwv1.GroupName || id.Group == "" && (id.Kind == "Service" || id.Kind == "Namespace")
}

// put adds an object of the Sync; without a trial it stays as it is wanted.
func (s *sides) put(o *object.Object, t *apply.Trial) error {
	s.seen[o.ID] = true
	if t == nil {
		s.before, s.after = append(s.before, o), append(s.after, o)
		return nil
	}
	live, would := o, o
	var err error
	if t.Live != nil {
		if live, err = object.New(syncs.Written(t.Live), o.Origin, o.Fields); err != nil {
			return fmt.Errorf("reading %s: %w", o.ID, err)
		}
		s.before = append(s.before, live)
	}
	switch {
	case t.Err != nil && t.Live != nil:
		would = live // it is refused
	case t.Err != nil:
		return nil
	case t.Would != nil:
		if would, err = object.New(syncs.Written(t.Would), o.Origin, o.Fields); err != nil {
			return fmt.Errorf("reading %s: %w", o.ID, err)
		}
	}
	s.after = append(s.after, would)
	return nil
}

// parents gives what a route names as its parents, and the namespace of an object.
func parents(o *object.Object) (out []object.ID) {
	refs, _, _ := unstructured.NestedSlice(o.Content, "spec", "parentRefs")
	for _, ref := range refs {
		m, _ := ref.(map[string]any)
		kind, _ := m["kind"].(string)
		namespace, _ := m["namespace"].(string)
		name, _ := m["name"].(string)
		id := object.ID{Group: gwv1.GroupName, Kind: cmp.Or(kind, "Gateway"), Namespace: cmp.Or(namespace, o.ID.Namespace), Name: name}
		if id.Kind == "Gateway" || id.Kind == "ListenerSet" {
			out = append(out, id)
		}
	}
	if o.ID.Namespace != "" {
		out = append(out, object.ID{Kind: "Namespace", Name: o.ID.Namespace})
	}
	return out
}

// surround adds what the routes name and the Sync does not have: their Gateways, the classes of these, and the routes' namespaces.
func (s *sides) surround(ctx context.Context) error {
	var both []*object.Object
	for _, o := range slices.Concat(s.before, s.after) {
		for _, id := range parents(o) {
			if err := s.read(ctx, id, &both); err != nil {
				return err
			}
		}
	}
	for _, o := range slices.Concat(both, s.before, s.after) {
		name, _, _ := unstructured.NestedString(o.Content, "spec", "gatewayClassName")
		if id := (object.ID{Group: gwv1.GroupName, Kind: "GatewayClass", Name: name}); name != "" && !s.seen[id] {
			s.seen[id] = true
			class, err := object.New(map[string]any{
				"apiVersion": gwv1.GroupVersion.String(), "kind": "GatewayClass", "metadata": map[string]any{"name": name},
				"spec": map[string]any{"controllerName": local.Controller},
			}, object.Origin{}, nil)
			if err != nil {
				return fmt.Errorf("standing in for class %s: %w", name, err)
			}
			both = append(both, class)
		}
	}
	s.before, s.after = append(s.before, both...), append(s.after, both...)
	return nil
}

// read adds an object as it is, once. One that is not there, or that the user may not read, is left out.
func (s *sides) read(ctx context.Context, id object.ID, into *[]*object.Object) error {
	if s.seen[id] {
		return nil
	}
	s.seen[id] = true
	mapping, err := s.c.RESTMapper().RESTMapping(k8sschema.GroupKind{Group: id.Group, Kind: id.Kind})
	if meta.IsNoMatchError(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading %s: %w", id, err)
	}
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(mapping.GroupVersionKind)
	err = s.c.Get(ctx, client.ObjectKey{Namespace: id.Namespace, Name: id.Name}, u)
	if apierrors.IsNotFound(err) || apierrors.IsForbidden(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading %s: %w", id, err)
	}
	o, err := object.New(u.Object, object.Origin{}, nil)
	if err != nil {
		return fmt.Errorf("reading %s: %w", id, err)
	}
	*into = append(*into, o)
	return nil
}
