package controller

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/proxy/controller/queue"
	"headgate.dev/proxy/engine"
	"headgate.dev/proxy/kube"
	"headgate.dev/proxy/resolve"
	"headgate.dev/proxy/resolve/backend"
	"headgate.dev/proxy/resolve/condition"
	"headgate.dev/proxy/resolve/gateway"
)

const (
	// pace is the least time between two writes of the status of one Gateway. A thousand routes that come at once change the
	// counts of its listeners a thousand times.
	pace = time.Second
	// catchUp is how long to wait for the cache after a write that came too early for it.
	catchUp = 50 * time.Millisecond
)

// writer writes the status of objects.
type writer struct {
	controller gwv1.GatewayController
	client     client.Client // reads from the cache
	book       *book
	log        *slog.Logger
	// facts gives what is known of a Gateway's proxies.
	facts func(context.Context, *gwv1.Gateway) (gateway.Facts, error)
	live  *tracker
	now   func() time.Time
	// queue is of routes, few of all other objects, of which there are few: they do not wait for the statuses of a thousand routes.
	queue, few queue.Queue[kube.Ref]

	mu      sync.Mutex
	written map[types.NamespacedName]time.Time // when the status of a Gateway was begun to be
}

// changed has the status of objects looked at.
func (w *writer) changed(refs ...kube.Ref) {
	for _, ref := range refs {
		if isRoute(ref.Kind) {
			w.queue.Add(ref)
		} else {
			w.few.Add(ref)
		}
	}
}

func (w *writer) write(ctx context.Context, ref kube.Ref) (again time.Duration, err error) {
	switch ref.Kind {
	case kube.GatewayClass:
		err = w.class(ctx, ref.Name)
	case kube.Gateway:
		again, err = w.gateway(ctx, ref.Name)
	case kube.BackendTLSPolicy:
		err = w.policy(ctx, ref.Name)
	case kube.ListenerSet:
		err = w.orphan(ctx, ref.Name)
	default:
		again, err = w.route(ctx, ref)
	}
	if apierrors.IsConflict(err) {
		return catchUp, nil
	}
	return again, err
}

// update brings the status of an object to what want makes of it. It tells whether there was something to write.
func update[O client.Object, S any](ctx context.Context, c client.Client, name types.NamespacedName, o O, want statusOf[O, S]) (bool, error) {
	if err := c.Get(ctx, name, o); err != nil {
		return false, client.IgnoreNotFound(err)
	}
	status, wanted := want(o)
	if equality.Semantic.DeepEqual(*status, wanted) {
		return false, nil
	}
	*status = wanted
	if err := c.Status().Update(ctx, o); err != nil {
		return false, client.IgnoreNotFound(err)
	}
	statusWrites.WithLabelValues(strings.TrimPrefix(fmt.Sprintf("%T", o), "*v1.")).Inc()
	return true, nil
}

// statusOf gives where an object has its status, and what it should be.
type statusOf[O client.Object, S any] func(O) (at *S, want S)

func (w *writer) stamp() metav1.Time { return metav1.NewTime(w.now().Truncate(time.Second)) }

func (w *writer) class(ctx context.Context, name types.NamespacedName) error {
	c, ok := w.book.class(name.Name)
	if !ok {
		return nil
	}
	_, err := update(ctx, w.client, name, &gwv1.GatewayClass{}, func(o *gwv1.GatewayClass) (*gwv1.GatewayClassStatus, gwv1.GatewayClassStatus) {
		if o.Spec.ControllerName != w.controller {
			return &o.Status, o.Status
		}
		return &o.Status, gateway.ClassStatus(c, o.Status, w.stamp())
	})
	return err
}

func (w *writer) policy(ctx context.Context, name types.NamespacedName) error {
	state, ok := w.book.policy(name)
	if !ok {
		return nil
	}
	_, err := update(ctx, w.client, name, &gwv1.BackendTLSPolicy{}, func(o *gwv1.BackendTLSPolicy) (*gwv1.PolicyStatus, gwv1.PolicyStatus) {
		return &o.Status, backend.PolicyStatus(state.Result, w.controller, o.Status, w.stamp())
	})
	return err
}

// orphan writes the status of a ListenerSet that was a Gateway's of ours. If its Gateway is ours, that writes it; if it is
// somebody else's, they do.
func (w *writer) orphan(ctx context.Context, name types.NamespacedName) error {
	var set gwv1.ListenerSet
	if err := w.client.Get(ctx, name, &set); err != nil {
		return client.IgnoreNotFound(err)
	}
	parent, ok := kube.GatewayOfSet(&set)
	if _, ours := w.book.gateway(parent); !ok || ours {
		return nil
	}
	switch err := w.client.Get(ctx, parent, &gwv1.Gateway{}); {
	case err == nil:
		return nil
	case !apierrors.IsNotFound(err):
		return err
	}
	_, err := update(ctx, w.client, name, &gwv1.ListenerSet{}, func(o *gwv1.ListenerSet) (*gwv1.ListenerSetStatus, gwv1.ListenerSetStatus) {
		return &o.Status, gateway.OrphanStatus(o.Generation, parent.String(), o.Status, w.stamp())
	})
	return err
}

// route writes the status of a route of any kind. One that the book does not have has no parent of ours: what we wrote before goes.
// A new generation waits a moment for the answers of Envoys, so that it is written once.
func (w *writer) route(ctx context.Context, ref kube.Ref) (again time.Duration, err error) {
	state, ours := w.book.route(ref)
	if ours {
		if wait := w.underWay(ref, state.Result); wait > 0 {
			return wait, nil
		}
	}
	_, err = update(ctx, w.client, ref.Name, kube.New(ref.Kind).(client.Object), func(o client.Object) (*gwv1.RouteStatus, gwv1.RouteStatus) {
		at := routeStatus(o)
		r := state.Result
		if !ours {
			r = &resolve.RouteResult{Kind: ref.Kind, Name: ref.Name}
		}
		facts := resolve.RouteFacts{Controller: w.controller, Problems: state.Problems, Silent: state.Silent}
		facts.Live = func(gateway types.NamespacedName, there *metav1.Condition) *condition.Condition {
			v := w.live.route(ref, r.Generation, gateway)
			c, later := v.condition(there != nil, there != nil && there.ObservedGeneration < r.Generation)
			if later > 0 && (again == 0 || later < again) {
				again = later
			}
			return c
		}
		return at, resolve.RouteStatus(r, facts, *at, w.stamp())
	})
	return again, err
}

// underWay gives how long the status of a route may wait yet for the answers of Envoys.
func (w *writer) underWay(ref kube.Ref, r *resolve.RouteResult) (wait time.Duration) {
	for i := range r.Parents {
		if len(r.Parents[i].Listeners) == 0 {
			continue
		}
		if v := w.live.route(ref, r.Generation, r.Parents[i].Gateway); v.served && !v.live && v.refused == "" {
			wait = max(wait, together-v.age)
		}
	}
	return wait
}

// routeStatus is the status of a route of any kind.
func routeStatus(o client.Object) *gwv1.RouteStatus {
	switch o := o.(type) {
	case *gwv1.HTTPRoute:
		return &o.Status.RouteStatus
	case *gwv1.GRPCRoute:
		return &o.Status.RouteStatus
	case *gwv1.TCPRoute:
		return &o.Status.RouteStatus
	case *gwv1.UDPRoute:
		return &o.Status.RouteStatus
	case *gwv1.TLSRoute:
		return &o.Status.RouteStatus
	default:
		panic(fmt.Sprintf("a route of type %T", o)) // kube.RouteKinds has no other
	}
}

func hasEntry(s *gwv1.RouteStatus, of gwv1.GatewayController) bool {
	for i := range s.Parents {
		if s.Parents[i].ControllerName == of {
			return true
		}
	}
	return false
}

// gateway writes the status of a Gateway and of its ListenerSets, not before pace is over since the last time.
func (w *writer) gateway(ctx context.Context, name types.NamespacedName) (time.Duration, error) {
	state, ok := w.book.gateway(name)
	if !ok {
		w.forget(name)
		return 0, nil
	}
	if wait := w.early(name); wait > 0 {
		return wait, nil
	}
	began := w.now()
	var o gwv1.Gateway
	if err := w.client.Get(ctx, name, &o); err != nil {
		return 0, client.IgnoreNotFound(err)
	}
	facts, err := w.facts(ctx, &o)
	if err != nil {
		return 0, err
	}
	facts.Attached, facts.Live = attached(&state, types.NamespacedName{}), w.live.gateway(name)
	wrote, err := update(ctx, w.client, name, &o, func(o *gwv1.Gateway) (*gwv1.GatewayStatus, gwv1.GatewayStatus) {
		return &o.Status, gateway.Status(state.Result, facts, o.Status, w.stamp())
	})
	if err != nil {
		return 0, err
	}
	for i := range state.Result.Sets {
		set := &state.Result.Sets[i]
		wroteSet, err := update(ctx, w.client, set.Name, &gwv1.ListenerSet{}, func(o *gwv1.ListenerSet) (*gwv1.ListenerSetStatus, gwv1.ListenerSetStatus) {
			return &o.Status, gateway.SetStatus(set, attached(&state, set.Name), o.Status, w.stamp())
		})
		if err != nil {
			return 0, err
		}
		wrote = wrote || wroteSet
	}
	if wrote {
		w.mu.Lock()
		w.written[name] = began
		w.mu.Unlock()
	}
	return 0, nil
}

func (w *writer) early(name types.NamespacedName) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	last, ok := w.written[name]
	if !ok {
		return 0
	}
	return pace - w.now().Sub(last)
}

func (w *writer) forget(name types.NamespacedName) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.written, name)
}

// attached counts the routes of the listeners of a set, or of the Gateway itself where set is zero.
func attached(state *engine.GatewayState, set types.NamespacedName) map[string]int32 {
	out := map[string]int32{}
	for l, n := range state.Attached {
		if l.Set == set {
			out[l.Name] = n
		}
	}
	return out
}
