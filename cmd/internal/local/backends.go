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

	"headgate.dev/proxy/incr"
	"headgate.dev/proxy/kube"
)

// servicePort is one port of a Service that a route names.
type servicePort struct {
	service types.NamespacedName
	port    int32
}

func comparePorts(a, b servicePort) int {
	return cmp.Or(kube.CompareNames(a.service, b.service), cmp.Compare(a.port, b.port))
}

// backends makes up what a cluster would know of Services: a Service where the tree has none, and an EndpointSlice for
// each routed port that nothing in the tree runs for.
type backends struct {
	// endpoint gives the address that answers for a port of a Service.
	endpoint func(servicePort) (netip.AddrPort, error)
	// overridden are the Services that --endpoint names; EndpointSlices of the tree do not count for them.
	overridden map[types.NamespacedName]bool

	addresses map[servicePort]netip.AddrPort // of every routed port

	routed   incr.Relation[kube.Ref, servicePort]
	ports    map[types.NamespacedName][]int32 // routed ports, sorted
	services map[types.NamespacedName]*corev1.Service
	slices   incr.Relation[types.NamespacedName, types.NamespacedName] // slice of the tree → its Service
	made     map[types.NamespacedName]map[kube.Ref]bool                // what was made up for a Service
	unrouted map[servicePort]struct{}                                  // ports that no route names any more
}

func newBackends(endpoint func(servicePort) (netip.AddrPort, error), overridden map[types.NamespacedName]bool) *backends {
	return &backends{
		endpoint: endpoint, overridden: overridden, addresses: map[servicePort]netip.AddrPort{},
		ports:    map[types.NamespacedName][]int32{},
		services: map[types.NamespacedName]*corev1.Service{},
		made:     map[types.NamespacedName]map[kube.Ref]bool{},
		unrouted: map[servicePort]struct{}{},
	}
}

// reserve gets an address for every port that the routes among the changes name. Whatever may go wrong with that goes
// wrong here, before complete.
func (b *backends) reserve(changes []kube.Change) error {
	for i := range changes {
		route, ok := changes[i].Object.(*gwv1.HTTPRoute)
		if !ok {
			continue
		}
		for _, p := range portsOf(route) {
			if _, has := b.addresses[p]; has {
				continue
			}
			addr, err := b.endpoint(p)
			if err != nil {
				return err
			}
			b.addresses[p] = addr
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
	case kube.HTTPRoute:
		var ports []servicePort
		if route, ok := c.Object.(*gwv1.HTTPRoute); ok {
			ports = portsOf(route)
		}
		added, removed := b.routed.Put(kube.Ref{Kind: c.Kind, Name: c.Name}, ports)
		for _, p := range slices.Concat(added, removed) {
			b.route(p)
			dirty.Add(p.service)
		}
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
	}
}

// route keeps the list of a Service's routed ports.
func (b *backends) route(p servicePort) {
	ports := b.ports[p.service]
	i, has := slices.BinarySearch(ports, p.port)
	switch used := b.routed.Used(p); {
	case used && !has:
		b.ports[p.service] = slices.Insert(ports, i, p.port)
		delete(b.unrouted, p)
	case !used && has:
		b.unrouted[p] = struct{}{}
		if b.ports[p.service] = slices.Delete(ports, i, i+1); len(ports) == 1 {
			delete(b.ports, p.service)
		}
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
	for _, number := range b.ports[service] {
		i := slices.IndexFunc(object.Spec.Ports, func(p corev1.ServicePort) bool { return p.Port == number })
		if i < 0 {
			continue // the route names a port the Service does not have: its status says so
		}
		out = append(out, kube.ChangeOf(kube.EndpointSlice, madeSlice(service, &object.Spec.Ports[i], b.addresses[servicePort{service, number}])))
	}
	return out
}

func madeService(name types.NamespacedName, ports []int32) *corev1.Service {
	s := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: name.Namespace, Name: name.Name}}
	for _, p := range ports {
		s.Spec.Ports = append(s.Spec.Ports, corev1.ServicePort{Name: fmt.Sprintf("port-%d", p), Port: p})
	}
	return s
}

func madeSlice(service types.NamespacedName, port *corev1.ServicePort, addr netip.AddrPort) *discoveryv1.EndpointSlice {
	number, family := int32(addr.Port()), discoveryv1.AddressTypeIPv4
	if addr.Addr().Is6() {
		family = discoveryv1.AddressTypeIPv6
	}
	return &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: service.Namespace,
			Name:      fmt.Sprintf("%s-%d.headgate", service.Name, port.Port),
			Labels:    map[string]string{discoveryv1.LabelServiceName: service.Name},
		},
		AddressType: family,
		Endpoints:   []discoveryv1.Endpoint{{Addresses: []string{addr.Addr().String()}}},
		Ports:       []discoveryv1.EndpointPort{{Name: &port.Name, Port: &number}},
	}
}

// portsOf lists the ports of Services that a route names, as backends and as mirrors.
func portsOf(route *gwv1.HTTPRoute) []servicePort {
	var ports []servicePort
	add := func(ref *gwv1.BackendObjectReference) {
		service, ok := kube.BackendService(route.Namespace, ref)
		if ok && ref.Port != nil {
			ports = append(ports, servicePort{service, *ref.Port})
		}
	}
	mirrors := func(filters []gwv1.HTTPRouteFilter) {
		for i := range filters {
			if m := filters[i].RequestMirror; m != nil {
				add(&m.BackendRef)
			}
		}
	}
	for i := range route.Spec.Rules {
		rule := &route.Spec.Rules[i]
		mirrors(rule.Filters)
		for j := range rule.BackendRefs {
			add(&rule.BackendRefs[j].BackendObjectReference)
			mirrors(rule.BackendRefs[j].Filters)
		}
	}
	slices.SortFunc(ports, comparePorts)
	return slices.Compact(ports)
}
