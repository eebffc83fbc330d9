package envoy

import (
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	xdscorev3 "github.com/cncf/xds/go/xds/core/v3"
	xdsmatcherv3 "github.com/cncf/xds/go/xds/type/matcher/v3"

	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	udpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/udp/udp_proxy/v3"

	"headgate.dev/proxy/model"
)

// sessionIdle is how long a client of a UDP listener keeps its backend without a datagram either way.
const sessionIdle = time.Minute

// Mix names the cluster of a UDP listener with several shares; ok is false where the listener needs none, because a single
// share goes to its own cluster. Envoy's UDP proxy has no weighted clusters, so that the weights are those of the endpoints.
func Mix(l *model.Listener) (id model.ClusterID, ok bool) {
	if l.Protocol != model.UDP || len(weighted(l.Forward)) < 2 {
		return model.ClusterID{}, false
	}
	return model.ClusterID{Service: l.Gateway, Port: l.Port, Protocol: model.UDP, Mix: true}, true
}

// udpListener forwards sessions: what comes from one address and port of a client. What has no backend is dropped.
func udpListener(l *model.Listener) (*listenerv3.Listener, error) {
	cluster := noCluster
	shares := weighted(l.Forward)
	if len(shares) == 1 {
		cluster = shareCluster(shares[0])
	}
	if mix, ok := Mix(l); ok {
		cluster = mix.String()
	}
	route, err := packed(&udpv3.Route{Cluster: cluster})
	if err != nil {
		return nil, err
	}
	proxy, err := packed(&udpv3.UdpProxyConfig{
		StatPrefix:  statPrefix,
		IdleTimeout: durationpb.New(sessionIdle),
		RouteSpecifier: &udpv3.UdpProxyConfig_Matcher{Matcher: &xdsmatcherv3.Matcher{
			OnNoMatch: &xdsmatcherv3.Matcher_OnMatch{OnMatch: &xdsmatcherv3.Matcher_OnMatch_Action{
				Action: &xdscorev3.TypedExtensionConfig{Name: "route", TypedConfig: route},
			}},
		}},
	})
	if err != nil {
		return nil, err
	}
	return &listenerv3.Listener{
		UdpListenerConfig: &listenerv3.UdpListenerConfig{},
		ListenerFilters: []*listenerv3.ListenerFilter{{
			Name:       "envoy.filters.udp_listener.udp_proxy",
			ConfigType: &listenerv3.ListenerFilter_TypedConfig{TypedConfig: proxy},
		}},
	}, nil
}
