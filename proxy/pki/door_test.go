package pki_test

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net/url"
	"strings"
	"testing"
	"time"

	"headgate.dev/proxy/pki"
)

// meet lets a client and a server of TLS meet and returns what the server knows of the client.
func meet(t testing.TB, client, server *tls.Config) (tls.ConnectionState, error) {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", server)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		conn, err := tls.Dial("tcp", l.Addr().String(), client)
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = conn.Read(make([]byte, 1)) // until the server is done
	}()
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	err = conn.(*tls.Conn).Handshake()
	return conn.(*tls.Conn).ConnectionState(), err
}

// as is the client's side with a certificate, as Envoy has it.
func (r *rig) as(c tls.Certificate, anchors []byte) *tls.Config {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(anchors)
	return &tls.Config{RootCAs: pool, ServerName: pki.ServerName, Time: r.clock.Now, NextProtos: []string{"h2"},
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &c, nil }}
}

func pair(t testing.TB, c pki.Certificate) tls.Certificate {
	t.Helper()
	p, err := tls.X509KeyPair(c.Chain, c.Key)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestDoorKnowsProxies(t *testing.T) {
	r := newRig(t)
	cert := pair(t, r.get())
	state, err := meet(t, r.as(cert, r.first.Anchors()), r.door.Mutual())
	if err != nil {
		t.Fatal(err)
	}
	if p, err := r.door.Proxy(&state); p != public1 || err != nil {
		t.Errorf("%v, %v", p, err)
	}
	if _, err := r.door.Controller(&state); err == nil {
		t.Error("a proxy passes for a controller")
	}

	// The connection stays, but it is worth nothing once its certificate has expired.
	r.clock.Add(24*time.Hour + time.Second)
	if _, err := r.door.Proxy(&state); err == nil || !strings.Contains(err.Error(), "expired") {
		t.Errorf("expired on an old connection: %v", err)
	}
	if _, err := meet(t, r.as(cert, r.first.Anchors()), r.door.Mutual()); err == nil || !strings.Contains(err.Error(), "expired") {
		t.Errorf("expired on a new connection: %v", err)
	}
	cert = pair(t, r.get())
	if _, err := meet(t, r.as(cert, r.first.Anchors()), r.door.Mutual()); err != nil {
		t.Errorf("renewed: %v", err)
	}
}

func TestDoorRefuses(t *testing.T) {
	r := newRig(t)
	foreign := authority(t, pki.Policy{}, start)
	k := key(t)
	of := func(a *pki.Authority) tls.Certificate {
		c, err := a.IssueProxy(public1, k.Public(), start)
		if err != nil {
			t.Fatal(err)
		}
		return tls.Certificate{Certificate: [][]byte{c.Raw}, PrivateKey: k}
	}
	self, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: start, NotAfter: start.Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, URIs: []*url.URL{{Scheme: "headgate", Host: "proxy", Path: "/namespace/infra/gateway/public/pod/public-1"}},
	}, &x509.Certificate{SerialNumber: big.NewInt(1)}, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]tls.Certificate{
		"none":        {},
		"foreign":     of(foreign),
		"self-signed": {Certificate: [][]byte{self}, PrivateKey: k},
		"key of another": {Certificate: of(r.first).Certificate, PrivateKey: func() *ecdsa.PrivateKey {
			return key(t)
		}()},
	} {
		state, err := meet(t, r.as(c, r.first.Anchors()), r.door.Mutual())
		if err == nil {
			t.Errorf("%s: gets past the handshake", name)
		}
		if _, err := r.door.Proxy(&state); err == nil {
			t.Errorf("%s: is somebody", name)
		}
		// Even a server that does not look would be told nobody.
		lax := &tls.Config{ClientAuth: tls.RequireAnyClientCert, Certificates: []tls.Certificate{ownOf(t, r.first)}, Time: r.clock.Now}
		if state, err = meet(t, r.as(c, r.first.Anchors()), lax); err == nil {
			if _, err := r.door.Proxy(&state); err == nil {
				t.Errorf("%s: is somebody for a server that does not look", name)
			}
		}
	}
	if _, err := r.door.Proxy(nil); err == nil {
		t.Error("no TLS is somebody")
	}
	// Good by its signature, but not what we write.
	for _, uri := range []string{
		"headgate://proxy/namespace/infra/gateway/public", "headgate://proxy/namespace/infra/gateway/public/pod/public-1/x",
		"headgate://proxy/namespace/infra/gateway/public/pod/public-1?x=y", "headgate://proxy/namespace/infra/gateway/pub%6Cic/pod/public-1",
		"headgate://controller/namespace/infra/pod/x", "https://proxy/namespace/infra/gateway/public/pod/public-1",
		"headgate://proxy/namespace/INFRA/gateway/public/pod/public-1", "headgate://proxy/pod/infra/gateway/public/namespace/public-1",
		"headgate://user@proxy/namespace/infra/gateway/public/pod/public-1", "headgate:proxy/namespace/infra/gateway/public/pod/public-1",
	} {
		u, err := url.Parse(uri)
		if err != nil {
			t.Fatal(err)
		}
		if p, err := pki.ProxyOf(&x509.Certificate{URIs: []*url.URL{u}}); err == nil {
			t.Errorf("%s is %v", uri, p)
		}
	}
	good, err := url.Parse(public1.String())
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]*x509.Certificate{
		"no name":   {},
		"two names": {URIs: []*url.URL{good, good}},
		"also DNS":  {URIs: []*url.URL{good}, DNSNames: []string{"x"}},
		"also mail": {URIs: []*url.URL{good}, EmailAddresses: []string{"x@y"}},
	} {
		if _, err := pki.ProxyOf(c); err == nil {
			t.Errorf("%s: is a proxy", name)
		}
	}
	if p, err := pki.ProxyOf(&x509.Certificate{URIs: []*url.URL{good}}); p != public1 || err != nil {
		t.Errorf("the good one is %v, %v", p, err)
	}
}

func ownOf(t testing.TB, a *pki.Authority) tls.Certificate {
	t.Helper()
	c, err := a.IssueController(pki.Controller{Namespace: "headgate-system", Pod: "headgate-1"}, start)
	if err != nil {
		t.Fatal(err)
	}
	return *c
}

// Replicas know each other, and a proxy is none.
func TestDoorKnowsControllers(t *testing.T) {
	r := newRig(t)
	peer, err := pki.NewDoor(r.first, pki.Controller{Namespace: "headgate-system", Pod: "headgate-1"}, r.clock.Now)
	if err != nil {
		t.Fatal(err)
	}
	call, err := peer.Call()
	if err != nil {
		t.Fatal(err)
	}
	state, err := meet(t, call, r.door.Mutual())
	if err != nil {
		t.Fatal(err)
	}
	if c, err := r.door.Controller(&state); c != (pki.Controller{Namespace: "headgate-system", Pod: "headgate-1"}) || err != nil {
		t.Errorf("%v, %v", c, err)
	}
	if _, err := r.door.Proxy(&state); err == nil {
		t.Error("a controller passes for a proxy")
	}
}

// Rotation: a proxy whose anchors are a little old and a proxy with its old certificate are let in at every moment, and
// the door shows a certificate that is not older than half of its life.
func TestDoorFollowsTheAuthority(t *testing.T) {
	r := newRig(t)
	a := r.first
	old := a.Anchors() // of 20 hours ago
	var before [4][]byte
	r.clock.Add(240 * 24 * time.Hour) // nothing happens before
	cert, got := pair(t, r.get()), r.clock.Now()
	signers := map[string]bool{}
	for range 4 * 10 { // six hours each
		r.clock.Add(6 * time.Hour)
		if next := step(t, a, r.clock.Now()); next != a {
			a = next
			if err := r.door.Use(a); err != nil {
				t.Fatal(err)
			}
		}
		copy(before[1:], before[:3])
		before[0] = a.Anchors()
		if before[3] != nil {
			old = before[3]
		}
		state, err := meet(t, r.as(cert, old), r.door.Mutual())
		if err != nil {
			t.Fatalf("%v: with a certificate of %v: %v", r.clock.Now(), got, err)
		}
		if p, err := r.door.Proxy(&state); p != public1 || err != nil {
			t.Fatalf("%v: %v, %v", r.clock.Now(), p, err)
		}
		signers[state.PeerCertificates[0].Issuer.CommonName] = true
		if r.clock.Now().Sub(got) >= 18*time.Hour {
			r.write("anchors", string(old))
			cert, got = pair(t, r.get()), r.clock.Now()
		}
	}
	if len(signers) != 2 {
		t.Errorf("%d roots signed in ten days, want 2", len(signers))
	}
	r.clock.Add(2 * 365 * 24 * time.Hour)
	if err := r.door.Use(a); err == nil {
		t.Error("a door takes an authority that has expired")
	}
	if _, err := meet(t, r.as(cert, old), r.door.Mutual()); err == nil {
		t.Error("a door with an expired authority lets somebody in")
	}
}
