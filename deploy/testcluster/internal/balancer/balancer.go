package balancer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net/netip"
	"slices"
	"strings"
	"time"

	"headgate.dev/deploy/testcluster/internal/kube"
	"headgate.dev/deploy/testcluster/internal/network"
)

type service struct {
	Metadata struct {
		Name, Namespace, DeletionTimestamp string
	}
	Spec struct {
		Type, LoadBalancerClass, LoadBalancerIP string
		IPFamilies                              []string
	}
	Status struct {
		LoadBalancer struct {
			Ingress []struct{ IP string }
		}
	}
}

func (s service) key() string { return s.Metadata.Namespace + "/" + s.Metadata.Name }

// ours says whether the Service waits for an address of this pool: one with a class waits for somebody else.
func (s service) ours() bool {
	return s.Spec.Type == "LoadBalancer" && s.Spec.LoadBalancerClass == "" && s.Metadata.DeletionTimestamp == ""
}

// has are the addresses in the status.
func (s service) has() []netip.Addr {
	var all []netip.Addr
	for _, i := range s.Status.LoadBalancer.Ingress {
		if a, err := netip.ParseAddr(i.IP); err == nil {
			all = append(all, a)
		}
	}
	return all
}

// wants is the address of the pool that the Service should get if it is free: the one it has, else the one it asks for.
func (s service) wants(six *network.Six, first netip.Addr) netip.Addr {
	all := s.has()
	if a, err := netip.ParseAddr(s.Spec.LoadBalancerIP); err == nil {
		all = append(all, a)
	}
	for _, a := range all {
		if a.Is4() {
			return a
		}
		if six != nil && six.Pool.Contains(a) {
			four := first.As4()
			four[3] = a.As16()[15]
			return netip.AddrFrom4(four)
		}
	}
	return netip.Addr{}
}

// gets are the addresses that a Service has when a of the pool is its own: one a family, in the order of its families.
func (s service) gets(six *network.Six, a netip.Addr) []netip.Addr {
	var all []netip.Addr
	for _, family := range s.Spec.IPFamilies {
		if family == "IPv6" && six != nil {
			all = append(all, six.Twin(a))
		} else if family == "IPv4" {
			all = append(all, a)
		}
	}
	return all
}

// assignment is what must be written into the status of a Service.
type assignment struct {
	service   service
	addresses []netip.Addr
}

// assign brings pool in line with all Services and returns what must be written, in the order of the names. Whoever has an address
// already comes first: after a restart nobody else gets it. The second result are the Services for which nothing was left.
func assign(p *Pool, plan network.Plan, all []service) (write []assignment, without []string) {
	live := map[string]bool{}
	all = slices.DeleteFunc(slices.Clone(all), func(s service) bool { return !s.ours() })
	slices.SortFunc(all, func(a, b service) int {
		if x, y := len(a.Status.LoadBalancer.Ingress), len(b.Status.LoadBalancer.Ingress); x != y {
			return y - x
		}
		if a.key() < b.key() {
			return -1
		}
		return 1
	})
	for _, s := range all {
		live[s.key()] = true
	}
	p.Keep(live)
	for _, s := range all {
		a, ok := p.Take(s.key(), s.wants(plan.Six, plan.PoolFirst))
		if !ok {
			without = append(without, s.key())
		} else if gets := s.gets(plan.Six, a); !slices.Equal(gets, s.has()) {
			write = append(write, assignment{s, gets})
		}
	}
	return write, without
}

// Run serves the pool of the plan until ctx ends. Whatever goes wrong is logged and tried again.
func Run(ctx context.Context, api *kube.Client, plan network.Plan) {
	p := &state{NewPool(plan.PoolFirst, plan.PoolLast), plan, map[string]service{}}
	for ctx.Err() == nil {
		if err := p.follow(ctx, api); err != nil && ctx.Err() == nil {
			log.Printf("load balancer: %v; again in a second", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

// state is what the balancer knows: its pool, and the Services by name.
type state struct {
	pool  *Pool
	plan  network.Plan
	known map[string]service
}

// follow lists the Services, then takes each change as it comes, until the watch ends.
func (b *state) follow(ctx context.Context, api *kube.Client) error {
	var list struct {
		Metadata struct{ ResourceVersion string }
		Items    []service
	}
	if err := api.Get(ctx, "/api/v1/services", &list); err != nil {
		return err
	}
	clear(b.known)
	for _, s := range list.Items {
		b.known[s.key()] = s
	}
	if err := b.settle(ctx, api); err != nil {
		return err
	}
	return api.Watch(ctx, "/api/v1/services", list.Metadata.ResourceVersion, func(kind string, object []byte) error {
		var s service
		if err := json.Unmarshal(object, &s); err != nil {
			return fmt.Errorf("reading a Service: %w", err)
		}
		if kind == "DELETED" {
			delete(b.known, s.key())
		} else {
			b.known[s.key()] = s
		}
		return b.settle(ctx, api)
	})
}

func (b *state) settle(ctx context.Context, api *kube.Client) error {
	all := make([]service, 0, len(b.known))
	for _, s := range b.known {
		all = append(all, s)
	}
	write, without := assign(b.pool, b.plan, all)
	for _, key := range without {
		log.Printf("load balancer: no address left for %s", key)
	}
	for _, w := range write {
		m := w.service.Metadata
		var ingress []string
		for _, a := range w.addresses {
			ingress = append(ingress, fmt.Sprintf(`{"ip":%q,"ipMode":"VIP"}`, a))
		}
		body := `{"status":{"loadBalancer":{"ingress":[` + strings.Join(ingress, ",") + `]}}}`
		err := api.Patch(ctx, "/api/v1/namespaces/"+m.Namespace+"/services/"+m.Name+"/status", kube.Merge, body)
		if err != nil && !errors.Is(err, kube.ErrNotFound) {
			return err
		}
		log.Printf("load balancer: gave %v to %s", w.addresses, w.service.key())
	}
	return nil
}
