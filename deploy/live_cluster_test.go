//go:build cluster

package deploy

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/proxy/resolve/condition"
)

// acknowledged waits until the status of a route says that Envoys have its present generation.
func (w *world) acknowledged(name string) *gwv1.HTTPRoute {
	w.Helper()
	r := &gwv1.HTTPRoute{ObjectMeta: named(name)}
	w.until("route "+name+" is live", 20*time.Second, func(ctx context.Context) error {
		if err := w.Get(ctx, client.ObjectKeyFromObject(r), r); err != nil {
			return err
		}
		if len(r.Status.Parents) != 1 {
			return fmt.Errorf("parents: %+v", r.Status.Parents)
		}
		c := meta.FindStatusCondition(r.Status.Parents[0].Conditions, condition.Live)
		if c == nil || c.Status != metav1.ConditionTrue || c.ObservedGeneration != r.Generation {
			return fmt.Errorf("condition %s of generation %d is %+v", condition.Live, r.Generation, c)
		}
		return nil
	})
	return r
}

// counts waits until the status of the Gateway says on how many Envoys everything is.
func (w *world) counts(said string) {
	w.Helper()
	w.until("the Gateway says "+said, 40*time.Second, func(ctx context.Context) error {
		var g gwv1.Gateway
		if err := w.Get(ctx, client.ObjectKey{Namespace: clusterNamespace, Name: "public"}, &g); err != nil {
			return err
		}
		c := meta.FindStatusCondition(g.Status.Conditions, condition.Live)
		if c == nil || !strings.HasPrefix(c.Message, said) || c.ObservedGeneration != g.Generation {
			return fmt.Errorf("condition %s of generation %d is %+v", condition.Live, g.Generation, c)
		}
		return nil
	})
}

// live looks for the condition on routes and the Gateway: on a new route, after a change, and with two replicas, one of which has no
// proxy.
func (w *world) live() {
	s, e := service("heard", w.host, w.backend(w.T, "heard"))
	w.create(s, e, route("heard", "heard.example", "heard"))
	w.appears("heard.example", "heard")
	w.counts("1 of 1 ready Envoys")
	w.scale(2)
	r := w.acknowledged("heard")
	r.Spec.Hostnames = []gwv1.Hostname{"heard.example", "heard-too.example"}
	if err := w.Update(w.Context(), r); err != nil {
		w.Fatal(err)
	}
	if took := w.acknowledged("heard"); took.Generation < 2 {
		w.Errorf("the route has generation %d", took.Generation)
	}
	if code, body, err := w.ask(w.Context(), "heard-too.example"); err != nil || body != "heard" {
		w.Errorf("the route is called live and its new host answers %d %q: %v", code, body, err)
	}
	w.create(route("new", "new.example", "heard"))
	w.acknowledged("new")
	if code, body, err := w.ask(w.Context(), "new.example"); err != nil || body != "heard" {
		w.Errorf("a new route is called live and answers %d %q: %v", code, body, err)
	}
	w.counts("1 of 1 ready Envoys")
	w.scale(1)
}

// versions gives the resource versions of all routes and Gateways.
func (w *world) versions() map[string]string {
	w.Helper()
	out := map[string]string{}
	var routes gwv1.HTTPRouteList
	var gateways gwv1.GatewayList
	if err := errors.Join(w.List(w.Context(), &routes, client.InNamespace(clusterNamespace)), w.List(w.Context(), &gateways, client.InNamespace(clusterNamespace))); err != nil {
		w.Fatal(err)
	}
	for i := range routes.Items {
		out["route "+routes.Items[i].Name] = routes.Items[i].ResourceVersion
	}
	for i := range gateways.Items {
		out["gateway "+gateways.Items[i].Name] = gateways.Items[i].ResourceVersion
	}
	return out
}

// quiet takes the controller away and brings it back: nothing is sent, and nothing written, about what is as it was.
func (w *world) quiet() {
	w.acknowledged("app")
	w.counts("1 of 1 ready Envoys")
	before := w.versions()
	w.scale(0)
	w.scale(1)
	w.sentNothing()
	// A new route is live, so the controller has begun to write; and after its counts' second look.
	w.create(route("quiet", "quiet.example", "app"))
	w.acknowledged("quiet")
	w.counts("1 of 1 ready Envoys")
	after := w.versions()
	delete(after, "route quiet")
	// The Gateway counts one route more.
	delete(before, "gateway public")
	delete(after, "gateway public")
	if !maps.Equal(before, after) {
		for name, version := range after {
			if before[name] != version {
				w.Errorf("%s was written: it had version %s and has %s", name, before[name], version)
			}
		}
	}
}
