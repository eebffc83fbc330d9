package local

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/proxy/incr"
	"headgate.dev/proxy/kube"
	"headgate.dev/proxy/model"
)

// What every headgate agrees on.
const (
	Controller       = "headgate.dev/gateway-controller" // the controllerName of our GatewayClasses
	ClassName        = "headgate"                        // the GatewayClass an installation brings
	DefaultNamespace = "default"                         // of objects that name none
	DefaultGateway   = DefaultNamespace + "/local"       // of specs that name none, in a tree that offers none
)

// world makes up what a cluster has without anybody writing it down: the GatewayClass, the namespaces that objects
// live in, and the default Gateway as soon as a route names it.
type world struct {
	tree       map[kube.Ref]kube.Object // the classes, Gateways and namespaces of the tree
	namespaces incr.Relation[kube.Ref, string]
	parents    incr.Relation[kube.Ref, types.NamespacedName] // route → the Gateways it names
	made       map[kube.Ref]bool
}

var (
	classRef   = kube.Ref{Kind: kube.GatewayClass, Name: types.NamespacedName{Name: ClassName}}
	gatewayRef = kube.Ref{Kind: kube.Gateway, Name: types.NamespacedName{Namespace: DefaultNamespace, Name: "local"}}
)

func newWorld() *world {
	return &world{tree: map[kube.Ref]kube.Object{}, made: map[kube.Ref]bool{}}
}

// complete adds to the changes of a tree what is made up, or no longer needed, because of them.
func (w *world) complete(changes []kube.Change) []kube.Change {
	var dirty incr.Set[kube.Ref]
	dirty.Add(classRef)
	for i := range changes {
		w.note(&changes[i], &dirty)
	}
	for _, ref := range dirty.Sorted(kube.CompareRefs) {
		object := w.wanted(ref)
		switch {
		case w.tree[ref] != nil:
			delete(w.made, ref)
		case object != nil && !w.made[ref]:
			w.made[ref] = true
			changes = append(changes, kube.ChangeOf(ref.Kind, object))
		case object == nil && w.made[ref]:
			delete(w.made, ref)
			changes = append(changes, kube.Change{Kind: ref.Kind, Name: ref.Name})
		}
	}
	return changes
}

func (w *world) note(c *kube.Change, dirty *incr.Set[kube.Ref]) {
	ref := kube.Ref{Kind: c.Kind, Name: c.Name}
	switch c.Kind {
	case kube.GatewayClass, kube.Gateway, kube.Namespace:
		if c.Object == nil {
			delete(w.tree, ref)
		} else {
			w.tree[ref] = c.Object
		}
		dirty.Add(ref)
	}
	var namespace []string
	if c.Object != nil && c.Name.Namespace != "" {
		namespace = []string{c.Name.Namespace}
	}
	added, removed := w.namespaces.Put(ref, namespace)
	for _, n := range slices.Concat(added, removed) {
		dirty.Add(kube.Ref{Kind: kube.Namespace, Name: types.NamespacedName{Name: n}})
	}
	if c.Kind == kube.HTTPRoute {
		var parents []types.NamespacedName
		if route, ok := c.Object.(*gwv1.HTTPRoute); ok {
			parents = parentsOf(route)
		}
		w.parents.Put(ref, parents)
		dirty.Add(gatewayRef)
	}
}

func parentsOf(route *gwv1.HTTPRoute) (out []types.NamespacedName) {
	for i := range route.Spec.ParentRefs {
		if name, ok := kube.ParentGateway(route.Namespace, &route.Spec.ParentRefs[i]); ok {
			out = append(out, name)
		}
	}
	return out
}

// wanted gives what has to exist under a name, nil when nothing does.
func (w *world) wanted(ref kube.Ref) kube.Object {
	switch {
	case ref == classRef:
		return &gwv1.GatewayClass{
			ObjectMeta: metav1.ObjectMeta{Name: ClassName}, Spec: gwv1.GatewayClassSpec{ControllerName: Controller}}
	case ref == gatewayRef && w.parents.Used(ref.Name):
		return defaultGateway()
	case ref.Kind == kube.Namespace && (w.namespaces.Used(ref.Name.Name) || ref.Name.Name == DefaultNamespace):
		return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
			Name: ref.Name.Name, Labels: map[string]string{corev1.LabelMetadataName: ref.Name.Name}}}
	default:
		return nil
	}
}

// defaultGateway takes every host and every namespace: on one machine there is nobody to be kept out.
func defaultGateway() *gwv1.Gateway {
	all := gwv1.NamespacesFromAll
	return &gwv1.Gateway{
		ObjectMeta: metav1.ObjectMeta{Namespace: DefaultNamespace, Name: "local"},
		Spec: gwv1.GatewaySpec{
			GatewayClassName: ClassName,
			Listeners: []gwv1.Listener{{
				Name: "http", Port: 80, Protocol: gwv1.HTTPProtocolType,
				AllowedRoutes: &gwv1.AllowedRoutes{Namespaces: &gwv1.RouteNamespaces{From: &all}},
			}},
		},
	}
}

// listeners lists the sockets that the Gateways of our classes have once the changes are in, in the order of the
// Gateways. It changes nothing: a port that is in use must refuse a commit before anything is done about it.
func (w *world) listeners(changes []kube.Change) []model.ListenerID {
	after := maps.Clone(w.tree)
	for i := range changes {
		ref := kube.Ref{Kind: changes[i].Kind, Name: changes[i].Name}
		switch {
		case changes[i].Object == nil:
			delete(after, ref)
		case ref.Kind == kube.Gateway || ref.Kind == kube.GatewayClass:
			after[ref] = changes[i].Object
		}
	}
	if after[gatewayRef] == nil && w.willNeedGateway(changes) {
		after[gatewayRef] = defaultGateway()
	}
	var ids []model.ListenerID
	for _, ref := range slices.SortedFunc(maps.Keys(after), kube.CompareRefs) {
		g, ok := after[ref].(*gwv1.Gateway)
		if !ok || !ours(after, string(g.Spec.GatewayClassName)) {
			continue
		}
		for i := range g.Spec.Listeners {
			l := &g.Spec.Listeners[i]
			id := model.ListenerID{Gateway: model.Name(ref.Name), Port: l.Port, UDP: l.Protocol == gwv1.UDPProtocolType}
			if !slices.Contains(ids, id) {
				ids = append(ids, id)
			}
		}
	}
	return ids
}

// ours tells whether a GatewayClass is ours, among objects that need not have the one that an installation brings.
func ours(objects map[kube.Ref]kube.Object, class string) bool {
	ref := kube.Ref{Kind: kube.GatewayClass, Name: types.NamespacedName{Name: class}}
	if c, ok := objects[ref].(*gwv1.GatewayClass); ok {
		return c.Spec.ControllerName == Controller
	}
	return ref == classRef
}

// willNeedGateway tells whether any route names the default Gateway once the changes are in.
func (w *world) willNeedGateway(changes []kube.Change) bool {
	leave := map[kube.Ref]bool{}
	for i := range changes {
		if changes[i].Kind != kube.HTTPRoute {
			continue
		}
		if route, ok := changes[i].Object.(*gwv1.HTTPRoute); ok && slices.Contains(parentsOf(route), gatewayRef.Name) {
			return true
		}
		ref := kube.Ref{Kind: changes[i].Kind, Name: changes[i].Name}
		if slices.Contains(w.parents.Of(ref), gatewayRef.Name) {
			leave[ref] = true
		}
	}
	if len(leave) == 0 {
		return w.parents.Used(gatewayRef.Name)
	}
	return slices.ContainsFunc(w.parents.Users(gatewayRef.Name, kube.CompareRefs), func(r kube.Ref) bool { return !leave[r] })
}
