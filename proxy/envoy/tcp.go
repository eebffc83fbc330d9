package envoy

import (
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tcpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"

	"headgate.dev/proxy/model"
)

const (
	tcpProxyFilter = "envoy.filters.network.tcp_proxy"

	// connectAttempts for one connection, each at the next endpoint of a share drawn anew: an endpoint that has just died
	// costs no connection.
	connectAttempts = 3

	keepaliveIdle     = 120 // seconds of silence until the first probe
	keepaliveInterval = 30  // seconds between probes
	keepaliveProbes   = 4   // without an answer: the peer is gone
)

// keepalive finds the peers that are gone, on both sides of connections whose silence says nothing: a database connection
// in a pool may be silent for hours and must not be cut, a stream of gRPC events neither.
var keepalive = &corev3.TcpKeepalive{
	KeepaliveProbes:   wrapperspb.UInt32(keepaliveProbes),
	KeepaliveTime:     wrapperspb.UInt32(keepaliveIdle),
	KeepaliveInterval: wrapperspb.UInt32(keepaliveInterval),
}

// tcpProxy forwards connections. A share without a backend goes to a cluster that never exists, where connections are
// closed; so does everything when f is nil.
func tcpProxy(f *model.L4Forward) (*anypb.Any, error) {
	proxy := &tcpv3.TcpProxy{
		StatPrefix:         statPrefix,
		IdleTimeout:        noTimeout,
		MaxConnectAttempts: wrapperspb.UInt32(connectAttempts),
	}
	shares := weighted(f)
	if len(shares) < 2 {
		name := noCluster
		if len(shares) == 1 {
			name = shareCluster(shares[0])
		}
		proxy.ClusterSpecifier = &tcpv3.TcpProxy_Cluster{Cluster: name}
		return packed(proxy)
	}
	clusters := &tcpv3.TcpProxy_WeightedCluster{}
	for _, s := range shares {
		clusters.Clusters = append(clusters.Clusters, &tcpv3.TcpProxy_WeightedCluster_ClusterWeight{
			Name: shareCluster(s), Weight: s.Weight,
		})
	}
	proxy.ClusterSpecifier = &tcpv3.TcpProxy_WeightedClusters{WeightedClusters: clusters}
	return packed(proxy)
}

// weighted are the shares that get anything.
func weighted(f *model.L4Forward) []model.Share {
	if f == nil {
		return nil
	}
	shares := make([]model.Share, 0, len(f.Shares))
	for _, s := range f.Shares {
		if s.Weight > 0 {
			shares = append(shares, s)
		}
	}
	return shares
}

func shareCluster(s model.Share) string {
	if s.Cluster == (model.ClusterID{}) {
		return noCluster
	}
	return s.Cluster.String()
}
