package kubetest

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/proxy/kube"
)

// further makes an object of one of the kinds that came after plain HTTP.
func (w *World) further(k kube.Kind, m metav1.ObjectMeta) kube.Object {
	switch k {
	case kube.GRPCRoute:
		return w.grpcRoute(m)
	case kube.TCPRoute, kube.UDPRoute, kube.TLSRoute:
		return w.l4Route(k, m)
	case kube.ListenerSet:
		return w.listenerSet(m)
	case kube.Secret:
		return w.secret(m)
	case kube.ConfigMap:
		data := pick(w, []map[string]string{{kube.CAKey: CACertificate}, {kube.CAKey: CACertificate}, {kube.CAKey: ShopCertificate}, {kube.CAKey: "none"}, nil})
		return &corev1.ConfigMap{ObjectMeta: m, Data: data}
	default:
		return w.policy(m)
	}
}

func (w *World) listenerSet(m metav1.ObjectMeta) *gwv1.ListenerSet {
	s := &gwv1.ListenerSet{ObjectMeta: m}
	s.Spec.ParentRef = gwv1.ParentGatewayReference{Name: gwv1.ObjectName(pick(w, gateways)), Namespace: w.namespace()}
	for i := range 1 + w.rng.IntN(3) {
		s.Spec.Listeners = append(s.Spec.Listeners, gwv1.ListenerEntry(w.listener(i)))
	}
	return s
}

func (w *World) secret(m metav1.ObjectMeta) *corev1.Secret {
	s := &corev1.Secret{ObjectMeta: m, Type: corev1.SecretTypeTLS, Data: map[string][]byte{"unused": []byte(m.ResourceVersion)}}
	put := func(certificate, key string) {
		s.Data[corev1.TLSCertKey], s.Data[corev1.TLSPrivateKeyKey] = []byte(certificate), []byte(key)
	}
	switch w.rng.IntN(6) {
	case 0:
		put(ShopCertificate, WildcardKey)
	case 1:
		put("none", ShopKey)
	case 2:
		put(WildcardCertificate, WildcardKey)
	case 3:
		s.Data[kube.CAKey] = []byte(CACertificate)
		put(ShopCertificate, ShopKey)
	default:
		put(ShopCertificate, ShopKey)
	}
	return s
}

func (w *World) certificate() gwv1.SecretObjectReference {
	return gwv1.SecretObjectReference{
		Name: gwv1.ObjectName(pick(w, secrets)), Namespace: w.namespace(),
		Kind: pick(w, []*gwv1.Kind{nil, nil, nil, nil, nil, ptr(gwv1.Kind("ConfigMap"))}),
	}
}

func (w *World) gatewayTLS() *gwv1.GatewayTLSConfig {
	t := &gwv1.GatewayTLSConfig{}
	if w.one(2) {
		t.Backend = &gwv1.GatewayBackendTLS{ClientCertificateRef: ptr(w.certificate())}
	}
	if w.one(2) {
		t.Frontend = &gwv1.FrontendTLSConfig{}
		t.Frontend.Default.Validation = pick(w, []*gwv1.FrontendTLSValidation{nil, w.validation()})
		if w.one(2) {
			t.Frontend.PerPort = []gwv1.TLSPortConfig{{Port: 443, TLS: gwv1.TLSConfig{Validation: pick(w, []*gwv1.FrontendTLSValidation{nil, w.validation()})}}}
		}
	}
	return t
}

func (w *World) validation() *gwv1.FrontendTLSValidation {
	v := &gwv1.FrontendTLSValidation{Mode: pick(w, []gwv1.FrontendValidationModeType{"", gwv1.AllowValidOnly, gwv1.AllowInsecureFallback})}
	for range 1 + w.rng.IntN(2) {
		ref := gwv1.ObjectReference{Kind: "ConfigMap", Name: gwv1.ObjectName(pick(w, configMaps)), Namespace: w.namespace()}
		if w.one(4) {
			ref.Kind, ref.Name = "Secret", gwv1.ObjectName(pick(w, secrets))
		}
		v.CACertificateRefs = append(v.CACertificateRefs, ref)
	}
	return v
}

func (w *World) policy(m metav1.ObjectMeta) *gwv1.BackendTLSPolicy {
	p := &gwv1.BackendTLSPolicy{ObjectMeta: m}
	for range 1 + w.rng.IntN(2) {
		p.Spec.TargetRefs = append(p.Spec.TargetRefs, gwv1.LocalPolicyTargetReferenceWithSectionName{
			LocalPolicyTargetReference: gwv1.LocalPolicyTargetReference{Kind: "Service", Name: gwv1.ObjectName(pick(w, services))},
			SectionName:                pick(w, []*gwv1.SectionName{nil, nil, ptr(gwv1.SectionName("web")), ptr(gwv1.SectionName("admin"))}),
		})
	}
	v := &p.Spec.Validation
	v.Hostname = pick(w, []gwv1.PreciseHostname{"shop.example.com", "shop.example.com", "cart.example.com", "no host"})
	switch w.rng.IntN(4) {
	case 0:
		v.WellKnownCACertificates = pick(w, []*gwv1.WellKnownCACertificatesType{ptr(gwv1.WellKnownCACertificatesSystem), nil})
	case 1:
		v.CACertificateRefs = []gwv1.LocalObjectReference{{Kind: "Secret", Name: gwv1.ObjectName(pick(w, secrets))}}
	default:
		for range 1 + w.rng.IntN(2) {
			v.CACertificateRefs = append(v.CACertificateRefs, gwv1.LocalObjectReference{Kind: "ConfigMap", Name: gwv1.ObjectName(pick(w, configMaps))})
		}
	}
	if w.one(3) {
		v.SubjectAltNames = []gwv1.SubjectAltName{{Type: gwv1.HostnameSubjectAltNameType, Hostname: "a.example.com"}, {Type: gwv1.URISubjectAltNameType, URI: "spiffe://a/b"}}
	}
	return p
}
