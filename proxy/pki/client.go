package pki

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
	"log"
	"net/http"
	"os"
	"strings"
	"time"
)

const pemRequest = "CERTIFICATE REQUEST"

// maxAnswer is the bytes of an answer that are read, and of a file.
const maxAnswer = 64 << 10

// Client is a proxy's side of the exchange. Its fields are constant; the files are read anew each time, since the kubelet
// replaces them.
type Client struct {
	// Address of the exchange: HOST:PORT.
	Address string
	// TokenFile has the projected token, AnchorsFile the anchors of the Authority (PEM).
	TokenFile, AnchorsFile string
	// Clock tells the time; nil: the system's.
	Clock func() time.Time
}

// Certificate is what a proxy has got.
type Certificate struct {
	Proxy Proxy
	// Zone that the proxy is in; empty: the controller does not know.
	Zone string
	// Chain and Key are PEM.
	Chain, Key []byte
	// NotBefore and NotAfter bound its life.
	NotBefore, NotAfter time.Time
}

// RefusedError says that the exchange gives no certificate to this pod: asking again helps only once the cause is mended.
type RefusedError struct {
	Status int // of HTTP
	Reason string
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("the controller refuses a certificate (%d): %s", e.Status, e.Reason)
}

// Exchange makes a key and gets a certificate for it. The error is a *RefusedError if the controller says no.
func (c *Client) Exchange(ctx context.Context) (Certificate, error) {
	token, err := readSmall(c.TokenFile)
	if err != nil {
		return Certificate{}, fmt.Errorf("reading the token: %w", err)
	}
	trusted, err := c.trusted()
	if err != nil {
		return Certificate{}, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Certificate{}, fmt.Errorf("making a key: %w", err)
	}
	text, zone, err := c.post(ctx, key, strings.TrimSpace(string(token)), trusted)
	if err != nil {
		return Certificate{}, fmt.Errorf("getting a certificate from %s: %w", c.Address, err)
	}
	cert, err := c.check(text, key, trusted)
	if err != nil {
		return Certificate{}, fmt.Errorf("reading the certificate from %s: %w", c.Address, err)
	}
	cert.Zone = zone
	return cert, nil
}

// Anchors reads the anchors, and makes sure that they are some.
func (c *Client) Anchors() ([]byte, error) {
	text, err := readSmall(c.AnchorsFile)
	if err != nil {
		return nil, fmt.Errorf("reading the anchors: %w", err)
	}
	if !x509.NewCertPool().AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("reading the anchors: %s holds no certificate in PEM", c.AnchorsFile)
	}
	return text, nil
}

func (c *Client) trusted() (*x509.CertPool, error) {
	text, err := c.Anchors()
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(text)
	return pool, nil
}

func (c *Client) now() time.Time {
	if c.Clock == nil {
		return time.Now()
	}
	return c.Clock()
}

func (c *Client) post(ctx context.Context, key *ecdsa.PrivateKey, token string, trusted *x509.CertPool) (text []byte, zone string, err error) {
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		return nil, "", err
	}
	transport := &http.Transport{ // no proxy from the environment: the token goes to the controller and nowhere else
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: trusted, ServerName: ServerName, Time: c.now},
		TLSHandshakeTimeout:    defaultPatience,
		MaxResponseHeaderBytes: maxHeader,
		DisableKeepAlives:      true,
	}
	client := &http.Client{Transport: transport, Timeout: defaultPatience + reviewPatience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return errors.New("the exchange does not redirect") }}
	body := pem.EncodeToMemory(&pem.Block{Type: pemRequest, Bytes: csr})
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+c.Address+ExchangePath, bytes.NewReader(body))
	if err != nil {
		return nil, "", err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := client.Do(req)
	if err != nil {
		return nil, "", err
	}
	defer res.Body.Close()
	text, err = io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return nil, "", fmt.Errorf("reading the answer: %w", err)
	}
	switch {
	case res.StatusCode == http.StatusOK:
		return text, res.Header.Get(ZoneHeader), nil
	case res.StatusCode >= 400 && res.StatusCode < 500:
		return nil, "", &RefusedError{res.StatusCode, strings.TrimSpace(string(text))}
	default:
		return nil, "", fmt.Errorf("%s: %.200s", res.Status, strings.TrimSpace(string(text)))
	}
}

// check makes sure that the answer is a certificate for the key, by the Authority that is trusted.
func (c *Client) check(text []byte, key *ecdsa.PrivateKey, trusted *x509.CertPool) (Certificate, error) {
	block, rest := pem.Decode(text)
	if block == nil || block.Type != pemCertificate || len(rest) > 0 {
		return Certificate{}, errors.New("the answer is not one certificate in PEM")
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return Certificate{}, err
	}
	if !key.PublicKey.Equal(cert.PublicKey) {
		return Certificate{}, errors.New("it is for another key")
	}
	if _, err := cert.Verify(x509.VerifyOptions{
		Roots: trusted, CurrentTime: c.now(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}); err != nil {
		return Certificate{}, err
	}
	proxy, err := proxyOf(cert)
	if err != nil {
		return Certificate{}, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return Certificate{}, err
	}
	return Certificate{
		Proxy: proxy, Chain: text, Key: pem.EncodeToMemory(&pem.Block{Type: pemKey, Bytes: der}),
		NotBefore: cert.NotBefore, NotAfter: cert.NotAfter,
	}, nil
}

// checkKey says what keys a proxy may have.
func checkKey(key any) error {
	if public, ok := key.(*ecdsa.PublicKey); !ok || public.Curve != elliptic.P256() {
		return errors.New("the key of a proxy must be ECDSA P-256")
	}
	return nil
}

func readSmall(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxAnswer))
	if err != nil {
		return nil, err
	}
	if len(bytes.TrimSpace(text)) == 0 {
		return nil, fmt.Errorf("%s is empty", path)
	}
	return text, nil
}

func silent() *log.Logger { return log.New(io.Discard, "", 0) }
