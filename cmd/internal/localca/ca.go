// Package localca is the certificate authority of one person on one machine: it signs for HTTPS listeners and for the echo
// backend of `headgate up`, where the real certificates are somewhere else.
//
// The CA is made once and kept in a directory that only its user can enter: ca.crt is what to trust, ca.key what signs. A
// leaf is a certificate that it signs; leaves live in memory only and are cheap to make again.
package localca

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

const (
	certificateFile = "ca.crt"
	keyFile         = "ca.key"
	lockFile        = "lock"

	day = 24 * time.Hour
	// validity of a CA, and how much must be left of it: more than any leaf lasts.
	validity, remaining = 5 * 365 * day, 180 * day
	// LeafValidity is how long a leaf is good for.
	LeafValidity = 90 * day
	// Renew is how long before its end a leaf is due to be made again.
	Renew = 30 * day
	// backdate is for clocks that are behind.
	backdate = time.Hour
	// maxCached bounds the leaves that are kept for server names, which clients choose.
	maxCached = 1000
)

// CA signs certificates. Its methods may be called at the same time.
type CA struct {
	path        string // of the certificate; empty for one that is not kept
	certificate *x509.Certificate
	key         crypto.Signer
	bundle      []byte // certificate as PEM

	mu     sync.Mutex // guards what follows
	leaves map[string]*tls.Certificate
}

// Leaf is a certificate with its key, both as PEM.
type Leaf struct {
	Certificate, Key []byte
	NotAfter         time.Time
}

// Open reads the CA that is kept in dir, or makes one there when there is none or when it is about to expire. A directory or
// key that others can get at is an error, and so is one that cannot be read: nothing is thrown away that somebody trusts.
func Open(dir string, now time.Time) (*CA, error) {
	c, err := open(dir, now)
	if err != nil {
		return nil, fmt.Errorf("opening the local certificate authority in %s: %w", dir, err)
	}
	return c, nil
}

func open(dir string, now time.Time) (*CA, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := private(dir); err != nil {
		return nil, err
	}
	unlock, err := lock(filepath.Join(dir, lockFile)) // one CA, though two may look for it at once
	if err != nil {
		return nil, err
	}
	defer unlock()
	c, err := read(dir)
	switch {
	case errors.Is(err, os.ErrNotExist):
	case err != nil:
		return nil, fmt.Errorf("%w; remove the directory to have it made again", err)
	case now.Add(remaining).Before(c.certificate.NotAfter):
		return c, nil
	}
	if c, err = New(now); err != nil {
		return nil, err
	}
	return c, c.write(dir)
}

// New makes a CA that is not kept anywhere.
func New(now time.Time) (*CA, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial, err := serialNumber()
	if err != nil {
		return nil, err
	}
	host, _ := os.Hostname() // helps to find it among others; without it there is a name still
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{Organization: []string{"headgate"}, CommonName: "headgate up, local CA " + host},
		NotBefore:    now.Add(-backdate), NotAfter: now.Add(validity),
		KeyUsage: x509.KeyUsageCertSign, BasicConstraintsValid: true, IsCA: true, MaxPathLenZero: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return newCA(certificate, key), nil
}

func newCA(certificate *x509.Certificate, key crypto.Signer) *CA {
	return &CA{
		certificate: certificate, key: key, leaves: map[string]*tls.Certificate{},
		bundle: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Raw}),
	}
}

func serialNumber() (*big.Int, error) {
	return rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
}

// read gives os.ErrNotExist only when there is neither certificate nor key.
func read(dir string) (*CA, error) {
	keyPath, path := filepath.Join(dir, keyFile), filepath.Join(dir, certificateFile)
	certificate, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		if _, err := os.Lstat(keyPath); err == nil {
			return nil, fmt.Errorf("%s is there without %s", keyFile, certificateFile)
		}
	}
	if err != nil {
		return nil, err
	}
	if _, err := os.Lstat(keyPath); errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%s is there without %s", certificateFile, keyFile)
	}
	if err := private(keyPath); err != nil {
		return nil, err
	}
	key, err := os.ReadFile(keyPath)
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		return nil, err
	}
	signer, ok := pair.PrivateKey.(crypto.Signer)
	if !ok || !pair.Leaf.IsCA {
		return nil, fmt.Errorf("%s is not the certificate of an authority", certificateFile)
	}
	c := newCA(pair.Leaf, signer)
	c.path = path
	return c, nil
}

// write puts the key first, so that a certificate is never there without it.
func (c *CA) write(dir string) error {
	key, err := keyPEM(c.key)
	if err != nil {
		return err
	}
	c.path = filepath.Join(dir, certificateFile)
	if err := os.Remove(c.path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := replace(filepath.Join(dir, keyFile), key, 0o600); err != nil {
		return err
	}
	return replace(c.path, c.bundle, 0o644)
}

func replace(path string, content []byte, mode os.FileMode) error {
	temp := path + ".new"
	if err := os.Remove(temp); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := os.WriteFile(temp, content, mode); err != nil {
		return err
	}
	return os.Rename(temp, path)
}

// private tells whether a file or directory is its user's alone.
func private(path string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || int(stat.Uid) != os.Getuid() || info.Mode().Perm()&0o077 != 0 || info.Mode().Type()&os.ModeSymlink != 0 {
		return fmt.Errorf("%s is not yours alone (%s): others could sign in your name", path, info.Mode())
	}
	return nil
}

func lock(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() { _ = f.Close() }, nil // which drops the lock
}

// Path is the file to trust; empty for a CA that is not kept.
func (c *CA) Path() string { return c.path }

// Bundle is the certificate to trust, as PEM.
func (c *CA) Bundle() []byte { return c.bundle }

// Issue makes a leaf for host names, among them "*.example.com", and IP addresses; there must be one.
func (c *CA) Issue(names []string, now time.Time) (Leaf, error) {
	if len(names) == 0 {
		return Leaf{}, errors.New("issuing a certificate: for no name")
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Leaf{}, err
	}
	serial, err := serialNumber()
	if err != nil {
		return Leaf{}, err
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{Organization: []string{"headgate up"}},
		NotBefore:    now.Add(-backdate), NotAfter: now.Add(LeafValidity),
		KeyUsage: x509.KeyUsageDigitalSignature, BasicConstraintsValid: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}, // a gateway shows one to backends
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, c.certificate, key.Public(), c.key)
	if err != nil {
		return Leaf{}, fmt.Errorf("issuing a certificate for %s: %w", names[0], err)
	}
	secret, err := keyPEM(key)
	return Leaf{Certificate: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), Key: secret, NotAfter: template.NotAfter}, err
}

func keyPEM(key crypto.Signer) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), err
}

// For gives a leaf for the server name that a client of this machine asks for, the same until it is due to be renewed.
func (c *CA) For(serverName string, now time.Time) (*tls.Certificate, error) {
	if serverName == "" {
		serverName = "localhost"
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if leaf := c.leaves[serverName]; leaf != nil && now.Add(Renew).Before(leaf.Leaf.NotAfter) {
		return leaf, nil
	}
	leaf, err := c.Issue([]string{serverName}, now)
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(leaf.Certificate, leaf.Key)
	if err != nil {
		return nil, err
	}
	if len(c.leaves) >= maxCached {
		clear(c.leaves)
	}
	c.leaves[serverName] = &pair
	return &pair, nil
}
