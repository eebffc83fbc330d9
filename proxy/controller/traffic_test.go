package controller

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/proxy/controller/inbox"
	"headgate.dev/proxy/engine"
	"headgate.dev/proxy/kube"
	"headgate.dev/proxy/live"
	"headgate.dev/proxy/xds"
)

// asker asks for traffic of a cluster with one Gateway.
type asker struct {
	*testing.T
	traffic *Traffic
	inbox   *inbox.Inbox
	clock   time.Time
}

func newAsker(t *testing.T) *asker {
	a := &asker{T: t, inbox: inbox.New(), clock: time.Unix(1_800_000_000, 0)}
	l := newLoop(a.inbox, slog.New(slog.DiscardHandler), Name)
	l.xds = xds.New(xds.Options{})
	l.effects = func(uint64, *engine.Effects) {}
	l.taken = func(uint64, live.Point, []kube.Change, *engine.Effects) {}
	r := &replica{loop: l, stepped: make(chan struct{})}
	close(r.stepped)
	a.traffic = &Traffic{replica: r, now: func() time.Time { return a.clock }}
	for _, o := range basics() {
		a.inbox.Put(kube.ChangeOf(kindOf(o), o))
	}
	l.next()
	return a
}

// ask gives who has what a route would ask for.
func (a *asker) ask(by, name string) (had []string, done func(bool)) {
	a.Helper()
	route, _ := pathRoute(name, "/", 1, 10)
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(route)
	if err != nil {
		a.Fatal(err)
	}
	content["apiVersion"], content["kind"] = gwv1.GroupVersion.String(), kube.HTTPRoute.String()
	claims, done, err := a.traffic.Claims(context.Background(), by, []map[string]any{content})
	if err != nil {
		a.Fatal(err)
	}
	for _, c := range claims {
		had = append(had, fmt.Sprintf("%s %s: %s of %s", c.Host, c.Request, c.By.Name.Name, c.Writer))
	}
	return had, done
}

func (a *asker) want(what string, got []string, want ...string) {
	a.Helper()
	if !slices.Equal(got, want) {
		a.Errorf("%s: got %q, want %q", what, got, want)
	}
}

// TestTrafficOfTwo: of two that ask for the same at one time the second is told that the first has it, until that has not written it after
// all, or what it wrote has had time to arrive.
func TestTrafficOfTwo(t *testing.T) {
	a := newAsker(t)
	none, done := a.ask("a/one", "first")
	a.want("the first", none)
	got, gotDone := a.ask("b/two", "second")
	a.want("the second", got, "shop.example /: first of a/one")
	gotDone(false)
	again, againDone := a.ask("a/one", "first")
	a.want("the first once more", again)
	againDone(false)
	done(false)
	got, gotDone = a.ask("b/two", "second")
	a.want("after nothing was written", got)
	gotDone(true)
	got, gotDone = a.ask("a/one", "first")
	a.want("after it was written", got, "shop.example /: second of b/two")
	gotDone(false)
	second, _ := pathRoute("second", "/", 1, 10)
	a.inbox.Put(kube.ChangeOf(kube.HTTPRoute, second))
	a.traffic.replica.loop.next()
	a.clock = a.clock.Add(arrives + time.Second)
	got, gotDone = a.ask("a/one", "first")
	a.want("after it has arrived", got, "shop.example /: second of ")
	gotDone(false)
	if n := len(a.traffic.asked); n != 0 {
		t.Errorf("%d are kept", n)
	}
}

// TestTrafficAtOnce: of many that ask for the same in the same instant exactly one gets it.
func TestTrafficAtOnce(t *testing.T) {
	a := newAsker(t)
	const n = 16
	had := make([][]string, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { had[i], _ = a.ask(fmt.Sprintf("a/%d", i), fmt.Sprintf("r-%d", i)) })
	}
	all.Wait()
	if free := slices.DeleteFunc(had, func(s []string) bool { return len(s) > 0 }); len(free) != 1 {
		t.Errorf("%d have it, want 1", len(free))
	}
}
