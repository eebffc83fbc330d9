package local

import (
	"cmp"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/types"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/proxy/echo"
	"headgate.dev/proxy/kube"
	"headgate.dev/proxy/model"
)

func sortedPorts(ports map[gatewayPort]struct{}) []gatewayPort {
	return slices.SortedFunc(maps.Keys(ports), func(a, b gatewayPort) int {
		return cmp.Or(cmp.Compare(a.port, b.port), cmp.Compare(a.protocol, b.protocol))
	})
}

// listener is one listener of a Gateway of ours, its own or one that a listener set adds.
type listener struct {
	gateway types.NamespacedName
	owner   kube.Object // the Gateway or the listener set
	*gwv1.Listener
}

// listeners lists the listeners of the Gateways of our classes: those of the Gateways, in their order, before those of the
// listener sets, whether the Gateway takes these or not.
func (w *world) listeners() []listener {
	if w.listed == nil {
		w.listed = w.list()
	}
	return w.listed
}

func (w *world) list() []listener {
	out, sets := []listener{}, []listener{}
	refs := slices.SortedFunc(maps.Keys(w.tree), kube.CompareRefs)
	for _, ref := range []kube.Ref{gatewayRef, aliasGatewayRef} {
		if w.tree[ref] == nil {
			refs = append(refs, ref) // behind those of the tree, which have the first choice of ports
		}
	}
	for _, ref := range refs {
		switch o := w.object(ref).(type) {
		case *gwv1.Gateway:
			for i := range o.Spec.Listeners {
				if w.ours(o) {
					out = append(out, listener{ref.Name, o, &o.Spec.Listeners[i]})
				}
			}
		case *gwv1.ListenerSet:
			name, ok := setParent(o)
			g, has := w.object(kube.Ref{Kind: kube.Gateway, Name: name}).(*gwv1.Gateway)
			for i := range o.Spec.Listeners {
				if ok && has && w.ours(g) {
					l := gwv1.Listener(o.Spec.Listeners[i])
					sets = append(sets, listener{name, o, &l})
				}
			}
		}
	}
	return append(out, sets...)
}

// object gives an object of the tree, or a Gateway that is made up.
func (w *world) object(ref kube.Ref) kube.Object {
	if o := w.tree[ref]; o != nil {
		return o
	}
	if ref == gatewayRef || ref == aliasGatewayRef {
		o, _ := w.wanted(ref)
		return o
	}
	return nil
}

// sockets lists the sockets of the listeners, in their order.
func (w *world) sockets() (ids []model.ListenerID) {
	for _, l := range w.listeners() {
		id := model.ListenerID{Gateway: model.Name(l.gateway), Port: l.Port, UDP: l.Protocol == gwv1.UDPProtocolType}
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// ours tells whether a Gateway's class is ours, in a tree that need not have the one that an installation brings.
func (w *world) ours(g *gwv1.Gateway) bool {
	ref := kube.Ref{Kind: kube.GatewayClass, Name: types.NamespacedName{Name: string(g.Spec.GatewayClassName)}}
	if c, ok := w.tree[ref].(*gwv1.GatewayClass); ok {
		return c.Spec.ControllerName == Controller
	}
	return ref == classRef
}

// speechOf says what arrives at the backends of a TLSRoute: TLS where one of its listeners passes it through, what is
// inside where one ends it.
func (w *world) speechOf(route *gwv1.TLSRoute) echo.Speech {
	var speech echo.Speech
	for _, l := range w.listeners() {
		if l.Protocol != gwv1.TLSProtocolType || !slices.ContainsFunc(route.Spec.ParentRefs, func(p gwv1.ParentReference) bool { return l.isParent(route, &p) }) {
			continue
		}
		if terminates(l.Listener) {
			speech |= echo.Stream
		} else {
			speech |= echo.TLS
		}
	}
	if speech == 0 {
		return echo.TLS // it is not served
	}
	return speech
}

func terminates(l *gwv1.Listener) bool {
	return l.TLS == nil || l.TLS.Mode == nil || *l.TLS.Mode == gwv1.TLSModeTerminate
}

// isParent tells whether a parentRef means the listener.
func (l *listener) isParent(route kube.Object, p *gwv1.ParentReference) bool {
	if p.Port != nil && *p.Port != l.Port || p.SectionName != nil && *p.SectionName != l.Name {
		return false
	}
	if _, isSet := l.owner.(*gwv1.ListenerSet); isSet {
		namespace := route.GetNamespace()
		if p.Namespace != nil {
			namespace = string(*p.Namespace)
		}
		return p.Kind != nil && *p.Kind == "ListenerSet" && string(p.Name) == l.owner.GetName() && namespace == l.owner.GetNamespace()
	}
	name, ok := kube.ParentGateway(route.GetNamespace(), p)
	return ok && name == l.gateway
}
