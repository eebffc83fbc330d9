package gateway

import (
	"fmt"

	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/proxy/kube"
	"headgate.dev/proxy/resolve/condition"
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
	if p := c.Spec.ParametersRef; p != nil {
		accepted = condition.False(gwv1.GatewayClassConditionStatusAccepted, gwv1.GatewayClassReasonInvalidParameters,
			fmt.Sprintf("spec.parametersRef: parameters of kind %s (group %q) are not supported; remove it", p.Kind, p.Group))
	}
	r.Conditions = []condition.Condition{accepted}
	return r
}
