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

// app is what a name of appProtocol means (GEP-1911, KEP-3726).
type app struct {
	http, grpc model.Protocol // what is spoken; empty where they do not go together
	tls        bool           // only inside of TLS, which takes a policy
}

// apps are the names that say something to us, in lower case. All others mean what the kind of route speaks.
var apps = map[string]app{
	"http":              {http: model.HTTP},
	"https":             {http: model.HTTP, grpc: model.H2C, tls: true},
	"tls":               {http: model.HTTP, grpc: model.H2C, tls: true},
	"http2":             {http: model.H2C, grpc: model.H2C},
	"grpc":              {http: model.H2C, grpc: model.H2C},
	"kubernetes.io/h2c": {http: model.H2C, grpc: model.H2C},
	"kubernetes.io/ws":  {http: model.HTTP},
	"kubernetes.io/wss": {http: model.HTTP, tls: true},
}

// below are the uses for which appProtocol does not matter.
var below = map[Use]model.Protocol{ForTCP: model.TCP, ForDecrypted: model.TLS, ForUDP: model.UDP}

// speaks reads what a Service port speaks with a use of it; why is not empty when they do not go together.
func speaks(p *corev1.ServicePort, use Use, secured func() bool) (protocol model.Protocol, why string) {
	if protocol, ok := below[use]; ok {
		return protocol, ""
	}
	a := app{http: model.HTTP, grpc: model.H2C}
	if p.AppProtocol != nil {
		if known, ok := apps[strings.ToLower(*p.AppProtocol)]; ok {
			a = known
		}
	}
	protocol = a.http
	if use == ForGRPC {
		protocol = a.grpc
	}
	switch {
	case protocol == "":
		return "", "which cannot carry gRPC"
	case a.tls && !secured():
		return "", "which needs a BackendTLSPolicy"
	default:
		return protocol, ""
	}
}
