package agent

import (
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"headgate.dev/agent/preview"
	"headgate.dev/schema"
)

// PreviewStanding is how a preview is doing, to be told in its status.
type PreviewStanding struct {
	// Generation of the Preview that this is about.
	Generation int64
	// Commit is the head, Pushed when it was first seen.
	Commit string
	Pushed time.Time
	// Revision is what is applied, with where it answers and what is left out of it; empty: nothing is.
	Revision string
	URL      string
	Sites    []preview.Site
	Refusals []preview.Refusal
	// Problem is nil when there is none.
	Problem *Problem
	// Waiting: the head is applied, and its objects are not healthy yet.
	Waiting bool
	// Same: the head is applied, and nothing differs.
	Same bool
	// Live is when every Envoy concerned had the head; zero: not yet. LiveAfter is how long after the push.
	Live      time.Time
	LiveAfter time.Duration
	// Late: not every Envoy has answered in time. Unrouted: it changed nothing that an Envoy has. Refused says what an Envoy refuses.
	Late, Unrouted bool
	Refused        string
	// Ended: nothing is left.
	Ended bool
}

// begin takes over what a process before has told.
func (s *PreviewStanding) begin(p *schema.Preview) {
	s.Revision, s.URL = p.Status.Revision, p.Status.URL
	for _, site := range p.Status.Sites {
		s.Sites = append(s.Sites, preview.Site{Service: site.Service, Namespace: site.Namespace, Host: site.Host})
	}
	if p.Status.ObservedGeneration != p.Generation || p.Status.Pushed == nil {
		return
	}
	s.Commit, s.Pushed = p.Spec.Commit, p.Status.Pushed.Time
	c := meta.FindStatusCondition(p.Status.Conditions, schema.PreviewLive)
	if c != nil && c.Status == metav1.ConditionTrue && s.Serving() == s.Commit {
		s.Live, s.LiveAfter = c.LastTransitionTime.Time, c.LastTransitionTime.Sub(s.Pushed)
		s.Unrouted = c.Reason == ReasonLiveHealthy
		if _, rest, ok := strings.Cut(c.Message, liveMessage); ok {
			text, _, _ := strings.Cut(rest, " ")
			if after, err := time.ParseDuration(text); err == nil {
				s.LiveAfter = after
			}
		}
	}
}

// push makes a commit the head.
func (s *PreviewStanding) push(commit string, now time.Time) {
	s.Commit, s.Pushed = commit, now
	s.Live, s.LiveAfter = time.Time{}, 0
}

// applied notes that a revision is in the cluster.
func (s *PreviewStanding) applied(revision string, p *preview.Plan, url string) {
	if s.Revision != revision {
		s.Live, s.LiveAfter, s.Unrouted = time.Time{}, 0, false
	}
	s.Revision, s.URL, s.Sites, s.Refusals = revision, url, p.Sites, p.Refusals
	s.Late, s.Refused = false, ""
	s.Same = p.Objects.Len() == 0
}

// end notes that nothing is in the cluster any more.
func (s *PreviewStanding) end() {
	*s = PreviewStanding{Generation: s.Generation, Commit: s.Commit, Pushed: s.Pushed}
}

// Serving is the commit that is applied, empty where nothing is.
func (s *PreviewStanding) Serving() string {
	_, hash, _ := cutRevision(s.Revision)
	return hash
}

// isApplied tells whether the head is what is applied.
func (s *PreviewStanding) isApplied() bool { return s.Revision != "" && s.Serving() == s.Commit }

// liveMessage is in front of the time from the push to live.
const liveMessage = "every Envoy concerned has it, after "

// maxSites and maxRefusals are how many a status lists, as its definition says.
const (
	maxSites    = 64
	maxRefusals = 32
)

// Status gives the next status from the one before. The same standing gives the same status.
func (s *PreviewStanding) Status(old schema.PreviewStatus, now time.Time) schema.PreviewStatus {
	next := *old.DeepCopy()
	next.ObservedGeneration = s.Generation
	next.URL, next.Revision = cut(s.URL, 512), cut(s.Revision, 512)
	if pushed := metav1.NewTime(s.Pushed.Truncate(time.Second)); !s.Pushed.IsZero() && (next.Pushed == nil || !next.Pushed.Equal(&pushed)) {
		next.Pushed = &pushed
	}
	next.Sites, next.Refusals = nil, nil
	for i, site := range s.Sites {
		if i == maxSites {
			break
		}
		next.Sites = append(next.Sites, schema.PreviewSite{Service: cut(site.Service, 253), Namespace: site.Namespace, Host: site.Host})
	}
	for i, r := range s.Refusals {
		if i == maxRefusals {
			break
		}
		next.Refusals = append(next.Refusals, cut(r.Error.Error(), 1024))
	}
	set := func(kind string, status metav1.ConditionStatus, reason, message string) {
		meta.SetStatusCondition(&next.Conditions, metav1.Condition{
			Type: kind, Status: status, Reason: reason, Message: cut(message, 32000),
			ObservedGeneration: s.Generation, LastTransitionTime: metav1.NewTime(now.Truncate(time.Second)),
		})
	}
	status, reason, message := s.readiness()
	set(schema.PreviewReady, status, reason, message)
	status, reason, message = s.liveness()
	set(schema.PreviewLive, status, reason, message)
	return next
}

// readiness gives the condition Ready.
func (s *PreviewStanding) readiness() (metav1.ConditionStatus, string, string) {
	switch {
	case s.Problem != nil:
		return metav1.ConditionFalse, s.Problem.Reason, s.Problem.Message
	case !s.isApplied():
		return metav1.ConditionUnknown, ReasonWorking, "the commit is on its way"
	case s.Waiting:
		return metav1.ConditionUnknown, ReasonHealth, "applied; waiting for its objects to be healthy"
	case len(s.Refusals) > 0:
		return metav1.ConditionTrue, ReasonApplied, "all that has a place in a preview is applied; left out: " + refusals(s.Refusals)
	case s.Same:
		return metav1.ConditionTrue, ReasonSame, "nothing differs from production, which answers everything"
	}
	return metav1.ConditionTrue, ReasonApplied, "all of the commit is applied"
}

// liveness gives the condition Live: of what is applied, whatever is the matter with the head.
func (s *PreviewStanding) liveness() (metav1.ConditionStatus, string, string) {
	switch {
	case s.Revision == "":
		return metav1.ConditionFalse, ReasonNotLive, "nothing is applied yet"
	case !s.isApplied():
		return metav1.ConditionFalse, ReasonNotLive, short(s.Revision) + " is served, and the head is not"
	case s.Refused != "":
		return metav1.ConditionFalse, ReasonRefused, s.Refused
	case s.Late:
		return metav1.ConditionFalse, ReasonNotLive, "applied, and not every Envoy concerned has answered in time"
	case s.Live.IsZero():
		return metav1.ConditionUnknown, ReasonAcknowledged, "applied; not every Envoy concerned has answered"
	case s.Unrouted:
		return metav1.ConditionTrue, ReasonLiveHealthy, "it changes nothing that an Envoy has, and its objects are healthy"
	}
	return metav1.ConditionTrue, ReasonLive, fmt.Sprintf("%s%s from the push", liveMessage, s.LiveAfter.Round(time.Millisecond))
}

// say reports how the preview is doing.
func (d *PreviewDriver) say() {
	d.report(&d.standing)
	d.tell()
}

// tell hands the report to whoever wants to know, unless it is what was told last.
func (d *PreviewDriver) tell() {
	if d.shared.World.Previewed == nil {
		return
	}
	s := &d.standing
	r := PreviewReport{
		Sync: d.sync, Preview: d.name, Name: d.spec.Name, Number: d.spec.Number, Commit: s.Commit, Base: d.spec.Base, Fork: d.spec.Fork,
		Sites: s.Sites, URL: s.URL, Refusals: s.Refusals, Problem: s.Problem, Serving: s.Serving(), Applied: s.isApplied(),
		Live: s.Live, LiveAfter: s.LiveAfter, Ended: s.Ended,
	}
	if p := d.planned; p != nil {
		r.Sites, r.Refusals, r.Refused = p.sites, p.refusals, p.refused
		r.Before, r.After = d.before, d.change.Onto(d.before)
	}
	message := ""
	if s.Problem != nil {
		message = s.Problem.Error()
	}
	told := fmt.Sprint(r.Commit, r.Base, r.Fork, r.Sites, r.URL, len(r.Refusals), refusals(r.Refusals), r.Refused, message, r.Serving, r.Applied, r.Live.UnixNano(), r.Ended,
		fmt.Sprintf("%p", r.Before))
	if told != d.told {
		d.told = told
		d.shared.World.Previewed(r)
	}
}
