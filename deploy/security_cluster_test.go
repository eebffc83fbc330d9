//go:build cluster

package deploy

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/proxy/envoy"
	"headgate.dev/proxy/fleet"
	"headgate.dev/proxy/pki"
)

// port is where the controller's Service has one of its ports.
func (w *world) port(number string) string {
	w.Helper()
	var front corev1.Service
	if err := w.Get(w.Context(), client.ObjectKey{Namespace: systemNamespace, Name: "headgate"}, &front); err != nil {
		w.Fatal(err)
	}
	return net.JoinHostPort(front.Spec.ClusterIP, number)
}

// proxy is the only proxy of the Gateway.
func (w *world) proxy() *corev1.Pod {
	w.Helper()
	var pods corev1.PodList
	if err := w.List(w.Context(), &pods, client.InNamespace(clusterNamespace), client.MatchingLabels{fleet.GatewayLabel: "public"}); err != nil || len(pods.Items) != 1 {
		w.Fatalf("%d proxies, want 1: %v", len(pods.Items), err)
	}
	return &pods.Items[0]
}

// stranger makes a pod with all that a proxy has on it, but for its namespace or the Gateway that it says it serves.
func (w *world) stranger(namespace, account, gateway string, like *corev1.Pod) *corev1.Pod {
	w.Helper()
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "headgate-test-stranger"}, Spec: corev1.PodSpec{
		ServiceAccountName: account, Containers: []corev1.Container{{Name: "c", Image: clusterImage, Args: []string{"version"}}},
	}}
	p.Labels, p.Annotations = maps.Clone(like.Labels), maps.Clone(like.Annotations)
	delete(p.Labels, appsv1.DefaultDeploymentUniqueLabelKey) // or its Deployment would count it
	p.Labels[fleet.GatewayLabel], p.Annotations[fleet.GatewayAnnotation] = gateway, gateway
	if err := client.IgnoreNotFound(w.Delete(w.Context(), p.DeepCopy(), client.GracePeriodSeconds(0))); err != nil {
		w.Fatal(err)
	}
	w.gone(p.DeepCopy())
	w.create(p)
	w.Cleanup(func() {
		if err := w.Delete(context.Background(), p, client.GracePeriodSeconds(0)); err != nil {
			w.Error(err)
		}
	})
	return p
}

// identity asks for certificates with good and bad tokens.
func (w *world) identity() {
	key := client.ObjectKey{Namespace: clusterNamespace, Name: "public-headgate"}
	var anchors corev1.ConfigMap
	if err := w.Get(w.Context(), key, &anchors); err != nil {
		w.Fatal(err)
	}
	dir := w.TempDir()
	c := pki.Client{Address: w.port("18001"), TokenFile: filepath.Join(dir, "token"), AnchorsFile: filepath.Join(dir, "ca.crt")}
	if err := os.WriteFile(c.AnchorsFile, []byte(anchors.Data["ca.crt"]), 0o600); err != nil {
		w.Fatal(err)
	}
	exchange := func(audience, namespace, account string, pod *corev1.Pod) (pki.Certificate, error) {
		request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: []string{audience}}}
		if pod != nil {
			request.Spec.BoundObjectRef = &authenticationv1.BoundObjectReference{Kind: "Pod", APIVersion: "v1", Name: pod.Name, UID: pod.UID}
		}
		of := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: account}}
		if err := w.SubResource("token").Create(w.Context(), of, request); err != nil {
			w.Fatal(err)
		}
		if err := os.WriteFile(c.TokenFile, []byte(request.Status.Token), 0o600); err != nil {
			w.Fatal(err)
		}
		return c.Exchange(w.Context())
	}
	proxy := w.proxy()
	got, err := exchange(pki.Audience, key.Namespace, key.Name, proxy)
	if err != nil || got.Proxy != (pki.Proxy{Namespace: clusterNamespace, Gateway: "public", Pod: proxy.Name}) {
		w.Errorf("a proxy of the Gateway got %v: %v", got.Proxy, err)
	}
	other, foreign := w.stranger(key.Namespace, key.Name, "other", proxy), w.stranger("default", "default", "public", proxy)
	for name, ask := range map[string]func() (pki.Certificate, error){
		"another audience": func() (pki.Certificate, error) {
			return exchange("https://kubernetes.default.svc", key.Namespace, key.Name, proxy)
		},
		"no pod":                     func() (pki.Certificate, error) { return exchange(pki.Audience, key.Namespace, key.Name, nil) },
		"a stranger":                 func() (pki.Certificate, error) { return exchange(pki.Audience, key.Namespace, key.Name, other) },
		"a pod of another namespace": func() (pki.Certificate, error) { return exchange(pki.Audience, "default", "default", foreign) },
	} {
		got, err := ask()
		if err == nil {
			w.Errorf("%s got a certificate as %v", name, got.Proxy)
		}
		w.Logf("%s: %v", name, err)
	}
}

// authority reads the certificate authority of the installation.
func (w *world) authority() (*corev1.Secret, *pki.Authority) {
	w.Helper()
	s := &corev1.Secret{}
	if err := w.Get(w.Context(), client.ObjectKey{Namespace: systemNamespace, Name: "headgate-authority"}, s); err != nil {
		w.Fatal(err)
	}
	a, err := pki.ParseAuthority(pki.Policy{}, s.Data["authority.pem"])
	if err != nil {
		w.Fatal(err)
	}
	return s, a
}

// shown is what a caller shows: a certificate by an authority, for a proxy, of a time.
func (w *world) shown(a *pki.Authority, p pki.Proxy, issued time.Time) *tls.Config {
	w.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		w.Fatal(err)
	}
	leaf, err := a.IssueProxy(p, &key.PublicKey, issued)
	if err != nil {
		w.Fatal(err)
	}
	c := w.unknown()
	// Whatever it is asked for, it shows this.
	c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		return &tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key}, nil
	}
	return c
}

// unknown shows nothing.
func (w *world) unknown() *tls.Config {
	w.Helper()
	_, a := w.authority()
	trusted := x509.NewCertPool()
	trusted.AppendCertsFromPEM(a.Anchors())
	return &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: trusted, ServerName: pki.ServerName}
}

// listeners asks for the listeners of a proxy that calls itself by a name, and gives the names of those that come.
func (w *world) listeners(c credentials.TransportCredentials, node string) (names []string, err error) {
	conn, err := grpc.NewClient(w.port("18000"), grpc.WithTransportCredentials(c))
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(w.Context(), 10*time.Second)
	defer cancel()
	stream, err := discovery.NewAggregatedDiscoveryServiceClient(conn).DeltaAggregatedResources(ctx)
	if err != nil {
		return nil, err
	}
	// An error of Send is io.EOF alone; what it was Recv says.
	err = stream.Send(&discovery.DeltaDiscoveryRequest{Node: &corev3.Node{Id: node, Cluster: node}, TypeUrl: envoy.ListenerType.URL()})
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	answer, err := stream.Recv()
	if err != nil {
		return nil, err
	}
	for _, r := range answer.GetResources() {
		names = append(names, r.GetName())
	}
	return names, nil
}

// streams: whoever has no good certificate gets nothing, and who has one gets what it is for, whatever it calls itself.
func (w *world) streams() {
	second := &gwv1.Gateway{ObjectMeta: named("second")}
	second.Spec.GatewayClassName = "headgate"
	second.Spec.Listeners = []gwv1.Listener{{Name: "http", Port: 8888, Protocol: gwv1.HTTPProtocolType}}
	w.create(second)
	w.until("the second Gateway has a fleet", 20*time.Second, func(ctx context.Context) error {
		return w.Get(ctx, client.ObjectKey{Namespace: clusterNamespace, Name: fleet.Name("second", "headgate")}, &corev1.ConfigMap{})
	})
	defer func() {
		if err := w.Delete(w.Context(), second); err != nil {
			w.Error(err)
		}
	}()
	_, ours := w.authority()
	of := func(gateway string) pki.Proxy {
		return pki.Proxy{Namespace: clusterNamespace, Gateway: gateway, Pod: "headgate-test-nobody"}
	}
	for gateway, forged := range map[string]string{"public": "second", "second": "public"} {
		names, err := w.listeners(credentials.NewTLS(w.shown(ours, of(gateway), time.Now())), clusterNamespace+"/"+forged)
		if err != nil || len(names) == 0 {
			w.Errorf("a proxy of Gateway %s got %v: %v", gateway, names, err)
		}
		for _, name := range names {
			if !strings.HasPrefix(name, clusterNamespace+"/"+gateway+"/") {
				w.Errorf("a proxy of Gateway %s that calls itself one of %s got %s", gateway, forged, name)
			}
		}
	}
	other, err := pki.NewAuthority(pki.Policy{}, time.Now())
	if err != nil {
		w.Fatal(err)
	}
	for name, c := range map[string]credentials.TransportCredentials{
		"no TLS":                             insecure.NewCredentials(),
		"no certificate":                     credentials.NewTLS(w.unknown()),
		"an expired certificate":             credentials.NewTLS(w.shown(ours, of("public"), time.Now().Add(-25*time.Hour))),
		"a certificate of another authority": credentials.NewTLS(w.shown(other, of("public"), time.Now())),
	} {
		names, err := w.listeners(c, clusterNamespace+"/public")
		if err == nil {
			w.Errorf("with %s somebody got %v", name, names)
		}
		w.Logf("%s: %v", name, err)
	}
}

// rotation has another root sign, as it comes about every year: announced, then signing. No stream ends over it, and those that are new
// afterwards know each other by it.
func (w *world) rotation() {
	service, endpoints := service("rotating", w.host, w.backend(w.T, "rotating"))
	w.create(service, endpoints, route("rotating", "rotating.example", "rotating"))
	w.appears("rotating.example", "rotating")
	before := w.calls()
	stop := w.traffic(w.T, "rotating.example")
	next, err := pki.NewAuthority(pki.Policy{}, time.Now())
	if err != nil {
		w.Fatal(err)
	}
	announced, err := next.PEM()
	if err != nil {
		w.Fatal(err)
	}
	s, _ := w.authority()
	old := s.Data["authority.pem"]
	w.useAuthority(s, append(bytes.Clone(old), announced...), announced)
	// As if it had been announced yesterday: younger roots wait for a day before they sign.
	w.useAuthority(s, append(bytes.Clone(old), w.aged(announced)...), announced)
	signer := w.serverIssuer()
	if want := subjectOf(announced); signer != want {
		w.Errorf("%s has signed, want %s", signer, want)
	}
	if after := w.calls(); after != before {
		w.Errorf("proxies had called %d times before, and %d times afterwards", before, after)
	}
	w.scale(0)
	w.scale(1)
	w.create(route("rotated", "rotated.example", "rotating"))
	w.serves("rotated.example", "rotating")
	stop()
}

// useAuthority replaces the certificate authority and waits until the controller and the proxy have the root.
func (w *world) useAuthority(s *corev1.Secret, text, root []byte) {
	w.Helper()
	s.Data["authority.pem"] = text
	if err := w.Update(w.Context(), s); err != nil {
		w.Fatal(err)
	}
	anchors, err := pki.ParseAuthority(pki.Policy{}, text)
	if err != nil {
		w.Fatal(err)
	}
	w.until("proxies are given the root", time.Minute, func(ctx context.Context) error {
		var given corev1.ConfigMap
		if err := w.Get(ctx, client.ObjectKey{Namespace: clusterNamespace, Name: "public-headgate"}, &given); err != nil {
			return err
		}
		if given.Data["ca.crt"] != string(anchors.Anchors()) {
			return errors.New("they have others")
		}
		return nil
	})
	// A kubelet looks at a pod that changes at once, and at others from time to time.
	pod := w.proxy()
	said := strings.Count(w.tool("kubectl", "--namespace", clusterNamespace, "logs", pod.Name), "got other anchors")
	w.tool("kubectl", "--namespace", clusterNamespace, "annotate", "--overwrite", "pod", pod.Name, "headgate-test/look="+strconv.FormatInt(time.Now().UnixNano(), 10))
	w.until("the proxy has the root", 3*time.Minute, func(context.Context) error {
		if n := strings.Count(w.tool("kubectl", "--namespace", clusterNamespace, "logs", pod.Name), "got other anchors"); n <= said {
			return fmt.Errorf("it has taken anchors %d times", n)
		}
		return nil
	})
}

// aged is a root as if it had been made yesterday.
func (w *world) aged(text []byte) []byte {
	w.Helper()
	block, rest := pem.Decode(text)
	root, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		w.Fatal(err)
	}
	keyBlock, _ := pem.Decode(rest)
	key, err := x509.ParsePKCS8PrivateKey(keyBlock.Bytes)
	if err != nil {
		w.Fatal(err)
	}
	root.NotBefore = root.NotBefore.Add(-25 * time.Hour)
	der, err := x509.CreateCertificate(rand.Reader, root, root, root.PublicKey, key)
	if err != nil {
		w.Fatal(err)
	}
	return append(pem.EncodeToMemory(&pem.Block{Type: block.Type, Bytes: der}), rest...)
}

func subjectOf(text []byte) string {
	block, _ := pem.Decode(text)
	root, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return err.Error()
	}
	return root.Subject.String()
}

// serverIssuer is who has signed what the controller shows now.
func (w *world) serverIssuer() string {
	w.Helper()
	d := tls.Dialer{Config: w.unknown()}
	c, err := d.DialContext(w.Context(), "tcp", w.port("18001"))
	if err != nil {
		w.Fatal(err)
	}
	defer c.Close()
	return c.(*tls.Conn).ConnectionState().PeerCertificates[0].Issuer.String()
}

// calls is how often proxies of the Gateway have opened a stream since the controller started.
func (w *world) calls() (n int) {
	w.Helper()
	log := w.tool("kubectl", "--namespace", systemNamespace, "logs", "deployment/headgate", "--container", "controller")
	for line := range strings.Lines(log) {
		if strings.Contains(line, `"proxy connected"`) && strings.Contains(line, `"`+clusterNamespace+`/public"`) {
			n++
		}
	}
	return n
}

// metric is the sum of the controller's values of that name; there must be one replica.
func (w *world) metric(ctx context.Context, name string) (sum float64, err error) {
	var pods corev1.PodList
	if err := w.List(ctx, &pods, client.InNamespace(systemNamespace)); err != nil {
		return 0, err
	}
	if len(pods.Items) != 1 || pods.Items[0].Status.PodIP == "" {
		return 0, fmt.Errorf("%d replicas, want 1 with an address", len(pods.Items))
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(pods.Items[0].Status.PodIP, "8080")+"/metrics", nil)
	if err != nil {
		return 0, err
	}
	response, err := visitor.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err
	}
	found := false
	for line := range strings.Lines(string(text)) {
		value, is := strings.CutPrefix(line, name)
		if !is || value[0] != ' ' && value[0] != '{' {
			continue
		}
		number, err := strconv.ParseFloat(strings.TrimSpace(value[strings.LastIndexByte(value, ' '):]), 64)
		if err != nil {
			return 0, err
		}
		sum, found = sum+number, true
	}
	if !found {
		err = fmt.Errorf("there is no metric %s", name)
	}
	return sum, err
}

// sentNothing waits until the proxy has called, and everything is acknowledged: nothing had to be sent for that.
func (w *world) sentNothing() {
	w.Helper()
	w.until("the proxy is connected and has everything", 30*time.Second, func(ctx context.Context) error {
		for _, name := range []string{"headgate_proxies_connected", "headgate_gateway_proxies_live"} {
			if n, err := w.metric(ctx, name); err != nil || n != 1 {
				return fmt.Errorf("%s is %g: %w", name, n, err)
			}
		}
		return nil
	})
	if n, err := w.metric(w.Context(), "headgate_xds_resources_total"); err != nil || n != 0 {
		w.Errorf("the controller that came back has sent %g resources: %v", n, err)
	}
}
