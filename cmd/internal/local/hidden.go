package local

import (
	"k8s.io/apimachinery/pkg/types"

	"headgate.dev/proxy/traffic"
	"headgate.dev/schema"
)

// Hidden is a rule that no request can reach.
type Hidden struct {
	traffic.Hidden
	Object string `json:"object"`
	From   string `json:"from"`
	By     string `json:"by"` // the object whose rule takes the requests
	ByFrom string `json:"byFrom"`
}

// NewlyHidden lists the rules that can never match since the last Apply, on the hosts that it changed.
func (s *Stack) NewlyHidden() []Hidden {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Hidden
	for _, h := range s.effects.Hosts {
		known := map[string]bool{}
		key := func(f *traffic.Hidden) string {
			return f.Request + "\x00" + f.Route.Object() + "\x00" + f.By.Object()
		}
		before := traffic.FindHidden(h.Before)
		for i := range before {
			known[key(&before[i])] = true
		}
		for _, f := range traffic.FindHidden(h.After) {
			if known[key(&f)] || s.world.isAlias(f.Route.Kind, types.NamespacedName(f.Route.Name)) ||
				s.world.isAlias(f.By.Kind, types.NamespacedName(f.By.Name)) {
				continue
			}
			out = append(out, Hidden{
				Hidden: f,
				Object: f.Route.Object(), From: s.originOf(f.Route.Kind, types.NamespacedName(f.Route.Name), f.Route.Rule).String(),
				By: f.By.Object(), ByFrom: s.originOf(f.By.Kind, types.NamespacedName(f.By.Name), f.By.Rule).String(),
			})
		}
	}
	return out
}

// Unserved lists what of the last Apply is not served, and why.
func (s *Stack) Unserved() schema.Errors {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.unserved()
}
