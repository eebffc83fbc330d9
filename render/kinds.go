package render

import (
	"fmt"
	"strings"

	"headgate.dev/render/object"
)

const gatewayGroup = "gateway.networking.k8s.io"

// clusterScoped are the kinds of Kubernetes and Gateway API that live in no namespace. A kind that is neither here nor
// brought by a CustomResourceDefinition of the tree is taken for a namespaced one.
var clusterScoped = map[groupKind]bool{
	{"", "ComponentStatus"}: true, {"", "Namespace"}: true, {"", "Node"}: true, {"", "PersistentVolume"}: true,
	{"admissionregistration.k8s.io", "MutatingAdmissionPolicy"}:          true,
	{"admissionregistration.k8s.io", "MutatingAdmissionPolicyBinding"}:   true,
	{"admissionregistration.k8s.io", "MutatingWebhookConfiguration"}:     true,
	{"admissionregistration.k8s.io", "ValidatingAdmissionPolicy"}:        true,
	{"admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding"}: true,
	{"admissionregistration.k8s.io", "ValidatingWebhookConfiguration"}:   true,
	{"apiextensions.k8s.io", "CustomResourceDefinition"}:                 true,
	{"apiregistration.k8s.io", "APIService"}:                             true,
	{"certificates.k8s.io", "CertificateSigningRequest"}:                 true,
	{"certificates.k8s.io", "ClusterTrustBundle"}:                        true,
	{"flowcontrol.apiserver.k8s.io", "FlowSchema"}:                       true,
	{"flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration"}:       true,
	{gatewayGroup, "GatewayClass"}:                                       true,
	{"networking.k8s.io", "IPAddress"}:                                   true,
	{"networking.k8s.io", "IngressClass"}:                                true,
	{"networking.k8s.io", "ServiceCIDR"}:                                 true,
	{"node.k8s.io", "RuntimeClass"}:                                      true,
	{"policy", "PodSecurityPolicy"}:                                      true,
	{"rbac.authorization.k8s.io", "ClusterRole"}:                         true,
	{"rbac.authorization.k8s.io", "ClusterRoleBinding"}:                  true,
	{"resource.k8s.io", "DeviceClass"}:                                   true,
	{"resource.k8s.io", "ResourceSlice"}:                                 true,
	{"scheduling.k8s.io", "PriorityClass"}:                               true,
	{"storage.k8s.io", "CSIDriver"}:                                      true,
	{"storage.k8s.io", "CSINode"}:                                        true,
	{"storage.k8s.io", "StorageClass"}:                                   true,
	{"storage.k8s.io", "VolumeAttachment"}:                               true,
	{"storage.k8s.io", "VolumeAttributesClass"}:                          true,
}

func compareKinds(a, b groupKind) int {
	return strings.Compare(a.group+"/"+a.kind, b.group+"/"+b.kind)
}

// addScope notes the scope of the kind a CustomResourceDefinition brings.
func (l *leaf) addScope(content map[string]any) {
	if content["kind"] != "CustomResourceDefinition" || !strings.HasPrefix(text(content, "apiVersion"), "apiextensions.k8s.io/") {
		return
	}
	spec, _ := content["spec"].(map[string]any)
	names, _ := spec["names"].(map[string]any)
	if l.scopes == nil {
		l.scopes = map[groupKind]bool{}
	}
	l.scopes[groupKind{text(spec, "group"), text(names, "kind")}] = text(spec, "scope") == "Cluster"
}

// cluster tells whether a kind lives in no namespace.
func (w *world) cluster(kind groupKind) bool {
	if scope, ok := w.scopes[kind]; ok {
		return scope
	}
	return clusterScoped[kind]
}

// served are the versions of Gateway API kinds that became v1, as the standard channel of Gateway API v1.7.0 serves
// them, with no field renamed on the way.
var served = map[string][]string{
	"GatewayClass":     {"v1alpha2", "v1beta1"},
	"Gateway":          {"v1alpha2", "v1beta1"},
	"HTTPRoute":        {"v1alpha2", "v1beta1"},
	"GRPCRoute":        {"v1alpha2"},
	"TCPRoute":         {"v1alpha2"},
	"UDPRoute":         {"v1alpha2"},
	"TLSRoute":         {"v1alpha2", "v1alpha3"},
	"ReferenceGrant":   {"v1alpha2", "v1beta1"},
	"BackendTLSPolicy": {"v1alpha3"},
}

// modernise brings a Gateway API object to the version the standard channel serves. The error is a version that is
// neither that nor one of those that became it.
func modernise(content map[string]any) error {
	group, version := object.SplitAPIVersion(text(content, "apiVersion"))
	kind := text(content, "kind")
	older, known := served[kind]
	if group != gatewayGroup || !known || version == "v1" {
		return nil
	}
	for _, v := range older {
		if v == version {
			content["apiVersion"] = gatewayGroup + "/v1"
			return nil
		}
	}
	return fmt.Errorf("%q is no version of %s; expected %s/v1", text(content, "apiVersion"), kind, gatewayGroup)
}
