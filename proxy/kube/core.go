package kube

import (
	"maps"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"
)

func newReferenceGrant() Object { return &gwv1.ReferenceGrant{} }
func newService() Object        { return &corev1.Service{} }
func newEndpointSlice() Object  { return &discoveryv1.EndpointSlice{} }
func newNamespace() Object      { return &corev1.Namespace{} }

func compareReferenceGrant(old, now *gwv1.ReferenceGrant) difference {
	return differWhen(!equality.Semantic.DeepEqual(&old.Spec, &now.Spec))
}

func compareService(old, now *corev1.Service) difference {
	return differWhen(!equality.Semantic.DeepEqual(&old.Spec, &now.Spec))
}

// compareEndpointSlice: of the labels only the one that names the Service matters.
func compareEndpointSlice(old, now *discoveryv1.EndpointSlice) difference {
	return differWhen(old.Labels[discoveryv1.LabelServiceName] != now.Labels[discoveryv1.LabelServiceName] ||
		old.AddressType != now.AddressType ||
		!equality.Semantic.DeepEqual(old.Ports, now.Ports) ||
		!equality.Semantic.DeepEqual(old.Endpoints, now.Endpoints))
}

// compareNamespace: listeners select namespaces by label and by nothing else.
func compareNamespace(old, now *corev1.Namespace) difference {
	return differWhen(!maps.Equal(old.Labels, now.Labels))
}

func linksOfReferenceGrant(g *gwv1.ReferenceGrant) []link {
	return []link{{grantIn, types.NamespacedName{Name: g.Namespace}}}
}

func linksOfEndpointSlice(e *discoveryv1.EndpointSlice) []link {
	service := e.Labels[discoveryv1.LabelServiceName]
	if service == "" {
		return nil
	}
	return []link{{toService, types.NamespacedName{Namespace: e.Namespace, Name: service}}}
}
