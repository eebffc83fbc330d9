package kube

import (
	"k8s.io/apimachinery/pkg/types"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"
)

func newBackendTLSPolicy() Object { return &gwv1.BackendTLSPolicy{} }

func compareBackendTLSPolicy(old, now *gwv1.BackendTLSPolicy) difference {
	return bySpecAndStatus(&old.Spec, &now.Spec, &old.Status, &now.Status)
}

func linksOfBackendTLSPolicy(p *gwv1.BackendTLSPolicy) []link {
	b := listenerLinks{namespace: p.Namespace}
	for i := range p.Spec.TargetRefs {
		if name, ok := TargetService(p.Namespace, &p.Spec.TargetRefs[i]); ok {
			b.links = append(b.links, link{toTarget, name})
		}
	}
	for _, ref := range p.Spec.Validation.CACertificateRefs {
		b.bundle(string(ref.Group), string(ref.Kind), types.NamespacedName{Namespace: p.Namespace, Name: string(ref.Name)})
	}
	return b.links
}

// TargetService gives the Service that a targetRef of a policy in the namespace names; ok is false when it names something
// else.
func TargetService(namespace string, ref *gwv1.LocalPolicyTargetReferenceWithSectionName) (name types.NamespacedName, ok bool) {
	if ref.Group != "" || ref.Kind != "Service" {
		return name, false
	}
	return types.NamespacedName{Namespace: namespace, Name: string(ref.Name)}, true
}
