package gateway

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/types"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/proxy/kube"
	"headgate.dev/proxy/model"
	"headgate.dev/proxy/resolve/reference"
)

// tlsRules applies spec.tls of a Gateway and the tls of its listeners, and collects the secrets that are in use.
type tlsRules struct {
	s        *kube.Snapshot
	def      validation
	perPort  map[int32]validation
	insecure string // the field with AllowInsecureFallback; empty: none

	backend *model.Secret // the certificate that backends are shown
	client  clientFault

	byID map[model.SecretID]*model.Secret // all that were resolved
	used map[model.SecretID]*model.Secret
}

// clientFault is why there is no certificate for backends.
type clientFault struct {
	reason  gwv1.GatewayConditionReason
	message string
}

// validation is what is asked of clients (GEP-91); without any reference nothing is.
type validation struct {
	field    string
	bundle   reference.Bundle
	optional bool
}

func newTLSRules(s *kube.Snapshot, o *gwv1.Gateway) *tlsRules {
	t := &tlsRules{s: s, perPort: map[int32]validation{}, byID: map[model.SecretID]*model.Secret{}, used: map[model.SecretID]*model.Secret{}}
	if o.Spec.TLS == nil {
		return t
	}
	from := reference.From{Kind: kube.Gateway, Namespace: o.Namespace}
	if b := o.Spec.TLS.Backend; b != nil && b.ClientCertificateRef != nil {
		t.backendClient(from, b.ClientCertificateRef)
	}
	if f := o.Spec.TLS.Frontend; f != nil {
		t.def = t.validation(from, f.Default.Validation, "spec.tls.frontend.default.validation")
		for i := range f.PerPort {
			p := &f.PerPort[i]
			t.perPort[p.Port] = t.validation(from, p.TLS.Validation, fmt.Sprintf("spec.tls.frontend.perPort[%d].tls.validation", i))
		}
	}
	return t
}

func (t *tlsRules) backendClient(from reference.From, ref *gwv1.SecretObjectReference) {
	secret, f := reference.Certificate(t.s, from, ref)
	switch {
	case f == nil:
		t.backend = secret
	case f.Cause == reference.Forbidden:
		t.client = clientFault{gwv1.GatewayReasonRefNotPermitted, "spec.tls.backend.clientCertificateRef: " + f.Message}
	default:
		t.client = clientFault{gwv1.GatewayReasonInvalidClientCertificateRef, "spec.tls.backend.clientCertificateRef: " + f.Message}
	}
}

func (t *tlsRules) validation(from reference.From, v *gwv1.FrontendTLSValidation, field string) validation {
	if v == nil {
		return validation{}
	}
	out := validation{field: field, optional: v.Mode == gwv1.AllowInsecureFallback}
	if out.optional && t.insecure == "" {
		t.insecure = field + ".mode"
	}
	refs := make([]reference.BundleRef, len(v.CACertificateRefs))
	for i := range v.CACertificateRefs {
		r := &v.CACertificateRefs[i]
		refs[i] = reference.BundleRef{Group: string(r.Group), Kind: string(r.Kind), Name: types.NamespacedName{Namespace: from.Namespace, Name: string(r.Name)}}
		if r.Namespace != nil {
			refs[i].Name.Namespace = string(*r.Namespace)
		}
	}
	out.bundle = reference.Resolve(t.s, from, refs)
	return out
}

// listener resolves the references of one that ends TLS.
func (t *tlsRules) listener(l *Listener) {
	if l.Terminate == nil {
		return
	}
	t.certificates(l)
	// "for all Listeners handling HTTPS traffic" (FrontendTLSConfig).
	if l.Protocol == model.HTTPS {
		t.clients(l)
	}
}

// certificates resolves tls.certificateRefs. Those that hold are served, whatever is wrong with the others.
func (t *tlsRules) certificates(l *Listener) {
	from := reference.From{Kind: kube.Gateway, Namespace: l.namespace}
	if l.Set != (types.NamespacedName{}) {
		from.Kind = kube.ListenerSet
	}
	if l.tls == nil || len(l.tls.CertificateRefs) == 0 {
		l.unresolved(gwv1.ListenerReasonInvalidCertificateRef, "tls.certificateRefs is empty; name a Secret with a certificate")
		return
	}
	for i := range l.tls.CertificateRefs {
		secret, f := reference.Certificate(t.s, from, &l.tls.CertificateRefs[i])
		if f == nil {
			t.byID[secret.ID] = secret
			if !slices.Contains(l.Terminate.Certificates, secret.ID) {
				l.Terminate.Certificates = append(l.Terminate.Certificates, secret.ID)
			}
			continue
		}
		reason := gwv1.ListenerReasonInvalidCertificateRef
		if f.Cause == reference.Forbidden {
			reason = gwv1.ListenerReasonRefNotPermitted
		}
		l.unresolved(reason, fmt.Sprintf("tls.certificateRefs[%d]: %s", i, f.Message))
	}
}

// clients applies the validation of clients for the port. Without any certificate to trust the listener is not served: it
// would let everybody in, or nobody.
func (t *tlsRules) clients(l *Listener) {
	v, own := t.perPort[l.Port]
	if !own {
		v = t.def
	}
	if v.field == "" {
		return
	}
	for i, f := range v.bundle.Faults {
		if f != nil {
			l.unresolved(causeOfCA[f.Cause], fmt.Sprintf("Gateway %s.caCertificateRefs[%d]: %s", v.field, i, f.Message))
		}
	}
	if v.bundle.Secret == nil {
		if l.accepted() {
			l.reject(gwv1.ListenerReasonNoValidCACertificate, "no certificate to check those of clients against: see the condition ResolvedRefs")
		}
		return
	}
	t.byID[v.bundle.Secret.ID] = v.bundle.Secret
	l.Terminate.Client = &model.ClientValidation{CA: v.bundle.Secret.ID, Optional: v.optional}
}

var causeOfCA = map[reference.Cause]gwv1.ListenerConditionReason{
	reference.Forbidden:  gwv1.ListenerReasonRefNotPermitted,
	reference.WrongKind:  gwv1.ListenerReasonInvalidCACertificateKind,
	reference.Unresolved: gwv1.ListenerReasonInvalidCACertificateRef,
}

// use marks the secrets of a usable listener.
func (t *tlsRules) use(l *Listener) {
	if l.Terminate == nil {
		return
	}
	for _, id := range l.Terminate.Certificates {
		t.used[id] = t.byID[id]
	}
	if c := l.Terminate.Client; c != nil {
		t.used[c.CA] = t.byID[c.CA]
	}
}

func (t *tlsRules) clientID() model.SecretID {
	if t.backend == nil {
		return ""
	}
	t.used[t.backend.ID] = t.backend
	return t.backend.ID
}

// secrets lists those in use.
func (t *tlsRules) secrets() []*model.Secret {
	return slices.SortedFunc(maps.Values(t.used), func(a, b *model.Secret) int { return cmp.Compare(a.ID, b.ID) })
}
