package schema

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// SyncHistoryLimit is how many commits status.history remembers.
const SyncHistoryLimit = 20

// SyncStatus is the status of a Sync.
//
// +kubebuilder:object:generate=true
type SyncStatus struct {
	// ObservedGeneration is the generation of the Sync that the status is about.
	//
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// Conditions: Ready, Reconciling and Stalled as in kstatus, and Live.
	//
	// Limits: at most 16.
	//
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// Revision that is applied, as a whole.
	//
	// Example: main@sha1:4f2a9c1e0b6d7a8892c1d3e4f5a6b7c8d9e0f1a2
	//
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Revision string `json:"revision,omitempty"`
	// AttemptedRevision is the one that was tried last; another one than revision where it was refused or is on its way.
	//
	// Example: main@sha1:77aa3100b6d7a8892c1d3e4f5a6b7c8d9e0f1a24
	//
	// +optional
	// +kubebuilder:validation:MaxLength=512
	AttemptedRevision string `json:"attemptedRevision,omitempty"`
	// Live is how far the Envoys are.
	//
	// +optional
	Live *SyncLiveStatus `json:"live,omitempty"`
	// Inventory is what the Sync owns.
	//
	// +optional
	Inventory *SyncInventory `json:"inventory,omitempty"`
	// Forge is about the Git host, where spec.forge says something of it.
	//
	// +optional
	Forge *SyncForgeStatus `json:"forge,omitempty"`
	// Drift is what of it others changed.
	//
	// +optional
	Drift *SyncDriftStatus `json:"drift,omitempty"`
	// Notify is whether those who are to be told can be.
	//
	// +optional
	Notify *SyncNotifyStatus `json:"notify,omitempty"`
	// Previews is about the previews, where spec.previews asks for some.
	//
	// +optional
	Previews *SyncPreviewsStatus `json:"previews,omitempty"`
	// History of the last commits, the newest first.
	//
	// Limits: at most 20.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=20
	History []SyncHistory `json:"history,omitempty"`
	// LastHandledReconcileAt is the value of the annotation reconcile.headgate.dev/requestedAt that was acted on last.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=128
	LastHandledReconcileAt string `json:"lastHandledReconcileAt,omitempty"`
}

// ReconcileRequest is the annotation that asks for a look at the repository at once; its value is new for each request.
const ReconcileRequest = "reconcile.headgate.dev/requestedAt"

// SyncLiveStatus is how far the Envoys are with a revision.
//
// +kubebuilder:object:generate=true
type SyncLiveStatus struct {
	// Revision that is live on all Envoys concerned.
	//
	// Example: main@sha1:4f2a9c1e0b6d7a8892c1d3e4f5a6b7c8d9e0f1a2
	//
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Revision string `json:"revision,omitempty"`
	// Gateways that the applied revision touched, with the Envoys that have it.
	//
	// Limits: at most 64; there may be more, which then are not listed.
	//
	// +optional
	// +listType=map
	// +listMapKey=namespace
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=64
	Gateways []SyncGatewayStatus `json:"gateways,omitempty"`
	// Since is when the last Envoy had acknowledged the live revision.
	//
	// +optional
	Since *metav1.Time `json:"since,omitempty"`
	// Push is when the commit was pushed, or seen first where no webhook told.
	//
	// +optional
	Push *metav1.MicroTime `json:"push,omitempty"`
	// Took is the time from the push to live.
	//
	// Example: 740ms
	//
	// +optional
	// +kubebuilder:validation:MaxLength=32
	Took string `json:"took,omitempty"`
	// Stages of that time.
	//
	// +optional
	Stages *SyncStages `json:"stages,omitempty"`
}

// SyncGatewayStatus is how many Envoys of a Gateway have what the applied revision changed.
//
// +kubebuilder:object:generate=true
type SyncGatewayStatus struct {
	// Namespace of the Gateway.
	//
	// Required.
	// Example: infra
	//
	// +kubebuilder:validation:MaxLength=63
	Namespace string `json:"namespace"`
	// Name of the Gateway.
	//
	// Required.
	// Example: public
	//
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
	// Acked is the number of ready Envoys that have acknowledged it.
	//
	// Required.
	// Example: 3
	Acked int32 `json:"acked"`
	// Total is the number of ready Envoys.
	//
	// Required.
	// Example: 3
	Total int32 `json:"total"`
}

// SyncStages are the parts of the time from push to live; one that took no time is left out.
//
// +kubebuilder:object:generate=true
type SyncStages struct {
	// Hook is the wait between the push and the webhook.
	//
	// Example: 503ms
	//
	// +optional
	// +kubebuilder:validation:MaxLength=32
	Hook string `json:"hook,omitempty"`
	// Fetch is the time that the commit took to arrive.
	//
	// Example: 180ms
	//
	// +optional
	// +kubebuilder:validation:MaxLength=32
	Fetch string `json:"fetch,omitempty"`
	// Render is the time from files to objects.
	//
	// Example: 7ms
	//
	// +optional
	// +kubebuilder:validation:MaxLength=32
	Render string `json:"render,omitempty"`
	// Apply is the time from objects to the API server.
	//
	// Example: 41ms
	//
	// +optional
	// +kubebuilder:validation:MaxLength=32
	Apply string `json:"apply,omitempty"`
	// Ack is the time from the API server to the last acknowledging Envoy.
	//
	// Example: 9ms
	//
	// +optional
	// +kubebuilder:validation:MaxLength=32
	Ack string `json:"ack,omitempty"`
}

// SyncInventory is what a Sync owns. The objects are listed in ConfigMaps of the Sync's namespace.
//
// +kubebuilder:object:generate=true
type SyncInventory struct {
	// Objects is their number.
	//
	// Required.
	// Example: 214
	Objects int32 `json:"objects"`
	// ConfigMaps that list them.
	//
	// Limits: at most 4096.
	// Example: [shop-inventory-0]
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=4096
	// +kubebuilder:validation:items:MaxLength=253
	ConfigMaps []string `json:"configMaps,omitempty"`
}

// SyncResult is what became of a commit.
type SyncResult string

// Values of SyncResult.
const (
	// ResultApplied: all of it is in the cluster.
	ResultApplied SyncResult = "Applied"
	// ResultRefused: nothing of it was written.
	ResultRefused SyncResult = "Refused"
	// ResultFailed: a part of it may have been written.
	ResultFailed SyncResult = "Failed"
)

// SyncHistory is one commit and what became of it.
//
// +kubebuilder:object:generate=true
type SyncHistory struct {
	// Revision of the commit.
	//
	// Required.
	// Example: main@sha1:4f2a9c1e0b6d7a8892c1d3e4f5a6b7c8d9e0f1a2
	//
	// +kubebuilder:validation:MaxLength=512
	Revision string `json:"revision"`
	// Author of the commit, the name alone.
	//
	// Example: Ada
	//
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Author string `json:"author,omitempty"`
	// Subject is the first line of the commit's message.
	//
	// Example: Raise the cart timeout
	//
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Subject string `json:"subject,omitempty"`
	// Time at which the commit was seen.
	//
	// Required.
	Time metav1.Time `json:"time"`
	// Result is what became of it.
	//
	// Required.
	// Limits: Applied, Refused or Failed.
	// Example: Applied
	//
	// +kubebuilder:validation:Enum=Applied;Refused;Failed
	Result SyncResult `json:"result"`
	// Message says why it was refused or failed, with file and line.
	//
	// Example: "cart.yaml:12:9: timeout: \"10\" is not a duration; write \"10s\""
	//
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	Message string `json:"message,omitempty"`
	// Duration from seen to applied, or to the error.
	//
	// Example: 228ms
	//
	// +optional
	// +kubebuilder:validation:MaxLength=32
	Duration string `json:"duration,omitempty"`
	// Changed is how many objects it wrote and removed.
	//
	// Example: 1
	//
	// +optional
	Changed *int32 `json:"changed,omitempty"`
	// LiveTime is when it was live on all Envoys concerned.
	//
	// +optional
	LiveTime *metav1.Time `json:"liveTime,omitempty"`
	// LiveAfter is the time from the push to live.
	//
	// Example: 740ms
	//
	// +optional
	// +kubebuilder:validation:MaxLength=32
	LiveAfter string `json:"liveAfter,omitempty"`
}
