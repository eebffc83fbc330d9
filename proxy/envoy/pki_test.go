package envoy_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net/url"
	"strings"
	"testing"
	"time"

	"headgate.dev/proxy/envoy"
	"headgate.dev/proxy/model"
)

// ca signs the certificates of a test.
type ca struct {
	cert   *x509.Certificate
	key    crypto.Signer
	serial int64
}

func newCA(t *testing.T, name string) *ca {
	t.Helper()
	c := &ca{}
	template := &x509.Certificate{Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	c.key = ecdsaKey(t, elliptic.P256())
	c.cert = c.sign(t, template, c.key.Public(), nil)
	return c
}

// pair is a certificate with its key.
type pair struct {
	cert *x509.Certificate
	key  crypto.Signer
}

func ecdsaKey(t *testing.T, curve elliptic.Curve) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func ed25519Key(t *testing.T) crypto.Signer {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func rsaKey(t *testing.T) crypto.Signer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// sign completes and signs a certificate; without an issuer it is the CA's own.
func (c *ca) sign(t *testing.T, template *x509.Certificate, key crypto.PublicKey, issuer *ca) *x509.Certificate {
	t.Helper()
	c.serial++
	template.SerialNumber = big.NewInt(c.serial)
	template.NotBefore = time.Now().Add(-time.Hour)
	if template.NotAfter.IsZero() {
		template.NotAfter = time.Now().Add(24 * time.Hour)
	}
	parent, signer := template, c.key
	if issuer != nil {
		parent, signer = issuer.cert, issuer.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key, signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// issue makes a certificate for names: DNS names, or URIs.
func (c *ca) issue(t *testing.T, names ...string) pair {
	t.Helper()
	return c.issueTo(t, ecdsaKey(t, elliptic.P256()), names...)
}

// issueUntil makes a certificate that ends then.
func (c *ca) issueUntil(t *testing.T, end time.Time, names ...string) pair {
	t.Helper()
	return c.complete(t, ecdsaKey(t, elliptic.P256()), &x509.Certificate{NotAfter: end}, names)
}

// issueTo makes a certificate for a key.
func (c *ca) issueTo(t *testing.T, key crypto.Signer, names ...string) pair {
	t.Helper()
	return c.complete(t, key, &x509.Certificate{}, names)
}

func (c *ca) complete(t *testing.T, key crypto.Signer, template *x509.Certificate, names []string) pair {
	t.Helper()
	template.Subject = pkix.Name{CommonName: names[0]}
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	for _, n := range names {
		if uri, err := url.Parse(n); err == nil && uri.Scheme != "" {
			template.URIs = append(template.URIs, uri)
			continue
		}
		template.DNSNames = append(template.DNSNames, n)
	}
	return pair{c.sign(t, template, key.Public(), c), key}
}

func (c *ca) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(c.cert)
	return p
}

func pemOf(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func (c *ca) pem() []byte { return pemOf("CERTIFICATE", c.cert.Raw) }

func (p pair) tls() tls.Certificate {
	return tls.Certificate{Certificate: [][]byte{p.cert.Raw}, PrivateKey: p.key, Leaf: p.cert}
}

// secret gives a certificate of the model.
func (p pair) secret(t *testing.T, id model.SecretID) envoy.Resource {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(p.key)
	if err != nil {
		t.Fatal(err)
	}
	return secretOf(t, &model.Secret{ID: id, Certificate: pemOf("CERTIFICATE", p.cert.Raw), Key: pemOf("PRIVATE KEY", der)})
}

func secretOf(t *testing.T, s *model.Secret) envoy.Resource {
	t.Helper()
	r, err := envoy.Secret(s)
	if err != nil {
		t.Fatal(err)
	}
	if r.Key != envoy.SecretKey(s.ID) {
		t.Fatalf("secret %s is called %v", s.ID, r.Key)
	}
	return r
}

// secrets gives something for each ID: a certificate for everything under .test, or this CA.
func (c *ca) secrets(t *testing.T, ids []model.SecretID) []envoy.Resource {
	t.Helper()
	var out []envoy.Resource
	for _, id := range ids {
		if strings.HasPrefix(string(id), "ca/") {
			out = append(out, secretOf(t, &model.Secret{ID: id, CA: c.pem()}))
			continue
		}
		name := string(id[strings.LastIndexByte(string(id), '/')+1:])
		out = append(out, c.issue(t, name, name+".test", "*."+name+".test").secret(t, id))
	}
	return out
}
