package local

import (
	"cmp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/proxy/kube"
)

// front is the listener by which an alias is reached.
type front struct {
	gateway types.NamespacedName
	section gwv1.SectionName
	port    int32
	set     aliasSet // that the listener is of; zero: it is the Gateway's own
}

// aliasGatewayRef is the Gateway for aliases that no other Gateway can take. It is not the default Gateway, which goes as soon as no
// route of the tree names it, and leaves its port to the first Gateway of one's own.
var aliasGatewayRef = kube.Ref{Kind: kube.Gateway, Name: types.NamespacedName{Namespace: DefaultNamespace, Name: localhost}}

// aliasSet is a listener set that is made up: it gives the Gateway that has the usual port of HTTP a listener for *.localhost, which
// routes of the tree cannot attach to, since they would have to name it.
type aliasSet struct {
	gateway   types.NamespacedName
	namespace string // that the Gateway takes listener sets from
}

// aliasNamespace is where the listener set is if the Gateway takes none from anywhere. Nothing else is there.
const aliasNamespace = "headgate-localhost"

func (a aliasSet) ref() kube.Ref {
	return kube.Ref{Kind: kube.ListenerSet, Name: types.NamespacedName{Namespace: a.namespace, Name: localhost}}
}

// object makes the listener set.
func (a aliasSet) object() *gwv1.ListenerSet {
	all, host, namespace := gwv1.NamespacesFromAll, gwv1.Hostname("*."+localhost), gwv1.Namespace(a.gateway.Namespace)
	return &gwv1.ListenerSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: a.namespace, Name: localhost},
		Spec: gwv1.ListenerSetSpec{
			ParentRef: gwv1.ParentGatewayReference{Namespace: &namespace, Name: gwv1.ObjectName(a.gateway.Name)},
			Listeners: []gwv1.ListenerEntry{{
				Name: localhost, Port: 80, Protocol: gwv1.HTTPProtocolType, Hostname: &host,
				AllowedRoutes: &gwv1.AllowedRoutes{Namespaces: &gwv1.RouteNamespaces{From: &all}},
			}},
		},
	}
}

// opened gives the Gateway as it has to be for the listener set: itself, or a copy that takes listener sets from aliasNamespace alone.
func (a aliasSet) opened(g *gwv1.Gateway) *gwv1.Gateway {
	if a.namespace != aliasNamespace {
		return g
	}
	from := gwv1.NamespacesFromSelector
	g = g.DeepCopy()
	g.Spec.AllowedListeners = &gwv1.AllowedListeners{Namespaces: &gwv1.ListenerNamespaces{
		From: &from, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: aliasNamespace}}}}
	return g
}

// setAt gives the listener set for a Gateway; nothing for one that selects whom it takes them from.
func setAt(name types.NamespacedName, g *gwv1.Gateway) aliasSet {
	from := gwv1.NamespacesFromNone
	if a := g.Spec.AllowedListeners; a != nil && a.Namespaces != nil && a.Namespaces.From != nil {
		from = *a.Namespaces.From
	}
	switch from {
	case gwv1.NamespacesFromNone:
		return aliasSet{name, aliasNamespace}
	case gwv1.NamespacesFromAll, gwv1.NamespacesFromSame:
		return aliasSet{name, name.Namespace}
	}
	return aliasSet{}
}

// parent names the listener.
func (f *front) parent() gwv1.ParentReference {
	namespace, section, kind := gwv1.Namespace(f.gateway.Namespace), f.section, gwv1.Kind("ListenerSet")
	p := gwv1.ParentReference{Namespace: &namespace, Name: gwv1.ObjectName(f.gateway.Name), SectionName: &section}
	if f.set != (aliasSet{}) {
		namespace = gwv1.Namespace(f.set.namespace)
		p.Kind, p.Name = &kind, localhost
	}
	return p
}

// frontOf finds an HTTP listener at a Gateway of the route that has its hosts and lets it in; else one of the Gateway that has the
// usual port of HTTP, a listener set's if need be; else that of the Gateway for aliases. local: all its hosts are below
// localhost. A route without a Gateway of ours is not ours to serve.
func (w *world) frontOf(route kube.Object, local bool) (best front, served bool) {
	spec, found := routeSpec(route), false
	for _, l := range w.listeners() {
		if !slices.ContainsFunc(spec.ParentRefs, func(p gwv1.ParentReference) bool { return l.belongsTo(route, &p) }) {
			continue
		}
		served = true
		if f := (front{gateway: l.gateway, section: l.Name, port: l.Port}); l.fronts(route, local) && (!found || cmp.Compare(f.port, best.port) < 0) {
			best, found = f, true
		}
	}
	if !found {
		best = w.commonFront(route, local)
	}
	return best, served
}

// commonFront is for routes whose own Gateways have no listener for them.
func (w *world) commonFront(route kube.Object, local bool) front {
	made := front{gateway: aliasGatewayRef.Name, section: httpSection, port: 80}
	usual := w.usual()
	for _, l := range usual {
		if l.fronts(route, local) {
			return front{gateway: l.gateway, section: l.Name, port: 80}
		}
	}
	if len(usual) == 0 || !local {
		return made
	}
	g, _ := w.tree[kube.Ref{Kind: kube.Gateway, Name: usual[0].gateway}].(*gwv1.Gateway)
	if g == nil {
		return made
	}
	if set := setAt(usual[0].gateway, g); set != (aliasSet{}) && w.tree[set.ref()] == nil {
		return front{gateway: usual[0].gateway, section: localhost, port: 80, set: set}
	}
	return made
}

// usual lists the listeners of the first Gateway that has the usual port of HTTP.
func (w *world) usual() (out []listener) {
	for _, l := range w.listeners() {
		if l.Protocol != gwv1.HTTPProtocolType || l.Port != 80 || l.gateway == aliasGatewayRef.Name {
			continue
		}
		if len(out) == 0 || l.gateway == out[0].gateway {
			out = append(out, l)
		}
	}
	return out
}

// fronts tells whether a listener of a Gateway itself can have an alias.
func (l *listener) fronts(route kube.Object, local bool) bool {
	_, isGateway := l.owner.(*gwv1.Gateway)
	hosts := l.Hostname == nil || *l.Hostname == "" || local && *l.Hostname == "*."+localhost
	return isGateway && l.Protocol == gwv1.HTTPProtocolType && hosts && l.letsIn(route)
}

func allBelowLocalhost(hosts []gwv1.Hostname) bool {
	return len(hosts) > 0 && !slices.ContainsFunc(hosts, func(h gwv1.Hostname) bool { return !strings.HasSuffix(string(h), "."+localhost) })
}

// belongsTo tells whether a parentRef means the listener or another of the same Gateway.
func (l *listener) belongsTo(route kube.Object, p *gwv1.ParentReference) bool {
	if _, isSet := l.owner.(*gwv1.ListenerSet); isSet {
		return l.isParent(route, &gwv1.ParentReference{Group: p.Group, Kind: p.Kind, Namespace: p.Namespace, Name: p.Name})
	}
	name, ok := kube.ParentGateway(route.GetNamespace(), p)
	return ok && name == l.gateway
}

// letsIn tells whether a listener takes routes of the namespace; one that selects by labels is not asked.
func (l *listener) letsIn(route kube.Object) bool {
	from := gwv1.NamespacesFromSame
	if l.AllowedRoutes != nil {
		if len(l.AllowedRoutes.Kinds) > 0 {
			return false
		}
		if n := l.AllowedRoutes.Namespaces; n != nil && n.From != nil {
			from = *n.From
		}
	}
	return from == gwv1.NamespacesFromAll || from == gwv1.NamespacesFromSame && route.GetNamespace() == l.owner.GetNamespace()
}
