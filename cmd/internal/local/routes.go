package local

import (
	"slices"

	"k8s.io/apimachinery/pkg/types"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/proxy/echo"
	"headgate.dev/proxy/kube"
)

// use is what a route asks of a port of a Service.
type use struct {
	servicePort
	speech echo.Speech // 0 for UDP
}

// routeSpec is what all kinds of routes have in common; nil for an object that is no route.
func routeSpec(o kube.Object) *gwv1.CommonRouteSpec {
	switch r := o.(type) {
	case *gwv1.HTTPRoute:
		return &r.Spec.CommonRouteSpec
	case *gwv1.GRPCRoute:
		return &r.Spec.CommonRouteSpec
	case *gwv1.TLSRoute:
		return &r.Spec.CommonRouteSpec
	case *gwv1.TCPRoute:
		return &r.Spec.CommonRouteSpec
	case *gwv1.UDPRoute:
		return &r.Spec.CommonRouteSpec
	}
	return nil
}

// hostnamesOf lists the hostnames that a route names.
func hostnamesOf(o kube.Object) []gwv1.Hostname {
	switch r := o.(type) {
	case *gwv1.HTTPRoute:
		return r.Spec.Hostnames
	case *gwv1.GRPCRoute:
		return r.Spec.Hostnames
	case *gwv1.TLSRoute:
		return r.Spec.Hostnames
	}
	return nil
}

// usesOf lists what a route asks of Services, as backends and as mirrors; nothing for an object that is no route. speech
// is what arrives at the backends of a TLSRoute.
func usesOf(o kube.Object, speech echo.Speech) []use {
	c := collector{}
	switch r := o.(type) {
	case *gwv1.HTTPRoute:
		c.namespace, c.speech = r.Namespace, echo.HTTP
		for i := range r.Spec.Rules {
			c.httpRule(&r.Spec.Rules[i])
		}
	case *gwv1.GRPCRoute:
		c.namespace, c.speech = r.Namespace, echo.HTTP
		for i := range r.Spec.Rules {
			c.grpcRule(&r.Spec.Rules[i])
		}
	case *gwv1.TLSRoute:
		c.namespace, c.speech = r.Namespace, speech
		for i := range r.Spec.Rules {
			c.backends(r.Spec.Rules[i].BackendRefs)
		}
	case *gwv1.TCPRoute:
		c.namespace, c.speech = r.Namespace, echo.Stream
		for i := range r.Spec.Rules {
			c.backends(r.Spec.Rules[i].BackendRefs)
		}
	case *gwv1.UDPRoute:
		c.namespace, c.udp = r.Namespace, true
		for i := range r.Spec.Rules {
			c.backends(r.Spec.Rules[i].BackendRefs)
		}
	}
	slices.SortFunc(c.uses, func(a, b use) int { return comparePorts(a.servicePort, b.servicePort) })
	return slices.Compact(c.uses)
}

// collector gathers the uses of one route.
type collector struct {
	namespace string
	speech    echo.Speech
	udp       bool
	uses      []use
}

func (c *collector) add(ref *gwv1.BackendObjectReference) {
	service, ok := kube.BackendService(c.namespace, ref)
	if ok && ref.Port != nil {
		c.uses = append(c.uses, use{servicePort{service, *ref.Port, c.udp}, c.speech})
	}
}

func (c *collector) backends(refs []gwv1.BackendRef) {
	for i := range refs {
		c.add(&refs[i].BackendObjectReference)
	}
}

func (c *collector) httpRule(rule *gwv1.HTTPRouteRule) {
	mirror := func(f *gwv1.HTTPRouteFilter) *gwv1.HTTPRequestMirrorFilter { return f.RequestMirror }
	addMirrors(c, rule.Filters, mirror)
	for i := range rule.BackendRefs {
		c.add(&rule.BackendRefs[i].BackendObjectReference)
		addMirrors(c, rule.BackendRefs[i].Filters, mirror)
	}
}

func (c *collector) grpcRule(rule *gwv1.GRPCRouteRule) {
	mirror := func(f *gwv1.GRPCRouteFilter) *gwv1.HTTPRequestMirrorFilter { return f.RequestMirror }
	addMirrors(c, rule.Filters, mirror)
	for i := range rule.BackendRefs {
		c.add(&rule.BackendRefs[i].BackendObjectReference)
		addMirrors(c, rule.BackendRefs[i].Filters, mirror)
	}
}

func addMirrors[F any](c *collector, filters []F, mirror func(*F) *gwv1.HTTPRequestMirrorFilter) {
	for i := range filters {
		if m := mirror(&filters[i]); m != nil {
			c.add(&m.BackendRef)
		}
	}
}

// gatewayPort is a port that routes want of the default Gateway.
type gatewayPort struct {
	port     int32
	protocol gwv1.ProtocolType
}

// wantsOf lists the ports that a route wants of the default Gateway, if it names that. HTTP has its usual port, TLS too where
// the route names none; a TCPRoute and a UDPRoute attach by port.
func wantsOf(o kube.Object) (wants []gatewayPort) {
	spec := routeSpec(o)
	if spec == nil {
		return nil
	}
	for i := range spec.ParentRefs {
		p := &spec.ParentRefs[i]
		if name, ok := kube.ParentGateway(o.GetNamespace(), p); !ok || name != gatewayRef.Name {
			continue
		}
		w := gatewayPort{80, gwv1.HTTPProtocolType}
		switch o.(type) {
		case *gwv1.TLSRoute:
			w = gatewayPort{443, gwv1.TLSProtocolType}
		case *gwv1.TCPRoute:
			w = gatewayPort{0, gwv1.TCPProtocolType}
		case *gwv1.UDPRoute:
			w = gatewayPort{0, gwv1.UDPProtocolType}
		}
		if p.Port != nil && w.protocol != gwv1.HTTPProtocolType {
			w.port = *p.Port
		}
		if w.port != 0 && !slices.Contains(wants, w) {
			wants = append(wants, w)
		}
	}
	return wants
}

// setParent gives the Gateway that a listener set extends.
func setParent(s *gwv1.ListenerSet) (name types.NamespacedName, ok bool) {
	p := s.Spec.ParentRef
	if p.Kind != nil && *p.Kind != "Gateway" || p.Group != nil && *p.Group != gwv1.GroupName {
		return name, false
	}
	name = types.NamespacedName{Namespace: s.Namespace, Name: string(p.Name)}
	if p.Namespace != nil {
		name.Namespace = string(*p.Namespace)
	}
	return name, true
}
