package kube

import (
	"k8s.io/apimachinery/pkg/types"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// routeLinks collects the links of a route of any kind.
type routeLinks struct {
	namespace string
	links     []link
}

func newRouteLinks(namespace string, parents []gwv1.ParentReference) *routeLinks {
	b := &routeLinks{namespace: namespace, links: make([]link, 0, len(parents)+2)}
	b.links = append(b.links, link{inNamespace, types.NamespacedName{Name: namespace}})
	for i := range parents {
		if name, ok := ParentGateway(namespace, &parents[i]); ok {
			b.links = append(b.links, link{toParent, name})
		} else if name, ok := ParentSet(namespace, &parents[i]); ok {
			b.links = append(b.links, link{toSet, name})
		}
	}
	return b
}

func (b *routeLinks) filters(filters []gwv1.HTTPRouteFilter) {
	for i := range filters {
		if m := filters[i].RequestMirror; m != nil {
			b.backend(&m.BackendRef)
		}
	}
}

func (b *routeLinks) backend(ref *gwv1.BackendObjectReference) {
	name, ok := BackendService(b.namespace, ref)
	if !ok {
		return
	}
	b.links = append(b.links, link{toBackend, name})
	if name.Namespace != b.namespace {
		b.links = append(b.links, link{intoNamespace, types.NamespacedName{Name: name.Namespace}})
	}
}

// ParentGateway gives the Gateway that a parentRef of a route in the namespace names; ok is false when it names
// something else.
func ParentGateway(namespace string, p *gwv1.ParentReference) (name types.NamespacedName, ok bool) {
	return parent(namespace, p, p.Kind == nil || *p.Kind == "Gateway")
}

// ParentSet gives the ListenerSet that a parentRef of a route in the namespace names; ok is false when it names something
// else.
func ParentSet(namespace string, p *gwv1.ParentReference) (name types.NamespacedName, ok bool) {
	return parent(namespace, p, p.Kind != nil && *p.Kind == "ListenerSet")
}

func parent(namespace string, p *gwv1.ParentReference, kind bool) (name types.NamespacedName, ok bool) {
	if !kind || (p.Group != nil && *p.Group != gwv1.GroupName) {
		return name, false
	}
	name = types.NamespacedName{Namespace: namespace, Name: string(p.Name)}
	if p.Namespace != nil {
		name.Namespace = string(*p.Namespace)
	}
	return name, true
}

// BackendService gives the Service that a backend reference from the namespace names; ok is false when it names
// something else.
func BackendService(namespace string, ref *gwv1.BackendObjectReference) (name types.NamespacedName, ok bool) {
	if (ref.Group != nil && *ref.Group != "") || (ref.Kind != nil && *ref.Kind != "Service") {
		return name, false
	}
	name = types.NamespacedName{Namespace: namespace, Name: string(ref.Name)}
	if ref.Namespace != nil {
		name.Namespace = string(*ref.Namespace)
	}
	return name, true
}
