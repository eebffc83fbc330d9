package pki_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"sync"
	"testing"
	"time"

	"headgate.dev/proxy/pki"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func authority(t testing.TB, p pki.Policy, now time.Time) *pki.Authority {
	t.Helper()
	a, err := pki.NewAuthority(p, now)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func step(t testing.TB, a *pki.Authority, now time.Time) *pki.Authority {
	t.Helper()
	next, err := a.Step(now)
	if err != nil {
		t.Fatal(err)
	}
	return next
}

func key(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func anchors(t testing.TB, a *pki.Authority) (pool *x509.CertPool, n int) {
	t.Helper()
	pool = x509.NewCertPool()
	for rest := a.Anchors(); len(rest) > 0; n++ {
		var b *pem.Block
		if b, rest = pem.Decode(rest); b == nil {
			t.Fatalf("the anchors end in %q", rest)
		}
		c, err := x509.ParseCertificate(b.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		pool.AddCert(c)
	}
	return pool, n
}

// someKey is one key for certificates that are only looked at.
var someKey = sync.OnceValues(func() (*ecdsa.PrivateKey, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) })

func issue(t testing.TB, a *pki.Authority, now time.Time) *x509.Certificate {
	t.Helper()
	k, err := someKey()
	if err != nil {
		t.Fatal(err)
	}
	c, err := a.IssueProxy(pki.Proxy{Namespace: "infra", Gateway: "public", Pod: "public-1"}, k.Public(), now)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Three years in steps of six hours: whoever has anchors that are a day old trusts every certificate made now, and every
// certificate that has not expired is trusted by the anchors of now.
func TestRotationOverlaps(t *testing.T) {
	a := authority(t, pki.Policy{}, start)
	type issued struct {
		at   time.Time
		cert *x509.Certificate
	}
	var leaves []issued // of the last 24 hours
	var pools []*x509.CertPool
	roots, most, steps := map[string]bool{}, 0, 0
	for now := start; now.Before(start.AddDate(3, 0, 0)); now = now.Add(6 * time.Hour) {
		next := step(t, a, now)
		if next != a {
			steps++
			if now.Before(a.Due()) {
				t.Fatalf("%v: a step before it was due (%v)", now, a.Due())
			}
			if again := step(t, next, now); again != next {
				t.Fatalf("%v: the second step of a moment does something", now)
			}
		} else if now.Sub(a.Due()) > 6*time.Hour {
			t.Fatalf("%v: nothing was done though it was due at %v", now, a.Due())
		}
		a = next
		pool, n := anchors(t, a)
		most = max(most, n)
		pools = append(pools, pool)
		leaf := issue(t, a, now)
		roots[leaf.Issuer.CommonName] = true
		leaves = append(leaves, issued{now, leaf})
		old := pools[max(0, len(pools)-4)]
		if _, err := leaf.Verify(x509.VerifyOptions{Roots: old, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
			t.Fatalf("%v: anchors 18 hours old do not know a new certificate: %v", now, err)
		}
		for len(leaves) > 0 && now.After(leaves[0].cert.NotAfter) {
			leaves = leaves[1:]
		}
		if _, err := leaves[0].cert.Verify(x509.VerifyOptions{Roots: pool, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
			t.Fatalf("%v: the certificate of %v is not trusted any more: %v", now, leaves[0].at, err)
		}
	}
	if len(roots) != 5 || most != 2 || steps != 8 {
		t.Errorf("%d roots signed, up to %d anchors at a time, %d steps; want 5, 2 and 8", len(roots), most, steps)
	}
}

func TestAuthorityIsKept(t *testing.T) {
	a := authority(t, pki.Policy{}, start)
	later := start.AddDate(0, 9, 0)
	a = step(t, a, later)
	text, err := a.PEM()
	if err != nil {
		t.Fatal(err)
	}
	b, err := pki.ParseAuthority(pki.Policy{}, text)
	if err != nil {
		t.Fatal(err)
	}
	again, err := b.PEM()
	if err != nil || !bytes.Equal(text, again) || !bytes.Equal(a.Anchors(), b.Anchors()) {
		t.Errorf("read and written again it differs (%v)", err)
	}
	if step(t, b, later) != b {
		t.Error("what was read has something to do at once")
	}
	if bytes.Contains(a.Anchors(), []byte("KEY")) {
		t.Error("the anchors have a key")
	}
	one, two := issue(t, a, later), issue(t, b, later)
	if one.Issuer.CommonName != two.Issuer.CommonName {
		t.Error("two replicas sign with different roots")
	}

	other, err := authority(t, pki.Policy{}, start).PEM()
	if err != nil {
		t.Fatal(err)
	}
	half := bytes.Index(text, []byte("-----BEGIN PRIVATE"))
	cert := text[:half]
	otherKey := other[bytes.Index(other, []byte("-----BEGIN PRIVATE")):]
	for name, c := range map[string]struct {
		text []byte
		want string
	}{
		"empty":        {nil, "it has no root"},
		"no PEM":       {[]byte("hello"), "not PEM"},
		"no key":       {cert, "a certificate and then its private key"},
		"another key":  {append(bytes.Clone(cert), otherKey...), "not that of the certificate"},
		"rest":         {append(bytes.Clone(text), "x"...), "not PEM"},
		"keys alone":   {append(bytes.Clone(otherKey), otherKey...), "a certificate and then its private key"},
		"not DER":      {[]byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n" + string(otherKey)), "reading root 1"},
		"key not DER":  {append(bytes.Clone(cert), "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"...), "reading root 1"},
		"leaf as root": {leafAsRoot(t), "not one of an authority"},
	} {
		if _, err := pki.ParseAuthority(pki.Policy{}, c.text); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want an error that says %q", name, err, c.want)
		}
	}
}

func leafAsRoot(t *testing.T) []byte {
	k := key(t)
	leaf, err := authority(t, pki.Policy{}, start).IssueProxy(pki.Proxy{Namespace: "a", Gateway: "b", Pod: "c"}, k.Public(), start)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf.Raw}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})...)
}

// A controller that was away for years makes a new root, and says so by an authority with that one alone.
func TestEverythingExpired(t *testing.T) {
	a := authority(t, pki.Policy{}, start)
	late := start.AddDate(2, 0, 0)
	if _, err := a.IssueProxy(pki.Proxy{Namespace: "a", Gateway: "b", Pod: "c"}, key(t).Public(), late); err == nil {
		t.Error("an expired root signs")
	}
	b := step(t, a, late)
	pool, n := anchors(t, b)
	if n != 1 {
		t.Errorf("%d anchors, want the new one alone", n)
	}
	if _, err := issue(t, b, late).Verify(x509.VerifyOptions{Roots: pool, CurrentTime: late, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
		t.Error(err)
	}
}

func TestPolicyMustFit(t *testing.T) {
	for _, p := range []pki.Policy{
		{RootLife: 72 * time.Hour}, {Announce: 200 * 24 * time.Hour}, {LeafLife: -time.Hour}, {LeafLife: 365 * 24 * time.Hour},
	} {
		if _, err := pki.NewAuthority(p, start); err == nil {
			t.Errorf("%+v is taken", p)
		}
	}
}

func TestCertificateOfAProxy(t *testing.T) {
	a := authority(t, pki.Policy{}, start)
	now := start.Add(time.Hour)
	c := issue(t, a, now)
	if got := c.NotAfter.Sub(now); got != 24*time.Hour {
		t.Errorf("it lives for %v, want 24 h", got)
	}
	if len(c.URIs) != 1 || c.URIs[0].String() != "headgate://proxy/namespace/infra/gateway/public/pod/public-1" {
		t.Errorf("it names %v", c.URIs)
	}
	if c.IsCA || len(c.DNSNames) > 0 || len(c.ExtKeyUsage) != 1 || c.ExtKeyUsage[0] != x509.ExtKeyUsageClientAuth {
		t.Errorf("it is good for more than a client: CA %v, names %v, usage %v", c.IsCA, c.DNSNames, c.ExtKeyUsage)
	}
	for _, p := range []pki.Proxy{
		{}, {"infra", "public", ""}, {"in/fra", "public", "p"}, {"infra", "public/pod/x", "p"}, {"infra", "Public", "p"},
		{"infra", "public", strings.Repeat("a", 254)}, {strings.Repeat("a", 64), "public", "p"}, {"infra", "a..b", "p"},
		{"infra.eu", "public", "p"}, {"infra", "public", "p?x"}, {"infra", "public", "p\n"},
	} {
		if _, err := a.IssueProxy(p, key(t).Public(), now); err == nil {
			t.Errorf("%+v gets a certificate", p)
		}
	}
	big, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range []any{nil, "key", big.Public()} {
		if _, err := a.IssueProxy(pki.Proxy{Namespace: "a", Gateway: "b", Pod: "c"}, k, now); err == nil {
			t.Errorf("a key of type %T is taken", k)
		}
	}
}
