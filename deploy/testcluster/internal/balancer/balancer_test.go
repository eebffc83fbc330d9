package balancer

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"headgate.dev/deploy/testcluster/internal/network"
)

func addr(last int) netip.Addr { return netip.AddrFrom4([4]byte{198, 18, 1, byte(last)}) }

func TestPoolGivesTheLongestFree(t *testing.T) {
	p := NewPool(addr(1), addr(3))
	take := func(owner string, want netip.Addr, expect int) {
		t.Helper()
		a, ok := p.Take(owner, want)
		if ok != (expect > 0) || ok && a != addr(expect) {
			t.Errorf("%s got %v %v, want .%d", owner, a, ok, expect)
		}
	}
	take("a", netip.Addr{}, 1)
	take("b", addr(3), 3)
	take("a", addr(2), 1) // it keeps what it has
	p.Release("a")
	p.Release("a") // once is enough
	take("c", netip.Addr{}, 2)
	take("d", addr(3), 1) // what it wants is taken
	take("e", netip.Addr{}, 0)
	if gone := p.Keep(map[string]bool{"c": true}); fmt.Sprint(gone) != "[b d]" {
		t.Errorf("gone: %v", gone)
	}
	take("e", netip.Addr{}, 3)
	take("f", netip.Addr{}, 1)
}

// line describes a Service: name, type, class, wanted address, address in the status, being deleted.
func parse(t *testing.T, name, kind, class, want, has, deleted string) service {
	t.Helper()
	ingress := "[]"
	if has != "" {
		ingress = fmt.Sprintf(`[{"ip":%q}]`, has)
	}
	var s service
	text := fmt.Sprintf(`{"metadata":{"name":%q,"namespace":"ns","deletionTimestamp":%q},"spec":{"type":%q,"loadBalancerClass":%q,"loadBalancerIP":%q,"ipFamilies":["IPv4"]},
		"status":{"loadBalancer":{"ingress":%s}}}`, name, deleted, kind, class, want, ingress)
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestAssign(t *testing.T) {
	const lb = "LoadBalancer"
	p := NewPool(addr(1), addr(3))
	all := []service{
		parse(t, "d-none-left", lb, "", "", "", ""),
		parse(t, "c-new", lb, "", "", "", ""),
		parse(t, "a-wants", lb, "", "198.18.1.3", "", ""),
		parse(t, "z-has", lb, "", "", "198.18.1.1", ""),
		parse(t, "other-class", lb, "cloud", "", "", ""),
		parse(t, "plain", "ClusterIP", "", "", "", ""),
		parse(t, "going", lb, "", "", "198.18.1.2", "2026-01-01T00:00:00Z"),
	}
	describe := func(write []assignment) (out []string) {
		for _, w := range write {
			out = append(out, w.service.key()+" "+strings.Trim(fmt.Sprint(w.addresses), "[]"))
		}
		return out
	}
	write, without := assign(p, network.Plan{PoolFirst: addr(1)}, all)
	if got, want := describe(write), []string{"ns/a-wants 198.18.1.3", "ns/c-new 198.18.1.2"}; !reflect.DeepEqual(got, want) {
		t.Errorf("writes %q, want %q", got, want)
	}
	if fmt.Sprint(without) != "[ns/d-none-left]" {
		t.Errorf("without: %v", without)
	}
	// The one with the address from before goes; the one that waits gets it.
	write, without = assign(p, network.Plan{PoolFirst: addr(1)}, all[:3])
	if got, want := describe(write)[2:], []string{"ns/d-none-left 198.18.1.1"}; !reflect.DeepEqual(got, want) || len(without) > 0 {
		t.Errorf("then writes %q, want %q; without %v", got, want, without)
	}
}

func TestTwoFamilies(t *testing.T) {
	plan, err := network.New(0)
	if err != nil {
		t.Fatal(err)
	}
	plan = plan.Dual()
	for _, c := range []struct{ families, has, want string }{
		{"IPv4", "", "[198.18.1.1]"},
		{"IPv4 IPv6", "", "[198.18.1.1 fd68:6764:0:1::1]"},
		{"IPv6 IPv4", "", "[fd68:6764:0:1::1 198.18.1.1]"},
		{"IPv6", "fd68:6764:0:1::7", ""},                                   // it has what it gets
		{"IPv6 IPv4", "fd68:6764:0:1::7", "[fd68:6764:0:1::7 198.18.1.7]"}, // and keeps it when a family is added
		{"IPv4", "198.18.1.7 fd68:6764:0:1::7", "[198.18.1.7]"},
	} {
		s := parse(t, "x", "LoadBalancer", "", "", "", "")
		s.Spec.IPFamilies = strings.Fields(c.families)
		for _, ip := range strings.Fields(c.has) {
			s.Status.LoadBalancer.Ingress = append(s.Status.LoadBalancer.Ingress, struct{ IP string }{ip})
		}
		got := ""
		if write, _ := assign(NewPool(plan.PoolFirst, plan.PoolLast), plan, []service{s}); len(write) == 1 {
			got = fmt.Sprint(write[0].addresses)
		}
		if got != c.want {
			t.Errorf("%s with %q gets %s, want %s", c.families, c.has, got, c.want)
		}
	}
}
