package backend

import (
	"net/netip"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"

	"headgate.dev/proxy/kube"
	"headgate.dev/proxy/model"
)

// Endpoints gives where the cluster's requests go, from the EndpointSlices of its Service: the addresses whose slice has a port of
// the name that the Service's port has (discovery/v1, EndpointPort.name). It is never nil; without anything to go to, and for a
// port whose policy cannot be honoured, its List is empty.
//
// Conditions are read as KEP-1669 has them: ready endpoints are used; those that are not ready but still serve while they
// terminate are draining; all others are left out. Addresses that are no IP, and ports that are not set, are left out.
//
// Zones are those of the hints, if the Service asks for that and every ready endpoint has one (KEP-2433, KEP-4444).
func Endpoints(s *kube.Snapshot, id model.ClusterID) *model.Endpoints {
	out := &model.Endpoints{Cluster: id}
	service := types.NamespacedName(id.Service)
	o := s.Service(service)
	port := servicePort(o, id)
	if port == nil || (secures(id.Protocol) && !honoured(s, service, port)) {
		return out
	}
	for _, name := range s.SlicesOfService(service) {
		out.List = appendSlice(out.List, s.EndpointSlice(name), port)
	}
	// Of one address that is listed twice (a pod moves between slices) the better state counts.
	slices.SortFunc(out.List, func(a, b model.Endpoint) int {
		if c := a.Address.Compare(b.Address); c != 0 {
			return c
		}
		return compareBool(a.Draining, b.Draining)
	})
	out.List = slices.CompactFunc(out.List, func(a, b model.Endpoint) bool { return a.Address == b.Address })
	if !prefersZones(o) || slices.ContainsFunc(out.List, func(e model.Endpoint) bool { return e.Zone == "" && !e.Draining }) {
		for i := range out.List {
			out.List[i].Zone = ""
		}
	}
	return out
}

// prefersZones tells whether a Service asks for endpoints that are close: all that it may say means the own zone first. The own node
// is no place that proxies could prefer, as they are not on each.
func prefersZones(s *corev1.Service) bool {
	if s == nil || s.Spec.TrafficDistribution == nil {
		return false
	}
	switch *s.Spec.TrafficDistribution {
	case corev1.ServiceTrafficDistributionPreferClose, corev1.ServiceTrafficDistributionPreferSameZone,
		corev1.ServiceTrafficDistributionPreferSameNode:
		return true
	default:
		return false
	}
}

// zone is the one that an endpoint is meant for. Who makes EndpointSlices names one; of several the first counts.
func zone(e *discoveryv1.Endpoint) string {
	if e.Hints == nil || len(e.Hints.ForZones) == 0 {
		return ""
	}
	return e.Hints.ForZones[0].Name
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	default:
		return 1
	}
}

func appendSlice(list []model.Endpoint, es *discoveryv1.EndpointSlice, port *corev1.ServicePort) []model.Endpoint {
	if es.AddressType == discoveryv1.AddressTypeFQDN {
		return list
	}
	for i := range es.Ports {
		p := &es.Ports[i]
		if p.Port == nil || *p.Port < 1 || *p.Port > 65535 || deref(p.Name) != port.Name || protocolOf(p.Protocol) != protocolOf(&port.Protocol) {
			continue
		}
		list = slices.Grow(list, len(es.Endpoints))
		for j := range es.Endpoints {
			e := &es.Endpoints[j]
			used, draining := state(&e.Conditions)
			if !used || len(e.Addresses) == 0 {
				continue
			}
			// Addresses beyond the first are not used by anybody (discovery/v1, Endpoint.addresses).
			if a, err := netip.ParseAddr(e.Addresses[0]); err == nil {
				list = append(list, model.Endpoint{
					Address: netip.AddrPortFrom(a.Unmap(), uint16(*p.Port)), Draining: draining, Zone: zone(e),
				})
			}
		}
	}
	return list
}

// state reads the conditions of an endpoint. What is not said counts as ready, serving, and not terminating.
func state(c *discoveryv1.EndpointConditions) (used, draining bool) {
	if c.Ready == nil || *c.Ready {
		return true, false
	}
	serving, terminating := c.Serving == nil || *c.Serving, c.Terminating != nil && *c.Terminating
	return serving && terminating, true
}

func servicePort(s *corev1.Service, id model.ClusterID) *corev1.ServicePort {
	if s == nil {
		return nil
	}
	want := corev1.ProtocolTCP
	if id.Protocol == model.UDP {
		want = corev1.ProtocolUDP
	}
	return findPort(s, id.Port, want)
}

func findPort(s *corev1.Service, number int32, protocol corev1.Protocol) *corev1.ServicePort {
	for i := range s.Spec.Ports {
		p := &s.Spec.Ports[i]
		if p.Port == number && protocolOf(&p.Protocol) == protocol {
			return p
		}
	}
	return nil
}

// protocolOf gives TCP where nothing is said (core/v1, ServicePort.protocol).
func protocolOf(p *corev1.Protocol) corev1.Protocol {
	if p == nil || *p == "" {
		return corev1.ProtocolTCP
	}
	return *p
}

func itoa(n int32) string { return strconv.Itoa(int(n)) }

func deref[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}
