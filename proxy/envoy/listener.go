package envoy

import (
	"fmt"
	"net/netip"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	"google.golang.org/protobuf/types/known/anypb"

	"headgate.dev/proxy/model"
)

const connectionManager = "envoy.filters.network.http_connection_manager"

// Listener translates a listener. The error names a protocol that is not served, or a message Envoy would reject.
func Listener(l *model.Listener, o Options) (Resource, error) {
	name := listenerName(l.ID())
	var chains []*listenerv3.FilterChain
	switch l.Protocol {
	case model.HTTP:
		manager, err := httpConnectionManager(l.Table)
		if err != nil {
			return Resource{}, fmt.Errorf("translating listener %s: %w", name, err)
		}
		chains = []*listenerv3.FilterChain{filterChain(connectionManager, manager)}
	default:
		return Resource{}, fmt.Errorf("translating listener %s: protocol %q is not served", name, l.Protocol)
	}
	bind := o.bind(l.ID())
	return encode(ListenerType, name, &listenerv3.Listener{
		Name:                          name,
		Address:                       socketAddress(bind, corev3.SocketAddress_TCP),
		FilterChains:                  chains,
		PerConnectionBufferLimitBytes: connectionLimit,
	})
}

// listenerName gives "namespace/gateway/80", with "/udp" behind it for UDP.
func listenerName(id model.ListenerID) string {
	name := fmt.Sprintf("%s/%d", id.Gateway, id.Port)
	if id.UDP {
		name += "/udp"
	}
	return name
}

func filterChain(filter string, config *anypb.Any) *listenerv3.FilterChain {
	return &listenerv3.FilterChain{Filters: []*listenerv3.Filter{{
		Name:       filter,
		ConfigType: &listenerv3.Filter_TypedConfig{TypedConfig: config},
	}}}
}

// socketAddress translates an address. "[::]" is every address, of IPv4 too.
func socketAddress(a netip.AddrPort, protocol corev3.SocketAddress_Protocol) *corev3.Address {
	return &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
		Protocol:      protocol,
		Address:       a.Addr().String(),
		PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: uint32(a.Port())},
		Ipv4Compat:    a.Addr() == netip.IPv6Unspecified(),
	}}}
}
