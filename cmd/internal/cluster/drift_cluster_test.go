//go:build cluster

package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/schema"
)

const cartFile = `apiVersion: headgate.dev/v1alpha1
kind: ServiceSpec
metadata: {name: cart}
spec:
  hosts: [cart.example.com]
  port: 8080
  routes:
  - path: /
    timeout: 10s
`

// until waits until f finds nothing wrong.
func (w *world) until(what string, f func() error) {
	w.Helper()
	limit := time.After(30 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := f()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-limit:
			w.Fatalf("%s: %v", what, err)
		}
	}
}

// timeoutIs waits until the live route has a timeout.
func (w *world) timeoutIs(want string) {
	w.Helper()
	w.until("the timeout is "+want, func() error {
		var r gwv1.HTTPRoute
		if err := w.client.Get(w.Context(), client.ObjectKey{Namespace: w.namespace, Name: "cart"}, &r); err != nil {
			return err
		}
		if t := r.Spec.Rules[0].Timeouts; t == nil || t.Request == nil || string(*t.Request) != want {
			return fmt.Errorf("it is %+v", t)
		}
		return nil
	})
}

// edit is somebody with kubectl at three in the morning.
func (w *world) edit(timeout string) {
	w.Helper()
	w.tool("kubectl", "patch", "httproute", "cart", "-n", w.namespace, "--field-manager=kubectl-edit", "--type=json",
		"-p", `[{"op":"replace","path":"/spec/rules/0/timeouts/request","value":"`+timeout+`"}]`)
}

// shows waits until a command prints something.
func (w *world) shows(line string, parts ...string) {
	w.Helper()
	w.until("headgate "+line, func() error {
		out := w.ok(line)
		for _, part := range parts {
			if !strings.Contains(out, part) {
				return fmt.Errorf("%q is not in\n%s", part, out)
			}
		}
		return nil
	})
}

// driftPolicy changes what the Sync says about drift.
func (w *world) driftPolicy(s *schema.Sync, d *schema.SyncDrift) {
	w.Helper()
	w.until("the policy is changed", func() error {
		if err := w.client.Get(w.Context(), client.ObjectKeyFromObject(s), s); err != nil {
			return err
		}
		s.Spec.Drift = d
		return w.client.Update(w.Context(), s)
	})
}

// TestClusterDriftAnswers is three in the morning with each policy: kubectl changes a route, and the commands show and answer it.
func TestClusterDriftAnswers(t *testing.T) {
	w := newWorld(t, "headgate-night")
	w.commit("Begin", "cart.yaml", cartFile)
	wait := false
	s := &schema.Sync{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "shop"}}
	s.Spec = schema.SyncSpec{URL: w.url, Interval: "1s", ServiceAccountName: "deployer", Gateway: "edge/public", Wait: &wait}
	w.must(w.client.Create(t.Context(), s))
	w.timeoutIs("10s")
	w.shows("drift list", "nothing is drifted")

	// The policy alerts: it is shown, and put back when somebody asks for it.
	w.edit("60s")
	w.shows("drift list", "HTTPRoute headgate-night/cart · Sync headgate-night/shop · open since", "10s (Git, cart.yaml:9) → 60s (live)", "by kubectl-edit", "policy: alert")
	w.shows("drift show headgate-night/cart", "spec.rules[0].timeouts.request: kubectl-edit update, 20")
	w.timeoutIs("60s")
	w.ok("drift correct HTTPRoute/headgate-night/cart")
	w.timeoutIs("10s")
	w.shows("drift list", "nothing is drifted")
	w.shows("drift list --all", "over", "put back by headgate after", "put back 1 times")

	// It is kept: what adopt prints is applied to the repository, and once that is followed nothing is drifted.
	w.edit("70s")
	w.shows("drift list", "→ 70s (live)")
	patch := exec.CommandContext(t.Context(), "git", "apply", "--unidiff-zero", "-")
	patch.Dir, patch.Stdin = w.repo.Dir, strings.NewReader(w.ok("drift adopt headgate-night/cart --dir "+w.repo.Dir))
	if out, err := patch.CombinedOutput(); err != nil {
		t.Fatalf("what adopt prints is no patch: %v: %s", err, out)
	}
	w.commit("Keep what was done at night")
	w.shows("drift list", "nothing is drifted")
	w.shows("drift list --all", "Git has the live value now after")
	w.timeoutIs("70s")

	// It is ignored from now on; and can be put back all the same.
	w.edit("80s")
	w.shows("drift list", "→ 80s (live)", "policy: alert")
	out, _, err := run(t, "drift", "ignore", "headgate-night/cart", "-n", w.namespace)
	w.must(err)
	w.has(out, `"fields":\["/spec/rules/0/timeouts/request"\],"policy":"ignore"`)
	w.shows("drift list", "policy: ignore")
	w.ok("drift correct headgate-night/cart")
	w.timeoutIs("70s")

	// The policy corrects: it is over before anybody looks.
	w.driftPolicy(s, &schema.SyncDrift{Policy: schema.DriftCorrect})
	w.edit("90s")
	w.timeoutIs("70s")
	w.shows("drift list --all", "→ 90s (live)", "policy: correct · put back by headgate after")
	if _, _, err := run(t, "drift", "correct", "headgate-night/cart", "-n", w.namespace); err == nil || !strings.Contains(err.Error(), "is not drifted") {
		t.Errorf("correcting what is not drifted: %v", err)
	}
	if _, _, err := run(t, "drift", "show", "headgate-night/other", "-n", w.namespace); err == nil || !strings.Contains(err.Error(), "drift list --all") {
		t.Errorf("about what nobody knows: %v", err)
	}
}

// TestClusterNotifyTest asks for test notices: each receiver's answer is said, and a filter keeps none back.
func TestClusterNotifyTest(t *testing.T) {
	w := newWorld(t, "headgate-notify-test")
	got := make(chan string, 10)
	sink := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, q *http.Request) {
		if q.URL.Path != "/hook" {
			out.WriteHeader(http.StatusNotFound)
			return
		}
		body, _ := io.ReadAll(q.Body)
		got <- q.Header.Get("Ce-Type") + " " + string(body)
	}))
	t.Cleanup(sink.Close)
	w.commit("Begin", "broken.yaml", typo) // nothing was ever applied: receivers can be tried all the same
	s := &schema.Sync{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "shop"}}
	s.Spec = schema.SyncSpec{URL: w.url, Interval: "1h", ServiceAccountName: "deployer", Gateway: "edge/public", Notify: []schema.SyncNotify{
		{Name: "on-call", Type: schema.NotifyWebhook, URL: sink.URL + "/hook", Events: []schema.NotifyEventType{schema.EventPreview}, Severity: "critical"},
		{Name: "chat", Type: schema.NotifySlack, URL: sink.URL + "/no"},
		{Name: "key", Type: schema.NotifyWebhook, SecretRef: &schema.SyncSecret{Name: "missing"}},
	}}
	w.must(w.client.Create(t.Context(), s))

	w.has(w.ok("notify test shop --receiver on-call"), `^on-call +Webhook +delivered in \d+ ms\n$`)
	select {
	case body := <-got:
		if !strings.HasPrefix(body, "dev.headgate.test.noted {") || !strings.Contains(body, "This is a test of receiver on-call of Sync headgate-notify-test/shop") {
			t.Errorf("it got %s", body)
		}
	default:
		t.Error("it is said to be delivered, and was not")
	}
	out, _, err := run(t, "notify", "test", "shop", "-n", w.namespace)
	if !errors.Is(err, ErrNotDelivered) {
		t.Errorf("two are broken: %v", err)
	}
	w.has(out, `(?m)^on-call +Webhook +delivered in`, `(?m)^chat +Slack +not delivered: 127.0.0.1 answers 404 Not Found$`, `(?m)^key +Webhook +not delivered: reading Secret missing: `)
	<-got

	if _, _, err := run(t, "notify", "test", "shop", "--receiver", "oncall", "-n", w.namespace); err == nil || !strings.Contains(err.Error(), "did you mean on-call?") {
		t.Errorf("a receiver that is not there: %v", err)
	}
	// The commit that was refused is told as it is to all who want it, and who did not take it is in the status.
	w.until("the status says who cannot be told", func() error {
		if err := w.client.Get(context.Background(), client.ObjectKeyFromObject(s), s); err != nil {
			return err
		}
		if n := s.Status.Notify; n == nil || len(n.Troubles) != 2 || n.Troubles[0].Name != "chat" || !strings.Contains(n.Troubles[0].Error, "404") {
			return fmt.Errorf("it is %+v", s.Status.Notify)
		}
		return nil
	})
	if len(got) > 0 {
		t.Errorf("a filter let through %s", <-got)
	}
}
