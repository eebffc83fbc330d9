package dial

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
)

// TLS trusts a bundle of certificates beside the system's, and shows a certificate where there is one; all in PEM.
func TLS(ca, certificate, key []byte) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if len(ca) > 0 {
		pool, err := x509.SystemCertPool()
		if err != nil {
			pool = x509.NewCertPool()
		}
		if !pool.AppendCertsFromPEM(ca) {
			return nil, errors.New("the CA bundle holds no certificate in PEM")
		}
		c.RootCAs = pool
	}
	if len(certificate) > 0 || len(key) > 0 {
		pair, err := tls.X509KeyPair(certificate, key)
		if err != nil {
			return nil, fmt.Errorf("reading the client certificate: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}
