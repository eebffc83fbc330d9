package node

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"headgate.dev/deploy/testcluster/internal/network"
)

// identity is a certificate that the cluster's authority issues.
type identity struct {
	name, user, group string
	dns               []string
	ips               []net.IP
}

// users have a kubeconfig each; the first is the administrator.
var users = []identity{
	{name: "admin", user: "admin", group: "system:masters"},
	{name: "kubelet", user: "system:node:" + Name, group: "system:nodes"},
	{name: "kube-controller-manager", user: "system:kube-controller-manager"},
	{name: "kube-scheduler", user: "system:kube-scheduler"},
	{name: "kube-proxy", user: "system:kube-proxy"},
}

// authority signs certificates; a cluster has its own, and forgets it when it goes down.
type authority struct {
	dir  string
	cert *x509.Certificate
	key  crypto.Signer
	pem  []byte
}

const validity = 365 * 24 * time.Hour

// WritePKI makes keys, certificates and kubeconfigs for a new cluster.
func (l Layout) WritePKI(p network.Plan) error {
	if err := os.MkdirAll(l.PKI(), 0o700); err != nil {
		return err
	}
	a, err := newAuthority(l.PKI())
	if err != nil {
		return fmt.Errorf("making the cluster's certificate authority: %w", err)
	}
	server := identity{name: "apiserver", user: "kube-apiserver", dns: []string{"kubernetes", "kubernetes.default", "kubernetes.default.svc",
		"kubernetes.default.svc.cluster.local", "localhost"}, ips: []net.IP{net.IPv4(127, 0, 0, 1), p.API.AsSlice(), p.Node.AsSlice()}}
	for _, i := range append([]identity{server}, users...) {
		if err := a.issue(i); err != nil {
			return fmt.Errorf("issuing the certificate of %s: %w", i.name, err)
		}
	}
	if err := writeServiceAccountKey(l.PKI()); err != nil {
		return fmt.Errorf("making the key of service accounts: %w", err)
	}
	for _, u := range users {
		path := filepath.Join(l.Config(), u.name+".kubeconfig")
		if u.name == "admin" {
			path = l.Kubeconfig()
		}
		if err := a.kubeconfig(path, u.name, Server(p)); err != nil {
			return fmt.Errorf("writing %s: %w", path, err)
		}
	}
	return nil
}

// Server is the URL of the API server, on the host as in the node.
func Server(p network.Plan) string { return "https://" + p.Node.String() + ":6443" }

func newAuthority(dir string) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "testcluster"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(validity), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	a := &authority{dir: dir, cert: cert, key: key, pem: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}
	if err := os.WriteFile(filepath.Join(dir, "ca.crt"), a.pem, 0o644); err != nil {
		return nil, err
	}
	return a, writeKey(filepath.Join(dir, "ca.key"), key)
}

func (a *authority) issue(i identity) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return err
	}
	template := &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: i.user}, DNSNames: i.dns, IPAddresses: i.ips,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(validity), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}}
	if i.group != "" {
		template.Subject.Organization = []string{i.group}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		return err
	}
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	if err := os.WriteFile(filepath.Join(a.dir, i.name+".crt"), cert, 0o644); err != nil {
		return err
	}
	return writeKey(filepath.Join(a.dir, i.name+".key"), key)
}

func writeServiceAccountKey(dir string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})
	if err := os.WriteFile(filepath.Join(dir, "sa.pub"), text, 0o644); err != nil {
		return err
	}
	return writeKey(filepath.Join(dir, "sa.key"), key)
}

func writeKey(path string, key *ecdsa.PrivateKey) error {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), 0o600)
}

// kubeconfig writes a file that is complete in itself, so that it can be copied anywhere.
func (a *authority) kubeconfig(path, name, server string) error {
	var parts [2]string
	for i, ending := range []string{".crt", ".key"} {
		data, err := os.ReadFile(filepath.Join(a.dir, name+ending))
		if err != nil {
			return err
		}
		parts[i] = base64.StdEncoding.EncodeToString(data)
	}
	text := fmt.Sprintf(`apiVersion: v1
kind: Config
current-context: testcluster
contexts:
- {name: testcluster, context: {cluster: testcluster, user: %s}}
clusters:
- name: testcluster
  cluster: {server: %q, certificate-authority-data: %s}
users:
- name: %s
  user: {client-certificate-data: %s, client-key-data: %s}
`, name, server, base64.StdEncoding.EncodeToString(a.pem), name, parts[0], parts[1])
	return os.WriteFile(path, []byte(text), 0o600)
}
