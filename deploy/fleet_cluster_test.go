//go:build cluster

package deploy

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/proxy/fleet"
	"headgate.dev/schema"
)

const fleetNamespace = "headgate-fleet-test"

// fleetKey names the objects of the Gateway "public" in the test's namespace.
var fleetKey = client.ObjectKey{Namespace: fleetNamespace, Name: fleet.Name("public", "headgate")}

// A fleet is restarted, grows, shrinks, gets another controller and an autoscaler, and no request is lost over it.
func TestClusterFleet(t *testing.T) {
	w := newWorld(t)
	w.install()
	w.clear(fleetNamespace)
	defer func() { w.in(t).clear(fleetNamespace) }()
	w.steadyIn(fleetNamespace)
	for _, c := range []struct {
		name string
		test func(*world)
	}{
		{"grow", func(w *world) { w.resize(2) }},
		{"rolling restart", (*world).rollingRestart},
		{"scale down", func(w *world) { w.resize(1) }},
		{"another image of the controller", (*world).otherController},
		{"static address", (*world).staticAddress},
		{"autoscaler", (*world).autoscaler},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := w.in(t)
			stop, stopFresh := w.traffic(t, "steady.example"), w.freshTraffic(t, "steady.example")
			defer func() { stop(); stopFresh() }()
			c.test(w)
		})
	}
}

// freshTraffic asks over a new connection each time.
func (w *world) freshTraffic(t *testing.T, host string) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	address, done := w.address, make(chan struct{})
	fresh := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	asked := 0
	var problems []error
	go func() {
		defer close(done)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/", nil)
			if err == nil {
				request.Host = host
				var response *http.Response
				if response, err = fresh.Do(request); err == nil {
					if response.StatusCode != http.StatusOK {
						err = fmt.Errorf("status %d", response.StatusCode)
					}
					err = errors.Join(err, response.Body.Close())
				}
			}
			if ctx.Err() != nil {
				return
			}
			if asked++; err != nil {
				problems = append(problems, err)
			}
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	}()
	return func() {
		cancel()
		<-done
		if len(problems) > 0 {
			t.Errorf("%d of %d requests over new connections failed, the first with: %v", len(problems), asked, problems[0])
		}
		t.Logf("%d requests over new connections were answered", asked)
	}
}

// configure changes the fleet's ProxyConfig.
func (w *world) configure(edit func(*schema.ProxyConfigSpec)) {
	w.Helper()
	config := &schema.ProxyConfig{ObjectMeta: metav1.ObjectMeta{Namespace: fleetNamespace, Name: "small"}}
	if err := w.Get(w.Context(), client.ObjectKeyFromObject(config), config); err != nil {
		w.Fatal(err)
	}
	edit(&config.Spec)
	if err := w.Update(w.Context(), config); err != nil {
		w.Fatal(err)
	}
}

// resize changes the number of proxies and waits until there are as many, and those that are too many have left.
func (w *world) resize(n int32) {
	w.configure(func(s *schema.ProxyConfigSpec) {
		s.Replicas = &n
		s.Drain = &schema.ProxyDrain{Delay: "2s", Timeout: "10s"}
	})
	w.proxiesAre(n)
}

func (w *world) proxiesAre(n int32) {
	w.Helper()
	w.until(fmt.Sprintf("there are %d proxies", n), 2*time.Minute, func(ctx context.Context) error {
		var d appsv1.Deployment
		var pods corev1.PodList
		err := errors.Join(w.Get(ctx, fleetKey, &d),
			w.List(ctx, &pods, client.InNamespace(fleetNamespace), client.MatchingLabels{fleet.GatewayLabel: "public"}))
		if err != nil {
			return err
		}
		s := &d.Status
		if s.ObservedGeneration < d.Generation || s.UpdatedReplicas != n || s.ReadyReplicas != n || len(pods.Items) != int(n) {
			return fmt.Errorf("%d updated, %d ready, %d pods", s.UpdatedReplicas, s.ReadyReplicas, len(pods.Items))
		}
		return nil
	})
}

func (w *world) rollingRestart() {
	before := w.podsIn(fleetNamespace)
	w.tool("kubectl", "--namespace", fleetNamespace, "rollout", "restart", "deployment/"+fleetKey.Name)
	w.until("the pods are replaced", 2*time.Minute, func(context.Context) error {
		for _, p := range w.podsIn(fleetNamespace) {
			if slices.Contains(before, p) {
				return fmt.Errorf("%s is still there", p)
			}
		}
		return nil
	})
	w.proxiesAre(2)
}

// otherController has the controller run from an image of another name: its fleets keep what they have.
func (w *world) otherController() {
	const next = "headgate.dev/headgate:next"
	w.tool("load-image", "--name", next, "../bin/headgate-image.tar")
	before := w.podsIn(fleetNamespace)
	for _, image := range []string{next, clusterImage} {
		w.tool("kubectl", "--namespace", systemNamespace, "set", "image", "deployment/headgate", "controller="+image)
		w.tool("kubectl", "--namespace", systemNamespace, "rollout", "status", "deployment/headgate", "--timeout=90s")
		r := route("after-"+image[len(image)-3:], "after-"+image[len(image)-3:]+".example", "steady")
		r.Namespace = fleetNamespace
		w.create(r)
		w.serves(string(r.Spec.Hostnames[0]), "steady")
		if after := w.podsIn(fleetNamespace); !slices.Equal(before, after) {
			w.Errorf("with the controller of %s the proxies were %v and are %v", image, before, after)
		}
	}
}

// staticAddress asks for an address that nobody else gets.
func (w *world) staticAddress() {
	b := netip.MustParseAddr(w.address).As4()
	b[3] = 200 // of those that the test cluster gives, and not the next one
	static := netip.AddrFrom4(b).String()
	g := &gwv1.Gateway{ObjectMeta: metav1.ObjectMeta{Namespace: fleetNamespace, Name: "static"}}
	g.Spec.GatewayClassName = "headgate"
	g.Spec.Listeners = []gwv1.Listener{{Name: "http", Port: 80, Protocol: gwv1.HTTPProtocolType}}
	kind := gwv1.IPAddressType
	g.Spec.Addresses = []gwv1.GatewaySpecAddress{{Type: &kind, Value: static}}
	g.Spec.Infrastructure = &gwv1.GatewayInfrastructure{ParametersRef: &gwv1.LocalParametersReference{Group: schema.Group, Kind: schema.KindProxyConfig, Name: "small"}}
	w.create(g)
	w.until("the Gateway has its address", 2*time.Minute, func(ctx context.Context) error {
		if err := w.Get(ctx, client.ObjectKeyFromObject(g), g); err != nil {
			return err
		}
		if len(g.Status.Addresses) != 1 || g.Status.Addresses[0].Value != static ||
			!meta.IsStatusConditionTrue(g.Status.Conditions, string(gwv1.GatewayConditionProgrammed)) {
			return fmt.Errorf("its status is %+v", g.Status)
		}
		code, _, err := ask(ctx, static, "nobody.example")
		if err == nil && code != http.StatusNotFound {
			err = fmt.Errorf("status %d", code)
		}
		return err
	})
}

// autoscaler hands the number of proxies over: it grows to what the autoscaler has as its least, and shrinks to nothing in between.
func (w *world) autoscaler() {
	three := int32(3)
	w.configure(func(s *schema.ProxyConfigSpec) {
		s.Replicas, s.Autoscaling = nil, &schema.ProxyAutoscaling{Min: &three, Max: 4}
	})
	w.until("the autoscaler is there", 30*time.Second, func(ctx context.Context) error {
		return w.Get(ctx, fleetKey, &autoscalingv2.HorizontalPodAutoscaler{})
	})
	w.proxiesAre(3)
	one := int32(1)
	w.configure(func(s *schema.ProxyConfigSpec) { s.Replicas, s.Autoscaling = &one, nil })
	w.gone(&autoscalingv2.HorizontalPodAutoscaler{ObjectMeta: metav1.ObjectMeta{Namespace: fleetKey.Namespace, Name: fleetKey.Name}})
	w.proxiesAre(1)
}
