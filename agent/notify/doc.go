// Package notify tells people and machines what happens to a Sync.
//
// A notice is one thing to tell: that an alert was opened, has changed or is over, or that something happened. Notices with the same key are about the
// same alert. A receiver is somebody to tell, with filters. An Outbox holds what is to be sent to the receivers of one Sync: it is a value that
// outlives restarts, decides what is sent when, and never looks at a clock. A Sender sends: there is one for each type of receiver.
package notify

import (
	"slices"
	"time"
)

// Event is what a notice is about, by the names of a Sync's spec.notify.
type Event string

// Events.
const (
	Deployed Event = "deployed"
	Failed   Event = "failed"
	Drift    Event = "drift"
	Preview  Event = "preview"
	Stale    Event = "stale"
	// Test is no event of a Sync: somebody wants to know whether a receiver can be told. No filter keeps it back.
	Test Event = "test"
)

// Phase is where an alert is in its life.
type Phase string

// Phases.
const (
	Opened   Phase = "opened"
	Updated  Phase = "updated"
	Resolved Phase = "resolved"
	// Noted is no alert: it happened, and that is all.
	Noted Phase = "noted"
)

// Severities, from the least to the worst.
const (
	Info     = "info"
	Warning  = "warning"
	Critical = "critical"
)

// Notice is one thing to tell. There is nothing secret in it.
type Notice struct {
	// Key is the same for all notices about one alert.
	Key      string `json:"key"`
	Event    Event  `json:"event"`
	Phase    Phase  `json:"phase"`
	Severity string `json:"severity"`
	// Cluster is the name of the cluster, empty where it has none; Sync is NAMESPACE/NAME.
	Cluster string `json:"cluster,omitempty"`
	Sync    string `json:"sync"`
	// Revision is that which it is about, as main@sha1:...; it may be empty.
	Revision string `json:"revision,omitempty"`
	// Kind and Object are what it is about: HTTPRoute and team-a/cart. Both may be empty.
	Kind   string `json:"kind,omitempty"`
	Object string `json:"object,omitempty"`
	// Title says it in a line, Lines say more; there may be none.
	Title string   `json:"title"`
	Lines []string `json:"lines,omitempty"`
	// Opened is when the alert was opened, At when this happened.
	Opened time.Time `json:"opened"`
	At     time.Time `json:"at"`
}

// bad tells whether a notice is about something that did not come to be.
func (n *Notice) bad() bool { return n.Event == Failed || n.Event == Preview && n.Severity != Info }

// Receiver is somebody to tell.
type Receiver struct {
	// Name tells the receivers of a Sync apart.
	Name string
	Type string
	// Events, Kinds and Severity say about what. No Events: failed, drift and stale. No Kinds: all. No Severity: from warning on, but from info on for
	// deployed and preview.
	Events   []Event
	Kinds    []string
	Severity string
	// Template for the text; empty for the usual one. It is a good one (CheckTemplate).
	Template string
}

// Types of receivers, by their names in a Sync's spec.notify.
const (
	TypeAlertmanager = "Alertmanager"
	TypeSlack        = "Slack"
	TypeWebhook      = "Webhook"
	TypeCommitStatus = "CommitStatus"
	TypeEvent        = "Event"
)

// keeps tells whether a receiver shows which alerts are open, and so has to be told all of them, and again from time to time.
func (r *Receiver) keeps() bool { return r.Type == TypeAlertmanager || r.Type == TypeCommitStatus }

var ranks = map[string]int{Info: 1, Warning: 2, Critical: 3}

// Wants tells whether a receiver is told about a notice.
func (r *Receiver) Wants(n *Notice) bool {
	events := r.Events
	if len(events) == 0 {
		events = []Event{Failed, Drift, Stale}
	}
	least := r.Severity
	if least == "" {
		least = Warning
		if n.Event == Deployed || n.Event == Preview {
			least = Info
		}
	}
	return slices.Contains(events, n.Event) && ranks[n.Severity] >= ranks[least] &&
		(len(r.Kinds) == 0 || n.Kind == "" || slices.Contains(r.Kinds, n.Kind))
}
