//go:build cluster

package controller

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/agent/drift"
	"headgate.dev/schema"
)

// TestClusterLag tells what does not follow Git, and for how long; and a route of nobody that a Gateway of the Sync took.
func TestClusterLag(t *testing.T) {
	n := &night{world: newWorld(t, "headgate-lag-test")}
	repo := n.repository()
	first := repo.commit("Begin", "gateway.yaml", `apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: public}
spec:
  gatewayClassName: nobody
  listeners: [{name: http, port: 80, protocol: HTTP}]
`)
	n.start(Options{})
	n.sync = repo.sync("shop", func(s *schema.SyncSpec) { s.Drift = &schema.SyncDrift{Strangers: schema.DriftAlert} })
	n.ready(n.sync, first)
	says := func(text string) {
		t.Helper()
		n.until("the log says "+text, func(context.Context) error {
			if !strings.Contains(n.log.String(), text) {
				return errors.New("it does not")
			}
			return nil
		})
	}
	look := func(ahead time.Duration) {
		t.Helper()
		n.must(n.follows(func(f *follower) bool { f.lookForStrangers(); f.lag(f.now().Add(ahead)); return true }))
	}

	stranger := &gwv1.HTTPRoute{ObjectMeta: metav1.ObjectMeta{Namespace: n.namespace, Name: "by-hand"}}
	stranger.Spec.ParentRefs = []gwv1.ParentReference{{Name: "public"}}
	n.must(n.Create(t.Context(), stranger))
	stranger.Status.Parents = []gwv1.RouteParentStatus{{ParentRef: stranger.Spec.ParentRefs[0], ControllerName: "example.com/test", Conditions: []metav1.Condition{{
		Type: "Accepted", Status: metav1.ConditionTrue, Reason: "Accepted", LastTransitionTime: metav1.Now(),
	}}}}
	n.must(n.Status().Update(t.Context(), stranger))
	n.until("the cache has it", func(context.Context) error {
		all := &n.agent.drifts.attached
		all.mu.Lock()
		all.read = time.Time{}
		all.mu.Unlock()
		look(0)
		return n.follows(func(f *follower) bool { return len(f.strangers) == 1 })
	})
	says(`HTTPRoute headgate-lag-test/by-hand attaches to Gateway headgate-lag-test/public, and no Sync owns it" sync=headgate-lag-test/shop event=drift phase=opened`)
	n.must(n.Delete(t.Context(), stranger))
	n.until("it is known to be gone", func(context.Context) error {
		all := &n.agent.drifts.attached
		all.mu.Lock()
		all.read = time.Time{}
		all.mu.Unlock()
		look(0)
		return n.follows(func(f *follower) bool { return len(f.strangers) == 0 && len(f.lags) == 0 })
	})
	says("by-hand attaches to Gateway headgate-lag-test/public, and no Sync owns it\" sync=headgate-lag-test/shop event=drift phase=resolved")

	repo.commit("Typo", "cart.yaml", spec("cart", "cart.example.com")+"  hsts: true\n")
	n.condition(n.sync, schema.SyncReady, metav1.ConditionFalse, "", "")
	look(0)
	n.must(n.follows(func(f *follower) bool { return len(f.lags) == 0 })) // it may be mended in a moment
	// Between two calls of the test the follower looks by its own clock.
	behind := func() (lines []string) {
		t.Helper()
		n.must(n.follows(func(f *follower) bool {
			f.lag(f.now().Add(drift.LagAfter + time.Second))
			if l, told := f.lags[drift.LagStale]; told {
				lines = append(lines, l.Title, l.Lines[0])
			}
			return true
		}))
		return lines
	}
	got := behind()
	if len(got) != 2 || got[0] != "Sync headgate-lag-test/shop is stale: the cluster stays at main@sha1:"+first || !strings.Contains(got[1], "cart.yaml:7:3") {
		t.Errorf("a commit that is refused: %q", got)
	}
	says("event=stale phase=opened")
	third := repo.commit("Mend", "cart.yaml", "")
	n.ready(n.sync, third)
	n.until("it is over", func(context.Context) error {
		if got := behind(); got != nil {
			return fmt.Errorf("it is %q", got)
		}
		return nil
	})
	says("event=stale phase=resolved")
}
