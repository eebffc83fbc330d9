package envoy

import (
	"maps"
	"slices"

	"google.golang.org/protobuf/types/known/wrapperspb"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"

	"headgate.dev/proxy/model"
)

// Endpoints translates the endpoints of a cluster. A cluster without any has a resource too, an empty one: Envoy would
// wait for it otherwise. Endpoints that drain get no new request, unless all of them drain (KEP-1669). Every proxy gets the same: which
// zone is its own it knows itself.
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
	zones := map[string][]*endpointv3.LbEndpoint{}
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
		zones[ep.Zone] = append(zones[ep.Zone], lb)
	}
	for _, zone := range slices.Sorted(maps.Keys(zones)) {
		assignment.Endpoints = append(assignment.Endpoints, &endpointv3.LocalityLbEndpoints{Locality: locality(zone), LbEndpoints: zones[zone]})
	}
	return encode(EndpointType, name, assignment)
}

// locality is a zone as Envoy has it; nil for none.
func locality(zone string) *corev3.Locality {
	if zone == "" {
		return nil
	}
	return &corev3.Locality{Zone: zone}
}
