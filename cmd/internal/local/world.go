package local

import (
	"fmt"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/cmd/internal/localca"
	"headgate.dev/proxy/incr"
	"headgate.dev/proxy/kube"
)

// What every headgate agrees on.
const (
	Controller       = "headgate.dev/gateway-controller" // the controllerName of our GatewayClasses
	ClassName        = "headgate"                        // the GatewayClass an installation brings
	DefaultNamespace = "default"                         // of objects that name none
	DefaultGateway   = DefaultNamespace + "/local"       // of specs that name none, in a tree that offers none
)

// world makes up what a cluster has without anybody writing it down: the GatewayClass, the namespaces that objects
// live in, the default Gateway as soon as a route names it, the Secrets of certificates that are somewhere else, and an alias
// for every route that leads to a Service.
type world struct {
	tree   map[kube.Ref]kube.Object // the classes, Gateways, listener sets and namespaces of the tree; present for its Secrets and ConfigMaps
	routes map[kube.Ref]kube.Object // the routes of the tree

	namespaces incr.Relation[kube.Ref, string]
	wants      incr.Relation[kube.Ref, gatewayPort] // route → the ports of the default Gateway that it wants
	open       map[gatewayPort]struct{}             // those that are wanted
	made       map[kube.Ref]string                  // what is made up, with its version
	listed     []listener                           // of tree, open and aliases; nil when these have changed

	ca           *localca.CA // nil until a certificate is needed
	certificates map[kube.Ref]*certificate

	noAliases    bool
	aliases      map[kube.Ref]alias
	aliasGateway bool     // some alias needs it
	aliasSet     aliasSet // that some alias needs; zero: none does
	conflicts    []aliasConflict

	previews, nextPreviews map[kube.Ref]kube.Object // routes of previews: what is there, and what complete makes of it
}

var (
	classRef   = kube.Ref{Kind: kube.GatewayClass, Name: types.NamespacedName{Name: ClassName}}
	gatewayRef = kube.Ref{Kind: kube.Gateway, Name: types.NamespacedName{Namespace: DefaultNamespace, Name: "local"}}
)

// present stands for an object of which only that it is there matters.
var present = &corev1.Secret{}

func newWorld() *world {
	return &world{
		tree: map[kube.Ref]kube.Object{}, routes: map[kube.Ref]kube.Object{},
		open: map[gatewayPort]struct{}{}, made: map[kube.Ref]string{},
		certificates: map[kube.Ref]*certificate{}, aliases: map[kube.Ref]alias{},
	}
}

// complete adds to the changes of a tree what is made up, or no longer needed, because of them.
func (w *world) complete(changes []kube.Change, now time.Time) []kube.Change {
	var dirty incr.Set[kube.Ref]
	dirty.Add(classRef, gatewayRef, aliasGatewayRef)
	for i := range changes {
		w.note(&changes[i], &dirty)
	}
	w.previews = w.nextPreviews
	opened := w.aliasSet
	changes = append(slices.Clip(changes), w.changeAliases()...)
	w.changeSet(opened, &dirty)
	w.changeCertificates(&dirty, now)
	for _, ref := range dirty.Sorted(kube.CompareRefs) {
		object, version := w.wanted(ref)
		was, made := w.made[ref]
		switch {
		case w.tree[ref] != nil:
			delete(w.made, ref)
			if object != nil && (ref.Name == opened.gateway || ref.Name == w.aliasSet.gateway) {
				changes = append(changes, kube.ChangeOf(ref.Kind, object))
			}
		case object != nil && (!made || was != version):
			w.made[ref] = version
			changes = append(changes, kube.ChangeOf(ref.Kind, object))
		case object == nil && made:
			delete(w.made, ref)
			changes = append(changes, kube.Change{Kind: ref.Kind, Name: ref.Name})
		}
	}
	return changes
}

// undoing gives a function that takes the world back to where it is before the changes.
func (w *world) undoing(changes []kube.Change, now time.Time) func() {
	back := make([]kube.Change, 0, len(changes))
	for i := range changes {
		c := kube.Change{Kind: changes[i].Kind, Name: changes[i].Name}
		ref := kube.Ref{Kind: c.Kind, Name: c.Name}
		switch {
		case w.tree[ref] != nil:
			c.Object = w.tree[ref]
		case w.routes[ref] != nil:
			c.Object = w.routes[ref]
		case len(w.namespaces.Of(ref)) > 0:
			c.Object = &corev1.Event{} // of an object like this only the namespace is known, and needed
		}
		back = append(back, c)
	}
	made, previews, set := maps.Clone(w.made), w.previews, w.aliasSet
	return func() {
		w.nextPreviews = previews
		w.complete(back, now)
		w.made, w.aliasSet = made, set // of what the first changes of all bring, complete thinks that it stays
	}
}

func (w *world) note(c *kube.Change, dirty *incr.Set[kube.Ref]) {
	ref := kube.Ref{Kind: c.Kind, Name: c.Name}
	w.listed = nil
	isRoute := routeSpec(c.Object) != nil
	switch c.Object.(type) {
	case *gwv1.GatewayClass, *gwv1.Gateway, *gwv1.ListenerSet, *corev1.Namespace:
		w.tree[ref] = c.Object
	case *corev1.Secret, *corev1.ConfigMap:
		w.tree[ref] = present // what is in it is nobody's business here
	default:
		delete(w.tree, ref)
	}
	if isRoute {
		w.routes[ref] = c.Object
	} else {
		delete(w.routes, ref)
	}
	dirty.Add(ref)
	w.want(ref, wantsOf(c.Object))

	var namespace []string
	if c.Object != nil && c.Name.Namespace != "" {
		namespace = []string{c.Name.Namespace}
	}
	added, removed := w.namespaces.Put(ref, namespace)
	for _, n := range slices.Concat(added, removed) {
		dirty.Add(kube.Ref{Kind: kube.Namespace, Name: types.NamespacedName{Name: n}})
	}
}

// changeSet notes what changes with the listener set for aliases.
func (w *world) changeSet(before aliasSet, dirty *incr.Set[kube.Ref]) {
	if before == w.aliasSet {
		return
	}
	for _, a := range []aliasSet{before, w.aliasSet} {
		if a == (aliasSet{}) {
			continue
		}
		var namespace []string
		if a == w.aliasSet {
			namespace = []string{a.namespace}
		}
		added, removed := w.namespaces.Put(a.ref(), namespace)
		for _, n := range slices.Concat(added, removed) {
			dirty.Add(kube.Ref{Kind: kube.Namespace, Name: types.NamespacedName{Name: n}})
		}
		dirty.Add(a.ref(), kube.Ref{Kind: kube.Gateway, Name: a.gateway})
	}
}

// want says which ports of the default Gateway a route wants.
func (w *world) want(ref kube.Ref, ports []gatewayPort) {
	added, removed := w.wants.Put(ref, ports)
	for _, p := range slices.Concat(added, removed) {
		w.listed = nil
		if w.wants.Used(p) {
			w.open[p] = struct{}{}
		} else {
			delete(w.open, p)
		}
	}
}

// wanted gives what has to exist under a name and the version of it, nil when nothing does.
func (w *world) wanted(ref kube.Ref) (object kube.Object, version string) {
	inTree := w.tree[ref] != nil
	switch {
	case ref.Kind == kube.ListenerSet, ref.Kind == kube.Gateway && (ref != gatewayRef || inTree):
		return w.wantedForAliases(ref)
	case inTree:
		return nil, ""
	case ref == classRef:
		return &gwv1.GatewayClass{
			ObjectMeta: metav1.ObjectMeta{Name: ClassName}, Spec: gwv1.GatewayClassSpec{ControllerName: Controller}}, ""
	case ref == gatewayRef && len(w.open) > 0:
		ports := sortedPorts(w.open)
		return madeGateway(ref.Name, ports), fmt.Sprint(ports)
	case ref.Kind == kube.Namespace && (w.namespaces.Used(ref.Name.Name) || ref.Name.Name == DefaultNamespace):
		return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
			Name: ref.Name.Name, Labels: map[string]string{corev1.LabelMetadataName: ref.Name.Name}}}, ""
	case w.certificates[ref] != nil:
		c := w.certificates[ref]
		return c.secret(ref.Name), c.leaf.NotAfter.String()
	default:
		return nil, ""
	}
}

// wantedForAliases is wanted for a Gateway, which may be one of the tree, and for a listener set.
func (w *world) wantedForAliases(ref kube.Ref) (object kube.Object, version string) {
	g, inTree := w.tree[ref].(*gwv1.Gateway)
	switch {
	case ref == w.aliasSet.ref():
		return w.aliasSet.object(), w.aliasSet.gateway.String()
	case inTree && ref.Name == w.aliasSet.gateway:
		return w.aliasSet.opened(g), ""
	case inTree:
		return g, ""
	case ref == aliasGatewayRef && w.aliasGateway:
		return madeGateway(ref.Name, []gatewayPort{{80, gwv1.HTTPProtocolType}}), ""
	default:
		return nil, ""
	}
}

// madeGateway takes every host and every namespace: on one machine there is nobody to be kept out. TLS is passed through.
func madeGateway(name types.NamespacedName, ports []gatewayPort) *gwv1.Gateway {
	all, passthrough := gwv1.NamespacesFromAll, gwv1.TLSModePassthrough
	g := &gwv1.Gateway{
		ObjectMeta: metav1.ObjectMeta{Namespace: name.Namespace, Name: name.Name},
		Spec:       gwv1.GatewaySpec{GatewayClassName: ClassName},
	}
	for _, p := range ports {
		l := gwv1.Listener{
			Name: gwv1.SectionName(p.name()), Port: p.port, Protocol: p.protocol,
			AllowedRoutes: &gwv1.AllowedRoutes{Namespaces: &gwv1.RouteNamespaces{From: &all}},
		}
		if p.protocol == gwv1.TLSProtocolType {
			l.TLS = &gwv1.ListenerTLSConfig{Mode: &passthrough}
		}
		g.Spec.Listeners = append(g.Spec.Listeners, l)
	}
	return g
}

// name is the name of the listener, as a gateway spec would give it.
func (p gatewayPort) name() string {
	switch p {
	case gatewayPort{80, gwv1.HTTPProtocolType}:
		return httpSection
	case gatewayPort{443, gwv1.TLSProtocolType}:
		return "tls"
	}
	return fmt.Sprintf("%s-%d", map[gwv1.ProtocolType]string{
		gwv1.TLSProtocolType: "tls", gwv1.TCPProtocolType: "tcp", gwv1.UDPProtocolType: "udp"}[p.protocol], p.port)
}
