package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/url"
	"time"
)

// IssueProxy signs a certificate that says that the owner of a key is p: a TLS client, from now on for Policy.LeafLife.
// The key must be ECDSA P-256.
func (a *Authority) IssueProxy(p Proxy, key any, now time.Time) (*x509.Certificate, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	if err := checkKey(key); err != nil {
		return nil, err
	}
	return a.issue(&x509.Certificate{
		URIs:        []*url.URL{mustURI(p.String())},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, key, now)
}

// IssueController makes a key and a certificate with which a controller serves, and calls other controllers.
func (a *Authority) IssueController(c Controller, now time.Time) (*tls.Certificate, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making the key of a controller: %w", err)
	}
	leaf, err := a.issue(&x509.Certificate{
		URIs:        []*url.URL{mustURI(c.String())},
		DNSNames:    []string{ServerName},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, &key.PublicKey, now)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key, Leaf: leaf}, nil
}

// issue signs what the template says, with the times that the policy says.
func (a *Authority) issue(template *x509.Certificate, key any, now time.Time) (*x509.Certificate, error) {
	signer, err := a.signer(now)
	if err != nil {
		return nil, err
	}
	template.NotBefore, template.NotAfter = now.Add(-skew), now.Add(a.policy.LeafLife)
	if template.NotBefore.Before(signer.cert.NotBefore) {
		template.NotBefore = signer.cert.NotBefore
	}
	if template.NotAfter.After(signer.cert.NotAfter) {
		template.NotAfter = signer.cert.NotAfter
	}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.BasicConstraintsValid = true
	der, err := x509.CreateCertificate(rand.Reader, template, signer.cert, key, signer.key)
	if err != nil {
		return nil, fmt.Errorf("signing a certificate: %w", err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("reading the certificate just signed: %w", err)
	}
	return leaf, nil
}
