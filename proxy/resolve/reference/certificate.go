package reference

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/proxy/kube"
	"headgate.dev/proxy/model"
)

// Certificate resolves a reference to a Secret with a certificate and its key. Whether the reference is permitted is asked
// before whether its object exists: the answer must not tell what there is in a foreign namespace.
func Certificate(s *kube.Snapshot, from From, ref *gwv1.SecretObjectReference) (*model.Secret, *Fault) {
	name, ok := kube.CertificateSecret(from.Namespace, ref)
	if !ok {
		return nil, wrongKind(ref.Group, ref.Kind, "a certificate is in a Secret")
	}
	to := kube.Ref{Kind: kube.Secret, Name: name}
	if !Permitted(s, from, to) {
		return nil, &Fault{Forbidden, NotPermitted(from, to)}
	}
	o := s.Secret(name)
	if o == nil {
		return nil, &Fault{Unresolved, text(kube.Secret, name) + " does not exist"}
	}
	chain, key := o.Data[corev1.TLSCertKey], o.Data[corev1.TLSPrivateKeyKey]
	if why := badPair(chain, key); why != "" {
		return nil, &Fault{Unresolved, text(kube.Secret, name) + " " + why}
	}
	return &model.Secret{ID: CertificateID(name), Certificate: chain, Key: key}, nil
}

// CertificateID names the certificate in a Secret.
func CertificateID(name types.NamespacedName) model.SecretID {
	return model.SecretID("certificate/" + name.String())
}

func wrongKind(group *gwv1.Group, kind *gwv1.Kind, instead string) *Fault {
	g, k := "", "Secret" // the default
	if group != nil {
		g = string(*group)
	}
	if kind != nil {
		k = string(*kind)
	}
	return &Fault{WrongKind, "kind " + k + " (group \"" + g + "\") is not supported; " + instead}
}

// badPair says what is wrong with a certificate and its key; empty when nothing is. The words of the libraries are not passed
// on: they may quote what they read.
func badPair(chain, key []byte) string {
	switch {
	case len(chain) == 0:
		return "has no " + corev1.TLSCertKey
	case len(key) == 0:
		return "has no " + corev1.TLSPrivateKeyKey
	}
	list, ok := certificates(chain)
	switch {
	case !ok:
		return "has a " + corev1.TLSCertKey + " that is not a PEM chain of certificates"
	case mustStaple(list[0]):
		return "has a certificate that asks for OCSP stapling, which is not supported; use one without it"
	}
	pair, err := tls.X509KeyPair(chain, key)
	switch {
	case err != nil && strings.Contains(err.Error(), "does not match"):
		return "has a " + corev1.TLSPrivateKeyKey + " that is not the key of its " + corev1.TLSCertKey
	case err != nil:
		return "has a " + corev1.TLSPrivateKeyKey + " that is not a private key in PEM"
	}
	return badKey(pair.PrivateKey)
}

// mustStaple tells whether the certificate has the TLS feature extension (RFC 7633): the proxy refuses it without an OCSP
// response.
func mustStaple(c *x509.Certificate) bool {
	return slices.ContainsFunc(c.Extensions, func(e pkix.Extension) bool { return e.Id.Equal(tlsFeature) })
}

var tlsFeature = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 24}

// badKey refuses keys that the proxy would refuse, and with them everything else of the listener.
func badKey(key any) string {
	switch k := key.(type) {
	case *rsa.PrivateKey:
		if k.N.BitLen() < 2048 {
			return "has an RSA key of fewer than 2048 bits; use a longer one"
		}
		return ""
	case *ecdsa.PrivateKey:
		if k.Curve == elliptic.P256() || k.Curve == elliptic.P384() || k.Curve == elliptic.P521() {
			return ""
		}
	case ed25519.PrivateKey:
		return ""
	}
	return "has a key of a kind that is not supported; use RSA, Ed25519, or ECDSA with P-256, P-384 or P-521"
}

// certificates reads the certificates of a PEM text; ok is false when there is none, or something else.
func certificates(text []byte) (list []*x509.Certificate, ok bool) {
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			return list, len(list) > 0
		}
		if block.Type != "CERTIFICATE" {
			return nil, false
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, false
		}
		list = append(list, c)
	}
}
