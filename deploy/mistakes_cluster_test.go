//go:build cluster

package deploy

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"
)

const (
	mistakesNamespace = "headgate-mistakes-test"
	// A ListenerSet has at most 64 listeners, so that these are two.
	listenersOfSets = 100
)

// Whatever is wrong, missing, or as large as it may be gets the condition that the specification has for it, and a route beside
// it keeps serving.
func TestClusterMistakes(t *testing.T) {
	w := newWorld(t)
	w.install()
	for _, namespace := range []string{mistakesNamespace, mistakesNamespace + "-2"} {
		w.clear(namespace)
	}
	w.steadyIn(mistakesNamespace)
	defer func() {
		for _, namespace := range []string{mistakesNamespace, mistakesNamespace + "-2"} {
			w.in(t).clear(namespace)
		}
	}()
	stop := w.traffic(t, "steady.example")
	for _, c := range []struct {
		name string
		test func(*world)
	}{
		{"certificates", (*world).certificates}, {"references", (*world).references}, {"services", (*world).services},
		{"large route", (*world).largeRoute}, {"many listeners", (*world).manyListeners}, {"names", (*world).names},
		{"refused by Envoy", (*world).refused},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(w.in(t)) })
	}
	stop()
}

func (w *world) apply(manifest string) {
	w.Helper()
	w.toolWith(manifest, "kubectl", "--namespace", mistakesNamespace, "apply", "--server-side", "-f", "-")
}

// listenerIs waits for a condition of a listener of a Gateway.
func (w *world) listenerIs(gateway, listener, condition, reason string) {
	w.Helper()
	w.until(fmt.Sprintf("listener %s/%s is %s %s", gateway, listener, condition, reason), 30*time.Second, func(ctx context.Context) error {
		g := &gwv1.Gateway{}
		if err := w.Get(ctx, client.ObjectKey{Namespace: mistakesNamespace, Name: gateway}, g); err != nil {
			return err
		}
		for _, l := range g.Status.Listeners {
			if string(l.Name) != listener {
				continue
			}
			if c := meta.FindStatusCondition(l.Conditions, condition); c != nil && c.Reason == reason && c.ObservedGeneration == g.Generation {
				return nil
			}
			return fmt.Errorf("it is %+v", l.Conditions)
		}
		return fmt.Errorf("the listeners are %+v", g.Status.Listeners)
	})
}

// routeIs waits for a condition of a route.
func (w *world) routeIs(name, condition, reason string) {
	w.Helper()
	w.until(fmt.Sprintf("route %s is %s %s", name, condition, reason), 30*time.Second, func(ctx context.Context) error {
		r := &gwv1.HTTPRoute{}
		if err := w.Get(ctx, client.ObjectKey{Namespace: mistakesNamespace, Name: name}, r); err != nil {
			return err
		}
		if len(r.Status.Parents) == 1 {
			c := meta.FindStatusCondition(r.Status.Parents[0].Conditions, condition)
			if c != nil && c.Reason == reason && c.ObservedGeneration == r.Generation {
				return nil
			}
		}
		return fmt.Errorf("it is %+v", r.Status)
	})
}

// answers waits until a host is answered with a code.
func (w *world) answers(host string, want int) {
	w.Helper()
	w.until(fmt.Sprintf("%s is answered %d", host, want), 30*time.Second, func(ctx context.Context) error {
		code, _, err := w.ask(ctx, host)
		if err == nil && code != want {
			err = fmt.Errorf("status %d", code)
		}
		return err
	})
}

func (w *world) mistakeRoute(name string) *gwv1.HTTPRoute {
	r := route(name, name+".example", "steady")
	r.Namespace = mistakesNamespace
	return r
}

// keyPair makes a certificate of a host that signs itself, and its key.
func (w *world) keyPair(host string) (certificate, key []byte) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		w.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{host}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &k.PublicKey, k)
	if err != nil {
		w.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		w.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
}

func (w *world) tlsSecret(name string, certificate, key []byte) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: mistakesNamespace, Name: name}, Type: corev1.SecretTypeTLS,
		Data: map[string][]byte{corev1.TLSCertKey: certificate, corev1.TLSPrivateKeyKey: key},
	}
}

// certificates: one that does not parse, and one whose Secret vanishes while it is in use.
func (w *world) certificates() {
	good := w.tlsSecret("good", nil, nil)
	good.Data[corev1.TLSCertKey], good.Data[corev1.TLSPrivateKeyKey] = w.keyPair("good.example")
	w.create(good, w.tlsSecret("bad", []byte("no certificate"), []byte("no key")))
	w.apply(`
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: public}
spec:
  gatewayClassName: headgate
  infrastructure: {parametersRef: {group: headgate.dev, kind: ProxyConfig, name: small}}
  listeners:
  - {name: http, port: 80, protocol: HTTP}
  - {name: good, port: 443, protocol: HTTPS, hostname: good.example, tls: {certificateRefs: [{name: good}]}}
  - {name: bad, port: 443, protocol: HTTPS, hostname: bad.example, tls: {certificateRefs: [{name: bad}]}}
`)
	w.listenerIs("public", "bad", "ResolvedRefs", "InvalidCertificateRef")
	w.listenerIs("public", "good", "Programmed", "Programmed")
	w.handshakes("good.example", true)
	if err := w.Delete(w.Context(), good); err != nil {
		w.Fatal(err)
	}
	w.listenerIs("public", "good", "ResolvedRefs", "InvalidCertificateRef")
	w.listenerIs("public", "http", "Programmed", "Programmed")
	w.handshakes("good.example", false)
}

// handshakes waits until a TLS connection comes about, or does not any more.
func (w *world) handshakes(host string, want bool) {
	w.Helper()
	w.until(fmt.Sprintf("a handshake with %s works: %t", host, want), 30*time.Second, func(ctx context.Context) error {
		d := tls.Dialer{Config: &tls.Config{ServerName: host, InsecureSkipVerify: true}}
		c, err := d.DialContext(ctx, "tcp", net.JoinHostPort(w.address, "443"))
		if err == nil {
			err = c.Close()
		}
		if (err == nil) != want {
			return fmt.Errorf("it does not do that: %w", err)
		}
		return nil
	})
}

// references that nothing permits.
func (w *world) references() {
	r := w.mistakeRoute("foreign")
	elsewhere := gwv1.Namespace("default")
	r.Spec.Rules[0].BackendRefs[0].Namespace = &elsewhere
	r.Spec.Rules[0].BackendRefs[0].Name = "kubernetes"
	port := gwv1.PortNumber(443)
	r.Spec.Rules[0].BackendRefs[0].Port = &port
	w.create(r)
	w.routeIs("foreign", "ResolvedRefs", "RefNotPermitted")
	w.answers("foreign.example", http.StatusInternalServerError)
}

// services: one that is deleted while it is in use, and endpoints at port 0.
func (w *world) services() {
	w.serviceIn(mistakesNamespace, "doomed", w.backend(w.T, "doomed"))
	r := w.mistakeRoute("doomed")
	r.Spec.Rules[0].BackendRefs[0].Name = "doomed"
	w.create(r)
	w.appears("doomed.example", "doomed")
	if err := w.Delete(w.Context(), &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: mistakesNamespace, Name: "doomed"}}); err != nil {
		w.Fatal(err)
	}
	w.routeIs("doomed", "ResolvedRefs", "BackendNotFound")
	w.answers("doomed.example", http.StatusInternalServerError)

	s, e := service("zero", w.host, 0)
	s.Namespace, e.Namespace = mistakesNamespace, mistakesNamespace
	zero := w.mistakeRoute("zero")
	zero.Spec.Rules[0].BackendRefs[0].Name = "zero"
	w.create(s, e, zero)
	w.answers("zero.example", http.StatusServiceUnavailable)
	w.routeIs("zero", "ResolvedRefs", "ResolvedRefs")
	slice := &discoveryv1.EndpointSlice{}
	if err := w.Get(w.Context(), client.ObjectKeyFromObject(e), slice); err != nil {
		w.Fatal(err)
	}
	mended := w.backend(w.T, "mended")
	slice.Ports[0].Port = &mended
	if err := w.Update(w.Context(), slice); err != nil {
		w.Fatal(err)
	}
	w.appears("zero.example", "mended")
}

// largeRoute has as many matches as a route may have.
func (w *world) largeRoute() {
	r := w.mistakeRoute("large")
	rule := r.Spec.Rules[0]
	r.Spec.Rules = nil
	exact := gwv1.PathMatchExact
	for i := range 16 {
		one := *rule.DeepCopy()
		for j := range 8 {
			path := fmt.Sprintf("/%d/%d", i, j)
			one.Matches = append(one.Matches, gwv1.HTTPRouteMatch{Path: &gwv1.HTTPPathMatch{Type: &exact, Value: &path}})
		}
		r.Spec.Rules = append(r.Spec.Rules, one)
	}
	w.create(r)
	w.routeIs("large", "Accepted", "Accepted")
	w.until("its last match serves", 30*time.Second, func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+w.address+"/15/7", nil)
		if err != nil {
			return err
		}
		request.Host = "large.example"
		response, err := visitor.Do(request)
		if err != nil {
			return err
		}
		if response.StatusCode != http.StatusOK {
			err = fmt.Errorf("status %d", response.StatusCode)
		}
		return firstOf(response.Body.Close(), err)
	})
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// manyListeners: a Gateway with all the listeners it may have, and a hundred more by ListenerSets.
func (w *world) manyListeners() {
	var text strings.Builder
	text.WriteString(`
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: public}
spec:
  gatewayClassName: headgate
  allowedListeners: {namespaces: {from: Same}}
  infrastructure: {parametersRef: {group: headgate.dev, kind: ProxyConfig, name: small}}
  listeners:
  - {name: http, port: 80, protocol: HTTP}
`)
	for i := range 62 { // with "http" and "udp", which is there already, 64
		fmt.Fprintf(&text, "  - {name: own-%d, port: 80, protocol: HTTP, hostname: own-%d.example}\n", i, i)
	}
	for i := range listenersOfSets {
		if i%50 == 0 {
			fmt.Fprintf(&text, `---
apiVersion: gateway.networking.k8s.io/v1
kind: ListenerSet
metadata: {name: set-%d}
spec:
  parentRef: {name: public}
  listeners:
`, i/50)
		}
		fmt.Fprintf(&text, "  - {name: more-%d, port: 80, protocol: HTTP, hostname: more-%d.example}\n", i, i)
	}
	w.apply(text.String())
	group, kind, section := gwv1.Group(gwv1.GroupName), gwv1.Kind("ListenerSet"), gwv1.SectionName("more-99")
	last := w.mistakeRoute("last")
	last.Spec.ParentRefs = []gwv1.ParentReference{{Group: &group, Kind: &kind, Name: "set-1", SectionName: &section}}
	last.Spec.Hostnames = nil
	w.create(last)
	w.appears("more-99.example", "steady")
	w.listenerIs("public", "own-61", "Programmed", "Programmed")
	w.until("the sets are programmed", 30*time.Second, func(ctx context.Context) error {
		for _, name := range []string{"set-0", "set-1"} {
			set := &gwv1.ListenerSet{}
			if err := w.Get(ctx, client.ObjectKey{Namespace: mistakesNamespace, Name: name}, set); err != nil {
				return err
			}
			programmed := 0
			for _, l := range set.Status.Listeners {
				if meta.IsStatusConditionTrue(l.Conditions, string(gwv1.ListenerEntryConditionProgrammed)) {
					programmed++
				}
			}
			if programmed != listenersOfSets/2 {
				return fmt.Errorf("%s has %d programmed listeners", name, programmed)
			}
		}
		return nil
	})
}

// names: a route and a Gateway with names as long as they may be, and a Gateway of the same name in another namespace.
func (w *world) names() {
	long := w.mistakeRoute(strings.Repeat("a", 253))
	long.Spec.Hostnames = []gwv1.Hostname{"long.example"}
	w.create(long)
	w.appears("long.example", "steady")

	other := mistakesNamespace + "-2"
	here := w.address
	w.steadyIn(other) // a Gateway "public", too, with a route of the same host
	if w.address == here {
		w.Errorf("two Gateways of one name have one address %s", here)
	}
	w.address = here
	w.appears("steady.example", "steady")

	g := &gwv1.Gateway{ObjectMeta: metav1.ObjectMeta{Namespace: other, Name: strings.Repeat("b", 253)}}
	g.Spec.GatewayClassName = "headgate"
	g.Spec.Listeners = []gwv1.Listener{{Name: "http", Port: 80, Protocol: gwv1.HTTPProtocolType}}
	g.Spec.Infrastructure = &gwv1.GatewayInfrastructure{ParametersRef: &gwv1.LocalParametersReference{Group: "headgate.dev", Kind: "ProxyConfig", Name: "small"}}
	w.create(g)
	w.until("the Gateway with the long name is programmed", 2*time.Minute, func(ctx context.Context) error {
		if err := w.Get(ctx, client.ObjectKeyFromObject(g), g); err != nil {
			return err
		}
		if !meta.IsStatusConditionTrue(g.Status.Conditions, string(gwv1.GatewayConditionProgrammed)) {
			return fmt.Errorf("it is %+v", g.Status.Conditions)
		}
		return nil
	})
}
