package resolve

import (
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/proxy/kube"
	"headgate.dev/proxy/model"
)

// place is where in a route something stands; backend is -1 outside of backendRefs.
type place struct {
	rule, backend int
}

// field gives the path of a field there ("rules[0].backendRefs[1]", "rules[0].filters[2].requestMirror").
func (p place) field(rest string) string {
	s := "rules[" + strconv.Itoa(p.rule) + "]"
	if p.backend >= 0 {
		s += ".backendRefs[" + strconv.Itoa(p.backend) + "]"
	}
	return s + rest
}

// backend resolves a reference to a Service port. One that does not resolve is noted, and gives the zero ClusterID (Gateway
// API, HTTPBackendRef: the reasons). Whether the reference is permitted is asked before whether its object exists: the answer
// must not tell what there is in a foreign namespace. field is where the reference stands.
func (b *ruleBuilder) backend(ref *gwv1.BackendObjectReference, field func() string) model.ClusterID {
	id, reason, message := b.lookup(ref)
	if reason != "" {
		b.refs = append(b.refs, refFault{reason, field() + ": " + message})
		return model.ClusterID{}
	}
	b.clusters = append(b.clusters, id)
	return id
}

func (b *ruleBuilder) lookup(ref *gwv1.BackendObjectReference) (id model.ClusterID, reason gwv1.RouteConditionReason, message string) {
	service, ok := kube.BackendService(b.name.Namespace, ref)
	if !ok {
		return id, gwv1.RouteReasonInvalidKind, "kind " + string(deref(ref.Kind)) + " (group " + strconv.Quote(string(deref(ref.Group))) +
			") cannot be a backend; name a Service"
	}
	if service.Namespace != b.name.Namespace && !permitted(b.s, grantFrom{gwv1.GroupName, b.kind.String(), b.name.Namespace}, "", "Service", service) {
		return id, gwv1.RouteReasonRefNotPermitted, "Service " + service.String() + " is in another namespace; it takes a ReferenceGrant in namespace " +
			service.Namespace + " from " + b.kind.String() + " in namespace " + b.name.Namespace
	}
	s := b.s.Service(service)
	switch {
	case s == nil:
		return id, gwv1.RouteReasonBackendNotFound, "Service " + service.String() + " does not exist"
	case s.Spec.Type == corev1.ServiceTypeExternalName:
		// A name outside of the cluster would reach whatever the proxy can reach (CVE-2021-25740).
		return id, gwv1.RouteReasonInvalidKind, "Service " + service.String() + " is of type ExternalName, which cannot be a backend"
	case ref.Port == nil:
		return id, gwv1.RouteReasonBackendNotFound, "the reference to Service " + service.String() + " names no port; add one"
	}
	port := findPort(s, *ref.Port, corev1.ProtocolTCP)
	if port == nil {
		return id, gwv1.RouteReasonBackendNotFound, "Service " + service.String() + " has no TCP port " + itoa(*ref.Port)
	}
	protocol, ok := appProtocol(port)
	if !ok {
		return id, gwv1.RouteReasonUnsupportedProtocol, "port " + itoa(*ref.Port) + " of Service " + service.String() + " speaks " +
			*port.AppProtocol + ", which needs a BackendTLSPolicy"
	}
	return model.ClusterID{Service: model.Name(service), Port: *ref.Port, Protocol: protocol}, "", ""
}

// appProtocol reads what a Service port speaks (GEP-1911, KEP-3726). Names that say nothing to us mean HTTP.
func appProtocol(p *corev1.ServicePort) (model.Protocol, bool) {
	if p.AppProtocol == nil {
		return model.HTTP, true
	}
	switch *p.AppProtocol {
	case "kubernetes.io/h2c", "http2", "grpc":
		return model.H2C, true
	case "kubernetes.io/wss", "https", "tls":
		return "", false
	default:
		return model.HTTP, true
	}
}

// grantFrom is the side of a reference that a ReferenceGrant trusts.
type grantFrom struct {
	group, kind, namespace string
}

// permitted tells whether a ReferenceGrant in the namespace of the target allows the reference (GEP-709).
func permitted(s *kube.Snapshot, from grantFrom, group, kind string, to types.NamespacedName) bool {
	for _, name := range s.GrantsIn(to.Namespace) {
		spec := &s.ReferenceGrant(name).Spec
		if trusts(spec, from) && offers(spec, group, kind, to.Name) {
			return true
		}
	}
	return false
}

func trusts(spec *gwv1.ReferenceGrantSpec, from grantFrom) bool {
	for _, f := range spec.From {
		if string(f.Group) == from.group && string(f.Kind) == from.kind && string(f.Namespace) == from.namespace {
			return true
		}
	}
	return false
}

func offers(spec *gwv1.ReferenceGrantSpec, group, kind, name string) bool {
	for _, t := range spec.To {
		if string(t.Group) == group && string(t.Kind) == kind && (t.Name == nil || *t.Name == "" || string(*t.Name) == name) {
			return true
		}
	}
	return false
}
