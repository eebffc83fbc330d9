package controller

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/proxy/engine"
	"headgate.dev/proxy/kube"
	"headgate.dev/proxy/xds"
)

func httpRoute(uid types.UID, generation int64, version string) *gwv1.HTTPRoute {
	return &gwv1.HTTPRoute{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "r", UID: uid, Generation: generation, ResourceVersion: version}}
}

func TestTakenIn(t *testing.T) {
	write := Want{UID: "u", Generation: 2, ResourceVersion: "20"}
	unversioned := Want{UID: "u", ResourceVersion: "20"}
	removal := Want{UID: "u", ResourceVersion: "20", Removed: true}
	for _, c := range []struct {
		name string
		want Want
		is   kube.Object
		in   bool
	}{
		{"a write that has not come", write, nil, false},
		{"an earlier generation", write, httpRoute("u", 1, "19"), false},
		{"the generation", write, httpRoute("u", 2, "20"), true},
		{"a later generation", write, httpRoute("u", 3, "100"), true},
		{"a kind without generations, before", unversioned, &corev1.Service{ObjectMeta: metav1.ObjectMeta{UID: "u", ResourceVersion: "9"}}, false},
		{"a kind without generations, after", unversioned, &corev1.Service{ObjectMeta: metav1.ObjectMeta{UID: "u", ResourceVersion: "20"}}, true},
		{"an object of that name before it", write, httpRoute("older", 7, "19"), false},
		{"an object of that name after it", write, httpRoute("younger", 1, "21"), true},
		{"a removal", removal, nil, true},
		{"a removal that has not come", removal, httpRoute("u", 2, "21"), false},
		{"a removal, and another object since", removal, httpRoute("younger", 1, "30"), true},
	} {
		if got := c.want.takenIn(c.is); got != c.in {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

// newLoop makes a loop that serves nobody yet.
func newLoop(t *testing.T) *loop {
	l := &loop{
		inbox: newInbox(), log: slog.New(slog.DiscardHandler), effects: func(uint64, *engine.Effects) {}, fleets: map[string]struct{}{},
		engine: engine.New(engine.Options{Controller: Name}), xds: xds.New(xds.Options{}),
	}
	l.next()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); l.run(ctx) }()
	t.Cleanup(func() { cancel(); <-done; l.xds.Stop(ctx) })
	return l
}

// An object that nobody serves is waited for until it has come, and then there is nothing to wait for.
func TestWaitForWhatNobodyServes(t *testing.T) {
	l := newLoop(t)
	wants := []Want{
		{Group: gwv1.GroupName, Kind: "HTTPRoute", Name: types.NamespacedName{Namespace: "a", Name: "r"}, UID: "u", Generation: 1},
		{Group: "apps", Kind: "Deployment", Name: types.NamespacedName{Namespace: "a", Name: "d"}, UID: "d", Generation: 1},
		{Kind: "Secret", Name: types.NamespacedName{Namespace: "a", Name: "s"}, UID: "s"},
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := l.wait(ctx, wants); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("before the object has come: %v", err)
	}
	l.inbox.put(kube.ChangeOf(kube.HTTPRoute, httpRoute("u", 1, "1")))
	live, err := l.wait(t.Context(), wants)
	if err != nil || len(live.Gateways) != 0 || !live.Everywhere() {
		t.Errorf("%+v, %v", live, err)
	}
}
