//go:build cluster

package deploy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/config"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/schema"
)

const (
	clusterNamespace = "headgate-controller-test"
	systemNamespace  = "headgate-system"
	clusterImage     = "headgate.dev/headgate:dev"
)

// world is a cluster with the controller in it, and a backend in this process, which pods reach at host.
type world struct {
	*testing.T
	client.Client
	host    string
	address string // of the Gateway
}

func TestClusterController(t *testing.T) {
	w := newWorld(t)
	t.Run("install", func(t *testing.T) { w.in(t).install() })
	t.Run("gateway", func(t *testing.T) { w.in(t).gateway() })
	t.Run("foreign class", func(t *testing.T) { w.in(t).foreignClass() })
	t.Run("routes", func(t *testing.T) { w.in(t).routes() })
	t.Run("live", func(t *testing.T) { w.in(t).live() })
	t.Run("quiet", func(t *testing.T) { w.in(t).quiet() })
	t.Run("endpoints", func(t *testing.T) { w.in(t).endpoints() })
	t.Run("repair", func(t *testing.T) { w.in(t).repair() })
	t.Run("identity", func(t *testing.T) { w.in(t).identity() })
	t.Run("streams", func(t *testing.T) { w.in(t).streams() })
	t.Run("rotation", func(t *testing.T) { w.in(t).rotation() })
	t.Run("restart", func(t *testing.T) { w.in(t).restart() })
	t.Run("missing config", func(t *testing.T) { w.in(t).missingConfig() })
	t.Run("removal", func(t *testing.T) { w.in(t).removal() })
}

func (w *world) in(t *testing.T) *world { w.T = t; return w }

func newWorld(t *testing.T) *world {
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), gwv1.Install(scheme), schema.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.GetConfig()
	if err != nil {
		t.Fatalf("%v; run make test-cluster", err)
	}
	cfg.QPS = -1
	c, err := client.New(cfg, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	api, err := url.Parse(cfg.Host)
	if err != nil {
		t.Fatal(err)
	}
	// The address of this machine towards the cluster is the one that pods reach it at.
	conn, err := net.Dial("udp", api.Host)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return &world{T: t, Client: c, host: conn.LocalAddr().(*net.UDPAddr).IP.String()}
}

// tool runs the test cluster's program, and returns what it says.
func (w *world) tool(args ...string) string {
	w.Helper()
	return w.toolWith("", args...)
}

// toolWith does the same, with something to read for it.
func (w *world) toolWith(stdin string, args ...string) string {
	w.Helper()
	binary := os.Getenv("HEADGATE_TESTCLUSTER")
	if binary == "" {
		w.Fatal("HEADGATE_TESTCLUSTER is not set; run make test-cluster")
	}
	cmd := exec.CommandContext(w.Context(), binary, args...)
	var out bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &out
	if err := cmd.Run(); err != nil {
		w.Fatalf("testcluster %s: %v: %s", strings.Join(args, " "), err, out.Bytes())
	}
	return out.String()
}

// until waits for a condition that f finds met; its error says what is not as it should be.
func (w *world) until(what string, limit time.Duration, f func(context.Context) error) time.Duration {
	w.Helper()
	start := time.Now()
	ctx, cancel := context.WithTimeout(w.Context(), limit)
	defer cancel()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		err := f(ctx)
		if err == nil {
			return time.Since(start)
		}
		select {
		case <-ctx.Done():
			w.Fatalf("%s: %v", what, err)
		case <-tick.C:
		}
	}
}

func (w *world) create(objects ...client.Object) {
	w.Helper()
	for _, o := range objects {
		if err := w.Create(w.Context(), o); err != nil {
			w.Fatalf("creating %T %s: %v", o, o.GetName(), err)
		}
	}
}

// gone waits until an object does not exist.
func (w *world) gone(o client.Object) {
	w.Helper()
	w.until(fmt.Sprintf("%T %s is to go", o, o.GetName()), time.Minute, func(ctx context.Context) error {
		err := w.Get(ctx, client.ObjectKeyFromObject(o), o)
		if apierrors.IsNotFound(err) {
			return nil
		}
		return errors.Join(err, errors.New("it is still there"))
	})
}

var visitor = &http.Client{
	Timeout:   5 * time.Second,
	Transport: &http.Transport{MaxIdleConnsPerHost: 4},
}

// ask sends a request to the Gateway and returns status and body.
func (w *world) ask(ctx context.Context, host string) (int, string, error) {
	return ask(ctx, w.address, host)
}

func ask(ctx context.Context, address, host string) (int, string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/", nil)
	if err != nil {
		return 0, "", err
	}
	request.Host = host
	return do(request)
}

func do(request *http.Request) (int, string, error) {
	response, err := visitor.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return response.StatusCode, string(body), err
}

// backend answers its name in this process, and gives its port.
func (w *world) backend(t *testing.T, name string) int32 {
	l, err := net.Listen("tcp", net.JoinHostPort(w.host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(out http.ResponseWriter, _ *http.Request) { fmt.Fprint(out, name) })}
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() { s.Close() })
	return int32(l.Addr().(*net.TCPAddr).Port)
}

func named(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: clusterNamespace, Name: name}
}

// service makes a Service without a selector, and its endpoints.
func service(name, host string, port int32) (*corev1.Service, *discoveryv1.EndpointSlice) {
	s := &corev1.Service{ObjectMeta: named(name), Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Name: "http", Port: 80}}}}
	ready, portName := true, "http"
	e := &discoveryv1.EndpointSlice{
		ObjectMeta: named(name), AddressType: discoveryv1.AddressTypeIPv4,
		Endpoints: []discoveryv1.Endpoint{{Addresses: []string{host}, Conditions: discoveryv1.EndpointConditions{Ready: &ready}}},
		Ports:     []discoveryv1.EndpointPort{{Name: &portName, Port: &port}},
	}
	e.Labels = map[string]string{discoveryv1.LabelServiceName: name}
	return s, e
}

func route(name, host, backend string) *gwv1.HTTPRoute {
	port := gwv1.PortNumber(80)
	r := &gwv1.HTTPRoute{ObjectMeta: named(name)}
	r.Spec.ParentRefs = []gwv1.ParentReference{{Name: "public"}}
	r.Spec.Hostnames = []gwv1.Hostname{gwv1.Hostname(host)}
	r.Spec.Rules = []gwv1.HTTPRouteRule{{BackendRefs: []gwv1.HTTPBackendRef{{BackendRef: gwv1.BackendRef{
		BackendObjectReference: gwv1.BackendObjectReference{Name: gwv1.ObjectName(backend), Port: &port}}}}}}
	return r
}

// installed: the controller of this checkout is in the cluster. It serves all tests that want one, until a story takes it away.
var installed bool

// install applies deploy/default with the image of this checkout, with one replica, and clears a namespace of its own away.
func (w *world) install() {
	w.clear(clusterNamespace)
	if installed {
		return
	}
	w.tool("crds", "standard")
	w.tool("load-image", "../bin/headgate-image.tar")
	w.applyDefault()
	installed = true
}

// clear removes what an earlier run may have left.
func (w *world) clear(namespace string) {
	old := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
	if err := client.IgnoreNotFound(w.Delete(w.Context(), old)); err != nil {
		w.Fatal(err)
	}
	w.gone(old)
}

func (w *world) applyDefault() {
	dir := w.TempDir()
	base, err := filepath.Abs("default")
	if err == nil {
		base, err = filepath.Rel(dir, base)
	}
	if err != nil {
		w.Fatal(err)
	}
	name, tag, _ := strings.Cut(clusterImage, ":")
	text := fmt.Sprintf("resources: [%s]\nimages: [{name: registry.headgate.dev/headgate, newName: %s, newTag: %s}]\nreplicas: [{name: headgate, count: 1}]\n", base, name, tag)
	if err := os.WriteFile(filepath.Join(dir, "kustomization.yaml"), []byte(text), 0o600); err != nil {
		w.Fatal(err)
	}
	start := time.Now()
	w.tool("kubectl", "apply", "--server-side", "--force-conflicts", "-k", dir)
	w.tool("kubectl", "-n", systemNamespace, "rollout", "restart", "deployment/headgate") // the image may be another one of the same name
	w.tool("kubectl", "-n", systemNamespace, "rollout", "status", "deployment/headgate", "--timeout=90s")
	w.Logf("installed after %s", time.Since(start).Round(time.Millisecond))
}

// gateway creates a Gateway and waits until it answers, and its status says so.
func (w *world) gateway() {
	one := int32(1)
	w.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: clusterNamespace}},
		&schema.ProxyConfig{ObjectMeta: named("small"), Spec: schema.ProxyConfigSpec{
			Replicas: &one, Concurrency: &one, Drain: &schema.ProxyDrain{Delay: "1s", Timeout: "5s"},
		}})
	g := &gwv1.Gateway{ObjectMeta: named("public")}
	g.Spec.GatewayClassName = "headgate"
	g.Spec.Listeners = []gwv1.Listener{{Name: "http", Port: 80, Protocol: gwv1.HTTPProtocolType}}
	g.Spec.Infrastructure = &gwv1.GatewayInfrastructure{ParametersRef: &gwv1.LocalParametersReference{
		Group: schema.Group, Kind: schema.KindProxyConfig, Name: "small",
	}}
	start := time.Now()
	w.create(g)
	w.until("the Gateway gets an address", time.Minute, func(ctx context.Context) error {
		if err := w.Get(ctx, client.ObjectKeyFromObject(g), g); err != nil {
			return err
		}
		if len(g.Status.Addresses) == 0 {
			return fmt.Errorf("it has none: %+v", g.Status.Conditions)
		}
		w.address = g.Status.Addresses[0].Value
		return nil
	})
	w.until("the Gateway answers", time.Minute, func(ctx context.Context) error {
		code, _, err := w.ask(ctx, "nobody.example")
		if err == nil && code != http.StatusNotFound {
			err = fmt.Errorf("status %d", code)
		}
		return err
	})
	w.Logf("the Gateway answers %s after it was created", time.Since(start).Round(time.Millisecond))
	w.until("the Gateway is programmed", time.Minute, func(ctx context.Context) error {
		if err := w.Get(ctx, client.ObjectKeyFromObject(g), g); err != nil {
			return err
		}
		for _, c := range []string{string(gwv1.GatewayConditionAccepted), string(gwv1.GatewayConditionProgrammed)} {
			got := meta.FindStatusCondition(g.Status.Conditions, c)
			if got == nil || got.Status != metav1.ConditionTrue || got.ObservedGeneration != g.Generation {
				return fmt.Errorf("condition %s is %+v", c, got)
			}
		}
		return nil
	})
	w.Logf("the Gateway is programmed %s after it was created", time.Since(start).Round(time.Millisecond))
}

// foreignClass finds a class of another controller as the API server made it.
func (w *world) foreignClass() {
	c := &gwv1.GatewayClass{ObjectMeta: metav1.ObjectMeta{Name: "headgate-controller-test-other"}}
	if err := client.IgnoreNotFound(w.Delete(w.Context(), c.DeepCopy())); err != nil {
		w.Fatal(err)
	}
	w.gone(c.DeepCopy())
	c.Spec.ControllerName = "example.com/other"
	w.create(c)
	w.Cleanup(func() { _ = w.Delete(context.Background(), c.DeepCopy()) })
	g := &gwv1.Gateway{ObjectMeta: named("other")}
	g.Spec.GatewayClassName = gwv1.ObjectName(c.Name)
	g.Spec.Listeners = []gwv1.Listener{{Name: "http", Port: 80, Protocol: gwv1.HTTPProtocolType}}
	w.create(g)
	// What is created after it is served, so it has been seen by then.
	s, e := service("foreign", w.host, w.backend(w.T, "foreign"))
	w.create(s, e, route("foreign", "foreign.example", "foreign"))
	w.appears("foreign.example", "foreign")
	for _, o := range []client.Object{c, g} {
		before := o.GetResourceVersion()
		if err := w.Get(w.Context(), client.ObjectKeyFromObject(o), o); err != nil {
			w.Fatal(err)
		}
		if o.GetResourceVersion() != before {
			w.Errorf("%T %s was written: %+v", o, o.GetName(), o)
		}
	}
}

// appears waits until a host is answered by a backend that was made with its route. Objects of three kinds come over three
// watches, in any order: before the endpoints have come it is 503.
func (w *world) appears(host, backend string) {
	w.Helper()
	w.until(host+" appears", 30*time.Second, func(ctx context.Context) error {
		code, body, err := w.ask(ctx, host)
		if err == nil && (code != http.StatusOK || body != backend) {
			err = fmt.Errorf("status %d: %s", code, body)
		}
		return err
	})
}

// serves waits until a host is answered by a backend; anything but 404 before that is an error.
func (w *world) serves(host, backend string) time.Duration {
	w.Helper()
	return w.until(host+" is served", 30*time.Second, func(ctx context.Context) error {
		code, body, err := w.ask(ctx, host)
		switch {
		case err != nil:
			w.Fatalf("asking %s: %v", host, err)
		case code == http.StatusOK && body == backend:
			return nil
		case code != http.StatusNotFound:
			w.Errorf("%s answers %d %q before it is served", host, code, body)
		}
		return fmt.Errorf("status %d: %s", code, body)
	})
}

// routes measures the time from the API write of a route to the first 200, and looks at the status of the last one.
func (w *world) routes() {
	s, e := service("app", w.host, w.backend(w.T, "app"))
	w.create(s, e, route("app", "app.example", "app"))
	w.appears("app.example", "app")
	var times []time.Duration
	for i := range 50 {
		name := fmt.Sprintf("app-%d", i)
		start := time.Now()
		w.create(route(name, name+".example", "app"))
		w.serves(name+".example", "app")
		times = append(times, time.Since(start))
	}
	slices.Sort(times)
	w.Logf("new route to first 200: p50 %s, max %s", times[len(times)/2], times[len(times)-1])
	start := time.Now()
	last := &gwv1.HTTPRoute{ObjectMeta: named("app-49")}
	w.until("the route has its status", 10*time.Second, func(ctx context.Context) error {
		if err := w.Get(ctx, client.ObjectKeyFromObject(last), last); err != nil {
			return err
		}
		if len(last.Status.Parents) != 1 {
			return fmt.Errorf("parents: %+v", last.Status.Parents)
		}
		for _, c := range []string{string(gwv1.RouteConditionAccepted), string(gwv1.RouteConditionResolvedRefs)} {
			if !meta.IsStatusConditionTrue(last.Status.Parents[0].Conditions, c) {
				return fmt.Errorf("conditions: %+v", last.Status.Parents[0].Conditions)
			}
		}
		return nil
	})
	var g gwv1.Gateway
	w.until("the Gateway counts its routes", 10*time.Second, func(ctx context.Context) error {
		if err := w.Get(ctx, client.ObjectKey{Namespace: clusterNamespace, Name: "public"}, &g); err != nil {
			return err
		}
		if n := g.Status.Listeners[0].AttachedRoutes; n != 52 {
			return fmt.Errorf("%d routes are attached, want 52", n)
		}
		return nil
	})
	w.Logf("statuses are right %s after the last route answered", time.Since(start).Round(time.Millisecond))
}

// endpoints moves a Service from one backend to another while somebody asks.
func (w *world) endpoints() {
	ports := map[string]int32{"one": w.backend(w.T, "one"), "two": w.backend(w.T, "two")}
	s, e := service("moving", w.host, ports["one"])
	w.create(s, e, route("moving", "moving.example", "moving"))
	w.appears("moving.example", "one")
	var times []time.Duration
	for i := range 20 {
		name := []string{"two", "one"}[i%2]
		port := ports[name]
		start := time.Now()
		e.Ports[0].Port = &port
		if err := w.Update(w.Context(), e); err != nil {
			w.Fatal(err)
		}
		w.until("traffic moves", 10*time.Second, func(ctx context.Context) error {
			code, body, err := w.ask(ctx, "moving.example")
			if err != nil || code != http.StatusOK {
				w.Fatalf("while endpoints move: %d %v", code, err)
			}
			if body != name {
				return fmt.Errorf("%s answers, want %s", body, name)
			}
			return nil
		})
		times = append(times, time.Since(start))
	}
	slices.Sort(times)
	w.Logf("EndpointSlice written to traffic there: p50 %s, max %s", times[len(times)/2], times[len(times)-1])
}

// traffic asks the Gateway of now again and again, and counts what is not a 200.
func (w *world) traffic(t *testing.T, host string) (stop func()) {
	address := w.address
	ctx, cancel := context.WithCancel(t.Context())
	var asked, failed atomic.Int64
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			code, _, err := ask(ctx, address, host)
			if ctx.Err() != nil {
				return
			}
			asked.Add(1)
			if err != nil || code != http.StatusOK {
				failed.Add(1)
				t.Logf("asking %s: %d %v", host, code, err)
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
		if failed.Load() > 0 {
			t.Errorf("%d of %d requests failed", failed.Load(), asked.Load())
		}
		t.Logf("%d requests were answered", asked.Load())
	}
}

// restart takes the controller away and brings it back, with two replicas: nobody notices, and no proxy is restarted.
func (w *world) restart() {
	s, e := service("steady", w.host, w.backend(w.T, "steady"))
	w.create(s, e, route("steady", "steady.example", "steady"))
	w.appears("steady.example", "steady")
	before := w.pods()
	stop := w.traffic(w.T, "steady.example")
	defer func() { stop() }()
	w.scale(0)
	w.scale(2)
	start := time.Now()
	w.create(route("later", "later.example", "steady"))
	w.serves("later.example", "steady")
	w.Logf("a route is served %s after two replicas were ready", time.Since(start).Round(time.Millisecond))
	var pods corev1.PodList
	if err := w.List(w.Context(), &pods, client.InNamespace(systemNamespace)); err != nil {
		w.Fatal(err)
	}
	for i := range pods.Items { // one after the other, whichever leads
		if err := w.Delete(w.Context(), &pods.Items[i]); client.IgnoreNotFound(err) != nil {
			w.Fatal(err)
		}
		w.gone(&pods.Items[i])
		name := fmt.Sprintf("after-%d", i)
		took := time.Now()
		w.create(route(name, name+".example", "steady"))
		w.serves(name+".example", "steady")
		w.Logf("a route is served %s after a replica went", time.Since(took).Round(time.Millisecond))
		w.scale(2)
	}
	if after := w.pods(); !slices.Equal(before, after) {
		w.Errorf("proxies were %v and are %v", before, after)
	}
	var d appsv1.Deployment
	if err := w.Get(w.Context(), client.ObjectKey{Namespace: clusterNamespace, Name: "public-headgate"}, &d); err != nil {
		w.Fatal(err)
	}
	if d.Generation > 2 {
		w.Errorf("the fleet's Deployment has generation %d: it was written again", d.Generation)
	}
	w.scale(1)
}

// scale sets the number of the controller's replicas, and waits until they are ready.
func (w *world) scale(n int) {
	w.tool("kubectl", "-n", systemNamespace, "scale", "deployment/headgate", fmt.Sprintf("--replicas=%d", n))
	w.tool("kubectl", "-n", systemNamespace, "rollout", "status", "deployment/headgate", "--timeout=90s")
	w.until("replicas are there", time.Minute, func(ctx context.Context) error {
		var d appsv1.Deployment
		if err := w.Get(ctx, client.ObjectKey{Namespace: systemNamespace, Name: "headgate"}, &d); err != nil {
			return err
		}
		if int(d.Status.ReadyReplicas) != n {
			return fmt.Errorf("%d are ready, want %d", d.Status.ReadyReplicas, n)
		}
		return nil
	})
}

// pods lists the proxies with the number of their restarts.
func (w *world) pods() []string { return w.podsIn(clusterNamespace) }

func (w *world) podsIn(namespace string) (out []string) {
	var pods corev1.PodList
	if err := w.List(w.Context(), &pods, client.InNamespace(namespace)); err != nil {
		w.Fatal(err)
	}
	for i := range pods.Items {
		p := &pods.Items[i]
		restarts := int32(0)
		for _, c := range p.Status.ContainerStatuses {
			restarts += c.RestartCount
		}
		out = append(out, fmt.Sprintf("%s %s %d", p.Name, p.UID, restarts))
	}
	slices.Sort(out)
	return out
}

// missingConfig takes the Gateway's ProxyConfig away: the status says so, and what runs goes on.
func (w *world) missingConfig() {
	before := w.pods()
	config := &schema.ProxyConfig{ObjectMeta: named("small")}
	if err := w.Get(w.Context(), client.ObjectKeyFromObject(config), config); err != nil {
		w.Fatal(err)
	}
	if err := w.Delete(w.Context(), config.DeepCopy()); err != nil {
		w.Fatal(err)
	}
	accepted := func(want metav1.ConditionStatus) func(context.Context) error {
		return func(ctx context.Context) error {
			var g gwv1.Gateway
			if err := w.Get(ctx, client.ObjectKey{Namespace: clusterNamespace, Name: "public"}, &g); err != nil {
				return err
			}
			c := meta.FindStatusCondition(g.Status.Conditions, string(gwv1.GatewayConditionAccepted))
			if c == nil || c.Status != want {
				return fmt.Errorf("Accepted is %+v", c)
			}
			return nil
		}
	}
	w.until("the Gateway is not accepted", 10*time.Second, accepted(metav1.ConditionFalse))
	if after := w.pods(); !slices.Equal(before, after) {
		w.Errorf("proxies were %v and are %v", before, after)
	}
	s, e := service("late", w.host, w.backend(w.T, "late"))
	w.create(s, e, route("late", "late.example", "late"))
	w.appears("late.example", "late")
}

// removal deletes the Gateway: its fleet goes.
func (w *world) removal() {
	g := &gwv1.Gateway{ObjectMeta: named("public")}
	if err := w.Delete(w.Context(), g); err != nil {
		w.Fatal(err)
	}
	for _, o := range []client.Object{&appsv1.Deployment{}, &corev1.Service{}, &corev1.ServiceAccount{}, &corev1.ConfigMap{}} {
		o.SetNamespace(clusterNamespace)
		o.SetName("public-headgate")
		w.gone(o)
	}
	r := &gwv1.HTTPRoute{ObjectMeta: named("steady")}
	w.until("the route forgets the Gateway", 10*time.Second, func(ctx context.Context) error {
		if err := w.Get(ctx, client.ObjectKeyFromObject(r), r); err != nil {
			return err
		}
		if len(r.Status.Parents) > 0 {
			return fmt.Errorf("it has parents %+v", r.Status.Parents)
		}
		return nil
	})
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: clusterNamespace}}
	if err := w.Delete(w.Context(), namespace); err != nil {
		w.Fatal(err)
	}
	w.gone(namespace)
}

// repair changes and deletes objects of the fleet: they are put back.
func (w *world) repair() {
	key := client.ObjectKey{Namespace: clusterNamespace, Name: "public-headgate"}
	var s corev1.Service
	if err := w.Get(w.Context(), key, &s); err != nil {
		w.Fatal(err)
	}
	edited := s.DeepCopy()
	edited.Spec.Selector["app.kubernetes.io/name"] = "somebody-else"
	if err := w.Patch(w.Context(), edited, client.MergeFrom(&s)); err != nil {
		w.Fatal(err)
	}
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name}}
	if err := w.Delete(w.Context(), account); err != nil {
		w.Fatal(err)
	}
	took := w.until("the fleet is as it was", 20*time.Second, func(ctx context.Context) error {
		var now corev1.Service
		if err := errors.Join(w.Get(ctx, key, &now), w.Get(ctx, key, account)); err != nil {
			return err
		}
		if got := now.Spec.Selector["app.kubernetes.io/name"]; got != "headgate-proxy" {
			return fmt.Errorf("the Service selects %s", got)
		}
		return nil
	})
	w.Logf("put back after %s", took.Round(time.Millisecond))
}
