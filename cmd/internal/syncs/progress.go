package syncs

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"headgate.dev/agent"
	"headgate.dev/schema"
)

// Progress tells how a Sync gets to where something asked for leads: a look at its repository, or a changed spec. It is told the Sync each time it changed.
type Progress struct {
	// Request is the value of the annotation schema.ReconcileRequest that is to be acted on; empty: none.
	Request string
	// Before is the revision that was applied when it was asked.
	Before string

	seen, applied, problem, waiting, reach string // what was told last
}

// Outcome is how it ended.
type Outcome int

// Outcomes.
const (
	Underway Outcome = iota
	// Done: the commit is live, or there was nothing new.
	Done
	// Failed: it does not become live without somebody doing something.
	Failed
)

// Next gives the lines that are new, and how it stands.
func (p *Progress) Next(t Teller, s *schema.Sync) (lines []string, outcome Outcome) {
	if s.DeletionTimestamp != nil {
		return []string{"the Sync is being deleted"}, Failed
	}
	if s.Spec.Suspend {
		return []string{"the Sync is suspended, so nothing is looked at: " + t.Program + " resume " + Ref(s)}, Failed
	}
	if !p.heard(s) {
		return nil, Underway
	}
	if r := s.Status.AttemptedRevision; r != "" {
		lines = said(&p.seen, r, lines, "fetch  "+Short(r)+p.new(s, r))
	}
	ready, stalled := condition(s, schema.SyncReady), statusOf(s, schema.SyncStalled) == metav1.ConditionTrue
	switch {
	case ready == nil:
		return lines, Underway
	case ready.Status == metav1.ConditionFalse && (stalled || ready.Reason == agent.ReasonUnhealthy):
		lines = said(&p.problem, ready.Message, lines, ready.Reason+": "+ready.Message)
		return append(lines, t.remedy(s, ready.Reason)...), Failed
	case ready.Status == metav1.ConditionFalse:
		return said(&p.problem, ready.Message, lines, ready.Reason+", tried again by itself: "+ready.Message), Underway
	case s.Status.Revision != s.Status.AttemptedRevision:
		return lines, Underway
	}
	lines = said(&p.applied, s.Status.Revision, lines, "apply  "+appliedWords(s))
	if ready.Status != metav1.ConditionTrue {
		return said(&p.waiting, ready.Message, lines, "wait   "+ready.Message), Underway
	}
	more, outcome := p.live(t, s)
	return append(lines, more...), outcome
}

// said appends a line, unless what it is about is what the memory has already.
func said(memory *string, about string, lines []string, line string) []string {
	if *memory == about {
		return lines
	}
	*memory = about
	return append(lines, line)
}

// heard tells whether the status is about what was asked.
func (p *Progress) heard(s *schema.Sync) bool {
	return current(s) && (p.Request == "" || s.Status.LastHandledReconcileAt == p.Request)
}

func (p *Progress) new(s *schema.Sync, revision string) string {
	text := ""
	if h := about(s, revision); h != nil {
		text = " " + who(h)
	}
	if revision == p.Before {
		return text + ", nothing new"
	}
	return text
}

func appliedWords(s *schema.Sync) string {
	text := Short(s.Status.Revision)
	if h := about(s, s.Status.Revision); h != nil && h.Duration != "" {
		text += " " + took(h.Duration) + " after it was seen"
	}
	if s.Status.Inventory != nil {
		text += fmt.Sprintf(", %d owned", s.Status.Inventory.Objects)
	}
	return text
}

// live says how far the Envoys are.
func (p *Progress) live(t Teller, s *schema.Sync) ([]string, Outcome) {
	c, l := condition(s, schema.SyncLive), s.Status.Live
	switch {
	case c == nil:
		return nil, Underway
	case l == nil:
		l = &schema.SyncLiveStatus{}
	}
	switch c.Status {
	case metav1.ConditionTrue:
		return []string{"live   " + liveWords(c, l)}, Done
	case metav1.ConditionFalse:
		return append([]string{"not live: " + c.Reason + ": " + c.Message}, t.serving(s, c.Reason)...), Failed
	}
	if reach := envoys(l.Gateways); reach != p.reach {
		p.reach = reach
		return []string{"ack    " + reach}, Underway
	}
	return nil, Underway
}
