package envoy

import (
	"errors"
	"fmt"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"

	"headgate.dev/proxy/model"
)

// Secret translates a secret. Neither the error nor anything else but Body has a part of the key.
func Secret(s *model.Secret) (Resource, error) {
	m := &tlsv3.Secret{Name: string(s.ID)}
	switch {
	case len(s.Certificate) > 0 && len(s.Key) > 0 && len(s.CA) == 0:
		m.Type = &tlsv3.Secret_TlsCertificate{TlsCertificate: &tlsv3.TlsCertificate{
			CertificateChain: inlineBytes(s.Certificate),
			PrivateKey:       inlineBytes(s.Key),
		}}
	case len(s.CA) > 0 && len(s.Certificate) == 0 && len(s.Key) == 0:
		m.Type = &tlsv3.Secret_ValidationContext{ValidationContext: &tlsv3.CertificateValidationContext{
			TrustedCa: inlineBytes(s.CA),
		}}
	default:
		return Resource{}, fmt.Errorf("translating secret %s: %w", s.ID, errHalfSecret)
	}
	return encode(SecretType, string(s.ID), m)
}

var errHalfSecret = errors.New("neither a certificate with its key nor certificates that are trusted")

func inlineBytes(b []byte) *corev3.DataSource {
	return &corev3.DataSource{Specifier: &corev3.DataSource_InlineBytes{InlineBytes: b}}
}
