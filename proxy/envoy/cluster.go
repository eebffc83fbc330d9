package envoy

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
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

	// clusterTails are clusters without their name, encoded: all clusters of one protocol are equal in it.
	clusterTails = map[model.Protocol][]byte{
		model.HTTP: clusterTail(&upstreamsv3.HttpProtocolOptions_ExplicitHttpConfig{
			ProtocolConfig: &upstreamsv3.HttpProtocolOptions_ExplicitHttpConfig_HttpProtocolOptions{
				HttpProtocolOptions: &corev3.Http1ProtocolOptions{},
			},
		}),
		model.H2C: clusterTail(&upstreamsv3.HttpProtocolOptions_ExplicitHttpConfig{
			ProtocolConfig: &upstreamsv3.HttpProtocolOptions_ExplicitHttpConfig_Http2ProtocolOptions{
				Http2ProtocolOptions: &corev3.Http2ProtocolOptions{
					InitialStreamWindowSize:     wrapperspb.UInt32(streamWindow),
					InitialConnectionWindowSize: wrapperspb.UInt32(connectionWindow),
				},
			},
		}),
	}
)

// fieldClusterName is the number of the name in envoy.config.cluster.v3.Cluster.
const fieldClusterName protowire.Number = 1

// Cluster translates a cluster: its endpoints come over EDS, by the same name. The error is a protocol that clusters do
// not speak.
func Cluster(c *model.Cluster) (Resource, error) {
	tail, ok := clusterTails[c.ID.Protocol]
	if !ok {
		return Resource{}, fmt.Errorf("translating cluster %s: protocol %q is not one of HTTP, H2C", c.ID, c.ID.Protocol)
	}
	name := c.ID.String()
	body := appendBytes(make([]byte, 0, len(name)+len(tail)+4), fieldClusterName, name)
	return newResource(ClusterType, name, append(body, tail...)), nil
}

func clusterTail(protocol *upstreamsv3.HttpProtocolOptions_ExplicitHttpConfig) []byte {
	m := &clusterv3.Cluster{
		Name:                          "checked with a name",
		ClusterDiscoveryType:          &clusterv3.Cluster_Type{Type: clusterv3.Cluster_EDS},
		EdsClusterConfig:              &clusterv3.Cluster_EdsClusterConfig{EdsConfig: adsSource},
		ConnectTimeout:                durationpb.New(connectTimeout),
		PerConnectionBufferLimitBytes: connectionLimit,
		LbPolicy:                      clusterv3.Cluster_LEAST_REQUEST,
		CommonLbConfig: &clusterv3.Cluster_CommonLbConfig{
			// Endpoints that drain are no sign of a failing service: never spread over them because they are many.
			HealthyPanicThreshold: &typev3.Percent{Value: 0},
			// A change of health waits a second by default for others to come with it.
			UpdateMergeWindow: durationpb.New(0),
		},
		CircuitBreakers: &clusterv3.CircuitBreakers{Thresholds: []*clusterv3.CircuitBreakers_Thresholds{{
			MaxRetries: wrapperspb.UInt32(maxRetries),
		}}},
		TypedExtensionProtocolOptions: map[string]*anypb.Any{
			httpProtocolOptions: mustAny(&upstreamsv3.HttpProtocolOptions{
				UpstreamProtocolOptions: &upstreamsv3.HttpProtocolOptions_ExplicitHttpConfig_{ExplicitHttpConfig: protocol},
			}),
		},
	}
	named := mustEncode(m)
	return named[len(appendBytes(nil, fieldClusterName, m.Name)):]
}
