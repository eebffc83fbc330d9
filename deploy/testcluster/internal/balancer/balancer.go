package balancer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net/netip"
	"slices"
	"time"

	"headgate.dev/deploy/testcluster/internal/kube"
)

type service struct {
	Metadata struct {
		Name, Namespace, DeletionTimestamp string
	}
	Spec struct {
		Type, LoadBalancerClass, LoadBalancerIP string
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

// has is the address in the status, the zero one if there is none.
func (s service) has() netip.Addr {
	if len(s.Status.LoadBalancer.Ingress) == 0 {
		return netip.Addr{}
	}
	a, _ := netip.ParseAddr(s.Status.LoadBalancer.Ingress[0].IP)
	return a
}

// assignment is an address that must be written into the status of a Service.
type assignment struct {
	service service
	address netip.Addr
}

// assign brings pool in line with all Services and returns what must be written, in the order of the names. Whoever has an address
// already comes first: after a restart nobody else gets it. The second result are the Services for which nothing was left.
func assign(p *Pool, all []service) (write []assignment, without []string) {
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
		want := s.has()
		if !want.IsValid() {
			want, _ = netip.ParseAddr(s.Spec.LoadBalancerIP)
		}
		a, ok := p.Take(s.key(), want)
		if !ok {
			without = append(without, s.key())
		} else if a != s.has() {
			write = append(write, assignment{s, a})
		}
	}
	return write, without
}

// Run serves the pool from first to last until ctx ends. Whatever goes wrong is logged and tried again.
func Run(ctx context.Context, api *kube.Client, first, last netip.Addr) {
	p := NewPool(first, last)
	for ctx.Err() == nil {
		if err := follow(ctx, api, p); err != nil && ctx.Err() == nil {
			log.Printf("load balancer: %v; again in a second", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

// follow lists the Services, then takes each change as it comes, until the watch ends.
func follow(ctx context.Context, api *kube.Client, p *Pool) error {
	var list struct {
		Metadata struct{ ResourceVersion string }
		Items    []service
	}
	if err := api.Get(ctx, "/api/v1/services", &list); err != nil {
		return err
	}
	known := map[string]service{}
	for _, s := range list.Items {
		known[s.key()] = s
	}
	if err := settle(ctx, api, p, known); err != nil {
		return err
	}
	return api.Watch(ctx, "/api/v1/services", list.Metadata.ResourceVersion, func(kind string, object []byte) error {
		var s service
		if err := json.Unmarshal(object, &s); err != nil {
			return fmt.Errorf("reading a Service: %w", err)
		}
		if kind == "DELETED" {
			delete(known, s.key())
		} else {
			known[s.key()] = s
		}
		return settle(ctx, api, p, known)
	})
}

func settle(ctx context.Context, api *kube.Client, p *Pool, known map[string]service) error {
	all := make([]service, 0, len(known))
	for _, s := range known {
		all = append(all, s)
	}
	write, without := assign(p, all)
	for _, key := range without {
		log.Printf("load balancer: no address left for %s", key)
	}
	for _, w := range write {
		m := w.service.Metadata
		body := fmt.Sprintf(`{"status":{"loadBalancer":{"ingress":[{"ip":%q,"ipMode":"VIP"}]}}}`, w.address)
		err := api.Patch(ctx, "/api/v1/namespaces/"+m.Namespace+"/services/"+m.Name+"/status", kube.Merge, body)
		if err != nil && !errors.Is(err, kube.ErrNotFound) {
			return err
		}
		log.Printf("load balancer: gave %s to %s", w.address, w.service.key())
	}
	return nil
}
