package controller

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"

	"headgate.dev/agent"
	"headgate.dev/schema"
)

// telling is what was told of a Sync last, so that nothing is told twice.
type telling struct {
	applied, live, refused, problem, rewrote, conflict string
}

// begin takes over what a process before has told.
func (t *telling) begin(s *schema.SyncStatus) {
	t.applied = s.Revision
	if s.Live != nil {
		t.live = s.Live.Revision
	}
}

// event is something that happened.
type event struct {
	kind, reason, action, note string
	// result is what became of a commit, where that is what happened.
	result string
}

// news gives what happened between two reports.
func (t *telling) news(s *agent.Standing) []event {
	var out []event
	a := s.Attempt
	if a != nil && a.Applied && t.applied != a.Revision {
		t.applied = a.Revision
		out = append(out, event{corev1.EventTypeNormal, "Applied", "Apply",
			fmt.Sprintf("%s %q by %s is applied", a.Short(), a.Subject, a.Author), string(schema.ResultApplied)})
	}
	problem := ""
	if s.Problem != nil {
		problem = s.Problem.Reason + ": " + s.Problem.Message
	}
	if problem != "" && problem != t.problem {
		out = append(out, event{corev1.EventTypeWarning, s.Problem.Reason, "Sync", s.Problem.Message, string(s.Problem.Result)})
	}
	t.problem = problem
	if a == nil {
		return out
	}
	return append(out, t.after(a)...)
}

// after gives what happened after a commit was applied.
func (t *telling) after(a *agent.Attempt) []event {
	var out []event
	if a.Rewrote != "" && a.Rewrote != t.rewrote {
		out = append(out, event{corev1.EventTypeWarning, "HistoryRewritten", "Fetch",
			a.Short() + " does not come after " + agent.ShortRevision(a.Rewrote) + ": history was rewritten, and is followed", ""})
	}
	if a.Conflict != "" && a.Conflict != t.conflict {
		out = append(out, event{corev1.EventTypeWarning, "Conflict", "Apply", a.Conflict, ""})
	}
	if a.Refused != "" && a.Refused != t.refused {
		out = append(out, event{corev1.EventTypeWarning, "Refused", "Serve", a.Refused, ""})
	}
	if !a.Live.IsZero() && t.live != a.Revision {
		t.live = a.Revision
		out = append(out, event{corev1.EventTypeNormal, "Live", "Serve", a.Short() + " is live " + a.Where(), ""})
	}
	t.rewrote, t.refused, t.conflict = a.Rewrote, a.Refused, a.Conflict
	return out
}

// report writes the status, and tells what happened.
func (x *actor) report(ctx context.Context, standing *agent.Standing) {
	x.mu.Lock()
	s := x.sync
	x.mu.Unlock()
	happened := x.told.news(standing)
	before, after, err := x.agent.statuses.Update(ctx, s, func(status *schema.SyncStatus) {
		*status = standing.Status(*status, x.agent.now())
	})
	if err != nil && ctx.Err() == nil {
		x.log.Warn("telling how the Sync is doing", "error", err)
		// The next report tells it.
	}
	p := standing.Problem
	x.denied.Store(p != nil && (p.Reason == agent.ReasonPolicy || p.Reason == agent.ReasonOwned))
	x.measure(happened, standing.Attempt)
	for _, e := range happened {
		x.agent.recorder.Eventf(s, nil, e.kind, e.reason, e.action, "%s", truncate(e.note))
		x.log.Info(e.note, "reason", e.reason)
	}
	x.tellHost(ctx, s, &after)
	if becameReady(&before, &after) {
		x.agent.release(x.owner)
	}
	ready.WithLabelValues(x.owner.Namespace, x.owner.Name).Set(map[bool]float64{true: 1}[isReady(&after)])
	if after.Inventory != nil {
		objects.WithLabelValues(x.owner.Namespace, x.owner.Name).Set(float64(after.Inventory.Objects))
	}
}

func isReady(s *schema.SyncStatus) bool {
	return meta.IsStatusConditionTrue(s.Conditions, schema.SyncReady)
}

// becameReady tells whether what waits for a Sync may go on: it is Ready, and was not, or with another revision.
func becameReady(before, after *schema.SyncStatus) bool {
	return isReady(after) && (!isReady(before) || before.ObservedGeneration != after.ObservedGeneration)
}

// truncate keeps a note within what an event may have.
func truncate(note string) string {
	const limit = 1024
	if len(note) <= limit {
		return note
	}
	return note[:limit-3] + "..."
}
