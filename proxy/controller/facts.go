package controller

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/proxy/fleet"
	"headgate.dev/proxy/resolve/condition"
	"headgate.dev/proxy/resolve/gateway"
)

// facts says what is known of a Gateway's proxies: whether they run, and where clients reach them.
func (f *fleets) facts(ctx context.Context, g *gwv1.Gateway) (gateway.Facts, error) {
	var service corev1.Service
	if err := client.IgnoreNotFound(f.client.Get(ctx, fleetName(g), &service)); err != nil {
		return gateway.Facts{}, err
	}
	var out gateway.Facts
	if fleet.Owned(&service, g.UID) {
		out.Addresses = fleet.Assigned(&service)
	}
	wanted := fleet.AddressesOf(g.Spec.Addresses)
	missing := wanted.Missing(out.Addresses)
	if len(wanted.IPs)+len(wanted.Unusable) > 0 {
		out.Assigned = assigned(len(wanted.IPs)+len(wanted.Unusable), missing)
	}
	deployment, err := f.deployment(ctx, g)
	if err != nil {
		return gateway.Facts{}, err
	}
	var ready int32
	if deployment != nil {
		ready = deployment.Status.ReadyReplicas
	}
	out.NotProgrammed = notProgrammed(f.problemOf(client.ObjectKeyFromObject(g)), missing, len(out.Addresses) > 0, ready)
	return out, nil
}

// notProgrammed says why clients cannot reach the Gateway as it asks for; nil when they can.
func notProgrammed(problem string, missing []string, addressed bool, ready int32) *condition.Condition {
	var c condition.Condition
	switch {
	case problem != "":
		c = condition.False(gwv1.GatewayConditionProgrammed, gwv1.GatewayReasonNoResources, "the objects that run the proxies: "+problem)
	case len(missing) > 0:
		c = condition.False(gwv1.GatewayConditionProgrammed, gwv1.GatewayReasonAddressNotUsable,
			"spec.addresses: nobody assigns these: "+strings.Join(missing, ", ")+"; remove them, or offer them to the Service of the proxies")
	case ready == 0:
		c = condition.False(gwv1.GatewayConditionProgrammed, gwv1.GatewayReasonPending, "no proxy is ready yet")
	case !addressed:
		c = condition.False(gwv1.GatewayConditionProgrammed, gwv1.GatewayReasonAddressNotAssigned,
			"the Service of the proxies has no address yet; without a load balancer, set service.type in a ProxyConfig")
	default:
		return nil
	}
	return &c
}

// assigned says how many of the addresses that a Gateway asks for it has.
func assigned(wanted int, missing []string) *condition.Condition {
	var c condition.Condition
	switch {
	case len(missing) == 0:
		c = condition.True(gwv1.GatewayConditionAddressesAssigned, gwv1.GatewayReasonAddressesAssigned, "every address is assigned")
	case len(missing) < wanted:
		c = condition.False(gwv1.GatewayConditionAddressesAssigned, gwv1.GatewayReasonAddressesPartiallyAssigned,
			fmt.Sprintf("%d of %d addresses are not assigned: %s", len(missing), wanted, strings.Join(missing, ", ")))
	default:
		c = condition.False(gwv1.GatewayConditionAddressesAssigned, gwv1.GatewayReasonAddressesNotAssigned, "no address is assigned")
	}
	return &c
}
