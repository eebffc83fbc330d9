package controller

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/proxy/controller/inbox"
	"headgate.dev/proxy/engine"
	"headgate.dev/proxy/kube"
	"headgate.dev/proxy/live"
	"headgate.dev/proxy/xds"
)

func httpRoute(uid types.UID, generation int64, version string) *gwv1.HTTPRoute {
	return &gwv1.HTTPRoute{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "r", UID: uid, Generation: generation, ResourceVersion: version}}
}

// startLoop has a loop make steps that serves nobody yet, and a tracker follow it.
func startLoop(t *testing.T) (*loop, *tracker) {
	l := newLoop(inbox.New(), slog.New(slog.DiscardHandler), Name)
	l.effects = func(uint64, *engine.Effects) {}
	tracker := newTracker("self", func(...kube.Ref) {})
	l.xds = xds.New(xds.Options{Changed: tracker.touch})
	l.taken = tracker.taken
	tracker.xds, tracker.behind, tracker.pinned, tracker.settle = l.xds, l.behind, l.pinned, l.settle
	l.next()
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	all.Go(func() { l.run(ctx) })
	all.Go(func() { tracker.run(ctx) })
	t.Cleanup(func() { cancel(); all.Wait(); l.xds.Stop(ctx) })
	return l, tracker
}

// An object that nobody serves is waited for until it has come, and then there is nothing to wait for.
func TestWaitForWhatNobodyServes(t *testing.T) {
	l, tracker := startLoop(t)
	wants := []Want{
		{Group: gwv1.GroupName, Kind: "HTTPRoute", Name: types.NamespacedName{Namespace: "a", Name: "r"}, UID: "u", Generation: 1},
		{Group: "apps", Kind: "Deployment", Name: types.NamespacedName{Namespace: "a", Name: "d"}, UID: "d", Generation: 1},
		{Kind: "Secret", Name: types.NamespacedName{Namespace: "a", Name: "s"}, UID: "s", ResourceVersion: "7"},
	}
	wait := (&Liveness{tracker}).Wait
	for _, step := range []struct {
		name string
		do   func()
		in   bool
	}{
		{"nothing has come", func() {}, false},
		{"the route has come", func() { l.inbox.Put(kube.ChangeOf(kube.HTTPRoute, httpRoute("u", 1, "1"))) }, false},
		{"Secrets are read up to before it", func() { l.inbox.PutUpTo(live.Point(nil).With(int(kube.Secret), 6)) }, false},
		{"and beyond: nobody names it", func() { l.inbox.PutUpTo(live.Point(nil).With(int(kube.Secret), 8)) }, true},
	} {
		step.do()
		limit := time.Minute
		if !step.in {
			limit = 50 * time.Millisecond
		}
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		got, err := wait(ctx, wants)
		cancel()
		if step.in != (err == nil) || !step.in && !errors.Is(err, context.DeadlineExceeded) || len(got.Gateways) != 0 {
			t.Errorf("%s: %+v, %v", step.name, got, err)
		}
	}
}

// A removal that only a list told has no version: the one that the object had was before it.
func TestHandlerOfUnseenRemovals(t *testing.T) {
	var got []string
	h := handler(func(o client.Object, gone bool) {
		got = append(got, fmt.Sprintf("%s%s %t", o.GetName(), o.GetResourceVersion(), gone))
	})
	there := httpRoute("u", 1, "7")
	h.OnAdd(there, false)
	h.OnDelete(there)
	h.OnDelete(toolscache.DeletedFinalStateUnknown{Key: "a/r", Obj: there})
	if want := []string{"r7 false", "r7 true", "r true"}; !slices.Equal(got, want) || there.ResourceVersion != "7" {
		t.Errorf("got %q, want %q", got, want)
	}
}
