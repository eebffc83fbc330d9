package envoy_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"headgate.dev/proxy/envoy"
)

// Envoy takes the configuration with the files it names, and the files are the same for the same input.
func TestBootstrapTLS(t *testing.T) {
	dir := t.TempDir()
	o := envoy.BootstrapOptions{NodeID: "public-1", XDS: "headgate.headgate-system.svc.cluster.local:18000",
		TLS: &envoy.BootstrapTLS{Dir: dir, ServerName: "controller.headgate.dev"}}
	got, err := envoy.Bootstrap(o)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"initial_fetch_timeout": "0s"`, `"exact": "controller.headgate.dev"`, `"tls_minimum_protocol_version": "TLSv1_3"`,
		filepath.Join(dir, "certificate.json"), filepath.Join(dir, "trust.json"), `"dns_failure_refresh_rate"`,
	} {
		if !bytes.Contains(got, []byte(want)) {
			t.Errorf("no %s in %s", want, got)
		}
	}
	chain, key := selfSigned(t)
	certificate, err := envoy.CertificateFile(chain, key)
	if err != nil {
		t.Fatal(err)
	}
	again, err := envoy.CertificateFile(chain, key)
	if err != nil || !bytes.Equal(certificate, again) {
		t.Errorf("two files differ (%v)", err)
	}
	trust, err := envoy.TrustFile(chain)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(trust, []byte("PRIVATE")) {
		t.Error("the trust file has a key")
	}
	for name, text := range map[string][]byte{"bootstrap.json": got, envoy.CertificateFileName: certificate, envoy.TrustFileName: trust} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, err := exec.Command(binary(t), "--mode", "validate", "--log-level", "warn", "-c", filepath.Join(dir, "bootstrap.json")).CombinedOutput()
	if err != nil {
		t.Errorf("envoy --mode validate: %v\n%s", err, out)
	}

	for _, bad := range []envoy.BootstrapTLS{{}, {Dir: "relative", ServerName: "x"}, {Dir: "/run"}} {
		o.TLS = &bad
		if _, err := envoy.Bootstrap(o); err == nil || !strings.HasPrefix(err.Error(), "TLS to the xDS server") {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}

// selfSigned is a certificate with its key.
func selfSigned(t *testing.T) (chain, key []byte) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}
