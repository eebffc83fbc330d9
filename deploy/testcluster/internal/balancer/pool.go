// Package balancer does what a cloud does for Services of type LoadBalancer: it gives each an address of a pool. kube-proxy does the rest.
// It belongs to the test cluster, not to the product.
package balancer

import (
	"net/netip"
	"slices"
)

// Pool hands out the address that has been free the longest, so that nobody meets the flows of its last owner. Owners are names of Services.
type Pool struct {
	free  []netip.Addr
	owner map[string]netip.Addr
}

// NewPool has the addresses from first to last, both included.
func NewPool(first, last netip.Addr) *Pool {
	p := &Pool{owner: map[string]netip.Addr{}}
	for a := first; a.Compare(last) <= 0; a = a.Next() {
		p.free = append(p.free, a)
	}
	return p
}

// Take gives owner the address it has, else want where that is free, else any. It is false when the pool is empty.
func (p *Pool) Take(owner string, want netip.Addr) (netip.Addr, bool) {
	if a, ok := p.owner[owner]; ok {
		return a, true
	}
	if len(p.free) == 0 {
		return netip.Addr{}, false
	}
	i := max(slices.Index(p.free, want), 0)
	a := p.free[i]
	p.free = slices.Delete(p.free, i, i+1)
	p.owner[owner] = a
	return a, true
}

// Release takes back what owner had; it is queued behind the other free ones.
func (p *Pool) Release(owner string) {
	if a, ok := p.owner[owner]; ok {
		p.free = append(p.free, a)
		delete(p.owner, owner)
	}
}

// Keep releases every address whose owner is not live, and returns the owners that lost theirs, sorted.
func (p *Pool) Keep(live map[string]bool) []string {
	var gone []string
	for owner := range p.owner {
		if !live[owner] {
			gone = append(gone, owner)
		}
	}
	slices.Sort(gone)
	for _, owner := range gone {
		p.Release(owner)
	}
	return gone
}
