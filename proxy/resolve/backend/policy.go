package backend

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/proxy/kube"
	"headgate.dev/proxy/model"
	"headgate.dev/proxy/resolve/condition"
	"headgate.dev/proxy/resolve/hostname"
	"headgate.dev/proxy/resolve/reference"
)

// effective finds the policy for a port of a Service; nil when there is none.
func effective(s *kube.Snapshot, service types.NamespacedName, port *corev1.ServicePort) *gwv1.BackendTLSPolicy {
	names := s.PoliciesOfService(service)
	if len(names) == 0 {
		return nil
	}
	if p := winner(s, names, service, port.Name); p != nil || port.Name == "" {
		return p
	}
	return winner(s, names, service, "")
}

// winner finds the policy that goes first of those that name the section of the Service; section is empty for all ports.
func winner(s *kube.Snapshot, names []types.NamespacedName, service types.NamespacedName, section string) *gwv1.BackendTLSPolicy {
	var best *gwv1.BackendTLSPolicy
	for _, n := range names { // sorted by name, which decides where the age does not
		p := s.BackendTLSPolicy(n)
		if targets(p, service, section) && (best == nil || p.CreationTimestamp.Time.Before(best.CreationTimestamp.Time)) {
			best = p
		}
	}
	return best
}

func targets(p *gwv1.BackendTLSPolicy, service types.NamespacedName, section string) bool {
	for i := range p.Spec.TargetRefs {
		ref := &p.Spec.TargetRefs[i]
		if name, ok := kube.TargetService(p.Namespace, ref); ok && name == service && string(deref(ref.SectionName)) == section {
			return true
		}
	}
	return false
}

// honoured tells whether the port has no policy, or one that can be honoured.
func honoured(s *kube.Snapshot, service types.NamespacedName, port *corev1.ServicePort) bool {
	p := effective(s, service, port)
	return p == nil || read(s, p).tls != nil
}

// reading is what a policy says, apart from where it applies.
type reading struct {
	tls *model.BackendTLS // nil for a policy that cannot be honoured; without Client
	ca  *model.Secret     // nil for the certificates of the system

	accepted, refs condition.Condition
}

// read reads a policy. A policy of which only some of the references hold is honoured with these.
func read(s *kube.Snapshot, p *gwv1.BackendTLSPolicy) reading {
	r := reading{
		accepted: condition.True(gwv1.PolicyConditionAccepted, gwv1.PolicyReasonAccepted, "connections to the backend use TLS"),
		refs:     condition.True(gwv1.BackendTLSPolicyConditionResolvedRefs, gwv1.BackendTLSPolicyReasonResolvedRefs, "every reference is resolved"),
	}
	v := &p.Spec.Validation
	invalid := func(message string) reading {
		r.accepted = condition.False(gwv1.PolicyConditionAccepted, gwv1.PolicyReasonInvalid, "spec.validation."+message+failed)
		return r
	}
	tls := &model.BackendTLS{Hostname: strings.ToLower(string(v.Hostname))}
	wellKnown := deref(v.WellKnownCACertificates)
	switch {
	case len(v.CACertificateRefs) > 0 && wellKnown != "":
		return invalid("caCertificateRefs cannot stand beside wellKnownCACertificates; remove one")
	case len(v.CACertificateRefs) > 0:
		if r.bundle(s, p); r.ca == nil {
			return r
		}
		tls.CA = r.ca.ID
	case wellKnown != gwv1.WellKnownCACertificatesSystem:
		return invalid(fmt.Sprintf("wellKnownCACertificates: %q is not supported; write System, or name a ConfigMap in caCertificateRefs", wellKnown))
	}
	if !hostname.ValidPrecise(tls.Hostname) {
		return invalid(fmt.Sprintf("hostname: %q is not a DNS name", v.Hostname))
	}
	for i := range v.SubjectAltNames {
		name, why := subjectName(&v.SubjectAltNames[i])
		if why != "" {
			return invalid(fmt.Sprintf("subjectAltNames[%d]%s", i, why))
		}
		tls.Names = append(tls.Names, name)
	}
	slices.SortFunc(tls.Names, compareSubjects)
	tls.Names = slices.Compact(tls.Names)
	r.tls = tls
	return r
}

// failed is what a policy that cannot be honoured means.
const failed = "; requests to the backend are answered 503"

// bundle resolves caCertificateRefs, all of the policy's namespace.
func (r *reading) bundle(s *kube.Snapshot, p *gwv1.BackendTLSPolicy) {
	refs := make([]reference.BundleRef, len(p.Spec.Validation.CACertificateRefs))
	for i, ref := range p.Spec.Validation.CACertificateRefs {
		refs[i] = reference.BundleRef{Group: string(ref.Group), Kind: string(ref.Kind), Name: types.NamespacedName{Namespace: p.Namespace, Name: string(ref.Name)}}
	}
	b := reference.Resolve(s, reference.From{Kind: kube.BackendTLSPolicy, Namespace: p.Namespace}, refs)
	r.ca = b.Secret
	first, f := b.First()
	if f == nil {
		return
	}
	reason := gwv1.BackendTLSPolicyReasonInvalidCACertificateRef
	if f.Cause == reference.WrongKind {
		reason = gwv1.BackendTLSPolicyReasonInvalidKind
	}
	message := fmt.Sprintf("spec.validation.caCertificateRefs[%d]: %s", first, f.Message)
	r.refs = condition.False(gwv1.BackendTLSPolicyConditionResolvedRefs, reason, message)
	if b.Secret == nil {
		r.accepted = condition.False(gwv1.PolicyConditionAccepted, gwv1.BackendTLSPolicyReasonNoValidCACertificate,
			"no certificate to check the backend against: see the condition ResolvedRefs"+failed)
	}
}

func subjectName(in *gwv1.SubjectAltName) (model.SubjectName, string) {
	switch in.Type {
	case gwv1.HostnameSubjectAltNameType:
		h := strings.ToLower(string(in.Hostname))
		if !hostname.Valid(h) {
			return model.SubjectName{}, fmt.Sprintf(".hostname: %q is not a DNS name, nor one that begins with \"*.\"", in.Hostname)
		}
		return model.SubjectName{Name: h}, ""
	case gwv1.URISubjectAltNameType:
		if scheme, rest, ok := strings.Cut(string(in.URI), ":"); !ok || scheme == "" || rest == "" {
			return model.SubjectName{}, fmt.Sprintf(".uri: %q is not a URI with a scheme", in.URI)
		}
		return model.SubjectName{URI: true, Name: string(in.URI)}, ""
	default:
		return model.SubjectName{}, fmt.Sprintf(".type: %q is neither Hostname nor URI", in.Type)
	}
}

func compareSubjects(a, b model.SubjectName) int {
	switch {
	case a.URI == b.URI:
		return cmp.Compare(a.Name, b.Name)
	case b.URI:
		return -1
	default:
		return 1
	}
}
