package envoy

import (
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	commonv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/common/v3"
	leastrequestv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/least_request/v3"
	roundrobinv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/round_robin/v3"
	upstreamsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"

	"headgate.dev/proxy/model"
)

const (
	connectTimeout = 5 * time.Second
	bufferLimit    = 32 * 1024 // bytes per connection and direction; an edge proxy meets slow readers
	// maxRetries at a time: Envoy's default of 3 drops nearly all of them when a backend dies under load.
	maxRetries       = 1024
	streamWindow     = 64 * 1024
	connectionWindow = 1024 * 1024

	httpProtocolOptions = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
)

var (
	adsSource = &corev3.ConfigSource{
		ResourceApiVersion:    corev3.ApiVersion_V3,
		ConfigSourceSpecifier: &corev3.ConfigSource_Ads{Ads: &corev3.AggregatedConfigSource{}},
	}
	connectionLimit = wrapperspb.UInt32(bufferLimit)

	connections = clusterTail(&clusterv3.Cluster{
		UpstreamConnectionOptions: &clusterv3.UpstreamConnectionOptions{TcpKeepalive: keepalive},
	}, clusterv3.Cluster_ROUND_ROBIN) // the endpoint with the fewest connections would be the dead one, at every attempt

	// clusterTails are clusters without their name, encoded: all clusters of one protocol are equal in it.
	clusterTails = map[model.Protocol][]byte{
		model.HTTP: clusterTail(withHTTP(&upstreamsv3.HttpProtocolOptions_ExplicitHttpConfig{
			ProtocolConfig: &upstreamsv3.HttpProtocolOptions_ExplicitHttpConfig_HttpProtocolOptions{
				HttpProtocolOptions: &corev3.Http1ProtocolOptions{},
			},
		}), clusterv3.Cluster_LEAST_REQUEST),
		model.H2C: clusterTail(withHTTP(&upstreamsv3.HttpProtocolOptions_ExplicitHttpConfig{
			ProtocolConfig: &upstreamsv3.HttpProtocolOptions_ExplicitHttpConfig_Http2ProtocolOptions{
				Http2ProtocolOptions: &corev3.Http2ProtocolOptions{
					InitialStreamWindowSize:     wrapperspb.UInt32(streamWindow),
					InitialConnectionWindowSize: wrapperspb.UInt32(connectionWindow),
				},
			},
		}), clusterv3.Cluster_LEAST_REQUEST),
		model.TCP: connections,
		model.TLS: connections, // with a TLS of its own, where there is one: the same connections
		// Sessions are not counted, and the endpoints of a mix have weights.
		model.UDP: clusterTail(&clusterv3.Cluster{}, clusterv3.Cluster_ROUND_ROBIN),
	}
)

// Field numbers of envoy.config.cluster.v3.Cluster.
const (
	fieldClusterName   protowire.Number = 1
	fieldClusterSocket protowire.Number = 24
	fieldClusterPolicy protowire.Number = 41
)

// ownZone prefers endpoints in the proxy's own locality, however few, as long as one of them takes requests.
var ownZone = &commonv3.LocalityLbConfig{LocalityConfigSpecifier: &commonv3.LocalityLbConfig_ZoneAwareLbConfig_{
	ZoneAwareLbConfig: &commonv3.LocalityLbConfig_ZoneAwareLbConfig{
		MinClusterSize: wrapperspb.UInt64(1),
		ForceLocalZone: &commonv3.LocalityLbConfig_ZoneAwareLbConfig_ForceLocalZone{MinSize: wrapperspb.UInt32(1)},
	},
}}

// zonePolicy stands in for the policy of a cluster's tail and chooses as that does, in the own zone.
func zonePolicy(p model.Protocol) message {
	name, config := "envoy.load_balancing_policies.round_robin", mustAny(&roundrobinv3.RoundRobin{LocalityLbConfig: ownZone})
	if p == model.HTTP || p == model.H2C {
		name, config = "envoy.load_balancing_policies.least_request", mustAny(&leastrequestv3.LeastRequest{LocalityLbConfig: ownZone})
	}
	return &clusterv3.LoadBalancingPolicy{Policies: []*clusterv3.LoadBalancingPolicy_Policy{{
		TypedExtensionConfig: &corev3.TypedExtensionConfig{Name: name, TypedConfig: config},
	}}}
}

// Cluster translates a cluster: its endpoints come over EDS, by the same name. The error is a protocol that clusters do
// not speak, or TLS that says too little.
func Cluster(c *model.Cluster, o Options) (Resource, error) {
	name := c.ID.String()
	tail, ok := clusterTails[c.ID.Protocol]
	if !ok {
		return Resource{}, fmt.Errorf("translating cluster %s: protocol %q is not one of HTTP, H2C, TCP, TLS, UDP", name, c.ID.Protocol)
	}
	body := appendBytes(make([]byte, 0, len(name)+len(tail)+4), fieldClusterName, name)
	body = append(body, tail...)
	if c.Zones {
		var err error
		if body, err = appendMessage(body, fieldClusterPolicy, zonePolicy(c.ID.Protocol)); err != nil {
			return Resource{}, fmt.Errorf("translating cluster %s: %w", name, err)
		}
	}
	if c.TLS == nil {
		return newResource(ClusterType, name, body), nil
	}
	if c.ID.Protocol == model.UDP {
		return Resource{}, fmt.Errorf("translating cluster %s: there is no TLS over UDP", name)
	}
	socket, err := upstreamTLS(c.TLS, c.ID.Protocol, o)
	if err == nil {
		body, err = appendMessage(body, fieldClusterSocket, socket)
	}
	if err != nil {
		return Resource{}, fmt.Errorf("translating cluster %s: %w", name, err)
	}
	r := newResource(ClusterType, name, body)
	for _, id := range [...]model.SecretID{c.TLS.CA, c.TLS.Client} {
		if id != "" {
			r.Secrets = append(r.Secrets, string(id))
		}
	}
	slices.Sort(r.Secrets)
	return r, nil
}

// withHTTP makes a cluster that speaks HTTP in one version.
func withHTTP(protocol *upstreamsv3.HttpProtocolOptions_ExplicitHttpConfig) *clusterv3.Cluster {
	return &clusterv3.Cluster{TypedExtensionProtocolOptions: map[string]*anypb.Any{
		httpProtocolOptions: mustAny(&upstreamsv3.HttpProtocolOptions{
			UpstreamProtocolOptions: &upstreamsv3.HttpProtocolOptions_ExplicitHttpConfig_{ExplicitHttpConfig: protocol},
		}),
	}}
}

// clusterTail completes m with what all clusters have, and encodes it.
func clusterTail(m *clusterv3.Cluster, policy clusterv3.Cluster_LbPolicy) []byte {
	m.Name = "checked with a name"
	m.ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: clusterv3.Cluster_EDS}
	m.EdsClusterConfig = &clusterv3.Cluster_EdsClusterConfig{EdsConfig: adsSource}
	m.ConnectTimeout = durationpb.New(connectTimeout)
	m.PerConnectionBufferLimitBytes = connectionLimit
	m.LbPolicy = policy
	m.CommonLbConfig = &clusterv3.Cluster_CommonLbConfig{
		// Endpoints that drain are no sign of a failing service: never spread over them because they are many.
		HealthyPanicThreshold: &typev3.Percent{Value: 0},
		// A change of health waits a second by default for others to come with it.
		UpdateMergeWindow: durationpb.New(0),
	}
	m.CircuitBreakers = &clusterv3.CircuitBreakers{Thresholds: []*clusterv3.CircuitBreakers_Thresholds{{
		MaxRetries: wrapperspb.UInt32(maxRetries),
	}}}
	named := mustEncode(m)
	return named[len(appendBytes(nil, fieldClusterName, m.Name)):]
}
