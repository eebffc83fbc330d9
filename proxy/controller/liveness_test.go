package controller

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/proxy/engine"
	"headgate.dev/proxy/kube"
	"headgate.dev/proxy/live"
	"headgate.dev/proxy/xds"
)

func httpRoute(uid types.UID, generation int64, version string) *gwv1.HTTPRoute {
	return &gwv1.HTTPRoute{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "r", UID: uid, Generation: generation, ResourceVersion: version}}
}

// What is known of a want, from the object as it was taken in last and up to where its kind was.
func TestFindWant(t *testing.T) {
	write := Want{UID: "u", Generation: 2, ResourceVersion: "20"}
	unversioned := Want{UID: "u", ResourceVersion: "20"}
	removal := Want{UID: "u", ResourceVersion: "20", Removed: true}
	lost := Want{UID: "u", Generation: 2}
	const far, near = 1000, 5
	for _, c := range []struct {
		name string
		want Want
		was  kube.Object // before it is nil
		is   kube.Object
		upTo uint64
		in   bool
	}{
		{"a write that has not come", write, nil, nil, near, false},
		{"an earlier generation", write, nil, httpRoute("u", 1, "19"), far, false},
		{"the generation", write, nil, httpRoute("u", 2, "20"), near, true},
		{"a later generation", write, nil, httpRoute("u", 3, "100"), near, true},
		{"a kind without generations, before", unversioned, nil, &corev1.Service{ObjectMeta: metav1.ObjectMeta{UID: "u", ResourceVersion: "9"}}, near, false},
		{"a kind without generations, after", unversioned, nil, &corev1.Service{ObjectMeta: metav1.ObjectMeta{UID: "u", ResourceVersion: "20"}}, near, true},
		{"an object of that name before it", write, nil, httpRoute("older", 7, "19"), near, false},
		{"an object of that name after it", write, nil, httpRoute("younger", 1, "21"), far, true},
		{"a write that somebody undid", write, nil, nil, far, true},
		{"a write that somebody undid, seen", lost, httpRoute("u", 2, "20"), nil, near, true},
		{"a write of which nothing is known", lost, nil, nil, far, false},
		{"a removal", removal, httpRoute("u", 2, "20"), nil, far, true},
		{"a removal of what has not come", removal, nil, nil, near, false},
		{"a removal that has not come", removal, nil, httpRoute("u", 2, "21"), far, false},
		{"a removal, and another object since", removal, nil, httpRoute("younger", 1, "30"), far, true},
		{"a removal, and another object before", removal, nil, httpRoute("older", 1, "3"), near, false},
	} {
		r := newRecords()
		p := live.Point(nil).With(int(kube.HTTPRoute), c.upTo)
		ref := kube.Ref{Kind: kube.HTTPRoute}
		if c.was != nil {
			r.put(ref, c.was, nil, p, time.Time{})
		}
		if c.was != nil || c.is != nil {
			r.put(ref, c.is, nil, p, time.Time{})
		}
		if _, in := r.find(kube.HTTPRoute, &c.want, p); in != c.in {
			t.Errorf("%s: %v", c.name, in)
		}
	}
}

// startLoop has a loop make steps that serves nobody yet, and a tracker follow it.
func startLoop(t *testing.T) (*loop, *tracker) {
	l := newLoop(newInbox(), slog.New(slog.DiscardHandler), Name)
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
	wait := Liveness{tracker}.Wait
	for _, step := range []struct {
		name string
		do   func()
		in   bool
	}{
		{"nothing has come", func() {}, false},
		{"the route has come", func() { l.inbox.put(kube.ChangeOf(kube.HTTPRoute, httpRoute("u", 1, "1"))) }, false},
		{"Secrets are read up to before it", func() { l.inbox.putUpTo(live.Point(nil).With(int(kube.Secret), 6)) }, false},
		{"and beyond: nobody names it", func() { l.inbox.putUpTo(live.Point(nil).With(int(kube.Secret), 8)) }, true},
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
