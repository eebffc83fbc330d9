package backend

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/proxy/kube"
	"headgate.dev/proxy/model"
)

// Use is how a route uses its backends, which decides what is spoken with them.
type Use uint8

// The uses.
const (
	ForHTTP      Use = iota // HTTPRoute
	ForGRPC                 // GRPCRoute
	ForTCP                  // TCPRoute, and TLSRoute with passthrough
	ForDecrypted            // TLSRoute on a listener that ends TLS
	ForUDP                  // UDPRoute
)

// Lookup finds the cluster for a port of a Service that a route may use. When there is none, reason and message say why.
// service is permitted already. The result depends on the Service and on which policies name it.
func Lookup(s *kube.Snapshot, service types.NamespacedName, number *int32, use Use) (id model.ClusterID, reason gwv1.RouteConditionReason, message string) {
	o := s.Service(service)
	switch {
	case o == nil:
		return id, gwv1.RouteReasonBackendNotFound, "Service " + service.String() + " does not exist"
	case o.Spec.Type == corev1.ServiceTypeExternalName:
		// A name outside of the cluster would reach whatever the proxy can reach (CVE-2021-25740).
		return id, gwv1.RouteReasonInvalidKind, "Service " + service.String() + " is of type ExternalName, which cannot be a backend"
	case number == nil:
		return id, gwv1.RouteReasonBackendNotFound, "the reference to Service " + service.String() + " names no port; add one"
	}
	transport := corev1.ProtocolTCP
	if use == ForUDP {
		transport = corev1.ProtocolUDP
	}
	port := findPort(o, *number, transport)
	if port == nil {
		return id, gwv1.RouteReasonBackendNotFound, "Service " + service.String() + " has no " + string(transport) + " port " + itoa(*number)
	}
	protocol, why := speaks(port, use, func() bool { return effective(s, service, port) != nil })
	if why != "" {
		return id, gwv1.RouteReasonUnsupportedProtocol, "port " + itoa(*number) + " of Service " + service.String() + " speaks " + *port.AppProtocol + ", " + why
	}
	return model.ClusterID{Service: model.Name(service), Port: *number, Protocol: protocol}, "", ""
}

// speaks reads what a Service port speaks with a use of it (GEP-1911, KEP-3726); why is not empty when they do not go
// together. Names that say nothing to us mean what the kind of route speaks.
func speaks(p *corev1.ServicePort, use Use, secured func() bool) (protocol model.Protocol, why string) {
	switch use {
	case ForTCP:
		return model.TCP, ""
	case ForDecrypted:
		return model.TLS, ""
	case ForUDP:
		return model.UDP, ""
	}
	app := ""
	if p.AppProtocol != nil {
		app = strings.ToLower(*p.AppProtocol)
	}
	switch {
	case app == "kubernetes.io/wss" || app == "https" || app == "tls":
		if !secured() {
			return "", "which needs a BackendTLSPolicy"
		}
	case app == "kubernetes.io/h2c" || app == "http2" || app == "grpc":
		return model.H2C, ""
	}
	if use == ForHTTP {
		return model.HTTP, ""
	}
	if app == "kubernetes.io/ws" || app == "kubernetes.io/wss" || app == "http" {
		return "", "which cannot carry gRPC"
	}
	return model.H2C, ""
}
