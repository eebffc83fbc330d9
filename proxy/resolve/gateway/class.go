package gateway

import (
	"fmt"

	"k8s.io/apimachinery/pkg/types"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/proxy/kube"
	"headgate.dev/proxy/resolve/condition"
	"headgate.dev/schema"
)

// ResolveClass applies the rules of a GatewayClass. controller is our controller's name (spec.controllerName). A class that
// does not exist is not ours.
func ResolveClass(s *kube.Snapshot, name, controller string) Class {
	r := Class{Name: name}
	c := s.GatewayClass(name)
	if c == nil || string(c.Spec.ControllerName) != controller {
		return r
	}
	r.Generation = c.Generation
	r.Ours = true
	accepted := condition.True(gwv1.GatewayClassConditionStatusAccepted, gwv1.GatewayClassReasonAccepted, "Gateways of this class are served")
	// A reference that cannot be resolved must not be accepted (GatewayClassSpec.parametersRef).
	r.Served = true
	if p := c.Spec.ParametersRef; p != nil {
		message := ""
		config, ok := kube.ConfigOfClass(c)
		switch {
		case !ok && string(p.Kind) == schema.KindProxyConfig && string(p.Group) == schema.Group:
			r.Served = false
			message = "spec.parametersRef: a ProxyConfig has a namespace; name it"
		case !ok:
			r.Served = false
			message = unsupportedParameters("spec.parametersRef", string(p.Group), string(p.Kind))
		case s.ProxyConfig(config) == nil:
			message = missingParameters("spec.parametersRef", config)
		}
		if message != "" {
			accepted = condition.False(gwv1.GatewayClassConditionStatusAccepted, gwv1.GatewayClassReasonInvalidParameters, message)
		}
	}
	r.Conditions = []condition.Condition{accepted}
	return r
}

func unsupportedParameters(field, group, kind string) string {
	return fmt.Sprintf("%s: parameters of kind %s (group %q) are not supported; name a %s (group %q), or remove it",
		field, kind, group, schema.KindProxyConfig, schema.Group)
}

func missingParameters(field string, config types.NamespacedName) string {
	return fmt.Sprintf("%s: there is no %s %s; create it, or remove the reference. Until then the proxies stay as they are",
		field, schema.KindProxyConfig, config)
}
