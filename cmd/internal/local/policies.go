package local

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/proxy/kube"
)

// bundleName is the ConfigMap with the local CA, which policies are made to trust.
const bundleName = "headgate-local-ca"

// policy is a BackendTLSPolicy of the tree. The echo backend cannot have a certificate that the policy trusts, so while it
// answers for the Services, the proxy gets a policy that trusts the local CA instead. A real backend is held to what the tree says.
type policy struct {
	object *gwv1.BackendTLSPolicy // as the tree has it
	echoed bool                   // the proxy has the other one
}

// trustEcho changes policies among the changes, or adds those that have to change because of them. Backends and world
// know the changes already.
func (s *Stack) trustEcho(changes []kube.Change) []kube.Change {
	fresh := map[kube.Ref]int{}
	for i := range changes {
		ref := kube.Ref{Kind: changes[i].Kind, Name: changes[i].Name}
		if ref.Kind != kube.BackendTLSPolicy {
			continue
		}
		delete(s.policies, ref)
		if p, ok := changes[i].Object.(*gwv1.BackendTLSPolicy); ok {
			s.policies[ref], fresh[ref] = policy{object: p}, i
		}
	}
	for _, ref := range slices.SortedFunc(maps.Keys(s.policies), kube.CompareRefs) {
		p := s.policies[ref]
		echoed := s.echoes(p.object)
		now := p.object
		if echoed {
			now = trusting(p.object)
			changes = s.addBundle(changes, ref.Name.Namespace)
		}
		if i, has := fresh[ref]; has {
			changes[i].Object = now
		} else if echoed != p.echoed {
			changes = append(changes, kube.ChangeOf(ref.Kind, now))
		}
		s.policies[ref] = policy{p.object, echoed}
	}
	return changes
}

// echoes tells whether the echo backend answers for all Services of a policy, and the policy is in order otherwise.
func (s *Stack) echoes(p *gwv1.BackendTLSPolicy) bool {
	for _, t := range p.Spec.TargetRefs {
		service := types.NamespacedName{Namespace: p.Namespace, Name: string(t.Name)}
		if len(s.backends.ports[service]) == 0 || s.backends.overridden[service] || s.backends.slices.Used(service) {
			return false
		}
	}
	for _, r := range p.Spec.Validation.CACertificateRefs {
		kind, known := kube.KindOf(string(r.Group), string(r.Kind))
		if !known || s.world.tree[kube.Ref{Kind: kind, Name: types.NamespacedName{Namespace: p.Namespace, Name: string(r.Name)}}] == nil {
			return false // whose status says so
		}
	}
	return s.world.ca != nil && !s.options.Detached
}

func trusting(p *gwv1.BackendTLSPolicy) *gwv1.BackendTLSPolicy {
	out := p.DeepCopy()
	v := &out.Spec.Validation
	v.WellKnownCACertificates, v.SubjectAltNames = nil, nil
	v.CACertificateRefs = []gwv1.LocalObjectReference{{Kind: "ConfigMap", Name: bundleName}}
	return out
}

// addBundle adds the ConfigMap with the CA to a namespace, once.
func (s *Stack) addBundle(changes []kube.Change, namespace string) []kube.Change {
	if s.bundles[namespace] {
		return changes
	}
	s.bundles[namespace] = true
	return append(changes, kube.ChangeOf(kube.ConfigMap, &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: bundleName},
		Data:       map[string]string{kube.CAKey: string(s.world.ca.Bundle())},
	}))
}
