package preview

import (
	"slices"

	"headgate.dev/render/object"
)

// touch finds out what the change touches: workloads, and the Services in front of them.
//
// A workload is touched when it is in the change, has an image that the rules replace, or names what is in the change; a Service when it is in the change
// or selects a workload that is touched; then so is every workload that it selects. A workload that cannot run in a preview is never touched: its Services
// are answered by production.
func (p *planner) touch(c Change) {
	for _, o := range c.Removed {
		if isService(o.ID) {
			p.gone[o.ID] = true
		}
	}
	var services, workloads []*object.Object
	touched := map[object.ID]bool{}
	for o := range p.outcome.All() {
		switch {
		case roleOf(o.ID) == workload:
			workloads = append(workloads, o)
			if p.changed[o.ID] || p.rules.retagged(o) || p.names(o, p.changed) {
				touched[o.ID] = true
			}
		case isService(o.ID):
			services = append(services, o)
			if p.changed[o.ID] {
				touched[o.ID] = true
			}
		}
	}
	p.spread(services, workloads, touched)
	p.settle(services, workloads, touched)
}

func isService(id object.ID) bool { return id.Group == "" && id.Kind == "Service" }

func (p *planner) names(w *object.Object, changed map[object.ID]bool) bool {
	for _, r := range references(w) {
		if changed[r.id] {
			return true
		}
	}
	return false
}

// spread touches Services by workloads and workloads by Services until nothing more is.
func (p *planner) spread(services, workloads []*object.Object, touched map[object.ID]bool) {
	type pair struct{ service, workload object.ID }
	var pairs []pair
	for _, s := range services {
		for _, w := range workloads {
			if s.ID.Namespace == w.ID.Namespace && selects(s, podLabels(w)) {
				pairs = append(pairs, pair{s.ID, w.ID})
			}
		}
	}
	for before := -1; before != len(touched); {
		before = len(touched)
		for _, x := range pairs {
			if touched[x.service] || touched[x.workload] {
				touched[x.service], touched[x.workload] = true, true
			}
		}
	}
}

// settle decides which of what is touched runs in the preview, and takes along what that needs.
func (p *planner) settle(services, workloads []*object.Object, touched map[object.ID]bool) {
	var running []*object.Object
	for _, w := range workloads {
		if touched[w.ID] && p.canRun(w) {
			running = append(running, w)
		}
	}
	for _, s := range services {
		pods := p.rules.Local || slices.ContainsFunc(running, func(w *object.Object) bool {
			return s.ID.Namespace == w.ID.Namespace && selects(s, podLabels(w))
		})
		switch {
		case touched[s.ID] && pods:
			p.moved[s.ID] = s
		case p.changed[s.ID]:
			p.refuse(RulePods, s, "", "no workload in the tree runs in a preview for it, so production answers")
		}
	}
	for _, w := range running {
		p.takeAlong(w)
	}
	p.policies()
}

// takeAlong moves a workload with what it names.
func (p *planner) takeAlong(w *object.Object) {
	p.moved[w.ID] = w
	for _, r := range references(w) {
		if o := p.outcome.Get(r.id); o != nil && (p.rules.Fork == nil || r.id.Kind != "Secret") {
			p.moved[o.ID] = o
		}
	}
}

// canRun tells whether a workload can run in a preview, and says why not.
func (p *planner) canRun(w *object.Object) bool {
	if podSpec(w) == nil {
		p.refuse(RulePod, w, "/spec", "it has no pods")
		return false
	}
	if what, where := escape(podSpec(w)); what != "" {
		p.refuse(RulePod, w, where, what+" reaches out of the pod; production answers")
		return false
	}
	for _, r := range references(w) {
		switch {
		case p.rules.Fork != nil && r.id.Kind == "Secret" && !r.optional:
			p.refuse(RuleSecret, w, r.pointer, "it needs "+r.id.String()+", and a fork gets no Secret")
			return false
		case p.outcome.Get(r.id) == nil && !r.optional && !p.rules.Local:
			p.refuse(RuleMissing, w, r.pointer, "it needs "+r.id.String()+", which is not in the tree; production answers")
			return false
		}
	}
	return p.rules.Fork == nil || p.imagesAllowed(w)
}

// policies takes along the BackendTLSPolicies of Services that move, with the ConfigMaps they name.
func (p *planner) policies() {
	for o := range p.outcome.All() {
		if o.ID.Group != gatewayAPI || o.ID.Kind != "BackendTLSPolicy" || len(p.targets(o)) == 0 {
			continue
		}
		p.moved[o.ID] = o
		for _, c := range listAt(o.Content, "spec", "validation", "caCertificateRefs") {
			id := core(textAt(c, "kind"), o.ID.Namespace, textAt(c, "name"))
			if ca := p.outcome.Get(id); ca != nil && roleOf(id) == supply && (p.rules.Fork == nil || id.Kind != "Secret") {
				p.moved[id] = ca
			}
		}
	}
}

// targets gives the targetRefs of a policy that are Services that move.
func (p *planner) targets(policy *object.Object) []any {
	var out []any
	for _, t := range listAt(policy.Content, "spec", "targetRefs") {
		if _, moves := p.moved[core("Service", policy.ID.Namespace, textAt(t, "name"))]; moves && textAt(t, "kind") == "Service" {
			out = append(out, t)
		}
	}
	return out
}
