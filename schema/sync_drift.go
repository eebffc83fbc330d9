package schema

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// DriftPolicy says what is done about a field that no longer has the value that was applied.
type DriftPolicy string

// Values of DriftPolicy.
const (
	// DriftCorrect puts it back.
	DriftCorrect DriftPolicy = "correct"
	// DriftAlert tells people.
	DriftAlert DriftPolicy = "alert"
	// DriftIgnore records it, and does nothing else.
	DriftIgnore DriftPolicy = "ignore"
)

// Severity says how bad something is.
type Severity string

// Values of Severity.
const (
	SeverityInfo     Severity = "info"
	SeverityWarning  Severity = "warning"
	SeverityCritical Severity = "critical"
)

// SyncDrift says what is done about drift: a field that the Sync owns and that others gave another value, an entry they added to a list that it owns
// as a whole, or an object that they removed.
//
// +kubebuilder:object:generate=true
type SyncDrift struct {
	// Policy for what no rule fits. What is corrected is put back at once; five times in ten minutes against the same field manager are a fight:
	// then it is no longer put back, and people are told.
	//
	// Default: alert.
	// Limits: correct, alert or ignore.
	// Example: correct
	//
	// +optional
	// +kubebuilder:validation:Enum=correct;alert;ignore
	Policy DriftPolicy `json:"policy,omitempty"`
	// Severity of drift for which no rule says another one.
	//
	// Default: warning.
	// Limits: info, warning or critical.
	// Example: critical
	//
	// +optional
	// +kubebuilder:validation:Enum=info;warning;critical
	Severity Severity `json:"severity,omitempty"`
	// Rules for some of it: the first one that fits decides.
	//
	// Limits: at most 64.
	// Example: [{target: {kind: Deployment}, fields: [/spec/replicas], policy: ignore}]
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	Rules []SyncDriftRule `json:"rules,omitempty"`
	// Strangers says what is done about routes and listener sets that no Sync and no preview owns, and that a Gateway of this Sync took: with alert those
	// are told who are told about drift.
	//
	// Default: there is an Event (severity info).
	// Limits: alert or ignore.
	// Example: alert
	//
	// +optional
	// +kubebuilder:validation:Enum=alert;ignore
	Strangers DriftPolicy `json:"strangers,omitempty"`
	// Pause is a maintenance window: until its end nothing is put back and nobody is told. What is still drifted then is treated as if it were new.
	//
	// Example: {until: "2026-12-24T06:00:00Z", reason: moving the database}
	//
	// +optional
	Pause *SyncDriftPause `json:"pause,omitempty"`
}

// SyncDriftRule is for drift to which all fits that it says.
//
// +kubebuilder:object:generate=true
type SyncDriftRule struct {
	// Target says which objects.
	//
	// Default: all objects.
	// Example: {kind: HTTPRoute, name: shop-*}
	//
	// +optional
	Target SyncSelector `json:"target,omitempty"`
	// Fields as JSON pointers (RFC 6901) into the live object, in which "*" stands for any one name or place. What is inside of such a field is meant too.
	//
	// Default: any field, and the loss of the object.
	// Limits: at most 32, of at most 512 characters.
	// Example: [/spec/rules/*/timeouts]
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MaxLength=512
	// +kubebuilder:validation:items:Pattern=`^(/([^~/]|~[01])*)+$`
	Fields []string `json:"fields,omitempty"`
	// Managers are the names of field managers that made the change; "*" stands for any characters.
	//
	// Default: any, and when nobody knows who it was.
	// Limits: at most 32, of at most 128 characters.
	// Example: [kubectl*]
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=128
	Managers []string `json:"managers,omitempty"`
	// Policy says what is done.
	//
	// Required.
	// Limits: correct, alert or ignore.
	// Example: ignore
	//
	// +kubebuilder:validation:Enum=correct;alert;ignore
	Policy DriftPolicy `json:"policy"`
	// Severity of it.
	//
	// Default: that of the Sync's drift.
	// Limits: info, warning or critical.
	// Example: info
	//
	// +optional
	// +kubebuilder:validation:Enum=info;warning;critical
	Severity Severity `json:"severity,omitempty"`
}

// SyncDriftPause is a maintenance window.
//
// +kubebuilder:object:generate=true
type SyncDriftPause struct {
	// Until is its end.
	//
	// Required.
	// Example: "2026-12-24T06:00:00Z"
	Until metav1.Time `json:"until"`
	// Reason for people to read.
	//
	// Limits: at most 256 characters.
	// Example: moving the database
	//
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Reason string `json:"reason,omitempty"`
}

// DriftCorrectRequest is the annotation of a Sync that asks for objects to be put back whatever the policy says. Its value is something new for each
// request, and after a space the objects, each as KIND.GROUP/NAMESPACE/NAME (without a namespace where it has none), with commas in between.
const DriftCorrectRequest = "drift.headgate.dev/correct"

// SyncDriftStatus is what drifted of what a Sync owns.
//
// +kubebuilder:object:generate=true
type SyncDriftStatus struct {
	// Open is how many fields are drifted now.
	//
	// Required.
	// Example: 1
	Open int32 `json:"open"`
	// Objects is how many objects they belong to.
	//
	// Required.
	// Example: 1
	Objects int32 `json:"objects"`
	// Alerts is how many alerts about them are open.
	//
	// Required.
	// Example: 1
	Alerts int32 `json:"alerts"`
	// ConfigMap of the Sync's namespace with the last records of drift, which headgate drift shows.
	//
	// Example: shop-drift
	//
	// +optional
	// +kubebuilder:validation:MaxLength=253
	ConfigMap string `json:"configMap,omitempty"`
}
