package local

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/proxy/echo"
	"headgate.dev/proxy/incr"
	"headgate.dev/proxy/kube"
)

// servicePort is one port of a Service that a route names.
type servicePort struct {
	service types.NamespacedName
	port    int32
	udp     bool
}

func comparePorts(a, b servicePort) int {
	switch c := cmp.Or(kube.CompareNames(a.service, b.service), cmp.Compare(a.port, b.port)); {
	case c != 0 || a.udp == b.udp:
		return c
	case b.udp:
		return -1
	default:
		return 1
	}
}

// backends makes up what a cluster would know of Services: a Service where the tree has none, and an EndpointSlice for
// each routed port that nothing in the tree runs for.
type backends struct {
	// endpoint gives the address that answers for a port of a Service.
	endpoint func(servicePort) (netip.AddrPort, error)
	// expect is told what is spoken to a port over TCP, whenever that may have changed.
	expect func(servicePort, echo.Speech)
	// speech says what arrives at the backends of a TLSRoute.
	speech func(*gwv1.TLSRoute) echo.Speech
	// overridden are the Services that --endpoint names; EndpointSlices of the tree do not count for them.
	overridden map[types.NamespacedName]bool

	addresses map[servicePort]netip.AddrPort // of every routed port

	routed   incr.Relation[kube.Ref, use]
	tls      map[kube.Ref]*gwv1.TLSRoute            // which mean another thing when a Gateway changes
	ports    map[types.NamespacedName][]servicePort // routed ports, sorted
	services map[types.NamespacedName]*corev1.Service
	slices   incr.Relation[types.NamespacedName, types.NamespacedName] // slice of the tree → its Service
	made     map[types.NamespacedName]map[kube.Ref]bool                // what was made up for a Service
	unrouted map[servicePort]struct{}                                  // ports that no route names any more
}

func newBackends(overridden map[types.NamespacedName]bool) *backends {
	return &backends{
		overridden: overridden, addresses: map[servicePort]netip.AddrPort{},
		tls:      map[kube.Ref]*gwv1.TLSRoute{},
		ports:    map[types.NamespacedName][]servicePort{},
		services: map[types.NamespacedName]*corev1.Service{},
		made:     map[types.NamespacedName]map[kube.Ref]bool{},
		unrouted: map[servicePort]struct{}{},
	}
}

// reserve gets an address for every port that the routes among the changes name. Whatever may go wrong with that goes
// wrong here, before complete.
func (b *backends) reserve(changes []kube.Change) error {
	for i := range changes {
		for _, u := range usesOf(changes[i].Object, 0) {
			if _, has := b.addresses[u.servicePort]; has {
				continue
			}
			addr, err := b.endpoint(u.servicePort)
			if err != nil {
				return err
			}
			b.addresses[u.servicePort] = addr
		}
	}
	return nil
}

// forget gives back the address of a port that no route names.
func (b *backends) forget(p servicePort) {
	delete(b.unrouted, p)
	delete(b.addresses, p)
}

// complete adds to the changes of a tree what has to be made up, or is no longer needed, because of them. The routes
// among them have been reserved for.
func (b *backends) complete(changes []kube.Change) []kube.Change {
	var dirty incr.Set[types.NamespacedName]
	for i := range changes {
		b.note(&changes[i], &dirty)
	}
	for ref, route := range b.tls {
		b.noteUses(ref, usesOf(route, b.speech(route)), &dirty)
	}
	for _, service := range dirty.Sorted(kube.CompareNames) {
		now := map[kube.Ref]bool{}
		for _, c := range b.wanted(service) {
			now[kube.Ref{Kind: c.Kind, Name: c.Name}] = true
			changes = append(changes, c)
		}
		var gone []kube.Ref
		for ref := range b.made[service] {
			inTree := ref.Kind == kube.Service && b.services[service] != nil
			if !now[ref] && !inTree {
				gone = append(gone, ref)
			}
		}
		slices.SortFunc(gone, kube.CompareRefs)
		for _, ref := range gone {
			changes = append(changes, kube.Change{Kind: ref.Kind, Name: ref.Name})
		}
		if b.made[service] = now; len(now) == 0 {
			delete(b.made, service)
		}
	}
	return changes
}

// note learns from one change of the tree and marks the Services it concerns.
func (b *backends) note(c *kube.Change, dirty *incr.Set[types.NamespacedName]) {
	switch c.Kind {
	case kube.Service:
		if service, ok := c.Object.(*corev1.Service); ok {
			b.services[c.Name] = service
		} else {
			delete(b.services, c.Name)
		}
		dirty.Add(c.Name)
	case kube.EndpointSlice:
		var service []types.NamespacedName
		if slice, ok := c.Object.(*discoveryv1.EndpointSlice); ok {
			name := types.NamespacedName{Namespace: c.Name.Namespace, Name: slice.Labels[discoveryv1.LabelServiceName]}
			if b.overridden[name] {
				c.Object = nil
			} else {
				service = []types.NamespacedName{name}
			}
		}
		dirty.Add(b.slices.Of(c.Name)...)
		dirty.Add(service...)
		b.slices.Put(c.Name, service)
	default:
		ref := kube.Ref{Kind: c.Kind, Name: c.Name}
		route, ok := c.Object.(*gwv1.TLSRoute)
		if ok {
			b.tls[ref] = route // looked at when all Gateways are known
			return
		}
		delete(b.tls, ref)
		b.noteUses(ref, usesOf(c.Object, 0), dirty)
	}
}

// noteUses learns what a route asks of Services.
func (b *backends) noteUses(ref kube.Ref, uses []use, dirty *incr.Set[types.NamespacedName]) {
	added, removed := b.routed.Put(ref, uses)
	for _, u := range slices.Concat(added, removed) {
		b.route(u.servicePort)
		dirty.Add(u.service)
	}
}

// speeches lists what may be spoken to a port.
var speeches = []echo.Speech{0, echo.HTTP, echo.Stream, echo.TLS, echo.Stream | echo.TLS}

// used tells whether any route names a port, and what is spoken to it.
func (b *backends) used(p servicePort) (all echo.Speech, used bool) {
	for _, s := range speeches {
		if b.routed.Used(use{p, s}) {
			all, used = all|s, true
		}
	}
	return all, used
}

// route keeps the list of a Service's routed ports.
func (b *backends) route(p servicePort) {
	ports := b.ports[p.service]
	i, has := slices.BinarySearchFunc(ports, p, comparePorts)
	speech, used := b.used(p)
	switch {
	case used && !has:
		b.ports[p.service] = slices.Insert(ports, i, p)
		delete(b.unrouted, p)
	case !used && has:
		b.unrouted[p] = struct{}{}
		if b.ports[p.service] = slices.Delete(ports, i, i+1); len(ports) == 1 {
			delete(b.ports, p.service)
		}
	}
	if used && !p.udp {
		b.expect(p, speech)
	}
}

// wanted gives everything that has to be made up for one Service.
func (b *backends) wanted(service types.NamespacedName) []kube.Change {
	var out []kube.Change
	object := b.services[service]
	if object == nil {
		if len(b.ports[service]) == 0 {
			return nil
		}
		object = madeService(service, b.ports[service])
		out = append(out, kube.ChangeOf(kube.Service, object))
	}
	if b.slices.Used(service) {
		return out
	}
	for _, p := range b.ports[service] {
		i := portIndex(object, p)
		if i < 0 {
			continue // the route names a port the Service does not have: its status says so
		}
		out = append(out, kube.ChangeOf(kube.EndpointSlice, madeSlice(p, &object.Spec.Ports[i], b.addresses[p])))
	}
	return out
}

// portIndex finds a port in a Service: the one of the right protocol, else the one of that number.
func portIndex(service *corev1.Service, p servicePort) int {
	i := slices.IndexFunc(service.Spec.Ports, func(sp corev1.ServicePort) bool {
		return sp.Port == p.port && (sp.Protocol == corev1.ProtocolUDP) == p.udp
	})
	if i < 0 {
		i = slices.IndexFunc(service.Spec.Ports, func(sp corev1.ServicePort) bool { return sp.Port == p.port })
	}
	return i
}

func madeService(name types.NamespacedName, ports []servicePort) *corev1.Service {
	s := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: name.Namespace, Name: name.Name}}
	for _, p := range ports {
		port := corev1.ServicePort{Name: fmt.Sprintf("port-%d", p.port), Port: p.port}
		if p.udp {
			port.Name, port.Protocol = fmt.Sprintf("udp-%d", p.port), corev1.ProtocolUDP
		}
		s.Spec.Ports = append(s.Spec.Ports, port)
	}
	return s
}

func madeSlice(p servicePort, port *corev1.ServicePort, addr netip.AddrPort) *discoveryv1.EndpointSlice {
	number, family := int32(addr.Port()), discoveryv1.AddressTypeIPv4
	if addr.Addr().Is6() {
		family = discoveryv1.AddressTypeIPv6
	}
	name, endpoint := fmt.Sprintf("%s-%d.headgate", p.service.Name, p.port), discoveryv1.EndpointPort{Name: &port.Name, Port: &number}
	if p.udp {
		udp := corev1.ProtocolUDP
		name, endpoint.Protocol = fmt.Sprintf("%s-%d-udp.headgate", p.service.Name, p.port), &udp
	}
	return &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: p.service.Namespace,
			Name:      name,
			Labels:    map[string]string{discoveryv1.LabelServiceName: p.service.Name},
		},
		AddressType: family,
		Endpoints:   []discoveryv1.Endpoint{{Addresses: []string{addr.Addr().String()}}},
		Ports:       []discoveryv1.EndpointPort{endpoint},
	}
}
