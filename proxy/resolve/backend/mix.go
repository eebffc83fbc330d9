package backend

import (
	"net/netip"
	"slices"

	"headgate.dev/proxy/kube"
	"headgate.dev/proxy/model"
)

// maxMixWeight bounds the weight of one endpoint of a mix. Proxies take 128 at most where they have to build a table, and the
// sum of all has to stay within 32 bits.
const maxMixWeight = 1 << 16

// void takes the datagrams of shares without a valid backend: the discard prefix of IPv6 (RFC 6666), port 9 (discard).
var void = netip.AddrPortFrom(netip.MustParseAddr("100::1"), 9)

// Void tells whether the address is the one that stands for shares without a backend: whatever is sent there is lost.
func Void(a netip.AddrPort) bool { return a == void }

// MixEndpoints gives the endpoints of a mix: those of all shares, each with its part of the weight of its share. A share without
// a valid backend, or without an endpoint, keeps its weight with an address that takes everything and answers nothing, as
// its sessions must be dropped in proportion (UDPRouteRule.backendRefs).
func MixEndpoints(s *kube.Snapshot, id model.ClusterID, shares []model.Share) *model.Endpoints {
	out := &model.Endpoints{Cluster: id}
	parts := make([][]model.Endpoint, len(shares))
	most := uint64(1)
	for i, share := range shares {
		if share.Weight == 0 {
			continue
		}
		if (share.Cluster != model.ClusterID{}) {
			parts[i] = usable(Endpoints(s, share.Cluster).List)
		}
		if len(parts[i]) == 0 {
			parts[i] = []model.Endpoint{{Address: void}}
		}
		most = max(most, uint64(share.Weight))
	}
	sums := map[netip.AddrPort]uint32{}
	for i, share := range shares {
		for _, e := range parts[i] {
			// The same fraction for all, so that the shares keep their proportions to 1 in 65,536.
			w := uint64(share.Weight) * maxMixWeight / (most * uint64(len(parts[i])))
			sums[e.Address] += uint32(max(w, 1))
		}
	}
	for a, w := range sums {
		out.List = append(out.List, model.Endpoint{Address: a, Weight: w})
	}
	slices.SortFunc(out.List, func(a, b model.Endpoint) int { return a.Address.Compare(b.Address) })
	return out
}

// usable leaves draining endpoints out, unless nothing else is left (KEP-1669).
func usable(list []model.Endpoint) []model.Endpoint {
	ready := slices.DeleteFunc(slices.Clone(list), func(e model.Endpoint) bool { return e.Draining })
	if len(ready) == 0 {
		return list
	}
	return ready
}
