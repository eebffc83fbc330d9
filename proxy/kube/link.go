package kube

import (
	"cmp"

	"k8s.io/apimachinery/pkg/types"

	"headgate.dev/proxy/incr"
)

// relation is what an object has to do with the thing that a link leads to.
type relation uint8

const (
	toParent      relation = iota // route → Gateway
	toSet                         // route → ListenerSet
	setTo                         // ListenerSet → Gateway
	setIn                         // ListenerSet → its namespace
	toSecret                      // Gateway, ListenerSet, BackendTLSPolicy → Secret
	toConfigMap                   // Gateway, BackendTLSPolicy → ConfigMap
	toTarget                      // BackendTLSPolicy → Service
	toBackend                     // route → Service
	inNamespace                   // route → its namespace
	intoNamespace                 // route, Gateway, ListenerSet → another namespace that it refers into
	toClass                       // Gateway → GatewayClass
	toLabels                      // Gateway with a namespace selector → nothing
	toService                     // EndpointSlice → Service
	toConfig                      // GatewayClass, Gateway → ProxyConfig
	grantIn                       // ReferenceGrant → its namespace
)

// link leads from an object to something it names. Cluster-scoped targets have no Namespace.
type link struct {
	relation relation
	to       types.NamespacedName
}

// index answers the way back of every link.
type index struct {
	incr.Index[link, Ref]
}

func (x *index) refs(l link) []Ref { return x.Of(l, CompareRefs) }

// namesOf lists the names of those of the kind.
func (x *index) namesOf(l link, k Kind) []types.NamespacedName {
	var out []types.NamespacedName
	for _, r := range x.refs(l) {
		if r.Kind == k {
			out = append(out, r.Name)
		}
	}
	return out
}

func (x *index) names(l link) []types.NamespacedName {
	refs := x.refs(l)
	out := make([]types.NamespacedName, len(refs))
	for i, r := range refs {
		out[i] = r.Name
	}
	return out
}

// CompareRefs orders by kind, namespace, name.
func CompareRefs(a, b Ref) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), CompareNames(a.Name, b.Name))
}
