package reference

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"headgate.dev/proxy/kube"
	"headgate.dev/proxy/kube/kubetest"
)

func selfSigned(t *testing.T, public, private any, extensions ...pkix.Extension) (chain, key []byte) {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), ExtraExtensions: extensions}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
}

// TestKeys: keys that the proxy would refuse are refused here, so that they hurt nobody else.
func TestKeys(t *testing.T) {
	rsa2048, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p224, _ := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	p384, _ := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	public, private, _ := ed25519.GenerateKey(rand.Reader)
	for name, c := range map[string]struct {
		public, private any
		want            string
	}{
		"RSA":     {&rsa2048.PublicKey, rsa2048, ""},
		"P-384":   {&p384.PublicKey, p384, ""},
		"P-224":   {&p224.PublicKey, p224, "kind that is not supported"},
		"Ed25519": {public, private, ""},
	} {
		chain, key := selfSigned(t, c.public, c.private)
		if got := badPair(chain, key); (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q", name, got)
		}
	}
	staple := pkix.Extension{Id: tlsFeature, Value: []byte{0x30, 0x03, 0x02, 0x01, 0x05}}
	if got := badPair(selfSigned(t, &p384.PublicKey, p384, staple)); !strings.Contains(got, "OCSP") {
		t.Errorf("a certificate that must be stapled: %q", got)
	}
	short := &rsa.PrivateKey{PublicKey: rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), 1023), E: 65537}}
	if got := badKey(short); !strings.Contains(got, "2048") {
		t.Errorf("a short RSA key: %q", got)
	}
}

// TestBadPairs: every way in which a Secret is no certificate, in words that hold nothing of it.
func TestBadPairs(t *testing.T) {
	for _, c := range [][3]string{
		{"", kubetest.ShopKey, "has no tls.crt"},
		{kubetest.ShopCertificate, "", "has no tls.key"},
		{"nothing", kubetest.ShopKey, "tls.crt that is not a PEM chain"},
		{kubetest.ShopKey, kubetest.ShopKey, "tls.crt that is not a PEM chain"},
		{kubetest.ShopCertificate + "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", kubetest.ShopKey, "tls.crt that is not a PEM chain"},
		{kubetest.ShopCertificate, "nothing", "tls.key that is not a private key"},
		{kubetest.ShopCertificate, kubetest.WildcardKey, "not the key of its tls.crt"},
		{kubetest.WildcardCertificate + kubetest.ShopCertificate, kubetest.ShopKey, "not the key of its tls.crt"},
		{kubetest.ShopCertificate + kubetest.CACertificate, kubetest.ShopKey, ""},
		{"text before\n" + kubetest.ShopCertificate, kubetest.ShopKey, ""},
	} {
		if got := badPair([]byte(c[0]), []byte(c[1])); (c[2] == "") != (got == "") || !strings.Contains(got, c[2]) {
			t.Errorf("got %q, want %q", got, c[2])
		}
	}
}

// FuzzPair: whatever a Secret holds, it is judged, and none of it is in the judgement.
func FuzzPair(f *testing.F) {
	f.Add([]byte(kubetest.ShopCertificate), []byte(kubetest.ShopKey))
	f.Add([]byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), []byte("-----BEGIN PRIVATE KEY-----\nc2VjcmV0IHNlY3JldA==\n-----END PRIVATE KEY-----\n"))
	f.Add([]byte(kubetest.ShopCertificate), []byte("-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIA==\n-----END EC PRIVATE KEY-----\n"))
	known := map[string]bool{}
	for _, m := range []string{
		"", "has no tls.crt", "has no tls.key", "has a tls.crt that is not a PEM chain of certificates", "has a tls.key that is not the key of its tls.crt",
		"has a tls.key that is not a private key in PEM", "has an RSA key of fewer than 2048 bits; use a longer one",
		"has a key of a kind that is not supported; use RSA, Ed25519, or ECDSA with P-256, P-384 or P-521",
		"has a certificate that asks for OCSP stapling, which is not supported; use one without it",
	} {
		known[m] = true
	}
	f.Fuzz(func(t *testing.T, chain, key []byte) {
		if got := badPair(chain, key); !known[got] {
			t.Errorf("a message that is not one of ours: %q", got)
		}
	})
}

// TestBundle: the order of references does not matter, repeats count once, and each text ends in a line of its own.
func TestBundle(t *testing.T) {
	s := kube.NewSnapshot()
	for n, text := range map[string]string{"one": strings.TrimSpace(kubetest.CACertificate), "two": kubetest.ShopCertificate} {
		s.Apply([]kube.Change{kube.ChangeOf(kube.ConfigMap, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: n}, Data: map[string]string{"ca.crt": text}})})
	}
	ref := func(n string) BundleRef {
		return BundleRef{Kind: "ConfigMap", Name: types.NamespacedName{Namespace: "a", Name: n}}
	}
	from := From{Kind: kube.Gateway, Namespace: "a"}
	b := Resolve(s, from, []BundleRef{ref("two"), ref("nobody"), ref("one"), ref("two")})
	if b.Secret.ID != "ca/ConfigMap/a/one+ConfigMap/a/two" || string(b.Secret.CA) != kubetest.CACertificate+kubetest.ShopCertificate {
		t.Errorf("%s: %s", b.Secret.ID, b.Secret.CA)
	}
	if i, f := b.First(); i != 1 || f.Cause != Unresolved {
		t.Errorf("fault %d: %+v", i, f)
	}
	none := Resolve(s, from, nil)
	if i, f := none.First(); none.Secret != nil || i != -1 || f != nil {
		t.Errorf("%+v", none)
	}
}
