package schema

// NotifyType says how a notice is sent.
type NotifyType string

// Values of NotifyType.
const (
	// NotifyAlertmanager posts to the API v2 of an Alertmanager.
	NotifyAlertmanager NotifyType = "Alertmanager"
	// NotifySlack posts to an incoming webhook of Slack, or what takes the same.
	NotifySlack NotifyType = "Slack"
	// NotifyWebhook posts a CloudEvent.
	NotifyWebhook NotifyType = "Webhook"
	// NotifyCommitStatus sets a status of the applied commit at the Git host.
	NotifyCommitStatus NotifyType = "CommitStatus"
	// NotifyEvent makes a Kubernetes Event about the Sync.
	NotifyEvent NotifyType = "Event"
)

// NotifyEventType is something to tell about.
type NotifyEventType string

// Values of NotifyEventType.
const (
	// EventDeployed: a commit is live.
	EventDeployed NotifyEventType = "deployed"
	// EventFailed: a commit was refused, or could not be applied.
	EventFailed NotifyEventType = "failed"
	// EventDrift: something drifted, was put back, or is Git's again.
	EventDrift NotifyEventType = "drift"
	// EventPreview: a preview is there, changed, or is gone.
	EventPreview NotifyEventType = "preview"
	// EventStale: Git moved and the cluster does not follow, or what is applied is not live.
	EventStale NotifyEventType = "stale"
)

// NotifyTestRequest is the annotation of a Sync that asks for a test notice. Its value is something new for each request, and after a space the name of the
// receiver; without one all get it. The answer is in status.notify.test.
const NotifyTestRequest = "notify.headgate.dev/test"

// SyncNotify is somebody to tell.
//
// +kubebuilder:object:generate=true
// +kubebuilder:validation:XValidation:rule="self.type in ['CommitStatus', 'Event'] || has(self.url) || has(self.secretRef)",message="url says where to, or secretRef names a Secret that has it"
// +kubebuilder:validation:XValidation:rule="!(self.type in ['CommitStatus', 'Event']) || !(has(self.url) || has(self.secretRef))",message="neither url nor secretRef is for a commit status or an event"
type SyncNotify struct {
	// Name of it, another one for each of the Sync.
	//
	// Required.
	// Limits: a DNS label, at most 63 characters.
	// Example: on-call
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Name string `json:"name"`
	// Type says how: Alertmanager posts to its API v2, Slack to an incoming webhook, Webhook a CloudEvent (JSON, binary mode), CommitStatus sets one at
	// the Git host with the Sync's own credentials, Event makes a Kubernetes Event.
	//
	// Required.
	// Limits: Alertmanager, Slack, Webhook, CommitStatus or Event.
	// Example: Alertmanager
	//
	// +kubebuilder:validation:Enum=Alertmanager;Slack;Webhook;CommitStatus;Event
	Type NotifyType `json:"type"`
	// URL to send to; for an Alertmanager without /api/v2/alerts. One that is a secret itself belongs in the Secret that secretRef names.
	//
	// Limits: http or https, at most 2048 characters; no password in it.
	// Example: http://alertmanager.monitoring:9093
	//
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:Pattern=`^https?://[^\s/@]+(/[^\s@]*)?$`
	URL string `json:"url,omitempty"`
	// SecretRef names the Secret of the same namespace with what the receiver asks for: url in the place of the one above, token (a bearer token), username
	// and password, hmac (the key with which the body is signed, in X-Headgate-Signature), ca.crt.
	//
	// Example: {name: slack}
	//
	// +optional
	SecretRef *SyncSecret `json:"secretRef,omitempty"`
	// Events to tell about.
	//
	// Default: failed, drift and stale.
	// Limits: deployed, failed, drift, preview, stale.
	// Example: [drift, stale]
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=5
	// +kubebuilder:validation:items:Enum=deployed;failed;drift;preview;stale
	Events []NotifyEventType `json:"events,omitempty"`
	// Severity from which on it is told.
	//
	// Default: info for deployed and preview, else warning.
	// Limits: info, warning or critical.
	// Example: critical
	//
	// +optional
	// +kubebuilder:validation:Enum=info;warning;critical
	Severity Severity `json:"severity,omitempty"`
	// Kinds of objects about which drift is told.
	//
	// Default: all kinds.
	// Limits: at most 32, of at most 63 characters.
	// Example: [HTTPRoute, Gateway]
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=63
	Kinds []string `json:"kinds,omitempty"`
	// Template is a Go template (text/template) for the text. It has .Event, .Phase, .Severity, .Sync, .Cluster, .Revision, .Object, .Title, .Lines, .Opened
	// and .At; what it gives is escaped for the receiver.
	//
	// Default: the title and a line for each field.
	// Limits: at most 4096 characters.
	// Example: "{{.Severity}}: {{.Title}}"
	//
	// +optional
	// +kubebuilder:validation:MaxLength=4096
	Template string `json:"template,omitempty"`
}

// SyncNotifyStatus says whether those who are to be told can be.
//
// +kubebuilder:object:generate=true
type SyncNotifyStatus struct {
	// Troubles are the receivers that did not take the last notice.
	//
	// Limits: at most 8.
	//
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=8
	Troubles []SyncNotifyResult `json:"troubles,omitempty"`
	// Test is what came of the last test notice.
	//
	// +optional
	Test *SyncNotifyTest `json:"test,omitempty"`
}

// SyncNotifyTest is the answer to a request for a test notice.
//
// +kubebuilder:object:generate=true
type SyncNotifyTest struct {
	// Request is the value of the annotation notify.headgate.dev/test that it answers.
	//
	// Required.
	//
	// +kubebuilder:validation:MaxLength=256
	Request string `json:"request"`
	// Results has one for each receiver that was asked for.
	//
	// Limits: at most 8.
	//
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=8
	Results []SyncNotifyResult `json:"results,omitempty"`
}

// SyncNotifyResult is what came of a notice to one receiver.
//
// +kubebuilder:object:generate=true
type SyncNotifyResult struct {
	// Name of the receiver.
	//
	// Required.
	// Example: on-call
	//
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name"`
	// Took is the time until it was taken, or refused, where that was measured.
	//
	// Example: 120ms
	//
	// +optional
	// +kubebuilder:validation:MaxLength=32
	Took string `json:"took,omitempty"`
	// Error says why it was not taken; it is without secrets. Empty: it was.
	//
	// Example: hooks.slack.com answers 404 Not Found
	//
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Error string `json:"error,omitempty"`
}
