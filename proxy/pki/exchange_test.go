package pki_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"headgate.dev/proxy/pki"
)

// clock is a time that tests move.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// cluster plays the API server: it knows tokens, and which Gateway a pod serves.
type cluster struct {
	mu     sync.Mutex
	tokens map[string]pki.Caller
	pods   map[string]string // namespace/service account/pod/uid → Gateway
	broken error
	asked  int
}

func (c *cluster) Review(_ context.Context, token, audience string) (pki.Caller, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked++
	if c.broken != nil {
		return pki.Caller{}, c.broken
	}
	caller, ok := c.tokens[token]
	if !ok {
		return pki.Caller{}, &pki.Refusal{Reason: "the token is not valid"}
	}
	if audience != pki.Audience {
		return pki.Caller{}, errors.New("asked about another audience")
	}
	return caller, nil
}

func (c *cluster) PlaceOf(_ context.Context, p pki.Caller) (pki.Place, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	gateway, ok := c.pods[p.Namespace+"/"+p.ServiceAccount+"/"+p.Pod+"/"+p.PodUID]
	if !ok {
		return pki.Place{}, &pki.Refusal{Reason: "the pod serves no Gateway"}
	}
	return pki.Place{Gateway: gateway, Zone: "zone-of-" + p.Pod}, nil
}

// rig is an exchange that answers on loopback.
type rig struct {
	t       testing.TB
	clock   *clock
	cluster *cluster
	first   *pki.Authority
	door    *pki.Door
	address string
	dir     string

	mu      sync.Mutex
	issued  []pki.Proxy
	refused []error
}

func newRig(t testing.TB) *rig {
	t.Helper()
	r := &rig{t: t, clock: &clock{now: start}, dir: t.TempDir(), cluster: &cluster{
		tokens: map[string]pki.Caller{
			"good":          {[]string{"headgate"}, "infra", "public", "public-1", "uid-1"},
			"two audiences": {[]string{"other", "headgate"}, "infra", "public", "public-1", "uid-1"},
			"for the API":   {[]string{"https://kubernetes.default.svc"}, "infra", "public", "public-1", "uid-1"},
			"no audience":   {nil, "infra", "public", "public-1", "uid-1"},
			"no pod":        {[]string{"headgate"}, "infra", "public", "", ""},
			"no uid":        {[]string{"headgate"}, "infra", "public", "public-1", ""},
			"other ns":      {[]string{"headgate"}, "evil", "public", "public-1", "uid-1"},
			"other account": {[]string{"headgate"}, "infra", "default", "public-1", "uid-1"},
			"reborn":        {[]string{"headgate"}, "infra", "public", "public-1", "uid-2"},
		},
		pods: map[string]string{"infra/public/public-1/uid-1": "public"},
	}}
	r.first = authority(t, pki.Policy{}, start)
	var err error
	if r.door, err = pki.NewDoor(r.first, pki.Controller{Namespace: "headgate-system", Pod: "headgate-0"}, r.clock.Now); err != nil {
		t.Fatal(err)
	}
	e := pki.NewExchange(r.door, pki.ExchangeOptions{
		Reviewer: r.cluster, Gateways: r.cluster, Patience: 300 * time.Millisecond,
		Issued: func(p pki.Proxy, c *x509.Certificate) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.issued = append(r.issued, p)
		},
		Refused: func(from net.Addr, err error) {
			r.mu.Lock()
			defer r.mu.Unlock()
			if from.(*net.TCPAddr).Port == 0 {
				err = errors.New("from nowhere")
			}
			r.refused = append(r.refused, err)
		},
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.address = l.Addr().String()
	done := make(chan error, 1)
	go func() { done <- e.Serve(l) }()
	t.Cleanup(func() {
		if err := errors.Join(e.Stop(context.Background()), <-done); err != nil {
			t.Error(err)
		}
	})
	r.write("anchors", string(r.first.Anchors()))
	r.write("token", "good\n")
	return r
}

func (r *rig) write(name, text string) {
	r.t.Helper()
	if err := os.WriteFile(filepath.Join(r.dir, name), []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) client() *pki.Client {
	return &pki.Client{Address: r.address, TokenFile: filepath.Join(r.dir, "token"), AnchorsFile: filepath.Join(r.dir, "anchors"), Clock: r.clock.Now}
}

func (r *rig) get() pki.Certificate {
	r.t.Helper()
	c, err := r.client().Exchange(context.Background())
	if err != nil {
		r.t.Fatal(err)
	}
	return c
}

// raw POSTs whatever it is given.
func (r *rig) raw(token string, body io.Reader) (int, string) {
	r.t.Helper()
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(r.first.Anchors())
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true,
		TLSClientConfig: &tls.Config{RootCAs: pool, ServerName: pki.ServerName, Time: r.clock.Now}}}
	req, err := http.NewRequest(http.MethodPost, "https://"+r.address+pki.ExchangePath, body)
	if err != nil {
		r.t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := client.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return res.StatusCode, string(text)
}

func request(t testing.TB, template *x509.CertificateRequest, key any) []byte {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, template, key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
}

var public1 = pki.Proxy{Namespace: "infra", Gateway: "public", Pod: "public-1"}

func TestExchange(t *testing.T) {
	r := newRig(t)
	c := r.get()
	if c.Proxy != public1 || c.Zone != "zone-of-"+public1.Pod || !c.NotAfter.Equal(start.Add(24*time.Hour)) {
		t.Errorf("got a certificate for %v until %v", c.Proxy, c.NotAfter)
	}
	if _, err := tls.X509KeyPair(c.Chain, c.Key); err != nil {
		t.Error(err)
	}
	r.write("token", "two audiences")
	r.get()
	if len(r.issued) != 2 || r.issued[0] != public1 || len(r.refused) > 0 {
		t.Errorf("told of %v and %v", r.issued, r.refused)
	}
}

// Only the token counts, and only if it is what it must be.
func TestRefusedTokens(t *testing.T) {
	r := newRig(t)
	for token, want := range map[string]string{
		"stolen":        "not valid",
		"for the API":   "not for audience",
		"no audience":   "not for audience",
		"no pod":        "not bound to a pod",
		"no uid":        "not bound to a pod",
		"other ns":      "serves no Gateway",
		"other account": "serves no Gateway",
		"reborn":        "serves no Gateway",
	} {
		r.write("token", token)
		_, err := r.client().Exchange(context.Background())
		var refused *pki.RefusedError
		if !errors.As(err, &refused) || refused.Status != http.StatusForbidden || !strings.Contains(refused.Reason, want) {
			t.Errorf("token %q: %v, want a refusal that says %q", token, err, want)
		}
	}
	if len(r.issued) > 0 || len(r.refused) != 8 {
		t.Errorf("issued %v, told of %d refusals", r.issued, len(r.refused))
	}
	r.write("token", "good")
	r.cluster.broken = errors.New("the API server at 10.0.0.1 does not answer")
	_, err := r.client().Exchange(context.Background())
	var refused *pki.RefusedError
	if err == nil || errors.As(err, &refused) || !strings.Contains(err.Error(), "503") || strings.Contains(err.Error(), "10.0.0.1") {
		t.Errorf("without an API server: %v, want 503 and no word of what is wrong inside", err)
	}
}

// A request may claim what it likes: the certificate has the public key of the request and nothing else of it.
func TestForgedRequest(t *testing.T) {
	r := newRig(t)
	forged, err := url.Parse(pki.Proxy{Namespace: "bank", Gateway: "vault", Pod: "vault-1"}.String())
	if err != nil {
		t.Fatal(err)
	}
	k := key(t)
	code, text := r.raw("good", bytes.NewReader(request(t, &x509.CertificateRequest{
		Subject: pkix.Name{CommonName: "system:masters"}, URIs: []*url.URL{forged}, DNSNames: []string{pki.ServerName},
		IPAddresses: []net.IP{{127, 0, 0, 1}}, EmailAddresses: []string{"root@example.com"},
		ExtraExtensions: []pkix.Extension{{Id: []int{2, 5, 29, 19}, Critical: true, Value: []byte{0x30, 3, 1, 1, 0xff}}}, // CA: true
	}, k)))
	if code != http.StatusOK {
		t.Fatalf("%d %s", code, text)
	}
	block, _ := pem.Decode([]byte(text))
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if c.IsCA || c.Subject.CommonName != "" || len(c.DNSNames)+len(c.IPAddresses)+len(c.EmailAddresses) > 0 ||
		len(c.URIs) != 1 || c.URIs[0].String() != public1.String() || !k.PublicKey.Equal(c.PublicKey) {
		t.Errorf("the certificate says %v, %v, %v, CA %v", c.Subject, c.URIs, c.DNSNames, c.IsCA)
	}
}

func TestBadRequests(t *testing.T) {
	r := newRig(t)
	good := request(t, &x509.CertificateRequest{}, key(t))
	block, _ := pem.Decode(good)
	broken := bytes.Clone(block.Bytes)
	broken[len(broken)-1] ^= 1
	weak, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		token string
		body  string
		code  int
	}{
		"no token":        {"", string(good), http.StatusUnauthorized},
		"no body":         {"good", "", http.StatusBadRequest},
		"no PEM":          {"good", "hello", http.StatusBadRequest},
		"no DER":          {"good", "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n", http.StatusBadRequest},
		"two requests":    {"good", string(good) + string(good), http.StatusBadRequest},
		"a certificate":   {"good", string(r.first.Anchors()), http.StatusBadRequest},
		"not its own key": {"good", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: broken})), http.StatusBadRequest},
		"RSA":             {"good", string(request(t, &x509.CertificateRequest{}, weak)), http.StatusBadRequest},
		"huge body":       {"good", strings.Repeat("x", 1<<20), http.StatusRequestEntityTooLarge},
		"huge token":      {strings.Repeat("x", 1<<20), string(good), http.StatusRequestHeaderFieldsTooLarge},
	} {
		if code, text := r.raw(c.token, strings.NewReader(c.body)); code != c.code &&
			// The server may close before the client has written all of it.
			(code != 0 || !strings.HasPrefix(name, "huge")) {
			t.Errorf("%s: %d %s, want %d", name, code, text, c.code)
		}
	}
	if r.cluster.asked > 0 {
		t.Errorf("the API server was asked %d times for requests that cannot be answered", r.cluster.asked)
	}
	if len(r.issued) > 0 {
		t.Errorf("issued %v", r.issued)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(r.first.Anchors())
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, ServerName: pki.ServerName, Time: r.clock.Now}}}
	for path, want := range map[string]int{pki.ExchangePath: http.StatusMethodNotAllowed, "/": http.StatusNotFound} {
		res, err := client.Get("https://" + r.address + path)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("GET %s: %s, want %d", path, res.Status, want)
		}
	}
}

// A request that is sent again gives a certificate for the same proxy and the same key, or none once the pod is gone.
func TestReplay(t *testing.T) {
	r := newRig(t)
	k := key(t)
	body := request(t, &x509.CertificateRequest{}, k)
	for range 2 {
		code, text := r.raw("good", bytes.NewReader(body))
		block, _ := pem.Decode([]byte(text))
		if code != http.StatusOK || block == nil {
			t.Fatalf("%d %s", code, text)
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil || !k.PublicKey.Equal(c.PublicKey) || c.URIs[0].String() != public1.String() {
			t.Errorf("a certificate for %v (%v)", c.URIs, err)
		}
	}
	r.cluster.mu.Lock()
	delete(r.cluster.tokens, "good")
	r.cluster.mu.Unlock()
	if code, text := r.raw("good", bytes.NewReader(body)); code != http.StatusForbidden {
		t.Errorf("the pod is gone: %d %s", code, text)
	}
}

// Clients that say little, slowly, are cut off and keep nobody waiting.
func TestSlowClients(t *testing.T) {
	r := newRig(t)
	for i := range 40 {
		conn, err := net.Dial("tcp", r.address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if i%2 == 0 {
			continue // not even a handshake
		}
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(r.first.Anchors())
		c := tls.Client(conn, &tls.Config{RootCAs: pool, ServerName: pki.ServerName, Time: r.clock.Now})
		fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer good\r\nContent-Length: 100\r\n\r\nx", pki.ExchangePath)
	}
	r.get()
	conn, err := net.Dial("tcp", r.address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, conn); err != nil {
		t.Errorf("a client that says nothing was not cut off: %d, %v", n, err)
	}
}

// A client believes only the controller: another server, or a proxy that plays one, gets no token.
func TestClientChecksTheServer(t *testing.T) {
	r := newRig(t)
	other := authority(t, pki.Policy{}, start)
	r.write("anchors", string(other.Anchors()))
	if _, err := r.client().Exchange(context.Background()); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("a controller of another authority: %v", err)
	}
	r.write("anchors", string(r.first.Anchors()))

	c := r.get()
	pair, err := tls.X509KeyPair(c.Chain, c.Key)
	if err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	heard := make(chan int64, 1)
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		n, _ := io.Copy(io.Discard, conn)
		heard <- n
	}()
	client := r.client()
	client.Address = l.Addr().String()
	if _, err := client.Exchange(context.Background()); err == nil {
		t.Error("a proxy was taken for the controller")
	}
	if n := <-heard; n > 0 {
		t.Errorf("a proxy that plays the controller heard %d bytes", n)
	}

	for file, text := range map[string]string{"anchors": "no PEM", "token": " \n"} {
		was, err := os.ReadFile(filepath.Join(r.dir, file))
		if err != nil {
			t.Fatal(err)
		}
		r.write(file, text)
		if _, err := r.client().Exchange(context.Background()); err == nil || !strings.Contains(err.Error(), file) {
			t.Errorf("%s %q: %v", file, text, err)
		}
		r.write(file, string(was))
	}
}

func TestRenew(t *testing.T) {
	r := newRig(t)
	r.write("token", "stolen")
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var waits []time.Duration
	var got, failed int
	go func() { <-time.After(20 * time.Second); cancel() }()
	r.client().Renew(ctx, pki.RenewOptions{
		Random: func() float64 { return 0.5 },
		Got: func(c pki.Certificate) error {
			if got++; got == 2 {
				return errors.New("the disk is full")
			}
			return nil
		},
		Failed: func(error, time.Duration) { failed++ },
		After: func(d time.Duration) <-chan time.Time {
			if d > time.Second {
				d = d.Round(time.Second) // certificates count in seconds
			}
			waits = append(waits, d)
			switch len(waits) {
			case 3:
				r.write("token", "good")
			case 6:
				cancel()
				return nil
			}
			r.clock.Add(d)
			c := make(chan time.Time, 1)
			c <- time.Time{}
			return c
		},
	})
	third := 56 * 24 * time.Hour / 100 // of a life of 24 h
	want := []time.Duration{75 * time.Millisecond, 150 * time.Millisecond, 300 * time.Millisecond, third, 75 * time.Millisecond, third}
	if fmt.Sprint(waits) != fmt.Sprint(want) || got != 3 || failed != 4 {
		t.Errorf("waited %v, got %d, failed %d; want %v, 3, 4", waits, got, failed, want)
	}
}

func FuzzRequestedKey(f *testing.F) {
	f.Add([]byte("hello"))
	k := key(f)
	f.Add(request(f, &x509.CertificateRequest{}, k))
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := pki.RequestedKey(text)
		if _, ok := got.(*ecdsa.PublicKey); ok == (err != nil) {
			t.Errorf("%v, %v", got, err)
		}
	})
}
