package envoy

import (
	"google.golang.org/protobuf/types/known/wrapperspb"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"

	"headgate.dev/proxy/model"
)

// Endpoints translates the endpoints of a cluster. A cluster without any has a resource too, an empty one: Envoy would
// wait for it otherwise. Endpoints that drain get no new request, unless all of them drain (KEP-1669).
func Endpoints(e *model.Endpoints) (Resource, error) {
	name := e.Cluster.String()
	assignment := &endpointv3.ClusterLoadAssignment{ClusterName: name}
	if len(e.List) == 0 {
		return encode(EndpointType, name, assignment)
	}
	drain := false // while others are left
	for _, ep := range e.List {
		drain = drain || !ep.Draining
	}
	protocol := corev3.SocketAddress_TCP
	if e.Cluster.Protocol == model.UDP {
		protocol = corev3.SocketAddress_UDP
	}
	list := make([]*endpointv3.LbEndpoint, 0, len(e.List))
	for _, ep := range e.List {
		lb := &endpointv3.LbEndpoint{HostIdentifier: &endpointv3.LbEndpoint_Endpoint{
			Endpoint: &endpointv3.Endpoint{Address: socketAddress(ep.Address, protocol)},
		}}
		if ep.Weight > 0 {
			lb.LoadBalancingWeight = wrapperspb.UInt32(ep.Weight)
		}
		if ep.Draining && drain {
			lb.HealthStatus = corev3.HealthStatus_DRAINING
		}
		list = append(list, lb)
	}
	assignment.Endpoints = []*endpointv3.LocalityLbEndpoints{{LbEndpoints: list}}
	return encode(EndpointType, name, assignment)
}
