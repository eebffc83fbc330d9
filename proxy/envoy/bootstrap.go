package envoy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	metricsv3 "github.com/envoyproxy/go-control-plane/envoy/config/metrics/v3"
	overloadv3 "github.com/envoyproxy/go-control-plane/envoy/config/overload/v3"
	connectionsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/resource_monitors/downstream_connections/v3"
	upstreamsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
)

// BootstrapOptions is what an Envoy is started with. XDS is required; an address is "HOST:PORT" or the path of a unix
// socket ("/run/xds.sock", or "@name" for an abstract one).
type BootstrapOptions struct {
	NodeID string // how the proxy introduces itself; not its identity
	XDS    string // where the xDS server listens
	Admin  string // where the admin interface is to listen; empty: nowhere
	// Zone that the proxy is in; empty: it is not known, and no endpoint is preferred for its zone.
	Zone string
	// MaxConnections of clients at a time, over all listeners; 0 means 50,000.
	MaxConnections int64
	// TLS is how to reach the xDS server over a network; nil: in plain text, and then a proxy calls itself live after 15 s
	// without the server.
	TLS *BootstrapTLS
}

const (
	xdsCluster = "xds"
	// zoneCluster stands for the fleet itself, of which Envoy must know where it is before it prefers a zone.
	zoneCluster           = "zone"
	defaultMaxConnections = 50_000
	// regexUnbounded lifts Envoy's bound of 100 on the size of a regular expression; checkRegex bounds it.
	regexUnbounded = 1<<32 - 1
	xdsWindow      = 16 << 20

	xdsConnect      = time.Second
	xdsKeepalive    = 5 * time.Second
	xdsBackoff      = 20 * time.Millisecond
	xdsBackoffLimit = 200 * time.Millisecond
)

// Bootstrap gives the configuration to start Envoy with, as JSON. Everything else it gets from the xDS server over one
// delta ADS stream.
func Bootstrap(o BootstrapOptions) ([]byte, error) {
	server, err := xdsServer(o.XDS)
	if err != nil {
		return nil, err
	}
	source := adsSource
	if o.TLS != nil {
		if err := o.TLS.secure(server); err != nil {
			return nil, err
		}
		source = firstSetByADS
	}
	b := &bootstrapv3.Bootstrap{
		Node:             &corev3.Node{Id: o.NodeID, Cluster: "headgate"},
		StaticResources:  &bootstrapv3.Bootstrap_StaticResources{Clusters: []*clusterv3.Cluster{server}},
		DynamicResources: dynamicResources(source),
		ClusterManager:   &bootstrapv3.ClusterManager{EnableDeferredClusterCreation: true},
		// No flush every five seconds, which stalls the main thread that applies configuration too.
		StatsFlush:      &bootstrapv3.Bootstrap_StatsFlushOnAdmin{StatsFlushOnAdmin: true},
		StatsConfig:     statsConfig(),
		LayeredRuntime:  layeredRuntime(),
		OverloadManager: overloadManager(o.MaxConnections),
	}
	if o.Zone != "" {
		b.Node.Locality = locality(o.Zone)
		b.ClusterManager.LocalClusterName = zoneCluster
		b.StaticResources.Clusters = append(b.StaticResources.Clusters, fleetIn(o.Zone))
	}
	if o.Admin != "" {
		address, _, err := parseAddress(o.Admin)
		if err != nil {
			return nil, fmt.Errorf("reading the address of the admin interface: %w", err)
		}
		b.Admin = &bootstrapv3.Admin{Address: address}
	}
	if err := b.ValidateAll(); err != nil {
		return nil, fmt.Errorf("checking the bootstrap configuration: %w", err)
	}
	return marshalJSON(b)
}

// fleetIn is a cluster that nothing is sent to: a fleet that is in one zone alone. Where the other proxies are would only count for
// a zone that takes a part of the requests, and ownZone takes all.
func fleetIn(zone string) *clusterv3.Cluster {
	nowhere := &corev3.Address{Address: &corev3.Address_Pipe{Pipe: &corev3.Pipe{Path: "@headgate-zone"}}}
	return &clusterv3.Cluster{
		Name:                 zoneCluster,
		ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STATIC},
		LoadAssignment: &endpointv3.ClusterLoadAssignment{
			ClusterName: zoneCluster,
			Endpoints: []*endpointv3.LocalityLbEndpoints{{
				Locality: locality(zone),
				LbEndpoints: []*endpointv3.LbEndpoint{{
					HostIdentifier: &endpointv3.LbEndpoint_Endpoint{Endpoint: &endpointv3.Endpoint{Address: nowhere}},
				}},
			}},
		},
	}
}

// marshalJSON writes a message with the spaces that protojson puts in at random taken out again.
func marshalJSON(m message) ([]byte, error) {
	text, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encoding the bootstrap configuration: %w", err)
	}
	var out bytes.Buffer
	if err := json.Indent(&out, text, "", "  "); err != nil {
		return nil, fmt.Errorf("indenting the bootstrap configuration: %w", err)
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}

// dynamicResources names the one stream. The back-off counts only where it stands here, inside envoy_grpc.
func dynamicResources(source *corev3.ConfigSource) *bootstrapv3.Bootstrap_DynamicResources {
	return &bootstrapv3.Bootstrap_DynamicResources{
		LdsConfig: source,
		CdsConfig: source,
		AdsConfig: &corev3.ApiConfigSource{
			ApiType:                   corev3.ApiConfigSource_DELTA_GRPC,
			TransportApiVersion:       corev3.ApiVersion_V3,
			SetNodeOnFirstMessageOnly: true,
			GrpcServices: []*corev3.GrpcService{{TargetSpecifier: &corev3.GrpcService_EnvoyGrpc_{
				EnvoyGrpc: &corev3.GrpcService_EnvoyGrpc{
					ClusterName: xdsCluster,
					RetryPolicy: &corev3.RetryPolicy{RetryBackOff: &corev3.BackoffStrategy{
						BaseInterval: durationpb.New(xdsBackoff),
						MaxInterval:  durationpb.New(xdsBackoffLimit),
					}},
				},
			}}},
		},
	}
}

// xdsServer is the only cluster that does not come from the server it leads to.
func xdsServer(address string) (*clusterv3.Cluster, error) {
	where, discovery, err := parseAddress(address)
	if err != nil {
		return nil, fmt.Errorf("reading the address of the xDS server: %w", err)
	}
	options := &upstreamsv3.HttpProtocolOptions{
		UpstreamProtocolOptions: &upstreamsv3.HttpProtocolOptions_ExplicitHttpConfig_{
			ExplicitHttpConfig: &upstreamsv3.HttpProtocolOptions_ExplicitHttpConfig{
				ProtocolConfig: &upstreamsv3.HttpProtocolOptions_ExplicitHttpConfig_Http2ProtocolOptions{
					Http2ProtocolOptions: &corev3.Http2ProtocolOptions{
						InitialStreamWindowSize:     wrapperspb.UInt32(xdsWindow),
						InitialConnectionWindowSize: wrapperspb.UInt32(xdsWindow),
						ConnectionKeepalive: &corev3.KeepaliveSettings{
							Interval: durationpb.New(xdsKeepalive),
							Timeout:  durationpb.New(xdsKeepalive),
						},
					},
				},
			},
		},
	}
	return &clusterv3.Cluster{
		Name:                 xdsCluster,
		ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: discovery},
		ConnectTimeout:       durationpb.New(xdsConnect),
		LoadAssignment: &endpointv3.ClusterLoadAssignment{
			ClusterName: xdsCluster,
			Endpoints: []*endpointv3.LocalityLbEndpoints{{LbEndpoints: []*endpointv3.LbEndpoint{{
				HostIdentifier: &endpointv3.LbEndpoint_Endpoint{Endpoint: &endpointv3.Endpoint{Address: where}},
			}}}},
		},
		TypedExtensionProtocolOptions: map[string]*anypb.Any{httpProtocolOptions: mustAny(options)},
	}, nil
}

// parseAddress reads an address of BootstrapOptions and says how Envoy finds it.
func parseAddress(s string) (*corev3.Address, clusterv3.Cluster_DiscoveryType, error) {
	if strings.HasPrefix(s, "/") || strings.HasPrefix(s, "@") {
		return &corev3.Address{Address: &corev3.Address_Pipe{Pipe: &corev3.Pipe{Path: s}}}, clusterv3.Cluster_STATIC, nil
	}
	discovery := clusterv3.Cluster_STATIC
	var host string
	var port uint16
	if ip, err := netip.ParseAddrPort(s); err == nil {
		host, port = ip.Addr().String(), ip.Port()
	} else {
		name, number, _ := strings.Cut(s, ":")
		n, err := strconv.ParseUint(number, 10, 16)
		if err != nil || name == "" {
			return nil, 0, fmt.Errorf("%q is neither HOST:PORT nor the path of a socket", s)
		}
		discovery, host, port = clusterv3.Cluster_STRICT_DNS, name, uint16(n)
	}
	return &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
		Address:       host,
		PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: uint32(port)},
	}}}, discovery, nil
}

// statsConfig lists the statistics that are kept. All others cost half of Envoy's memory, and a scrape of them seconds of
// the main thread. Of a cluster there are only those that stay unused, and untold, until it has traffic.
func statsConfig() *metricsv3.StatsConfig {
	var patterns []*matcherv3.StringMatcher
	for _, prefix := range [...]string{
		"http." + statPrefix + ".downstream_", "server.", "control_plane.", "cluster_manager.", "listener_manager.",
	} {
		patterns = append(patterns, &matcherv3.StringMatcher{
			MatchPattern: &matcherv3.StringMatcher_Prefix{Prefix: prefix},
		})
	}
	for _, suffix := range [...]string{
		".upstream_rq_total", ".upstream_rq_5xx", ".upstream_cx_active",
	} {
		patterns = append(patterns, &matcherv3.StringMatcher{
			MatchPattern: &matcherv3.StringMatcher_Suffix{Suffix: suffix},
		})
	}
	return &metricsv3.StatsConfig{StatsMatcher: &metricsv3.StatsMatcher{
		StatsMatcher: &metricsv3.StatsMatcher_InclusionList{
			InclusionList: &matcherv3.ListStringMatcher{Patterns: patterns},
		},
	}}
}

func layeredRuntime() *bootstrapv3.LayeredRuntime {
	return &bootstrapv3.LayeredRuntime{Layers: []*bootstrapv3.RuntimeLayer{{
		Name: "headgate",
		LayerSpecifier: &bootstrapv3.RuntimeLayer_StaticLayer{StaticLayer: &structpb.Struct{
			Fields: map[string]*structpb.Value{
				"re2.max_program_size.error_level": structpb.NewNumberValue(regexUnbounded),
				"re2.max_program_size.warn_level":  structpb.NewNumberValue(regexUnbounded),
			},
		}},
	}}}
}

// overloadManager bounds the connections of clients, without which they could take all file descriptors and memory.
func overloadManager(limit int64) *overloadv3.OverloadManager {
	if limit == 0 {
		limit = defaultMaxConnections
	}
	return &overloadv3.OverloadManager{ResourceMonitors: []*overloadv3.ResourceMonitor{{
		Name: "envoy.resource_monitors.global_downstream_max_connections",
		ConfigType: &overloadv3.ResourceMonitor_TypedConfig{
			TypedConfig: mustAny(&connectionsv3.DownstreamConnectionsConfig{MaxActiveDownstreamConnections: limit}),
		},
	}}}
}
