package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"time"

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
	namespace       = "headgate-bench"
	systemNamespace = "headgate-system"
	gatewayName     = "bench"
	patience        = 2 * time.Minute
)

// cluster is the test cluster with the backends of all Services, which are in this process.
type cluster struct {
	options
	client.Client
	host    string // where pods reach this process
	ports   [2]int32
	address string // of the Gateway
	n       int    // routes there are
	asked   map[string]bool
}

// connect finds the cluster that the tool runs, and starts the backends: each answers its number.
func connect(ctx context.Context, o options) (*cluster, error) {
	c := &cluster{options: o, asked: map[string]bool{}}
	kubeconfig, err := c.run(ctx, "", o.tool, "kubeconfig")
	if err != nil {
		return nil, err
	}
	if err := os.Setenv("KUBECONFIG", strings.TrimSpace(kubeconfig)); err != nil {
		return nil, err
	}
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), gwv1.Install(scheme), schema.AddToScheme(scheme)); err != nil {
		return nil, err
	}
	cfg, err := config.GetConfig()
	if err != nil {
		return nil, err
	}
	cfg.QPS = -1
	if c.Client, err = client.New(cfg, client.Options{Scheme: scheme}); err != nil {
		return nil, err
	}
	api, err := url.Parse(cfg.Host)
	if err != nil {
		return nil, err
	}
	conn, err := new(net.Dialer).DialContext(ctx, "udp", api.Host)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	c.host = conn.LocalAddr().(*net.UDPAddr).IP.String()
	for i := range c.ports {
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort(c.host, "0"))
		if err != nil {
			return nil, err
		}
		c.ports[i] = int32(l.Addr().(*net.TCPAddr).Port)
		answer := []byte{byte('0' + i)}
		go func() { // ends with the program
			_ = http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(answer) }))
		}()
	}
	return c, nil
}

// run runs a program and returns what it prints.
func (c *cluster) run(ctx context.Context, stdin, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	var stderr bytes.Buffer
	cmd.Stdin, cmd.Stderr = strings.NewReader(stdin), &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, bytes.TrimSpace(stderr.Bytes()))
	}
	return string(out), nil
}

func (c *cluster) kubectl(ctx context.Context, stdin string, args ...string) error {
	_, err := c.run(ctx, stdin, c.tool, append([]string{"kubectl"}, args...)...)
	return err
}

// install installs the image with one replica, under a name that changes with it.
func (c *cluster) install(ctx context.Context) error {
	digest, err := os.ReadFile(strings.TrimSuffix(c.image, ".tar") + ".digest")
	if err != nil {
		return err
	}
	_, hash, ok := strings.Cut(strings.TrimSpace(string(digest)), "sha256:")
	if !ok || len(hash) < 12 {
		return fmt.Errorf("the digest beside the image is %q", digest)
	}
	name := "headgate.dev/headgate:" + hash[:12]
	if _, err := c.run(ctx, "", c.tool, "load-image", "--name", name, c.image); err != nil {
		return err
	}
	if _, err := c.run(ctx, "", c.tool, "crds", "standard"); err != nil {
		return err
	}
	if err := c.clear(ctx); err != nil {
		return err
	}
	manifests, err := c.run(ctx, "", c.headgate, "install", "--image", name, "--replicas", "1")
	if err != nil {
		return err
	}
	if err := c.kubectl(ctx, manifests, "apply", "--server-side", "--force-conflicts", "-f", "-"); err != nil {
		return err
	}
	if err := c.kubectl(ctx, "", "--namespace", systemNamespace, "rollout", "restart", "deployment/headgate"); err != nil {
		return err
	}
	if err := c.kubectl(ctx, "", "--namespace", systemNamespace, "rollout", "status", "deployment/headgate", "--timeout=2m"); err != nil {
		return err
	}
	return c.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})
}

// clear removes what a run leaves, and waits until it is gone.
func (c *cluster) clear(ctx context.Context) error {
	o := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
	if err := client.IgnoreNotFound(c.Delete(ctx, o)); err != nil {
		return err
	}
	return until(ctx, 10*patience, func() error {
		if err := c.Get(ctx, client.ObjectKeyFromObject(o), o); !apierrors.IsNotFound(err) {
			return fmt.Errorf("namespace %s is still there: %w", namespace, err)
		}
		return nil
	})
}

// until calls f each millisecond until it finds what it looks for.
func until(ctx context.Context, limit time.Duration, f func() error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		err := f()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("after %s: %w", limit, err)
		case <-tick.C:
		}
	}
}

func at(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Namespace: namespace, Name: name} }

// gateway makes a Gateway with a port for HTTP. With small it has one proxy, else what a Gateway has by itself.
func gateway(name string, small bool) *gwv1.Gateway {
	g := &gwv1.Gateway{ObjectMeta: at(name)}
	g.Spec.GatewayClassName = "headgate"
	g.Spec.Listeners = []gwv1.Listener{{Name: "http", Port: 80, Protocol: gwv1.HTTPProtocolType}}
	if small {
		g.Spec.Infrastructure = &gwv1.GatewayInfrastructure{ParametersRef: &gwv1.LocalParametersReference{
			Group: schema.Group, Kind: schema.KindProxyConfig, Name: "small",
		}}
	}
	return g
}

// prepare makes the Gateway of all routes and waits until it is programmed.
func (c *cluster) prepare(ctx context.Context) error {
	one := int32(1)
	config := &schema.ProxyConfig{ObjectMeta: at("small"), Spec: schema.ProxyConfigSpec{Replicas: &one, Drain: &schema.ProxyDrain{Delay: "0s", Timeout: "1s"}}}
	g := gateway(gatewayName, true)
	if err := errors.Join(c.Create(ctx, config), c.Create(ctx, g)); err != nil {
		return err
	}
	if err := c.backend(ctx, "other", 1); err != nil {
		return err
	}
	return until(ctx, patience, func() error {
		if err := c.Get(ctx, client.ObjectKeyFromObject(g), g); err != nil {
			return err
		}
		if !meta.IsStatusConditionTrue(g.Status.Conditions, string(gwv1.GatewayConditionProgrammed)) || len(g.Status.Addresses) == 0 {
			return fmt.Errorf("its status is %+v", g.Status.Conditions)
		}
		c.address = g.Status.Addresses[0].Value
		return nil
	})
}

// backend makes a Service that the backend with a number answers.
func (c *cluster) backend(ctx context.Context, name string, number int) error {
	s := &corev1.Service{ObjectMeta: at(name), Spec: corev1.ServiceSpec{ClusterIP: corev1.ClusterIPNone, Ports: []corev1.ServicePort{{Name: "http", Port: 80}}}}
	ready, portName := true, "http"
	e := &discoveryv1.EndpointSlice{
		ObjectMeta: at(name), AddressType: discoveryv1.AddressTypeIPv4,
		Endpoints: []discoveryv1.Endpoint{{Addresses: []string{c.host}, Conditions: discoveryv1.EndpointConditions{Ready: &ready}}},
		Ports:     []discoveryv1.EndpointPort{{Name: &portName, Port: &c.ports[number]}},
	}
	e.Labels = map[string]string{discoveryv1.LabelServiceName: name}
	return errors.Join(c.Create(ctx, s), c.Create(ctx, e))
}

// rule leads a path to a Service.
func rule(path, service string) gwv1.HTTPRouteRule {
	port, prefix := gwv1.PortNumber(80), gwv1.PathMatchPathPrefix
	return gwv1.HTTPRouteRule{
		Matches: []gwv1.HTTPRouteMatch{{Path: &gwv1.HTTPPathMatch{Type: &prefix, Value: &path}}},
		BackendRefs: []gwv1.HTTPBackendRef{{BackendRef: gwv1.BackendRef{
			BackendObjectReference: gwv1.BackendObjectReference{Name: gwv1.ObjectName(service), Port: &port}}}},
	}
}

func hostOf(route string) string { return route + ".bench.example" }

func route(name, service string) *gwv1.HTTPRoute {
	r := &gwv1.HTTPRoute{ObjectMeta: at(name)}
	r.Spec.ParentRefs = []gwv1.ParentReference{{Name: gatewayName}}
	r.Spec.Hostnames = []gwv1.Hostname{gwv1.Hostname(hostOf(name))}
	r.Spec.Rules = []gwv1.HTTPRouteRule{rule("/", service)}
	return r
}

func service(name string) *corev1.Service { return &corev1.Service{ObjectMeta: at(name)} }
