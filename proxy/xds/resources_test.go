package xds_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	mutation "github.com/envoyproxy/go-control-plane/envoy/config/common/mutation_rules/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpoint "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	router "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	early "github.com/envoyproxy/go-control-plane/envoy/extensions/http/early_header_mutation/header_mutation/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"

	"headgate.dev/proxy/envoy"
	"headgate.dev/proxy/xds"
)

// The resources of the tests with Envoy, by hand, in the layout the product uses: one scope and one table per host.

func change(t envoy.Type, name string, m proto.Message) xds.Change {
	body, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		panic(err)
	}
	sum := sha256.Sum256(body)
	return xds.Change{Key: envoy.Key{Type: t, Name: name}, Version: hex.EncodeToString(sum[:8]), Body: body}
}

func removal(t envoy.Type, name string) xds.Change {
	return xds.Change{Key: envoy.Key{Type: t, Name: name}}
}

func packed(m proto.Message) *anypb.Any {
	a, err := anypb.New(m)
	if err != nil {
		panic(err)
	}
	return a
}

var ads = &core.ConfigSource{
	ConfigSourceSpecifier: &core.ConfigSource_Ads{Ads: &core.AggregatedConfigSource{}}, ResourceApiVersion: core.ApiVersion_V3,
}

func clusterOf(name string, timeout time.Duration) xds.Change {
	return change(envoy.ClusterType, name, &cluster.Cluster{
		Name:                 name,
		ClusterDiscoveryType: &cluster.Cluster_Type{Type: cluster.Cluster_EDS},
		EdsClusterConfig:     &cluster.Cluster_EdsClusterConfig{EdsConfig: ads},
		ConnectTimeout:       durationpb.New(timeout),
	})
}

func endpointsOf(name string, ports ...int) xds.Change {
	var eps []*endpoint.LbEndpoint
	for _, p := range ports {
		eps = append(eps, &endpoint.LbEndpoint{HostIdentifier: &endpoint.LbEndpoint_Endpoint{
			Endpoint: &endpoint.Endpoint{Address: address(p)},
		}})
	}
	return change(envoy.EndpointType, name, &endpoint.ClusterLoadAssignment{
		ClusterName: name, Endpoints: []*endpoint.LocalityLbEndpoints{{LbEndpoints: eps}},
	})
}

func address(port int) *core.Address {
	return &core.Address{Address: &core.Address_SocketAddress{SocketAddress: &core.SocketAddress{
		Address: "127.0.0.1", PortSpecifier: &core.SocketAddress_PortValue{PortValue: uint32(port)},
	}}}
}

func scopeOf(host string) xds.Change {
	return change(envoy.ScopeType, "L0/"+host, &route.ScopedRouteConfiguration{
		Name: "L0/" + host, RouteConfigurationName: "L0/" + host,
		Key: &route.ScopedRouteConfiguration_Key{Fragments: []*route.ScopedRouteConfiguration_Key_Fragment{{
			Type: &route.ScopedRouteConfiguration_Key_Fragment_StringKey{StringKey: "L0/" + host},
		}}},
	})
}

// routesTo sends all of a host to a cluster.
func routesTo(host, to string) xds.Change {
	return tableOf(host, &route.VirtualHost{Name: host, Domains: []string{"*"}, Routes: []*route.Route{{
		Name:   "all",
		Match:  &route.RouteMatch{PathSpecifier: &route.RouteMatch_Prefix{Prefix: "/"}},
		Action: &route.Route_Route{Route: &route.RouteAction{ClusterSpecifier: &route.RouteAction_Cluster{Cluster: to}}},
	}}})
}

func tableOf(host string, vh *route.VirtualHost) xds.Change {
	return change(envoy.RouteType, "L0/"+host, &route.RouteConfiguration{Name: "L0/" + host, VirtualHosts: []*route.VirtualHost{vh}})
}

// listenerOn serves the scopes on a port of loopback.
func listenerOn(port int) xds.Change {
	manager := &hcm.HttpConnectionManager{
		StatPrefix: "g",
		EarlyHeaderMutationExtensions: []*core.TypedExtensionConfig{{
			Name: "envoy.http.early_header_mutation.header_mutation",
			TypedConfig: packed(&early.HeaderMutation{Mutations: []*mutation.HeaderMutation{{
				Action: &mutation.HeaderMutation_Append{Append: &core.HeaderValueOption{
					Header:       &core.HeaderValue{Key: "x-hg-scope", Value: "L0/%REQ(:AUTHORITY)%"},
					AppendAction: core.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD,
				}},
			}}}),
		}},
		RouteSpecifier: &hcm.HttpConnectionManager_ScopedRoutes{ScopedRoutes: &hcm.ScopedRoutes{
			Name: "sr",
			ScopeKeyBuilder: &hcm.ScopedRoutes_ScopeKeyBuilder{Fragments: []*hcm.ScopedRoutes_ScopeKeyBuilder_FragmentBuilder{{
				Type: &hcm.ScopedRoutes_ScopeKeyBuilder_FragmentBuilder_HeaderValueExtractor_{
					HeaderValueExtractor: &hcm.ScopedRoutes_ScopeKeyBuilder_FragmentBuilder_HeaderValueExtractor{
						Name: "x-hg-scope", ElementSeparator: ":",
						ExtractType: &hcm.ScopedRoutes_ScopeKeyBuilder_FragmentBuilder_HeaderValueExtractor_Index{Index: 0},
					},
				},
			}}},
			RdsConfigSource: ads,
			ConfigSpecifier: &hcm.ScopedRoutes_ScopedRds{ScopedRds: &hcm.ScopedRds{ScopedRdsConfigSource: ads}},
		}},
		HttpFilters: []*hcm.HttpFilter{{
			Name: "router", ConfigType: &hcm.HttpFilter_TypedConfig{TypedConfig: packed(&router.Router{})},
		}},
	}
	return change(envoy.ListenerType, "L0", &listener.Listener{
		Name: "L0", Address: address(port),
		FilterChains: []*listener.FilterChain{{Filters: []*listener.Filter{{
			Name: "hcm", ConfigType: &listener.Filter_TypedConfig{TypedConfig: packed(manager)},
		}}}},
	})
}

// hostOf is everything of one host: its own cluster with one endpoint, a scope and a table.
func hostOf(host string, port int) []xds.Change {
	return []xds.Change{clusterOf(host, time.Second), endpointsOf(host, port), scopeOf(host), routesTo(host, host)}
}

// hostName is the n-th of many hosts.
func hostName(n int) string { return fmt.Sprintf("host-%04d.example.com", n) }

// bootstrapOf makes an Envoy that is fed over a Unix socket.
func bootstrapOf(adsSocket, adminSocket string) []byte {
	return fmt.Appendf(nil, `
node: {id: nobody, cluster: nobody}
admin: {address: {pipe: {path: %q}}}
dynamic_resources:
  ads_config:
    api_type: DELTA_GRPC
    transport_api_version: V3
    set_node_on_first_message_only: true
    grpc_services:
    - envoy_grpc: {cluster_name: xds, retry_policy: {retry_back_off: {base_interval: 0.02s, max_interval: 0.2s}}}
  cds_config: {ads: {}, resource_api_version: V3}
  lds_config: {ads: {}, resource_api_version: V3}
cluster_manager: {enable_deferred_cluster_creation: true}
stats_flush_on_admin: true
stats_config: {stats_matcher: {inclusion_list: {patterns: [{prefix: "cluster_manager."}, {prefix: "listener_manager."}, {prefix: "server."}, {prefix: "control_plane."}]}}}
static_resources:
  clusters:
  - name: xds
    type: STATIC
    connect_timeout: 1s
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config:
          http2_protocol_options:
            initial_stream_window_size: 16777216
            initial_connection_window_size: 16777216
            connection_keepalive: {interval: 5s, timeout: 5s}
    load_assignment: {cluster_name: xds, endpoints: [{lb_endpoints: [{endpoint: {address: {pipe: {path: %q}}}}]}]}
`, adminSocket, adsSocket)
}
