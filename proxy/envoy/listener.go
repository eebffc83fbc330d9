package envoy

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	inspectorv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/tls_inspector/v3"

	"headgate.dev/proxy/model"
)

const connectionManager = "envoy.filters.network.http_connection_manager"

// Listener translates a listener. The error names a protocol that is not served, or a message Envoy would reject.
func Listener(l *model.Listener, o Options) (Resource, error) {
	name := listenerName(l.ID())
	m, err := listener(l)
	if err != nil {
		return Resource{}, fmt.Errorf("translating listener %s: %w", name, err)
	}
	protocol := corev3.SocketAddress_TCP
	if l.Protocol == model.UDP {
		protocol = corev3.SocketAddress_UDP
	} else {
		m.PerConnectionBufferLimitBytes, m.TcpKeepalive = connectionLimit, keepalive
		if o.Exclusive {
			m.EnableReusePort = wrapperspb.Bool(false)
		}
	}
	m.Name, m.Address = name, socketAddress(o.bind(l.ID()), protocol)
	r, err := encode(ListenerType, name, m)
	r.Secrets = secretsOf(l)
	return r, err
}

// listener makes a listener without name and address.
func listener(l *model.Listener) (*listenerv3.Listener, error) {
	switch l.Protocol {
	case model.HTTP:
		manager, err := httpConnectionManager(l.Table)
		if err != nil {
			return nil, err
		}
		return &listenerv3.Listener{FilterChains: []*listenerv3.FilterChain{filterChain(connectionManager, manager)}}, nil
	case model.TLS:
		return tlsListener(l)
	case model.TCP:
		proxy, err := tcpProxy(l.Forward)
		if err != nil {
			return nil, err
		}
		return &listenerv3.Listener{FilterChains: []*listenerv3.FilterChain{filterChain(tcpProxyFilter, proxy)}}, nil
	case model.UDP:
		return udpListener(l)
	default:
		return nil, fmt.Errorf("protocol %q is not served", l.Protocol)
	}
}

// tlsListener has a filter chain for each server name. Envoy compares server names without case and takes the longest that
// fits. What is no TLS fits no chain and is closed: a passthrough chain must not become a way to speak to a backend in
// plain text.
func tlsListener(l *model.Listener) (*listenerv3.Listener, error) {
	chains := make([]*listenerv3.FilterChain, 0, len(l.Chains))
	for i := range l.Chains {
		chain, err := tlsChain(&l.Chains[i])
		if err != nil {
			return nil, fmt.Errorf("server name %s: %w", l.Chains[i].ServerName, err)
		}
		chains = append(chains, chain)
	}
	return &listenerv3.Listener{ListenerFilters: []*listenerv3.ListenerFilter{tlsInspector}, FilterChains: chains}, nil
}

var tlsInspector = &listenerv3.ListenerFilter{
	Name:       "envoy.filters.listener.tls_inspector",
	ConfigType: &listenerv3.ListenerFilter_TypedConfig{TypedConfig: mustAny(&inspectorv3.TlsInspector{})},
}

func tlsChain(c *model.Chain) (chain *listenerv3.FilterChain, err error) {
	filter, config := tcpProxyFilter, (*anypb.Any)(nil)
	if c.Table != "" {
		if c.Terminate == nil {
			return nil, fmt.Errorf("table %s on a connection that is passed through", c.Table)
		}
		filter = connectionManager
		config, err = httpConnectionManager(c.Table)
	} else {
		config, err = tcpProxy(c.Forward)
	}
	if err != nil {
		return nil, err
	}
	chain = filterChain(filter, config)
	chain.Name = c.ServerName
	chain.FilterChainMatch = &listenerv3.FilterChainMatch{TransportProtocol: "tls"}
	if c.ServerName != anyHost {
		chain.FilterChainMatch.ServerNames = []string{c.ServerName}
	}
	if c.Terminate != nil {
		chain.TransportSocket, err = downstreamTLS(c.Terminate, c.Table != "")
		chain.TransportSocketConnectTimeout = handshakeTimeout
	}
	return chain, err
}

// secretsOf lists the names of the secrets that a listener needs, sorted.
func secretsOf(l *model.Listener) []string {
	var names []string
	for i := range l.Chains {
		t := l.Chains[i].Terminate
		if t == nil {
			continue
		}
		for _, id := range t.Certificates {
			names = append(names, string(id))
		}
		if t.Client != nil {
			names = append(names, string(t.Client.CA))
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
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

// CannotBind tells whether a proxy refuses a listener for its address alone, because something else on that proxy has it. Nothing that
// the listener leads to is the reason, and another proxy may take it.
func CannotBind(refusal string) bool { return strings.Contains(refusal, "cannot bind ") }
