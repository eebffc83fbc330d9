package kube

import (
	"k8s.io/apimachinery/pkg/types"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"
)

func newGatewayClass() Object { return &gwv1.GatewayClass{} }
func newGateway() Object      { return &gwv1.Gateway{} }

func compareGatewayClass(old, now *gwv1.GatewayClass) difference {
	return bySpecAndStatus(&old.Spec, &now.Spec, &old.Status, &now.Status)
}

func compareGateway(old, now *gwv1.Gateway) difference {
	return bySpecAndStatus(&old.Spec, &now.Spec, &old.Status, &now.Status)
}

func linksOfGateway(g *gwv1.Gateway) []link {
	links := []link{{toClass, types.NamespacedName{Name: string(g.Spec.GatewayClassName)}}}
	for i := range g.Spec.Listeners {
		a := g.Spec.Listeners[i].AllowedRoutes
		if a != nil && a.Namespaces != nil && a.Namespaces.From != nil &&
			*a.Namespaces.From == gwv1.NamespacesFromSelector {
			return append(links, link{relation: toLabels})
		}
	}
	return links
}
