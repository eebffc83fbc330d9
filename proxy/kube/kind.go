package kube

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"headgate.dev/schema"
)

// Kind is a kind of object that a Snapshot keeps.
type Kind uint8

// The kinds, each with the Go type of its objects. An object of another version of the API that can be converted is
// taken too, and kept as this one.
const (
	GatewayClass     Kind = iota // gateway-api apis/v1
	Gateway                      // gateway-api apis/v1
	HTTPRoute                    // gateway-api apis/v1
	ReferenceGrant               // gateway-api apis/v1
	Service                      // core/v1
	EndpointSlice                // discovery/v1
	Namespace                    // core/v1
	GRPCRoute                    // gateway-api apis/v1
	TCPRoute                     // gateway-api apis/v1
	UDPRoute                     // gateway-api apis/v1
	TLSRoute                     // gateway-api apis/v1
	ListenerSet                  // gateway-api apis/v1
	BackendTLSPolicy             // gateway-api apis/v1
	Secret                       // core/v1; of its data only what certificates are made of is kept
	ConfigMap                    // core/v1; of its data only certificates are kept
	ProxyConfig                  // schema: headgate.dev/v1alpha1
	NumKinds                     // how many there are
)

const gatewayGroup = "gateway.networking.k8s.io"

// kinds describes each Kind; versions are those that have the shape of the Go type.
var kinds = [NumKinds]struct {
	name, group string
	versions    []string
	empty       func() Object
}{
	GatewayClass:   {"GatewayClass", gatewayGroup, []string{"v1", "v1beta1"}, newGatewayClass},
	Gateway:        {"Gateway", gatewayGroup, []string{"v1", "v1beta1"}, newGateway},
	HTTPRoute:      {"HTTPRoute", gatewayGroup, []string{"v1", "v1beta1"}, newHTTPRoute},
	ReferenceGrant: {"ReferenceGrant", gatewayGroup, []string{"v1", "v1beta1"}, newReferenceGrant},
	Service:        {"Service", "", []string{"v1"}, newService},
	EndpointSlice:  {"EndpointSlice", "discovery.k8s.io", []string{"v1"}, newEndpointSlice},
	Namespace:      {"Namespace", "", []string{"v1"}, newNamespace},

	GRPCRoute:        {"GRPCRoute", gatewayGroup, []string{"v1", "v1alpha2"}, newGRPCRoute},
	TCPRoute:         {"TCPRoute", gatewayGroup, []string{"v1", "v1alpha2"}, newTCPRoute},
	UDPRoute:         {"UDPRoute", gatewayGroup, []string{"v1", "v1alpha2"}, newUDPRoute},
	TLSRoute:         {"TLSRoute", gatewayGroup, []string{"v1", "v1alpha2", "v1alpha3"}, newTLSRoute},
	ListenerSet:      {"ListenerSet", gatewayGroup, []string{"v1"}, newListenerSet},
	BackendTLSPolicy: {"BackendTLSPolicy", gatewayGroup, []string{"v1", "v1alpha3"}, newBackendTLSPolicy},
	Secret:           {"Secret", "", []string{"v1"}, newSecret},
	ConfigMap:        {"ConfigMap", "", []string{"v1"}, newConfigMap},
	ProxyConfig:      {schema.KindProxyConfig, schema.Group, []string{"v1alpha1"}, newProxyConfig},
}

// String is the kind as manifests write it ("HTTPRoute").
func (k Kind) String() string { return kinds[k].name }

// Group is the API group of the kind; empty for the core group.
func (k Kind) Group() string { return kinds[k].group }

// Version is the version of the API that has the Go type of the kind.
func (k Kind) Version() string { return kinds[k].versions[0] }

// New makes an empty object of the Go type of the kind.
func New(k Kind) Object { return kinds[k].empty() }

// KindOf finds the Kind of a group and kind; ok is false for one that no Snapshot keeps.
func KindOf(group, kind string) (k Kind, ok bool) {
	for k := range NumKinds {
		if kinds[k].name == kind && kinds[k].group == group {
			return k, true
		}
	}
	return 0, false
}

// Object is what every typed Kubernetes object is; the same as controller-runtime's client.Object, without its client.
type Object interface {
	metav1.Object
	runtime.Object
}

// Ref names one object of any kind.
type Ref struct {
	Kind Kind
	Name types.NamespacedName
}

// Change is one object as it is now.
type Change struct {
	Kind Kind
	Name types.NamespacedName // Namespace is empty for GatewayClass and Namespace
	// Object is a pointer to the Go type of Kind; nil when the object was deleted. It must not be written to any more.
	Object Object
	// Unseen, of a deletion: it was not watched, so that its version is not known. A list did not have the object any more.
	Unseen bool
}

// ChangeOf makes the Change for an object that exists.
func ChangeOf(k Kind, o Object) Change {
	return Change{Kind: k, Name: types.NamespacedName{Namespace: o.GetNamespace(), Name: o.GetName()}, Object: o}
}

// RouteKinds are the kinds of routes.
var RouteKinds = []Kind{HTTPRoute, GRPCRoute, TCPRoute, UDPRoute, TLSRoute}
