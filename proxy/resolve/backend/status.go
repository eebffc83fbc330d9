package backend

import (
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/proxy/kube"
	"headgate.dev/proxy/resolve/condition"
)

// PolicyResult is a BackendTLSPolicy as the rules see it.
type PolicyResult struct {
	Name       types.NamespacedName
	Generation int64
	// Ancestors has an entry for each of our Gateways with routes to a Service that the policy names, sorted.
	Ancestors []Ancestor
}

// Ancestor is what a policy comes to on one Gateway.
type Ancestor struct {
	Gateway    types.NamespacedName
	Conditions []condition.Condition // Accepted, ResolvedRefs
}

// Policy applies the rules of a BackendTLSPolicy. gateways gives our Gateways that have routes to a Service, in any order. A
// policy that does not exist gives nil.
//
// The result depends on the policy, the Secrets and ConfigMaps it names, the Services it names and their other policies, and on
// what gateways says.
func Policy(s *kube.Snapshot, name types.NamespacedName, gateways func(service types.NamespacedName) []types.NamespacedName) *PolicyResult {
	p := s.BackendTLSPolicy(name)
	if p == nil {
		return nil
	}
	out := &PolicyResult{Name: name, Generation: p.Generation}
	services := map[types.NamespacedName][]int{} // by Gateway: the targetRefs that it has routes to
	for i := range p.Spec.TargetRefs {
		if service, ok := kube.TargetService(p.Namespace, &p.Spec.TargetRefs[i]); ok {
			for _, g := range gateways(service) {
				if !slices.Contains(services[g], i) {
					services[g] = append(services[g], i)
				}
			}
		}
	}
	if len(services) == 0 {
		return out
	}
	r := read(s, p)
	for g, targets := range services {
		accepted := r.accepted
		if c, bad := misses(s, p, targets); bad {
			accepted = c
		}
		out.Ancestors = append(out.Ancestors, Ancestor{Gateway: g, Conditions: []condition.Condition{accepted, r.refs}})
	}
	slices.SortFunc(out.Ancestors, func(a, b Ancestor) int { return kube.CompareNames(a.Gateway, b.Gateway) })
	return out
}

// misses finds out that a policy applies to none of the targets: another policy goes first, or there is no such port. One that
// applies to some of them is accepted.
func misses(s *kube.Snapshot, p *gwv1.BackendTLSPolicy, targets []int) (first condition.Condition, bad bool) {
	for _, i := range targets {
		c, missed := miss(s, p, i)
		if !missed {
			return first, false
		}
		if !bad {
			first, bad = c, true
		}
	}
	return first, bad
}

func miss(s *kube.Snapshot, p *gwv1.BackendTLSPolicy, i int) (condition.Condition, bool) {
	ref := &p.Spec.TargetRefs[i]
	service, _ := kube.TargetService(p.Namespace, ref)
	section := string(deref(ref.SectionName))
	o := s.Service(service)
	if o == nil {
		return condition.False(gwv1.PolicyConditionAccepted, gwv1.PolicyReasonTargetNotFound,
			fmt.Sprintf("spec.targetRefs[%d]: Service %s does not exist", i, service)), true
	}
	var ports []string
	for j := range o.Spec.Ports {
		ports = append(ports, o.Spec.Ports[j].Name)
	}
	if section != "" && !slices.Contains(ports, section) {
		return condition.False(gwv1.PolicyConditionAccepted, gwv1.PolicyReasonTargetNotFound,
			fmt.Sprintf("spec.targetRefs[%d].sectionName: Service %s has no port named %s; it has %s", i, service, section, strings.Join(ports, ", "))), true
	}
	if w := winner(s, s.PoliciesOfService(service), service, section); w != p {
		return condition.False(gwv1.PolicyConditionAccepted, gwv1.PolicyReasonConflicted,
			fmt.Sprintf("spec.targetRefs[%d]: BackendTLSPolicy %s/%s names the same and goes first", i, w.Namespace, w.Name)), true
	}
	return condition.Condition{}, false
}

// maxAncestors is how many entries a status can have (PolicyStatus.ancestors).
const maxAncestors = 16

// PolicyStatus gives the status of a policy. controller is our controller's name: which entries of status.ancestors are ours.
// Those for Gateways that have nothing to do with the policy any more go; those of other controllers stay. What does not fit
// into the status is left out, the last Gateway by name first.
func PolicyStatus(p *PolicyResult, controller gwv1.GatewayController, existing gwv1.PolicyStatus, now metav1.Time) gwv1.PolicyStatus {
	out := gwv1.PolicyStatus{Ancestors: make([]gwv1.PolicyAncestorStatus, 0, max(len(existing.Ancestors), len(p.Ancestors)))}
	written := make([]bool, len(p.Ancestors))
	theirs := 0
	for i := range existing.Ancestors {
		if existing.Ancestors[i].ControllerName != controller {
			theirs++
		}
	}
	mine := p.Ancestors[:min(len(p.Ancestors), max(maxAncestors-theirs, 0))]
	entry := func(i int, before []metav1.Condition) gwv1.PolicyAncestorStatus {
		written[i] = true
		return gwv1.PolicyAncestorStatus{
			AncestorRef: ancestorRef(mine[i].Gateway), ControllerName: controller,
			Conditions: condition.Merge(before, mine[i].Conditions, nil, condition.Stamp{Generation: p.Generation, Now: now}),
		}
	}
	for i := range existing.Ancestors {
		a := &existing.Ancestors[i]
		if a.ControllerName != controller {
			out.Ancestors = append(out.Ancestors, *a)
			continue
		}
		for j := range mine {
			if !written[j] && isGateway(&a.AncestorRef, mine[j].Gateway, p.Name.Namespace) {
				out.Ancestors = append(out.Ancestors, entry(j, a.Conditions))
				break
			}
		}
	}
	for i := range mine {
		if !written[i] {
			out.Ancestors = append(out.Ancestors, entry(i, nil))
		}
	}
	return out
}

func ancestorRef(g types.NamespacedName) gwv1.ParentReference {
	group, kind, namespace := gwv1.Group(gwv1.GroupName), gwv1.Kind("Gateway"), gwv1.Namespace(g.Namespace)
	return gwv1.ParentReference{Group: &group, Kind: &kind, Namespace: &namespace, Name: gwv1.ObjectName(g.Name)}
}

func isGateway(r *gwv1.ParentReference, g types.NamespacedName, namespace string) bool {
	name, ok := kube.ParentGateway(namespace, r)
	return ok && name == g && r.SectionName == nil && r.Port == nil
}
