package envoy

import (
	"errors"
	"regexp"
	"strings"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"

	"headgate.dev/proxy/model"
)

const (
	tlsSocket = "envoy.transport_sockets.tls"

	// systemCA is where Debian, Ubuntu and images without a distribution have the certificates that everybody trusts.
	systemCA = "/etc/ssl/certs/ca-certificates.crt"

	// wildcardLabel is what the "*" of a subject name stands for: one label, or the "*" of a certificate.
	wildcardLabel = `[a-z0-9_-]+|\*`
)

var (
	// handshakeTimeout is for a client to finish the handshake; a connection without one is bounded by nothing else.
	handshakeTimeout = durationpb.New(headersTimeout)

	// tlsFloor: older versions are not to be used any more (RFC 8996). It is Envoy's own default today, written here so that
	// no release of Envoy changes it. The cipher suites are Envoy's: all of them have forward secrecy and are AEADs.
	tlsFloor = &tlsv3.TlsParameters{TlsMinimumProtocolVersion: tlsv3.TlsParameters_TLSv1_2}

	// peerFloor is for where the certificate of the other side is verified. The list is Envoy's own, with Ed25519 and P-521, which Envoy
	// signs with and does not verify by itself, and without SHA-1.
	peerFloor = &tlsv3.TlsParameters{
		TlsMinimumProtocolVersion: tlsv3.TlsParameters_TLSv1_2,
		SignatureAlgorithms: []string{
			"ed25519", "ecdsa_secp256r1_sha256", "rsa_pss_rsae_sha256", "rsa_pkcs1_sha256", "ecdsa_secp384r1_sha384", "rsa_pss_rsae_sha384",
			"rsa_pkcs1_sha384", "ecdsa_secp521r1_sha512", "rsa_pss_rsae_sha512", "rsa_pkcs1_sha512",
		},
	}

	httpALPN = []string{"h2", "http/1.1"}

	// streamALPN are the protocols over TLS whose clients may insist on them by name. A client that offers one of these speaks it, whatever
	// the backend is; HTTP is not among them, since its versions differ and nobody asked the backend. Nothing is selected for other names.
	streamALPN = []string{"postgresql", "tds/8.0", "mqtt", "imap", "pop3", "managesieve", "nntp", "ftp", "irc", "xmpp-client", "xmpp-server", "dot"}
)

// downstreamTLS ends TLS of clients. A client that must show a certificate and has none, or one that nobody trusted has
// signed, does not get past the handshake.
func downstreamTLS(t *model.Termination, http bool) (*corev3.TransportSocket, error) {
	if len(t.Certificates) == 0 {
		return nil, errors.New("TLS is to end here, without a certificate")
	}
	common := &tlsv3.CommonTlsContext{TlsParams: tlsFloor, AlpnProtocols: streamALPN}
	if http {
		common.AlpnProtocols = httpALPN
	}
	for _, id := range t.Certificates {
		common.TlsCertificateSdsSecretConfigs = append(common.TlsCertificateSdsSecretConfigs, secretRef(id))
	}
	context := &tlsv3.DownstreamTlsContext{CommonTlsContext: common}
	if t.Client != nil {
		common.TlsParams = peerFloor
		rules := &tlsv3.CertificateValidationContext{}
		if t.Client.Optional {
			rules.TrustChainVerification = tlsv3.CertificateValidationContext_ACCEPT_UNTRUSTED
		}
		context.RequireClientCertificate = wrapperspb.Bool(!t.Client.Optional)
		common.ValidationContextType = validation(t.Client.CA, rules)
	}
	return transportSocket(context)
}

// upstreamTLS speaks TLS with the endpoints of a cluster.
func upstreamTLS(t *model.BackendTLS, p model.Protocol, o Options) (*corev3.TransportSocket, error) {
	if t.Hostname == "" && len(t.Names) == 0 {
		return nil, errors.New("TLS with a backend whose certificate may have any name")
	}
	rules := &tlsv3.CertificateValidationContext{MatchTypedSubjectAltNames: subjectNames(t)}
	common := &tlsv3.CommonTlsContext{TlsParams: peerFloor, AlpnProtocols: backendALPN[p]}
	if t.Client != "" {
		common.TlsCertificateSdsSecretConfigs = []*tlsv3.SdsSecretConfig{secretRef(t.Client)}
	}
	if t.CA == "" {
		rules.TrustedCa = &corev3.DataSource{Specifier: &corev3.DataSource_Filename{Filename: o.systemCA()}}
		common.ValidationContextType = &tlsv3.CommonTlsContext_ValidationContext{ValidationContext: rules}
	} else {
		common.ValidationContextType = validation(t.CA, rules)
	}
	return transportSocket(&tlsv3.UpstreamTlsContext{CommonTlsContext: common, Sni: t.Hostname})
}

var backendALPN = map[model.Protocol][]string{model.HTTP: {"http/1.1"}, model.H2C: {"h2"}}

// subjectNames are the names of which the certificate of a backend must have one.
func subjectNames(t *model.BackendTLS) []*tlsv3.SubjectAltNameMatcher {
	names := t.Names
	if len(names) == 0 {
		names = []model.SubjectName{{Name: t.Hostname}}
	}
	matchers := make([]*tlsv3.SubjectAltNameMatcher, 0, len(names))
	for _, n := range names {
		m := &tlsv3.SubjectAltNameMatcher{SanType: tlsv3.SubjectAltNameMatcher_DNS, Matcher: dnsName(n.Name)}
		if n.URI {
			m = &tlsv3.SubjectAltNameMatcher{SanType: tlsv3.SubjectAltNameMatcher_URI, Matcher: exactString(n.Name)}
		}
		matchers = append(matchers, m)
	}
	return matchers
}

// dnsName matches a DNS name of a certificate. For an exact one Envoy takes a wildcard in the certificate too.
func dnsName(name string) *matcherv3.StringMatcher {
	rest, wildcard := strings.CutPrefix(name, "*.")
	if !wildcard {
		return exactString(name)
	}
	return regexString(`(?i)(` + wildcardLabel + `)\.` + regexp.QuoteMeta(rest))
}

// validation adds the certificates that are trusted, which come over SDS, to the other rules.
func validation(ca model.SecretID, rules *tlsv3.CertificateValidationContext) *tlsv3.CommonTlsContext_CombinedValidationContext {
	return &tlsv3.CommonTlsContext_CombinedValidationContext{
		CombinedValidationContext: &tlsv3.CommonTlsContext_CombinedCertificateValidationContext{
			DefaultValidationContext:         rules,
			ValidationContextSdsSecretConfig: secretRef(ca),
		},
	}
}

func secretRef(id model.SecretID) *tlsv3.SdsSecretConfig {
	return &tlsv3.SdsSecretConfig{Name: string(id), SdsConfig: adsSource}
}

func transportSocket(context message) (*corev3.TransportSocket, error) {
	config, err := packed(context)
	return &corev3.TransportSocket{
		Name:       tlsSocket,
		ConfigType: &corev3.TransportSocket_TypedConfig{TypedConfig: config},
	}, err
}
