package schema

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	runtimeschema "k8s.io/apimachinery/pkg/runtime/schema"
)

// +groupName=headgate.dev
// +versionName=v1alpha1

// KindProxyConfig is the kind of a ProxyConfig, a custom resource.
const KindProxyConfig = "ProxyConfig"

// ProxyConfigNamed is what a parametersRef says to name a ProxyConfig.
var ProxyConfigNamed = runtimeschema.GroupKind{Group: Group, Kind: KindProxyConfig}

// AddToScheme registers the custom resources of headgate.dev.
func AddToScheme(scheme *runtime.Scheme) error {
	version := runtimeschema.GroupVersion{Group: Group, Version: "v1alpha1"}
	scheme.AddKnownTypes(version, &ProxyConfig{}, &ProxyConfigList{}, &Sync{}, &SyncList{}, &Preview{}, &PreviewList{})
	metav1.AddToGroupVersion(scheme, version)
	return nil
}

// ProxyConfig shapes the Envoys of a Gateway and how clients reach them. A GatewayClass names one for all its Gateways
// (spec.parametersRef, with a namespace), a Gateway one of its own namespace for itself (spec.infrastructure.parametersRef);
// where both say something the Gateway's wins, field by field.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:path=proxyconfigs,categories=headgate
// +kubebuilder:metadata:annotations="helm.sh/resource-policy=keep"
// +kubebuilder:printcolumn:name="Replicas",type=integer,JSONPath=`.spec.replicas`
// +kubebuilder:printcolumn:name="Max",type=integer,JSONPath=`.spec.autoscaling.max`,description="the most Envoys of an autoscaled fleet"
// +kubebuilder:printcolumn:name="Service",type=string,JSONPath=`.spec.service.type`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type ProxyConfig struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec ProxyConfigSpec `json:"spec,omitempty"`
}

// ProxyConfigList is a list of ProxyConfigs, as the API server gives it.
//
// +kubebuilder:object:root=true
type ProxyConfigList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []ProxyConfig `json:"items"`
}

// ProxyConfigSpec is the spec of a ProxyConfig. A field left out says nothing: the class's ProxyConfig decides, else the default.
//
// +kubebuilder:object:generate=true
// +kubebuilder:validation:XValidation:rule="!has(self.replicas) || !has(self.autoscaling)",message="replicas and autoscaling exclude each other"
type ProxyConfigSpec struct {
	// Replicas is the number of Envoys.
	//
	// Default: 2.
	// Limits: 0 to 1000; not together with autoscaling.
	// Example: 3
	// Becomes: Deployment spec.replicas
	//
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000
	Replicas *int32 `json:"replicas,omitempty"`
	// Autoscaling lets the number of Envoys follow their load; a metrics server is needed in the cluster.
	//
	// Limits: not together with replicas.
	// Example: {min: 2, max: 10, cpu: 70}
	// Becomes: HorizontalPodAutoscaler
	//
	// +optional
	Autoscaling *ProxyAutoscaling `json:"autoscaling,omitempty"`
	// Image runs instead of the controller's own. It must have the same headgate and Envoy in it as the controller's; a fleet
	// with an image of its own is not upgraded with the controller.
	//
	// Default: the controller's image at the time the fleet was made, until a release says that proxies must follow.
	// Limits: 1 to 1024 characters.
	// Example: registry.example.com/headgate:v1.2.0
	// Becomes: Deployment spec.template.spec.containers[].image
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Image string `json:"image,omitempty"`
	// ImagePullSecrets are Secrets of the Gateway's namespace for the registry of the image.
	//
	// Limits: at most 16.
	// Example: [{name: registry}]
	// Becomes: Deployment spec.template.spec.imagePullSecrets
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	ImagePullSecrets []corev1.LocalObjectReference `json:"imagePullSecrets,omitempty"`
	// Resources that each Envoy asks for and may use.
	//
	// Default: requests 50m CPU and 96Mi memory, no limits.
	// Example: {requests: {cpu: "1", memory: 512Mi}, limits: {memory: 1Gi}}
	// Becomes: Deployment spec.template.spec.containers[].resources
	//
	// +optional
	Resources *corev1.ResourceRequirements `json:"resources,omitempty"`
	// Concurrency is the number of threads with which each Envoy serves.
	//
	// Default: the CPU limit rounded up, else as many as the machine has cores.
	// Limits: 1 to 256.
	// Example: 4
	//
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=256
	Concurrency *int32 `json:"concurrency,omitempty"`
	// Drain is how an Envoy goes away.
	//
	// Example: {delay: 10s, timeout: 2m}
	//
	// +optional
	Drain *ProxyDrain `json:"drain,omitempty"`
	// Logging is what the Envoys write about themselves.
	//
	// Example: {level: debug, format: text}
	//
	// +optional
	Logging *ProxyLogging `json:"logging,omitempty"`
	// Service is how clients reach the Envoys.
	//
	// Example: {type: ClusterIP}
	// Becomes: Service
	//
	// +optional
	Service *ProxyService `json:"service,omitempty"`
	// NodeSelector names the labels of the nodes that Envoys run on.
	//
	// Limits: at most 32.
	// Example: {example.com/pool: edge}
	// Becomes: Deployment spec.template.spec.nodeSelector
	//
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	NodeSelector map[string]string `json:"nodeSelector,omitempty"`
	// Affinity to nodes and pods.
	//
	// Becomes: Deployment spec.template.spec.affinity
	//
	// +optional
	Affinity *corev1.Affinity `json:"affinity,omitempty"`
	// Tolerations of the taints of nodes.
	//
	// Limits: at most 64.
	// Example: [{key: example.com/pool, value: edge, effect: NoSchedule}]
	// Becomes: Deployment spec.template.spec.tolerations
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	Tolerations []corev1.Toleration `json:"tolerations,omitempty"`
	// TopologySpreadConstraints spread the Envoys; one without a labelSelector counts the Envoys of the same Gateway.
	//
	// Default: over nodes and over zones, as evenly as the scheduler can.
	// Limits: at most 16.
	// Example: [{topologyKey: topology.kubernetes.io/zone, maxSkew: 1, whenUnsatisfiable: DoNotSchedule}]
	// Becomes: Deployment spec.template.spec.topologySpreadConstraints
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	TopologySpreadConstraints []corev1.TopologySpreadConstraint `json:"topologySpreadConstraints,omitempty"`
	// PriorityClassName says which pods go first where room is short.
	//
	// Limits: at most 253 characters.
	// Example: system-cluster-critical
	// Becomes: Deployment spec.template.spec.priorityClassName
	//
	// +optional
	// +kubebuilder:validation:MaxLength=253
	PriorityClassName string `json:"priorityClassName,omitempty"`
	// Labels for everything that is made for the Gateway, pods too: changing one restarts the Envoys, one after the other.
	// spec.infrastructure.labels of the Gateway come on top.
	//
	// Limits: at most 16; keys of gateway.networking.k8s.io and headgate.dev are not for users.
	// Example: {team: edge}
	//
	// +optional
	// +kubebuilder:validation:MaxProperties=16
	// +kubebuilder:validation:XValidation:rule="self.all(k, !k.startsWith('gateway.networking.k8s.io/') && !k.startsWith('headgate.dev/'))",message="keys of gateway.networking.k8s.io and headgate.dev are set by headgate itself"
	// +kubebuilder:validation:XValidation:rule="self.all(k, size(k) <= 317 && k.matches('^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$'))",message="a key is not one of a label"
	Labels map[string]ProxyLabel `json:"labels,omitempty"`
	// Annotations for everything that is made for the Gateway, pods too: changing one restarts the Envoys, one after the other.
	// spec.infrastructure.annotations of the Gateway come on top.
	//
	// Limits: at most 32; keys of gateway.networking.k8s.io and headgate.dev are not for users.
	// Example: {example.com/owner: ada}
	//
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	// +kubebuilder:validation:XValidation:rule="self.all(k, !k.startsWith('gateway.networking.k8s.io/') && !k.startsWith('headgate.dev/'))",message="keys of gateway.networking.k8s.io and headgate.dev are set by headgate itself"
	// +kubebuilder:validation:XValidation:rule="self.all(k, size(k) <= 317 && k.matches('^([A-Za-z0-9]([-A-Za-z0-9.]{0,251}[A-Za-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$'))",message="a key is not one of an annotation"
	Annotations map[string]string `json:"annotations,omitempty"`
}

// ProxyLabel is the value of a label.
//
// +kubebuilder:validation:MaxLength=63
// +kubebuilder:validation:Pattern=`^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$`
type ProxyLabel string

// ProxyAutoscaling lets the number of Envoys follow their load.
//
// +kubebuilder:object:generate=true
// +kubebuilder:validation:XValidation:rule="!has(self.min) || self.min <= self.max",message="min is above max"
type ProxyAutoscaling struct {
	// Min is the fewest Envoys there are.
	//
	// Default: 2, or max where that is less.
	// Limits: 1 to max.
	// Example: 2
	// Becomes: HorizontalPodAutoscaler spec.minReplicas
	//
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	Min *int32 `json:"min,omitempty"`
	// Max is the most Envoys there are.
	//
	// Required.
	// Limits: 1 to 1000.
	// Example: 10
	// Becomes: HorizontalPodAutoscaler spec.maxReplicas
	//
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	Max int32 `json:"max"`
	// CPU is the use that is aimed at, in percent of what the Envoys request.
	//
	// Default: 75.
	// Limits: 1 to 1000.
	// Example: 60
	// Becomes: HorizontalPodAutoscaler spec.metrics
	//
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	CPU *int32 `json:"cpu,omitempty"`
}

// ProxyDrain is how an Envoy goes away: for the delay it serves as before, while load balancers learn of it; then it takes no
// new connection, and those it has may end on their own until the timeout is over. The pod's grace period is the sum and 5 s.
//
// +kubebuilder:object:generate=true
type ProxyDrain struct {
	// Delay is how long the Envoy serves as before.
	//
	// Default: 5s.
	// Limits: a duration of Gateway API, at most 1h.
	// Example: 10s
	//
	// +optional
	Delay ProxyDuration `json:"delay,omitempty"`
	// Timeout is how long connections may go on after that; those left then are closed.
	//
	// Default: 1m.
	// Limits: a duration of Gateway API, at most 1h.
	// Example: 2m
	//
	// +optional
	Timeout ProxyDuration `json:"timeout,omitempty"`
}

// ProxyDuration is a duration of Gateway API (GEP-2257) up to an hour.
//
// +kubebuilder:validation:Pattern=`^([0-9]{1,5}(h|m|s|ms)){1,4}$`
// +kubebuilder:validation:MaxLength=24
// +kubebuilder:validation:XValidation:rule="duration(self) <= duration('1h')",message="a drain may take an hour at most"
type ProxyDuration string

// ProxyLogging is what the Envoys write about themselves; access logs are not part of it.
//
// +kubebuilder:object:generate=true
type ProxyLogging struct {
	// Level from which on something is written.
	//
	// Default: warning.
	// Limits: trace, debug, info, warning, error or critical.
	// Example: debug
	//
	// +optional
	// +kubebuilder:validation:Enum=trace;debug;info;warning;error;critical
	Level string `json:"level,omitempty"`
	// Format of a line.
	//
	// Default: json.
	// Limits: text or json.
	// Example: text
	//
	// +optional
	// +kubebuilder:validation:Enum=text;json
	Format string `json:"format,omitempty"`
}

// ProxyService is the Service in front of the Envoys.
//
// +kubebuilder:object:generate=true
// +kubebuilder:validation:XValidation:rule="!has(self.externalTrafficPolicy) || !has(self.type) || self.type != 'ClusterIP'",message="externalTrafficPolicy needs type LoadBalancer or NodePort"
// +kubebuilder:validation:XValidation:rule="!has(self.loadBalancerClass) || !has(self.type) || self.type == 'LoadBalancer'",message="loadBalancerClass needs type LoadBalancer"
// +kubebuilder:validation:XValidation:rule="!has(self.loadBalancerSourceRanges) || !has(self.type) || self.type == 'LoadBalancer'",message="loadBalancerSourceRanges needs type LoadBalancer"
type ProxyService struct {
	// Type of the Service.
	//
	// Default: LoadBalancer.
	// Limits: LoadBalancer, NodePort or ClusterIP.
	// Example: ClusterIP
	// Becomes: Service spec.type
	//
	// +optional
	// +kubebuilder:validation:Enum=LoadBalancer;NodePort;ClusterIP
	Type corev1.ServiceType `json:"type,omitempty"`
	// Annotations for the Service alone, such as those that a cloud's load balancer reads.
	//
	// Limits: at most 64.
	// Example: {service.beta.kubernetes.io/azure-load-balancer-internal: "true"}
	// Becomes: Service metadata.annotations
	//
	// +optional
	// +kubebuilder:validation:MaxProperties=64
	Annotations map[string]string `json:"annotations,omitempty"`
	// ExternalTrafficPolicy: Local keeps the addresses of clients and stays on the node that traffic arrives at; Cluster spreads it.
	//
	// Default: Kubernetes' own, Cluster.
	// Limits: Cluster or Local.
	// Example: Local
	// Becomes: Service spec.externalTrafficPolicy
	//
	// +optional
	// +kubebuilder:validation:Enum=Cluster;Local
	ExternalTrafficPolicy corev1.ServiceExternalTrafficPolicy `json:"externalTrafficPolicy,omitempty"`
	// LoadBalancerClass names the implementation of the load balancer. Kubernetes does not let it change on a Service that exists.
	//
	// Limits: at most 253 characters.
	// Example: service.k8s.aws/nlb
	// Becomes: Service spec.loadBalancerClass
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	LoadBalancerClass *string `json:"loadBalancerClass,omitempty"`
	// LoadBalancerSourceRanges are the networks of the clients that the load balancer lets in.
	//
	// Default: everybody.
	// Limits: at most 128 networks as 192.0.2.0/24.
	// Example: [192.0.2.0/24]
	// Becomes: Service spec.loadBalancerSourceRanges
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=128
	// +kubebuilder:validation:items:MaxLength=64
	LoadBalancerSourceRanges []string `json:"loadBalancerSourceRanges,omitempty"`
	// IPFamilyPolicy says whether the Service has addresses of both IP families.
	//
	// Default: Kubernetes' own, SingleStack.
	// Limits: SingleStack, PreferDualStack or RequireDualStack.
	// Example: PreferDualStack
	// Becomes: Service spec.ipFamilyPolicy
	//
	// +optional
	// +kubebuilder:validation:Enum=SingleStack;PreferDualStack;RequireDualStack
	IPFamilyPolicy *corev1.IPFamilyPolicy `json:"ipFamilyPolicy,omitempty"`
	// IPFamilies that the Service has addresses of, the preferred one first.
	//
	// Default: those of the cluster.
	// Limits: IPv4 and IPv6.
	// Example: [IPv6, IPv4]
	// Becomes: Service spec.ipFamilies
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=2
	// +kubebuilder:validation:items:Enum=IPv4;IPv6
	IPFamilies []corev1.IPFamily `json:"ipFamilies,omitempty"`
	// StaticAddresses says how the IP addresses of a Gateway's spec.addresses get onto the Service: Requested asks the load
	// balancer for them (the cluster, for type ClusterIP), External has every node take them as they are. External lets whoever
	// may write a Gateway take over any address inside the cluster, so it counts only in the ProxyConfig of a GatewayClass.
	//
	// Default: Requested.
	// Limits: Requested or External.
	// Example: External
	// Becomes: Service spec.loadBalancerIP, spec.clusterIP or spec.externalIPs
	//
	// +optional
	// +kubebuilder:validation:Enum=Requested;External
	StaticAddresses StaticAddresses `json:"staticAddresses,omitempty"`
}

// StaticAddresses says how the addresses of a Gateway get onto its Service.
type StaticAddresses string

// Values of StaticAddresses.
const (
	AddressesRequested StaticAddresses = "Requested"
	AddressesExternal  StaticAddresses = "External"
)
