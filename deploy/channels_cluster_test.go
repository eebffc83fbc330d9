//go:build cluster

package deploy

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/schema"
)

const channelsNamespace = "headgate-channels-test"

// The kinds of Gateway API come and go under a running controller: a whole channel is replaced by the other, a kind is removed
// while it is in use, is not there when the controller starts, and comes back.
//
// It takes all Gateways and routes of the cluster away, so that it has a run of its own, after the others.
func TestClusterChannels(t *testing.T) {
	w := newWorld(t)
	w.install()
	w.clear(channelsNamespace)
	w.removeManifests()
	defer func() {
		w := w.in(t)
		w.tool("crds", "standard", "--replace")
		w.clear(channelsNamespace)
	}()
	w.tool("crds", "experimental", "--replace")
	w.applyDefault() // the class went with its kind
	w.steadyIn(channelsNamespace)
	stop := w.traffic(t, "steady.example")
	t.Run("kind removed", func(t *testing.T) { w.in(t).kindRemoved() })
	t.Run("kind missing at start", func(t *testing.T) { w.in(t).kindMissing() })
	stop()
	t.Run("old version", func(t *testing.T) { w.in(t).oldVersion() })
	t.Run("experimental fields", func(t *testing.T) { w.in(t).experimentalFields() })
}

// steadyIn makes a namespace with a Gateway, and a route that is to go on whatever happens.
func (w *world) steadyIn(namespace string) {
	w.Helper()
	w.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})
	one := int32(1)
	at := func(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Namespace: namespace, Name: name} }
	w.create(&schema.ProxyConfig{ObjectMeta: at("small"), Spec: schema.ProxyConfigSpec{
		Replicas: &one, Concurrency: &one, Drain: &schema.ProxyDrain{Delay: "0s", Timeout: "5s"},
	}})
	g := &gwv1.Gateway{ObjectMeta: at("public")}
	g.Spec.GatewayClassName = "headgate"
	g.Spec.Listeners = []gwv1.Listener{
		{Name: "http", Port: 80, Protocol: gwv1.HTTPProtocolType},
		{Name: "udp", Port: 5353, Protocol: gwv1.UDPProtocolType},
	}
	g.Spec.Infrastructure = &gwv1.GatewayInfrastructure{ParametersRef: &gwv1.LocalParametersReference{
		Group: schema.Group, Kind: schema.KindProxyConfig, Name: "small",
	}}
	w.create(g)
	w.serviceIn(namespace, "steady", w.backend(w.T, "steady"))
	r := route("steady", "steady.example", "steady")
	r.Namespace = namespace
	w.create(r)
	w.until("Gateway "+namespace+"/public has an address", 2*time.Minute, func(ctx context.Context) error {
		if err := w.Get(ctx, client.ObjectKeyFromObject(g), g); err != nil {
			return err
		}
		if !meta.IsStatusConditionTrue(g.Status.Conditions, string(gwv1.GatewayConditionProgrammed)) || len(g.Status.Addresses) == 0 {
			return fmt.Errorf("its status is %+v", g.Status)
		}
		w.address = g.Status.Addresses[0].Value
		return nil
	})
	w.appears("steady.example", "steady")
}

// udpRoute makes a UDPRoute, or an error as long as the API server does not serve the kind.
func (w *world) udpRoute(ctx context.Context, name string) error {
	port := gwv1.PortNumber(80)
	r := &gwv1.UDPRoute{ObjectMeta: metav1.ObjectMeta{Namespace: channelsNamespace, Name: name}}
	section := gwv1.SectionName("udp")
	r.Spec.ParentRefs = []gwv1.ParentReference{{Name: "public", SectionName: &section}}
	r.Spec.Rules = []gwv1.UDPRouteRule{{BackendRefs: []gwv1.BackendRef{{BackendObjectReference: gwv1.BackendObjectReference{Name: "steady", Port: &port}}}}}
	return w.Create(ctx, r)
}

// udpRouteIs waits until the route has a status of ours, and the listener counts it.
func (w *world) udpRouteIs(name string) {
	w.Helper()
	took := w.until("UDPRoute "+name+" has a status", 30*time.Second, func(ctx context.Context) error {
		r := &gwv1.UDPRoute{}
		if err := w.Get(ctx, client.ObjectKey{Namespace: channelsNamespace, Name: name}, r); err != nil {
			return err
		}
		if len(r.Status.Parents) != 1 || !meta.IsStatusConditionTrue(r.Status.Parents[0].Conditions, string(gwv1.RouteConditionAccepted)) {
			return fmt.Errorf("it is %+v", r.Status)
		}
		return nil
	})
	w.attachedToUDP(1)
	w.Logf("UDPRoute %s is attached %s after it was made", name, took.Round(time.Millisecond))
}

// attachedToUDP waits until the listener "udp" has n routes.
func (w *world) attachedToUDP(n int32) {
	w.Helper()
	w.until(fmt.Sprintf("the listener has %d routes", n), 30*time.Second, func(ctx context.Context) error {
		g := &gwv1.Gateway{}
		if err := w.Get(ctx, client.ObjectKey{Namespace: channelsNamespace, Name: "public"}, g); err != nil {
			return err
		}
		for _, l := range g.Status.Listeners {
			if l.Name == "udp" && l.AttachedRoutes == n {
				return nil
			}
		}
		return fmt.Errorf("its listeners are %+v", g.Status.Listeners)
	})
}

// removeUDP removes the kind UDPRoute with all its objects; comesBack brings it again, which the API server serves a moment later.
func (w *world) removeUDP() (comesBack func()) {
	w.Helper()
	const crd = "udproutes.gateway.networking.k8s.io"
	text := w.tool("kubectl", "get", "crd", crd, "--output=yaml")
	file := filepath.Join(w.TempDir(), "crd.yaml")
	if err := os.WriteFile(file, []byte(withoutServerFields(text)), 0o600); err != nil {
		w.Fatal(err)
	}
	w.tool("kubectl", "delete", "crd", crd, "--timeout=60s")
	return func() {
		w.Helper()
		w.tool("kubectl", "create", "-f", file)
	}
}

// withoutServerFields drops what only the API server may say.
func withoutServerFields(manifest string) string {
	var out []string
	for line := range strings.SplitSeq(manifest, "\n") {
		if line == "status:" {
			break
		}
		field, _, _ := strings.Cut(strings.TrimSpace(line), ":")
		if strings.HasPrefix(line, "  ") && (field == "uid" || field == "resourceVersion" || field == "creationTimestamp" || field == "generation") &&
			!strings.HasPrefix(line, "   ") {
			continue
		}
		out = append(out, line)
	}
	return strings.Join(out, "\n")
}

// kindRemoved: the routes of a kind go with it, the others do not notice, and when it is back it works as before.
func (w *world) kindRemoved() {
	if err := w.udpRoute(w.Context(), "before"); err != nil {
		w.Fatal(err)
	}
	w.udpRouteIs("before")
	comesBack := w.removeUDP()
	w.attachedToUDP(0)
	w.newRoute("while-removed")
	comesBack()
	w.until("a UDPRoute can be made again", 30*time.Second, func(ctx context.Context) error { return w.udpRoute(ctx, "again") })
	w.udpRouteIs("again")
	w.newRoute("after-removed")
}

// newRoute makes a HTTPRoute and waits until it serves.
func (w *world) newRoute(name string) {
	w.Helper()
	r := route(name, name+".example", "steady")
	r.Namespace = channelsNamespace
	w.create(r)
	w.Logf("a route is served after %s", w.serves(name+".example", "steady").Round(time.Millisecond))
}

// kindMissing: a controller that starts without a kind serves the others, and takes the kind up when it is there.
func (w *world) kindMissing() {
	comesBack := w.removeUDP()
	w.scale(0)
	w.scale(1)
	w.newRoute("without-kind")
	w.attachedToUDP(0)
	comesBack()
	w.until("a UDPRoute can be made", 30*time.Second, func(ctx context.Context) error { return w.udpRoute(ctx, "later") })
	w.udpRouteIs("later")
}

// oldVersion applies the manifest with a version that only the experimental channel serves, as it is.
func (w *world) oldVersion() {
	w.tool("load-postgres", postgresImage)
	w.tool("kubectl", "apply", "-f", filepath.Join(manifests, "http.yaml")) // the class
	w.toolWith(postgresServer, "kubectl", "apply", "-f", "-")
	w.Cleanup(w.removeManifests)
	w.tool("kubectl", "apply", "-f", filepath.Join(manifests, "postgres.yaml"))
	w.address = w.programmed("postgres-gateway")
	w.until("PostgreSQL answers", 2*time.Minute, func(context.Context) error {
		var count counter
		if err := w.psql(nil, &count, "select 1"); err != nil || count.n == 0 {
			return errors.Join(err, errors.New("no answer"))
		}
		return nil
	})
}

// experimentalFields: a route with a field of the experimental channel that is not ours to honour hurts no other route, and itself
// serves or says why not.
func (w *world) experimentalFields() {
	w.in(w.T).steadyAgain()
	const manifest = `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: sticky, namespace: ` + channelsNamespace + `}
spec:
  parentRefs: [{name: public}]
  hostnames: [sticky.example]
  rules:
  - backendRefs: [{name: steady, port: 80}]
    sessionPersistence: {cookie: {name: s}}
`
	w.toolWith(manifest, "kubectl", "apply", "-f", "-")
	w.until("the route says whether it is accepted", 30*time.Second, func(ctx context.Context) error {
		r := &gwv1.HTTPRoute{}
		if err := w.Get(ctx, client.ObjectKey{Namespace: channelsNamespace, Name: "sticky"}, r); err != nil {
			return err
		}
		if len(r.Status.Parents) == 0 {
			return errors.New("it has no status")
		}
		c := meta.FindStatusCondition(r.Status.Parents[0].Conditions, string(gwv1.RouteConditionAccepted))
		code, _, err := w.ask(ctx, "sticky.example")
		w.Logf("session persistence: Accepted is %s, %s: %s; requests are answered %d", c.Status, c.Reason, c.Message, code)
		if want := map[metav1.ConditionStatus]int{metav1.ConditionTrue: http.StatusOK}[c.Status]; want != 0 && code != want {
			err = errors.Join(err, fmt.Errorf("an accepted route answers %d", code))
		}
		return err
	})
	w.newRoute("beside-sticky")
}

// steadyAgain finds the address of the namespace's Gateway again.
func (w *world) steadyAgain() {
	w.Helper()
	g := &gwv1.Gateway{}
	if err := w.Get(w.Context(), client.ObjectKey{Namespace: channelsNamespace, Name: "public"}, g); err != nil {
		w.Fatal(err)
	}
	w.address = g.Status.Addresses[0].Value
}
