package kube

import (
	"k8s.io/apimachinery/pkg/types"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"
)

func newGatewayClass() Object { return &gwv1.GatewayClass{} }
func newGateway() Object      { return &gwv1.Gateway{} }

func compareGatewayClass(old, now *gwv1.GatewayClass) difference {
	return bySpecAndStatus(&old.Spec, &now.Spec, &old.Status, &now.Status)
}

func compareGateway(old, now *gwv1.Gateway) difference {
	return bySpecAndStatus(&old.Spec, &now.Spec, &old.Status, &now.Status)
}

func linksOfGateway(g *gwv1.Gateway) []link {
	b := listenerLinks{namespace: g.Namespace}
	b.links = append(b.links, link{toClass, types.NamespacedName{Name: string(g.Spec.GatewayClassName)}})
	if name, ok := ConfigOfGateway(g); ok {
		b.links = append(b.links, link{toConfig, name})
	}
	selects := false
	for i := range g.Spec.Listeners {
		l := &g.Spec.Listeners[i]
		a := l.AllowedRoutes
		selects = selects || (a != nil && a.Namespaces != nil && bySelector(a.Namespaces.From))
		b.certificates(l.TLS)
	}
	if a := g.Spec.AllowedListeners; a != nil && a.Namespaces != nil {
		selects = selects || bySelector(a.Namespaces.From)
	}
	if selects {
		b.links = append(b.links, link{relation: toLabels})
	}
	if g.Spec.TLS != nil {
		b.gatewayTLS(g.Spec.TLS)
	}
	return b.links
}

func bySelector(from *gwv1.FromNamespaces) bool {
	return from != nil && *from == gwv1.NamespacesFromSelector
}

// listenerLinks collects the links of a Gateway or ListenerSet to Secrets and ConfigMaps.
type listenerLinks struct {
	namespace string
	links     []link
}

func (b *listenerLinks) certificates(tls *gwv1.ListenerTLSConfig) {
	if tls == nil {
		return
	}
	for i := range tls.CertificateRefs {
		b.secret(&tls.CertificateRefs[i])
	}
}

func (b *listenerLinks) gatewayTLS(tls *gwv1.GatewayTLSConfig) {
	if tls.Backend != nil && tls.Backend.ClientCertificateRef != nil {
		b.secret(tls.Backend.ClientCertificateRef)
	}
	if tls.Frontend == nil {
		return
	}
	b.validation(tls.Frontend.Default.Validation)
	for i := range tls.Frontend.PerPort {
		b.validation(tls.Frontend.PerPort[i].TLS.Validation)
	}
}

func (b *listenerLinks) validation(v *gwv1.FrontendTLSValidation) {
	if v == nil {
		return
	}
	for i := range v.CACertificateRefs {
		ref := &v.CACertificateRefs[i]
		name := types.NamespacedName{Namespace: b.namespace, Name: string(ref.Name)}
		if ref.Namespace != nil {
			name.Namespace = string(*ref.Namespace)
		}
		b.bundle(string(ref.Group), string(ref.Kind), name)
	}
}

func (b *listenerLinks) secret(ref *gwv1.SecretObjectReference) {
	if name, ok := CertificateSecret(b.namespace, ref); ok {
		b.add(toSecret, name)
	}
}

func (b *listenerLinks) bundle(group, kind string, name types.NamespacedName) {
	switch {
	case group != "":
	case kind == "Secret":
		b.add(toSecret, name)
	case kind == "ConfigMap":
		b.add(toConfigMap, name)
	}
}

func (b *listenerLinks) add(r relation, name types.NamespacedName) {
	b.links = append(b.links, link{r, name})
	if name.Namespace != b.namespace {
		b.links = append(b.links, link{intoNamespace, types.NamespacedName{Name: name.Namespace}})
	}
}

// CertificateSecret gives the Secret that a certificate reference from the namespace names; ok is false when it names
// something else.
func CertificateSecret(namespace string, ref *gwv1.SecretObjectReference) (name types.NamespacedName, ok bool) {
	if (ref.Group != nil && *ref.Group != "") || (ref.Kind != nil && *ref.Kind != "Secret") {
		return name, false
	}
	name = types.NamespacedName{Namespace: namespace, Name: string(ref.Name)}
	if ref.Namespace != nil {
		name.Namespace = string(*ref.Namespace)
	}
	return name, true
}
