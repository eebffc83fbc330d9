package kube

import (
	"k8s.io/apimachinery/pkg/types"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"
)

func newListenerSet() Object { return &gwv1.ListenerSet{} }

func compareListenerSet(old, now *gwv1.ListenerSet) difference {
	return bySpecAndStatus(&old.Spec, &now.Spec, &old.Status, &now.Status)
}

func linksOfListenerSet(o *gwv1.ListenerSet) []link {
	b := listenerLinks{namespace: o.Namespace}
	b.links = append(b.links, link{setIn, types.NamespacedName{Name: o.Namespace}})
	if name, ok := GatewayOfSet(o); ok {
		b.links = append(b.links, link{setTo, name})
	}
	for i := range o.Spec.Listeners {
		b.certificates(o.Spec.Listeners[i].TLS)
	}
	return b.links
}

// GatewayOfSet gives the Gateway that a ListenerSet names; ok is false when it names something else.
func GatewayOfSet(o *gwv1.ListenerSet) (name types.NamespacedName, ok bool) {
	p := &o.Spec.ParentRef
	if (p.Group != nil && *p.Group != gwv1.GroupName) || (p.Kind != nil && *p.Kind != "Gateway") {
		return name, false
	}
	name = types.NamespacedName{Namespace: o.Namespace, Name: string(p.Name)}
	if p.Namespace != nil {
		name.Namespace = string(*p.Namespace)
	}
	return name, true
}
