package envoy

import (
	"fmt"
	"path"
	"time"

	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
)

// BootstrapTLS is for a proxy that reaches its xDS server over a network: either side shows a certificate.
//
// What it shows and whom it believes lie in two files of Dir, made by CertificateFile and TrustFile. They must be there
// when Envoy starts. Envoy reads a file again when another is renamed to its name: new connections follow, those there
// are stay. A file has key and certificate together, so that Envoy never sees one without the other.
type BootstrapTLS struct {
	// Dir is an absolute path that only Envoy's user can read.
	Dir string
	// ServerName is the DNS name that the server's certificate must have, wherever the server is.
	ServerName string
}

// The names of the files in BootstrapTLS.Dir.
const (
	CertificateFileName = "certificate.json"
	TrustFileName       = "trust.json"
)

// The names of the secrets in these files.
const (
	bootstrapCertificate = "certificate"
	bootstrapTrust       = "trust"
)

const (
	xdsTransport = "envoy.transport_sockets.tls"

	// xdsDNSBackoff bounds the pause after a failed look-up of the server. Envoy's own is 5 s, longer than a proxy takes to
	// start.
	xdsDNSBackoff      = 100 * time.Millisecond
	xdsDNSBackoffLimit = 2 * time.Second
)

// CertificateFile is the content of the file by which Envoy knows its own certificate. Chain and key are PEM.
func CertificateFile(chain, key []byte) ([]byte, error) {
	return bootstrapSecret(&tlsv3.Secret{Name: bootstrapCertificate, Type: &tlsv3.Secret_TlsCertificate{
		TlsCertificate: &tlsv3.TlsCertificate{CertificateChain: inlinePEM(chain), PrivateKey: inlinePEM(key)},
	}})
}

// TrustFile is the content of the file by which Envoy knows its server: signed by one of the anchors (PEM).
func TrustFile(anchors []byte) ([]byte, error) {
	return bootstrapSecret(&tlsv3.Secret{Name: bootstrapTrust, Type: &tlsv3.Secret_ValidationContext{
		ValidationContext: &tlsv3.CertificateValidationContext{TrustedCa: inlinePEM(anchors)},
	}})
}

func inlinePEM(text []byte) *corev3.DataSource {
	return &corev3.DataSource{Specifier: &corev3.DataSource_InlineString{InlineString: string(text)}}
}

func bootstrapSecret(s *tlsv3.Secret) ([]byte, error) {
	if err := s.ValidateAll(); err != nil {
		return nil, fmt.Errorf("checking the secret %s: %w", s.GetName(), err)
	}
	return marshalJSON(&discoveryv3.DiscoveryResponse{Resources: []*anypb.Any{mustAny(s)}})
}

// secure has a cluster speak TLS 1.3 with what is in the files.
func (t *BootstrapTLS) secure(c *clusterv3.Cluster) error {
	if !path.IsAbs(t.Dir) || t.ServerName == "" {
		return fmt.Errorf("TLS to the xDS server: the directory %q must be absolute, and the server name %q not empty", t.Dir, t.ServerName)
	}
	config := &tlsv3.UpstreamTlsContext{
		Sni: t.ServerName,
		CommonTlsContext: &tlsv3.CommonTlsContext{
			TlsParams:                      &tlsv3.TlsParameters{TlsMinimumProtocolVersion: tlsv3.TlsParameters_TLSv1_3, TlsMaximumProtocolVersion: tlsv3.TlsParameters_TLSv1_3},
			AlpnProtocols:                  []string{"h2"},
			TlsCertificateSdsSecretConfigs: []*tlsv3.SdsSecretConfig{t.secret(bootstrapCertificate, CertificateFileName)},
			ValidationContextType: &tlsv3.CommonTlsContext_CombinedValidationContext{
				CombinedValidationContext: &tlsv3.CommonTlsContext_CombinedCertificateValidationContext{
					DefaultValidationContext: &tlsv3.CertificateValidationContext{
						MatchTypedSubjectAltNames: []*tlsv3.SubjectAltNameMatcher{{
							SanType: tlsv3.SubjectAltNameMatcher_DNS,
							Matcher: &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Exact{Exact: t.ServerName}},
						}},
					},
					ValidationContextSdsSecretConfig: t.secret(bootstrapTrust, TrustFileName),
				},
			},
		},
	}
	c.TransportSocket = &corev3.TransportSocket{
		Name:       xdsTransport,
		ConfigType: &corev3.TransportSocket_TypedConfig{TypedConfig: mustAny(config)},
	}
	if c.GetType() == clusterv3.Cluster_STRICT_DNS {
		//nolint:staticcheck // its successor is another type of cluster; this field goes with STRICT_DNS
		c.DnsFailureRefreshRate = &clusterv3.Cluster_RefreshRate{
			BaseInterval: durationpb.New(xdsDNSBackoff), MaxInterval: durationpb.New(xdsDNSBackoffLimit),
		}
	}
	return nil
}

func (t *BootstrapTLS) secret(name, file string) *tlsv3.SdsSecretConfig {
	return &tlsv3.SdsSecretConfig{Name: name, SdsConfig: &corev3.ConfigSource{
		ResourceApiVersion: corev3.ApiVersion_V3,
		ConfigSourceSpecifier: &corev3.ConfigSource_PathConfigSource{
			PathConfigSource: &corev3.PathConfigSource{Path: path.Join(t.Dir, file)},
		},
	}}
}

// firstSetByADS is the source of listeners and clusters for a proxy that must not call itself live without them, however long
// the server is away: Envoy's own patience ends after 15 s, with a proxy that refuses every connection.
var firstSetByADS = &corev3.ConfigSource{
	ConfigSourceSpecifier: &corev3.ConfigSource_Ads{Ads: &corev3.AggregatedConfigSource{}},
	ResourceApiVersion:    corev3.ApiVersion_V3,
	InitialFetchTimeout:   &durationpb.Duration{},
}
