//go:build cluster

package deploy

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/proxy/resolve/condition"
)

// refused: an Envoy refuses a listener, because its port is the one at which that pod answers probes. What has to do with the listener
// says so; all else of the Gateway goes on changing; and once there is a pod that probes find elsewhere, the listener is served,
// without anybody having touched its route.
func (w *world) refused() {
	const manifest = `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: busy}
spec:
  gatewayClassName: headgate
  infrastructure: {parametersRef: {group: headgate.dev, kind: ProxyConfig, name: small}}
  listeners:
  - {name: http, port: 80, protocol: HTTP}
`
	before := w.address
	defer func() { w.address = before }()
	w.apply(manifest)
	beside := func(name string) {
		r := w.mistakeRoute(name)
		r.Spec.ParentRefs[0].Name = "busy"
		w.create(r)
		w.appears(name+".example", "steady")
	}
	w.until("Gateway busy has an address", time.Minute, func(ctx context.Context) error {
		g := &gwv1.Gateway{}
		if err := w.Get(ctx, client.ObjectKey{Namespace: mistakesNamespace, Name: "busy"}, g); err != nil {
			return err
		}
		if len(g.Status.Addresses) == 0 {
			return fmt.Errorf("its status is %+v", g.Status)
		}
		w.address = g.Status.Addresses[0].Value
		return nil
	})
	beside("beside")

	w.apply(manifest + `  - {name: tcp, port: 19901, protocol: TCP}
---
apiVersion: gateway.networking.k8s.io/v1
kind: TCPRoute
metadata: {name: taken}
spec:
  parentRefs: [{name: busy, sectionName: tcp}]
  rules: [{backendRefs: [{name: steady, port: 80}]}]
`)
	w.takenIs(metav1.ConditionFalse, "cannot bind")
	w.nowAnswers("beside.example", http.StatusOK, "steady")
	beside("further")
	w.until("another proxy has the port", 2*time.Minute, func(ctx context.Context) error {
		code, body, err := ask(ctx, net.JoinHostPort(w.address, "19901"), "any.example")
		if err == nil && (code != http.StatusOK || body != "steady") {
			err = fmt.Errorf("status %d: %s", code, body)
		}
		return err
	})
	w.takenIs(metav1.ConditionTrue, "")
}

// takenIs waits until the TCPRoute says whether Envoys have it, with a message that has a text in it.
func (w *world) takenIs(want metav1.ConditionStatus, text string) {
	w.Helper()
	w.until(fmt.Sprintf("TCPRoute taken: Live is %s", want), time.Minute, func(ctx context.Context) error {
		r := &gwv1.TCPRoute{}
		if err := w.Get(ctx, client.ObjectKey{Namespace: mistakesNamespace, Name: "taken"}, r); err != nil {
			return err
		}
		if len(r.Status.Parents) != 1 {
			return fmt.Errorf("parents: %+v", r.Status.Parents)
		}
		c := meta.FindStatusCondition(r.Status.Parents[0].Conditions, condition.Live)
		if c == nil || c.Status != want || c.ObservedGeneration != r.Generation || !strings.Contains(c.Message, text) {
			return fmt.Errorf("generation %d: %+v", r.Generation, c)
		}
		return nil
	})
}

// nowAnswers asks for a host, which must be answered like this now.
func (w *world) nowAnswers(host string, want int, text string) {
	w.Helper()
	if code, body, err := w.ask(w.Context(), host); err != nil || code != want || body != text {
		w.Errorf("%s answers %d %q: %v", host, code, body, err)
	}
}
