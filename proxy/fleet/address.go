package fleet

import (
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// Addresses is what a Gateway asks for in spec.addresses.
type Addresses struct {
	// IPs that a Service can ask for, in their order.
	IPs []netip.Addr
	// Unusable are values of types that are supported, which nobody can give a Service: hostnames, and text that is no address.
	Unusable []string
	// Unsupported are the types that are not supported (reason UnsupportedAddress).
	Unsupported []string
}

// AddressesOf reads spec.addresses. An address without a value asks for any of its type, and is left out.
func AddressesOf(wanted []gwv1.GatewaySpecAddress) Addresses {
	var out Addresses
	for _, a := range wanted {
		kind := gwv1.IPAddressType
		if a.Type != nil {
			kind = *a.Type
		}
		switch kind {
		case gwv1.IPAddressType, gwv1.HostnameAddressType:
		default:
			out.Unsupported = append(out.Unsupported, string(kind))
			continue
		}
		if a.Value == "" {
			continue
		}
		ip, err := netip.ParseAddr(a.Value)
		if kind == gwv1.HostnameAddressType || err != nil || ip.Zone() != "" {
			out.Unusable = append(out.Unusable, a.Value)
			continue
		}
		out.IPs = append(out.IPs, ip.Unmap())
	}
	return out
}

// Assigned gives the addresses at which clients reach a Service of a fleet: the external ones if it has some, else those that
// the load balancer gave; for a Service that has none, those of the cluster. None: there is no address yet.
func Assigned(s *corev1.Service) []gwv1.GatewayStatusAddress {
	var out []gwv1.GatewayStatusAddress
	add := func(kind gwv1.AddressType, value string) {
		out = append(out, gwv1.GatewayStatusAddress{Type: &kind, Value: value})
	}
	switch {
	case len(s.Spec.ExternalIPs) > 0:
		for _, ip := range s.Spec.ExternalIPs {
			add(gwv1.IPAddressType, ip)
		}
	case s.Spec.Type == corev1.ServiceTypeLoadBalancer:
		for _, in := range s.Status.LoadBalancer.Ingress {
			if in.IP != "" {
				add(gwv1.IPAddressType, in.IP)
			} else if in.Hostname != "" {
				add(gwv1.HostnameAddressType, in.Hostname)
			}
		}
	default:
		for _, ip := range s.Spec.ClusterIPs {
			if ip != corev1.ClusterIPNone && ip != "" {
				add(gwv1.IPAddressType, ip)
			}
		}
	}
	return out
}

// Missing gives what was asked for and is not among the addresses that a Service has; for the reason AddressNotUsable.
func (a Addresses) Missing(assigned []gwv1.GatewayStatusAddress) []string {
	out := slices.Clone(a.Unusable)
	for _, want := range a.IPs {
		if !slices.ContainsFunc(assigned, func(have gwv1.GatewayStatusAddress) bool {
			ip, err := netip.ParseAddr(have.Value)
			return err == nil && ip.Unmap() == want
		}) {
			out = append(out, want.String())
		}
	}
	return out
}
