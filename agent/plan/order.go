package plan

import (
	"cmp"

	"headgate.dev/render/object"
)

// StageName names a stage. Stages are applied one after the other, what is in one at the same time.
type StageName string

// The stages, in their order.
const (
	// StageDefinitions has namespaces and custom resource definitions: what other objects need to be accepted at all.
	StageDefinitions StageName = "definitions"
	// StageCluster has what is not in a namespace: classes, roles, volumes.
	StageCluster StageName = "cluster"
	// StageObjects has what is in namespaces.
	StageObjects StageName = "objects"
	// StageAdmission has what could refuse the others before what it needs is there: webhooks, admission policies, aggregated APIs.
	StageAdmission StageName = "admission"
)

// kind is a kind of API objects.
type kind struct{ group, kind string }

const (
	gatewayGroup   = "gateway.networking.k8s.io"
	rbacGroup      = "rbac.authorization.k8s.io"
	admissionGroup = "admissionregistration.k8s.io"
)

var (
	namespaceKind  = kind{"", "Namespace"}
	definitionKind = kind{"apiextensions.k8s.io", "CustomResourceDefinition"}
)

// stages are the stages of kinds that are not told by having a namespace or none.
var stages = map[kind]StageName{
	namespaceKind:  StageDefinitions,
	definitionKind: StageDefinitions,
	{admissionGroup, "MutatingWebhookConfiguration"}:     StageAdmission,
	{admissionGroup, "ValidatingWebhookConfiguration"}:   StageAdmission,
	{admissionGroup, "ValidatingAdmissionPolicy"}:        StageAdmission,
	{admissionGroup, "ValidatingAdmissionPolicyBinding"}: StageAdmission,
	{admissionGroup, "MutatingAdmissionPolicy"}:          StageAdmission,
	{admissionGroup, "MutatingAdmissionPolicyBinding"}:   StageAdmission,
	{"apiregistration.k8s.io", "APIService"}:             StageAdmission,
}

var stageOrder = map[StageName]int{StageDefinitions: 0, StageCluster: 1, StageObjects: 2, StageAdmission: 3}

// kindOrder is the order of kinds within a stage: what is referred to comes before what refers to it. What is not listed comes at
// otherKind: after workloads and before Gateways, as most kinds of others configure what is there.
var kindOrder = ranks([]kind{
	namespaceKind, definitionKind,
	{"scheduling.k8s.io", "PriorityClass"}, {"node.k8s.io", "RuntimeClass"}, {"storage.k8s.io", "StorageClass"},
	{gatewayGroup, "GatewayClass"}, {"networking.k8s.io", "IngressClass"},
	{"", "ResourceQuota"}, {"", "LimitRange"}, {"networking.k8s.io", "NetworkPolicy"},
	{"", "ServiceAccount"}, {rbacGroup, "Role"}, {rbacGroup, "ClusterRole"}, {rbacGroup, "RoleBinding"}, {rbacGroup, "ClusterRoleBinding"},
	{"", "ConfigMap"}, {"", "Secret"}, {"", "PersistentVolume"}, {"", "PersistentVolumeClaim"},
	{"", "Endpoints"}, {"discovery.k8s.io", "EndpointSlice"}, {"", "Service"},
	{"", "Pod"}, {"apps", "ReplicaSet"}, {"apps", "Deployment"}, {"apps", "StatefulSet"}, {"apps", "DaemonSet"},
	{"batch", "Job"}, {"batch", "CronJob"}, {"autoscaling", "HorizontalPodAutoscaler"}, {"policy", "PodDisruptionBudget"},
	otherKind,
	{"headgate.dev", "ProxyConfig"}, {gatewayGroup, "ReferenceGrant"}, {gatewayGroup, "BackendTLSPolicy"},
	{gatewayGroup, "Gateway"}, {gatewayGroup, "ListenerSet"},
	{gatewayGroup, "HTTPRoute"}, {gatewayGroup, "GRPCRoute"}, {gatewayGroup, "TLSRoute"}, {gatewayGroup, "TCPRoute"}, {gatewayGroup, "UDPRoute"},
	{"networking.k8s.io", "Ingress"},
	{"headgate.dev", "Sync"},
})

// otherKind stands for kinds that are not listed.
var otherKind = kind{"", ""}

func ranks(kinds []kind) map[kind]int {
	out := make(map[kind]int, len(kinds))
	for i, k := range kinds {
		out[k] = i
	}
	return out
}

func kindOf(id object.ID) kind { return kind{id.Group, id.Kind} }

func stageOf(id object.ID) StageName {
	if stage, ok := stages[kindOf(id)]; ok {
		return stage
	}
	if id.Namespace == "" {
		return StageCluster
	}
	return StageObjects
}

// Compare is the order in which objects are written: by stage, by kind, then by ID. They are removed in the opposite order.
func Compare(a, b object.ID) int {
	return cmp.Or(
		cmp.Compare(stageOrder[stageOf(a)], stageOrder[stageOf(b)]),
		cmp.Compare(rank(a), rank(b)),
		object.Compare(a, b))
}

func rank(id object.ID) int {
	if r, ok := kindOrder[kindOf(id)]; ok {
		return r
	}
	return kindOrder[otherKind]
}
