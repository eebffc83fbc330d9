package network

import (
	"net/netip"
	"testing"
)

func TestSlotsAreApartAndWhole(t *testing.T) {
	reserved := netip.MustParsePrefix("198.18.0.0/15")
	var all []netip.Prefix
	for slot := range Slots {
		p, err := New(slot)
		if err != nil {
			t.Fatal(err)
		}
		if !reserved.Overlaps(p.All) || p.All.Bits() < reserved.Bits() {
			t.Errorf("slot %d: %s is not within %s", slot, p.All, reserved)
		}
		for _, other := range all {
			if other.Overlaps(p.All) {
				t.Errorf("slot %d: %s overlaps %s", slot, p.All, other)
			}
		}
		all = append(all, p.All)
		pool := netip.PrefixFrom(p.PoolFirst, 24).Masked()
		parts := []netip.Prefix{p.Link, pool, p.Pods, p.Services}
		for i, a := range parts {
			if a != a.Masked() || !p.All.Contains(a.Addr()) {
				t.Errorf("slot %d: %s is not a network of %s", slot, a, p.All)
			}
			for _, b := range parts[i+1:] {
				if a.Overlaps(b) {
					t.Errorf("slot %d: %s overlaps %s", slot, a, b)
				}
			}
		}
		if !p.Link.Contains(p.Host) || !p.Link.Contains(p.Node) || !p.Services.Contains(p.API) || !p.Services.Contains(p.DNS) || !pool.Contains(p.PoolLast) {
			t.Errorf("slot %d: an address is outside its network: %+v", slot, p)
		}
		six := p.Dual().Six
		for _, part := range []netip.Prefix{six.Link, six.Pool, six.Pods, six.Services} {
			if part != part.Masked() || !six.All.Contains(part.Addr()) || part == six.Pool && !part.Contains(six.Twin(p.PoolLast)) {
				t.Errorf("slot %d: %s is not a network of %s", slot, part, six.All)
			}
		}
		if twin := six.Twin(p.PoolLast); twin.As16()[15] != 239 {
			t.Errorf("the twin of %s is %s", p.PoolLast, twin)
		}
		if p.Six != nil || p.PodRanges() != p.Pods.String() || p.Dual().PodRanges() != p.Pods.String()+","+six.Pods.String() {
			t.Errorf("slot %d: pods %s, dual %s", slot, p.PodRanges(), p.Dual().PodRanges())
		}
		if len(p.Interface()) > 15 {
			t.Errorf("%s: an interface has at most 15 letters", p.Interface())
		}
	}
	for _, slot := range []int{-1, Slots} {
		if _, err := New(slot); err == nil {
			t.Errorf("slot %d exists", slot)
		}
	}
}
