package envoy

import (
	"time"

	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	mutationv3 "github.com/envoyproxy/go-control-plane/envoy/config/common/mutation_rules/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	corsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/cors/v3"
	routerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	earlyv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/http/early_header_mutation/header_mutation/v3"

	"headgate.dev/proxy/model"
)

const (
	// statPrefix is one for all connection managers: one set of time series per proxy.
	statPrefix = "g"

	headersTimeout = 10 * time.Second // for a client to send its request headers
	drainTimeout   = 5 * time.Second  // between the notice and the end of a connection that is to be closed
	maxStreams     = 100              // at a time on one HTTP/2 connection of a client

	// noHost is the host of HTTP/1.0 requests that have none: a name that no listener offers (RFC 6761, 6.4).
	noHost = "none.invalid"
)

// What all connection managers have in common is made once. That is more than economy for rdsByADS and scopedRoutes: Envoy
// keeps one copy of all scopes and routes only while these are equal to the byte in every connection manager.
var (
	rdsByADS  = adsSource
	scopedRDS = &hcmv3.ScopedRds{ScopedRdsConfigSource: adsSource}

	scopedRoutes = &hcmv3.HttpConnectionManager_ScopedRoutes{ScopedRoutes: &hcmv3.ScopedRoutes{
		Name: "hosts",
		ScopeKeyBuilder: &hcmv3.ScopedRoutes_ScopeKeyBuilder{
			Fragments: []*hcmv3.ScopedRoutes_ScopeKeyBuilder_FragmentBuilder{{
				Type: &hcmv3.ScopedRoutes_ScopeKeyBuilder_FragmentBuilder_HeaderValueExtractor_{
					HeaderValueExtractor: &hcmv3.ScopedRoutes_ScopeKeyBuilder_FragmentBuilder_HeaderValueExtractor{
						Name:             scopeHeader,
						ElementSeparator: ":", // the port is not part of the key
						ExtractType: &hcmv3.ScopedRoutes_ScopeKeyBuilder_FragmentBuilder_HeaderValueExtractor_Index{
							Index: 0,
						},
					},
				},
			}},
		},
		RdsConfigSource: rdsByADS,
		ConfigSpecifier: &hcmv3.ScopedRoutes_ScopedRds{ScopedRds: scopedRDS},
	}}

	// httpFilters is the whole list from the start: a changed list makes Envoy drain connections. None is disabled, as
	// Envoy does not enable one for a route that the Lua filter found.
	httpFilters = []*hcmv3.HttpFilter{
		httpFilter(scopeFilter, scopeFilterConfig),
		httpFilter(bareFilter, bareFilterConfig),
		httpFilter(corsFilter, mustAny(&corsv3.Cors{})),
		httpFilter("envoy.filters.http.router", mustAny(&routerv3.Router{
			SuppressEnvoyHeaders: true, // how the proxy works is nothing clients or backends build upon
		})),
	}
	// nobodyInternal is a range without a sender. Without any, Envoy lets every client with a private address set its
	// timeouts and retries by x-envoy headers.
	nobodyInternal = &hcmv3.HttpConnectionManager_InternalAddressConfig{CidrRanges: []*corev3.CidrRange{{
		AddressPrefix: "255.255.255.255",
		PrefixLen:     wrapperspb.UInt32(32),
	}}}
	httpUpgrades = []*hcmv3.HttpConnectionManager_UpgradeConfig{{UpgradeType: "websocket"}}
)

func httpFilter(name string, config *anypb.Any) *hcmv3.HttpFilter {
	return &hcmv3.HttpFilter{Name: name, ConfigType: &hcmv3.HttpFilter_TypedConfig{TypedConfig: config}}
}

// httpConnectionManager serves the hosts of a table.
//
// Decisions: the Server header is the backend's. Clients are never trusted: their address is the connection's, and
// x-envoy headers are dropped whatever network they come from. Paths are normalised before they are compared: dot
// segments and double slashes are resolved, an escaped slash is answered with a redirect to its plain form, so that no
// route is passed by in disguise. Header names with an underscore are refused, as backends confuse them with a dash.
// HTTP/1.0 is served, without a Host by the table's host "*".
func httpConnectionManager(table model.TableID) (*anypb.Any, error) {
	key, err := scopeKey(table)
	if err != nil {
		return nil, err
	}
	return packed(&hcmv3.HttpConnectionManager{
		StatPrefix:                    statPrefix,
		RouteSpecifier:                scopedRoutes,
		EarlyHeaderMutationExtensions: key,
		HttpFilters:                   httpFilters,
		UpgradeConfigs:                httpUpgrades,
		HttpProtocolOptions:           &corev3.Http1ProtocolOptions{AcceptHttp_10: true, DefaultHostForHttp_10: noHost},
		Http2ProtocolOptions: &corev3.Http2ProtocolOptions{
			AllowConnect:                true, // WebSocket over HTTP/2
			MaxConcurrentStreams:        wrapperspb.UInt32(maxStreams),
			InitialStreamWindowSize:     wrapperspb.UInt32(streamWindow),
			InitialConnectionWindowSize: wrapperspb.UInt32(connectionWindow),
		},
		CommonHttpProtocolOptions: &corev3.HttpProtocolOptions{
			HeadersWithUnderscoresAction: corev3.HttpProtocolOptions_REJECT_REQUEST,
		},
		SchemeHeaderTransformation: &corev3.SchemeHeaderTransformation{
			MatchUpstream: true,
		},
		ServerHeaderTransformation:   hcmv3.HttpConnectionManager_PASS_THROUGH,
		UseRemoteAddress:             wrapperspb.Bool(true),
		InternalAddressConfig:        nobodyInternal,
		NormalizePath:                wrapperspb.Bool(true),
		MergeSlashes:                 true,
		PathWithEscapedSlashesAction: hcmv3.HttpConnectionManager_UNESCAPE_AND_REDIRECT,
		StreamIdleTimeout:            durationpb.New(streamIdle),
		RequestHeadersTimeout:        durationpb.New(headersTimeout),
		DrainTimeout:                 durationpb.New(drainTimeout),
	})
}

// scopeKey writes the scope key of a request over whatever the client sent under that name.
func scopeKey(table model.TableID) ([]*corev3.TypedExtensionConfig, error) {
	config, err := packed(&earlyv3.HeaderMutation{Mutations: []*mutationv3.HeaderMutation{{
		Action: &mutationv3.HeaderMutation_Append{Append: headerOption(
			scopeHeader, scopeName(table, "%REQ(:AUTHORITY)%"), corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD)},
	}}})
	return []*corev3.TypedExtensionConfig{{
		Name:        "envoy.http.early_header_mutation.header_mutation",
		TypedConfig: config,
	}}, err
}
