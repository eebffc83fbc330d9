package fleet

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"headgate.dev/proxy/model"
	"headgate.dev/schema"
)

func (in *Input) service() *corev1.Service {
	c := in.Config.Service
	if c == nil {
		c = &schema.ProxyService{}
	}
	s := &corev1.Service{TypeMeta: serviceType, ObjectMeta: in.meta()}
	s.Annotations = in.allAnnotations()
	maps.Copy(s.Annotations, c.Annotations)
	s.Annotations[GatewayAnnotation] = in.Gateway.Name.Name
	s.Spec = corev1.ServiceSpec{
		Type:                  cmp.Or(c.Type, corev1.ServiceTypeLoadBalancer),
		Selector:              selector(&in.Gateway),
		Ports:                 in.ports(),
		ExternalTrafficPolicy: c.ExternalTrafficPolicy,
		IPFamilyPolicy:        c.IPFamilyPolicy,
		IPFamilies:            c.IPFamilies,
	}
	if s.Spec.Type == corev1.ServiceTypeLoadBalancer {
		s.Spec.LoadBalancerClass = c.LoadBalancerClass
		s.Spec.LoadBalancerSourceRanges = c.LoadBalancerSourceRanges
	}
	if s.Spec.Type == corev1.ServiceTypeClusterIP {
		s.Spec.ExternalTrafficPolicy = "" // the API server takes it from no other type
	}
	in.static(&s.Spec, c.StaticAddresses)
	return s
}

// ports gives the ports of the Service. They have no appProtocol: some clouds would then probe with requests for "/", which
// need not be answered 200.
func (in *Input) ports() []corev1.ServicePort {
	sockets := slices.Clone(in.Sockets)
	slices.SortFunc(sockets, func(a, b model.ListenerID) int {
		return cmp.Or(cmp.Compare(a.Port, b.Port), cmp.Compare(protocol(a), protocol(b)))
	})
	var out []corev1.ServicePort
	for _, s := range slices.Compact(sockets) {
		name := "tcp"
		if s.UDP {
			name = "udp"
		}
		out = append(out, corev1.ServicePort{
			Name: fmt.Sprintf("%s-%d", name, s.Port), Protocol: protocol(s), Port: s.Port, TargetPort: intstr.FromInt32(s.Port),
		})
	}
	return out
}

func protocol(s model.ListenerID) corev1.Protocol {
	if s.UDP {
		return corev1.ProtocolUDP
	}
	return corev1.ProtocolTCP
}

// static asks for the static addresses.
func (in *Input) static(s *corev1.ServiceSpec, how schema.StaticAddresses) {
	ips := in.Gateway.Addresses.IPs
	if len(ips) == 0 {
		return
	}
	switch {
	case how == schema.AddressesExternal:
		for _, ip := range ips {
			s.ExternalIPs = append(s.ExternalIPs, ip.String())
		}
	case s.Type == corev1.ServiceTypeLoadBalancer:
		s.LoadBalancerIP = ips[0].String()
	case s.Type == corev1.ServiceTypeClusterIP:
		s.ClusterIP = ips[0].String()
	}
}
