package resolve

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/proxy/kube"
)

// Class applies the rules of a GatewayClass. controller is our controller's name (spec.controllerName). A class that does
// not exist is not ours.
func Class(s *kube.Snapshot, name, controller string) ClassResult {
	r := ClassResult{Name: name}
	c := s.GatewayClass(name)
	if c == nil || string(c.Spec.ControllerName) != controller {
		return r
	}
	r.Generation = c.Generation
	r.Ours = true
	r.Conditions = []Condition{{
		Type: string(gwv1.GatewayClassConditionStatusAccepted), Status: metav1.ConditionTrue,
		Reason: string(gwv1.GatewayClassReasonAccepted), Message: "Gateways of this class are served",
	}}
	// A reference that cannot be resolved must not be accepted (GatewayClassSpec.parametersRef).
	if p := c.Spec.ParametersRef; p != nil {
		r.Conditions[0] = Condition{
			Type: string(gwv1.GatewayClassConditionStatusAccepted), Status: metav1.ConditionFalse,
			Reason:  string(gwv1.GatewayClassReasonInvalidParameters),
			Message: fmt.Sprintf("spec.parametersRef: parameters of kind %s (group %q) are not supported; remove it", p.Kind, p.Group),
		}
	}
	return r
}
