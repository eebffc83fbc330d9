// Package network lays out the addresses of a test cluster.
//
// All clusters of a machine share 198.18.0.0/15, which is set aside for tests and never routed (RFC 2544). Each has a slot, an eighth of it:
//
//	.0.0/24   the link: .0.1 is the host, .0.2 the node
//	.1.0/24   addresses for Services of type LoadBalancer: .1.1 to .1.239; from .1.240 on free for static addresses
//	.4.0/22   pods
//	.32.0/19  cluster addresses of Services
//
// A dual-stack cluster has, below fd68:6764:SLOT::/48 (a unique local prefix, RFC 4193), the same in the subnets 0, 1, 4 and 40.
//
// So one route on the host reaches everything of a cluster, and slot 0 begins at 198.18.0.0.
package network

import (
	"fmt"
	"net/netip"
)

// Slots is how many clusters fit on a machine.
const Slots = 8

// Plan holds the addresses of one cluster.
type Plan struct {
	Slot       int
	All        netip.Prefix // everything below
	Link       netip.Prefix
	Host, Node netip.Addr // the two ends of the link
	PoolFirst  netip.Addr // the first and the last address for Services of type LoadBalancer
	PoolLast   netip.Addr
	Pods       netip.Prefix
	Services   netip.Prefix
	API        netip.Addr // Service default/kubernetes, always the first of Services
	DNS        netip.Addr // Service kube-system/kube-dns
	// Six is the second family of a dual-stack cluster, nil in others.
	Six *Six
}

// Six holds the IPv6 addresses of one cluster.
type Six struct {
	All, Link  netip.Prefix
	Host, Node netip.Addr
	Pool       netip.Prefix // the last byte of an address is that of the IPv4 address that it belongs to
	Pods       netip.Prefix
	Services   netip.Prefix
}

// New lays out the slot, which is at least 0 and less than Slots.
func New(slot int) (Plan, error) {
	if slot < 0 || slot >= Slots {
		return Plan{}, fmt.Errorf("network slot %d: only 0 to %d exist", slot, Slots-1)
	}
	at := func(third, last int) netip.Addr {
		return netip.AddrFrom4([4]byte{198, byte(18 + slot/4), byte(slot%4*64 + third), byte(last)})
	}
	return Plan{
		Slot:      slot,
		All:       netip.PrefixFrom(at(0, 0), 18),
		Link:      netip.PrefixFrom(at(0, 0), 24),
		Host:      at(0, 1),
		Node:      at(0, 2),
		PoolFirst: at(1, 1),
		PoolLast:  at(1, 239),
		Pods:      netip.PrefixFrom(at(4, 0), 22),
		Services:  netip.PrefixFrom(at(32, 0), 19),
		API:       at(32, 1),
		DNS:       at(32, 10),
	}, nil
}

// Dual returns the plan with IPv6 addresses too.
func (p Plan) Dual() Plan {
	at := func(subnet, last byte) netip.Addr {
		return netip.AddrFrom16([16]byte{0: 0xfd, 1: 0x68, 2: 0x67, 3: 0x64, 5: byte(p.Slot), 7: subnet, 15: last})
	}
	p.Six = &Six{
		All:      netip.PrefixFrom(at(0, 0), 48),
		Link:     netip.PrefixFrom(at(0, 0), 64),
		Host:     at(0, 1),
		Node:     at(0, 2),
		Pool:     netip.PrefixFrom(at(1, 0), 64),
		Pods:     netip.PrefixFrom(at(4, 0), 64),
		Services: netip.PrefixFrom(at(0x40, 0), 112),
	}
	return p
}

// Twin is the IPv6 address of the pool that belongs to an IPv4 address of it.
func (s *Six) Twin(a netip.Addr) netip.Addr {
	b := s.Pool.Addr().As16()
	b[15] = a.As4()[3]
	return netip.AddrFrom16(b)
}

// PodRanges are those of the pods. Like the two below a list with a comma where there are two families, IPv4 first, as Kubernetes takes it.
func (p Plan) PodRanges() string {
	if p.Six == nil {
		return p.Pods.String()
	}
	return p.Pods.String() + "," + p.Six.Pods.String()
}

// ServiceRanges are those of the cluster addresses of Services.
func (p Plan) ServiceRanges() string {
	if p.Six == nil {
		return p.Services.String()
	}
	return p.Services.String() + "," + p.Six.Services.String()
}

// NodeAddresses are those of the node.
func (p Plan) NodeAddresses() string {
	if p.Six == nil {
		return p.Node.String()
	}
	return p.Node.String() + "," + p.Six.Node.String()
}

// Interface is the host's end of the link.
func (p Plan) Interface() string { return fmt.Sprintf("hgcluster%d", p.Slot) }

// Cgroup is the control group below which the pods run.
func (p Plan) Cgroup() string { return fmt.Sprintf("headgate-testcluster-%d", p.Slot) }
