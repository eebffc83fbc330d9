package kube

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
)

// Kind is a kind of object that a Snapshot keeps.
type Kind uint8

// The kinds, each with the Go type of its objects.
const (
	GatewayClass   Kind = iota // gateway-api apis/v1
	Gateway                    // gateway-api apis/v1
	HTTPRoute                  // gateway-api apis/v1
	ReferenceGrant             // gateway-api apis/v1; apis/v1beta1 is taken too and kept as v1
	Service                    // core/v1
	EndpointSlice              // discovery/v1
	Namespace                  // core/v1
	NumKinds                   // how many there are
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
}

// String is the kind as manifests write it ("HTTPRoute").
func (k Kind) String() string { return kinds[k].name }

// Group is the API group of the kind; empty for the core group.
func (k Kind) Group() string { return kinds[k].group }

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
}

// ChangeOf makes the Change for an object that exists.
func ChangeOf(k Kind, o Object) Change {
	return Change{Kind: k, Name: types.NamespacedName{Namespace: o.GetNamespace(), Name: o.GetName()}, Object: o}
}
