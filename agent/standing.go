package agent

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"headgate.dev/schema"
)

// Reasons of the conditions of a Sync.
const (
	ReasonApplied      = "Applied"            // Ready: all of the commit is in the cluster
	ReasonWorking      = "Progressing"        // Ready is Unknown: a commit is on its way
	ReasonRetrying     = "ProgressingRetry"   // Reconciling: it is tried again by itself
	ReasonHealth       = "WaitingForHealth"   // Ready is Unknown: applied, and not all objects are healthy yet
	ReasonUnhealthy    = "Unhealthy"          // an object is not going to be healthy, or was not in time
	ReasonNoAccount    = "NoServiceAccount"   // no service account is named, and there is no default
	ReasonInput        = "InputMissing"       // a Secret, ConfigMap or Gateway that the Sync names
	ReasonFetch        = "FetchFailed"        // the repository, or what the reference names in it
	ReasonVerify       = "NotVerified"        // a signature
	ReasonBackwards    = "NotMonotonic"       // a commit that does not come after the applied one
	ReasonRender       = "RenderFailed"       // the files of the commit
	ReasonPolicy       = "RefusedByPolicy"    // what the commit would do
	ReasonOwned        = "OwnedByAnother"     // objects of another Sync
	ReasonDependency   = "DependencyNotReady" // a Sync of dependsOn
	ReasonCycle        = "DependencyCycle"    // dependsOn leads back to the Sync
	ReasonApply        = "ApplyFailed"        // the API server
	ReasonLive         = "Live"               // every Envoy concerned has it
	ReasonLiveHealthy  = "Healthy"            // it changes nothing that an Envoy has
	ReasonAcknowledged = "Waiting"            // Live is Unknown: not every Envoy has answered
	ReasonRefused      = "Refused"            // Live is False: an Envoy, or Gateway API's rules, refuse a part
	ReasonNotLive      = "NotLive"            // Live is False: nothing is applied, or no Envoy answers in time
)

// Problem is why a Sync is not Ready.
type Problem struct {
	Reason string
	// Message is the same as long as the problem is: no time, no resource version.
	Message string
	// Stalled: nothing gets better without somebody changing the repository or the Sync.
	Stalled bool
	// Result is what the history says about the commit; empty where the commit is not to blame.
	Result schema.SyncResult
	// Err is what happened, for the log; nil where Message says all.
	Err error
}

// Error implements error.
func (p *Problem) Error() string { return p.Reason + ": " + p.Message }

// Unwrap gives what happened.
func (p *Problem) Unwrap() error { return p.Err }

// Attempt is one commit on its way.
type Attempt struct {
	Revision, Author, Subject string
	// Seen is when somebody first looked who found the commit, Pushed when it was pushed; zero where no webhook told.
	Seen, Pushed time.Time
	// Hooked is when a webhook told of it; zero: none did.
	Hooked time.Time
	// Changed is how many objects it wrote and removed.
	Changed int
	// Hook is the wait between the push and the webhook; the others are how long each stage took.
	Hook, Fetch, Render, Apply, Ack time.Duration
	// Took is the time from seen to applied or to the error.
	Took time.Duration
	// Applied: all of it is in the cluster.
	Applied bool
	// Live is when every Envoy concerned had it; zero: not yet.
	Live time.Time
	// Unrouted: it changed nothing that an Envoy has.
	Unrouted bool
	// Reach is how far the Envoys are; nil: not known.
	Reach *Reach
	// Late: not every Envoy has answered in time.
	Late bool
	// Rewrote is the revision before where the commit does not come after it: history was rewritten.
	Rewrote string
	// Conflict says what it asks for that another Sync serves, where that is only told; empty: nothing.
	Conflict string
	// Refused says what is refused, with object, file and line; empty: nothing.
	Refused string
}

// since is when the time to live begins.
func (a *Attempt) since() time.Time {
	if a.Pushed.IsZero() {
		return a.Seen
	}
	return a.Pushed
}

// Short is the revision as people read it.
func (a *Attempt) Short() string { return short(a.Revision) }

// LiveAfter is the time from the push to live.
func (a *Attempt) LiveAfter() time.Duration { return a.Live.Sub(a.since()) }

// StageTime is how long a stage took.
type StageTime struct {
	Name string
	Took time.Duration
}

// Stages are those that took time, in their order.
func (a *Attempt) Stages() []StageTime {
	var out []StageTime
	for _, s := range []StageTime{{"hook", a.Hook}, {"fetch", a.Fetch}, {"render", a.Render}, {"apply", a.Apply}, {"ack", a.Ack}} {
		if s.Took > 0 {
			out = append(out, s)
		}
	}
	return out
}

// Where says on how many Envoys a live attempt is, and after how long.
func (a *Attempt) Where() string {
	after := " after " + a.LiveAfter().Round(time.Millisecond).String()
	if a.Reach == nil || len(a.Reach.Gateways) == 0 {
		return "without an Envoy" + after
	}
	e := a.Reach.Envoys()
	return fmt.Sprintf("on %d of %d Envoys%s", e.Acked, e.Total, after)
}

// Standing is how a Sync is doing, to be told in its status.
type Standing struct {
	// Generation of the Sync that this is about, and the request for a look that was acted on last.
	Generation int64
	Handled    string
	// Attempt is the commit that was tried last; nil: none since the start, and the status keeps what it says of commits.
	Attempt *Attempt
	// Problem is nil when there is none.
	Problem *Problem
	// Working: the attempt is on its way. Waiting: it is applied, and its objects are not healthy yet.
	Working, Waiting bool
	// Objects is how many the Sync owns and ConfigMaps where they are listed; negative: not known.
	Objects    int
	ConfigMaps []string
}

// Status gives the next status from the one before. The same standing gives the same status.
func (s *Standing) Status(old schema.SyncStatus, now time.Time) schema.SyncStatus {
	next := *old.DeepCopy()
	next.ObservedGeneration = s.Generation
	if s.Handled != "" {
		next.LastHandledReconcileAt = cut(s.Handled, 128)
	}
	if s.Objects >= 0 {
		next.Inventory = &schema.SyncInventory{Objects: int32(s.Objects), ConfigMaps: s.ConfigMaps}
	}
	if a := s.Attempt; a != nil {
		next.AttemptedRevision = cut(a.Revision, 512)
		if a.Applied {
			next.Revision = next.AttemptedRevision
		}
		next.History = s.history(next.History)
		next.Live = s.live(next.Live)
		if next.Forge != nil && !a.Hooked.IsZero() {
			hooked := metav1.NewTime(a.Hooked.Truncate(time.Second))
			next.Forge.HookTime = &hooked
		}
	}
	s.conditions(&next, now)
	return next
}

func (s *Standing) conditions(next *schema.SyncStatus, now time.Time) {
	set := func(kind string, status metav1.ConditionStatus, reason, message string) {
		meta.SetStatusCondition(&next.Conditions, metav1.Condition{
			Type: kind, Status: status, Reason: reason, Message: cut(message, 32000),
			ObservedGeneration: s.Generation, LastTransitionTime: metav1.NewTime(now.Truncate(time.Second)),
		})
	}
	if status, reason, message := s.readiness(); status != "" {
		set(schema.SyncReady, status, reason, message)
	}
	switch {
	case s.Problem != nil && s.Problem.Stalled:
		set(schema.SyncStalled, metav1.ConditionTrue, s.Problem.Reason, s.Problem.Message)
		meta.RemoveStatusCondition(&next.Conditions, schema.SyncReconciling)
	case s.Problem != nil:
		set(schema.SyncReconciling, metav1.ConditionTrue, ReasonRetrying, "it is tried again: "+s.Problem.Message)
		meta.RemoveStatusCondition(&next.Conditions, schema.SyncStalled)
	case s.Working || s.Waiting:
		set(schema.SyncReconciling, metav1.ConditionTrue, ReasonWorking, "a commit is on its way")
		meta.RemoveStatusCondition(&next.Conditions, schema.SyncStalled)
	default:
		meta.RemoveStatusCondition(&next.Conditions, schema.SyncReconciling)
		meta.RemoveStatusCondition(&next.Conditions, schema.SyncStalled)
	}
	switch {
	case s.Attempt != nil && s.Attempt.Applied:
		status, reason, message := s.Attempt.liveness()
		set(schema.SyncLive, status, reason, message)
	case meta.FindStatusCondition(next.Conditions, schema.SyncLive) == nil:
		set(schema.SyncLive, metav1.ConditionFalse, ReasonNotLive, "nothing is applied yet")
	}
	// Where nothing is said what is applied is what was, and as live as it was.
	for i := range next.Conditions {
		next.Conditions[i].ObservedGeneration = s.Generation
	}
}

// readiness gives the condition Ready; no status where there is nothing to say.
func (s *Standing) readiness() (metav1.ConditionStatus, string, string) {
	switch {
	case s.Problem != nil:
		return metav1.ConditionFalse, s.Problem.Reason, s.Problem.Message
	case s.Working:
		return metav1.ConditionUnknown, ReasonWorking, "a commit is on its way"
	case s.Waiting:
		return metav1.ConditionUnknown, ReasonHealth, "applied; waiting for its objects to be healthy"
	case s.Attempt != nil && s.Attempt.Applied:
		return metav1.ConditionTrue, ReasonApplied, s.applied() + s.Attempt.warned()
	}
	return "", "", ""
}

func (s *Standing) applied() string {
	switch {
	case s.Objects < 0:
		return "everything is as in Git"
	case s.Objects == 1:
		return "1 object is as in Git"
	}
	return fmt.Sprintf("%d objects are as in Git", s.Objects)
}

// warned is what the condition Ready says besides.
func (a *Attempt) warned() string {
	if a.Conflict == "" {
		return ""
	}
	return "; conflict: " + a.Conflict
}

// liveness says whether an applied commit is live.
func (a *Attempt) liveness() (metav1.ConditionStatus, string, string) {
	switch {
	case a.Refused != "":
		return metav1.ConditionFalse, ReasonRefused, a.Refused
	case !a.Live.IsZero() && a.Unrouted:
		return metav1.ConditionTrue, ReasonLiveHealthy, "it changes nothing that an Envoy has, and its objects are healthy"
	case !a.Live.IsZero():
		return metav1.ConditionTrue, ReasonLive, "every Envoy concerned has it"
	case a.Late:
		return metav1.ConditionFalse, ReasonNotLive, "applied, and not every Envoy concerned has answered in time"
	}
	return metav1.ConditionUnknown, ReasonAcknowledged, "applied; not every Envoy concerned has answered"
}

// live gives status.live.
func (s *Standing) live(old *schema.SyncLiveStatus) *schema.SyncLiveStatus {
	a := s.Attempt
	if !a.Applied {
		return old
	}
	next := &schema.SyncLiveStatus{}
	if old != nil {
		next = old.DeepCopy()
	}
	if a.Reach != nil {
		next.Gateways = nil
		for i, g := range a.Reach.Gateways {
			if i == maxGateways {
				break
			}
			next.Gateways = append(next.Gateways, schema.SyncGatewayStatus{
				Namespace: g.Namespace, Name: g.Name, Acked: int32(g.Envoys.Acked), Total: int32(g.Envoys.Total),
			})
		}
	}
	if a.Live.IsZero() || a.Refused != "" {
		return next
	}
	revision := cut(a.Revision, 512)
	if next.Revision == revision && next.Since != nil {
		return next // it was live before, and a restart does not make it later
	}
	next.Revision = revision
	since, push := metav1.NewTime(a.Live), metav1.NewMicroTime(a.since())
	next.Since, next.Push = &since, &push
	next.Took = span(a.Live.Sub(a.since()))
	next.Stages = &schema.SyncStages{Hook: span(a.Hook), Fetch: span(a.Fetch), Render: span(a.Render), Apply: span(a.Apply), Ack: span(a.Ack)}
	return next
}

// maxGateways is how many Gateways status.live lists.
const maxGateways = 64

// history puts the attempt in front, or brings its entry up to date.
func (s *Standing) history(old []schema.SyncHistory) []schema.SyncHistory {
	a := s.Attempt
	entry := schema.SyncHistory{
		Revision: cut(a.Revision, 512), Author: cut(a.Author, 256), Subject: cut(a.Subject, 256),
		Time: metav1.NewTime(a.Seen), Duration: span(a.Took),
	}
	switch {
	case s.Problem != nil && s.Problem.Result != "":
		entry.Result, entry.Message = s.Problem.Result, cut(s.Problem.Message, 2048)
	case a.Applied:
		entry.Result = schema.ResultApplied
		changed := int32(min(a.Changed, 1<<30))
		entry.Changed = &changed
	default:
		return old
	}
	rest := old
	if len(old) > 0 && old[0].Revision == entry.Revision {
		before := old[0]
		if before.Result == entry.Result {
			// The same commit again, as after a restart: it was seen when it was seen first.
			entry.Time, entry.Duration = before.Time, before.Duration
			entry.LiveTime, entry.LiveAfter = before.LiveTime, before.LiveAfter
			if before.Changed != nil {
				entry.Changed = before.Changed
			}
		}
		rest = old[1:]
	}
	if entry.Result == schema.ResultApplied && entry.LiveTime == nil && !a.Live.IsZero() && a.Refused == "" {
		live := metav1.NewTime(a.Live)
		entry.LiveTime, entry.LiveAfter = &live, span(a.Live.Sub(a.since()))
	}
	next := append([]schema.SyncHistory{entry}, rest...)
	return slices.Clip(next[:min(len(next), schema.SyncHistoryLimit)])
}

// span is a duration as a status tells it; empty for less than a millisecond.
func span(d time.Duration) string {
	if d = d.Round(time.Millisecond); d <= 0 {
		return ""
	}
	return d.String()
}

// cut shortens a text to a number of bytes.
func cut(s string, limit int) string {
	s = strings.ToValidUTF8(s, "�")
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit-len("…")], "") + "…"
}
