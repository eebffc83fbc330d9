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

	"headgate.dev/schema"
)

// refusedByEnvoy: a commit that the API server takes and an Envoy does not, because its port is the one at which that pod answers probes. The
// Sync and the host say which object of which file that is and in which commit; what was served is served; and once there is a proxy that
// has the port, another look says that the commit is live.
func (s *story) refusedByEnvoy(sync *schema.Sync) {
	const gateway = `apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: busy}
spec:
  gatewayClassName: ` + storyNamespace + `
  infrastructure: {parametersRef: {group: headgate.dev, kind: ProxyConfig, name: small}}
  listeners:
  - {name: http, port: 80, protocol: HTTP}
`
	s.git("fetch", "-q", "origin", "main")
	s.git("reset", "-q", "--hard", "origin/main")
	s.live(sync, s.propose("main", "Add a Gateway", "busy.yaml", gateway))
	before := s.address
	defer func() { s.address = before }()
	s.until("Gateway busy is programmed", time.Minute, func(ctx context.Context) error {
		g := &gwv1.Gateway{}
		if err := s.Get(ctx, client.ObjectKey{Namespace: storyNamespace, Name: "busy"}, g); err != nil {
			return err
		}
		if !meta.IsStatusConditionTrue(g.Status.Conditions, string(gwv1.GatewayConditionProgrammed)) || len(g.Status.Addresses) == 0 {
			return fmt.Errorf("its status is %+v", g.Status)
		}
		s.address = g.Status.Addresses[0].Value
		return nil
	})

	commit := s.propose("main", "Open a port", "busy.yaml", gateway+`  - {name: tcp, port: 19901, protocol: TCP}
---
apiVersion: gateway.networking.k8s.io/v1
kind: TCPRoute
metadata: {name: taken}
spec:
  parentRefs: [{name: busy, sectionName: tcp}]
  rules: [{backendRefs: [{name: shop, port: 80}]}]
`)
	where := "main@" + commit[:7] + ": busy.yaml:"
	message := s.liveIs(sync, metav1.ConditionFalse, "Refused", where)
	for _, want := range []string{"busy.yaml:11:1: ", "TCPRoute " + storyNamespace + "/taken: ", "cannot bind"} {
		if !strings.Contains(message, want) {
			s.Errorf("%q does not say %q", message, want)
		}
	}
	if text := s.told(commit, "failure"); !strings.Contains(text, "busy.yaml:") {
		s.Errorf("the host shows %q", text)
	}
	if code, _, err := s.ask(s.Context(), "nobody.example"); err != nil || code != http.StatusNotFound {
		s.Errorf("its other listener answers %d, %v", code, err)
	}

	s.until("another proxy has the port", 2*time.Minute, func(ctx context.Context) error {
		code, body, err := ask(ctx, net.JoinHostPort(s.address, "19901"), "any.example")
		if err == nil && (code != http.StatusOK || body != "the shop") {
			err = fmt.Errorf("status %d: %s", code, body)
		}
		return err
	})
	s.until("a look says that it is live", time.Minute, func(ctx context.Context) error {
		if err := s.Get(ctx, client.ObjectKeyFromObject(sync), sync); err != nil {
			return err
		}
		if sync.Status.Live != nil && strings.HasSuffix(sync.Status.Live.Revision, commit) {
			return nil
		}
		sync.Annotations = map[string]string{schema.ReconcileRequest: time.Now().String()}
		if err := s.Update(ctx, sync); err != nil {
			return err
		}
		return fmt.Errorf("its status is %+v", sync.Status)
	})
}

// liveIs waits until the Sync says whether what it applied is live, with a message that begins like this, and gives the message.
func (s *story) liveIs(sync *schema.Sync, want metav1.ConditionStatus, reason, begins string) (message string) {
	s.Helper()
	s.until(fmt.Sprintf("Live is %s: %s", want, begins), time.Minute, func(ctx context.Context) error {
		if err := s.Get(ctx, client.ObjectKeyFromObject(sync), sync); err != nil {
			return err
		}
		c := meta.FindStatusCondition(sync.Status.Conditions, schema.SyncLive)
		if c == nil || c.Status != want || c.Reason != reason || !strings.HasPrefix(c.Message, begins) {
			return fmt.Errorf("it is %+v", c)
		}
		message = c.Message
		return nil
	})
	return message
}
