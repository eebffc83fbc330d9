package syncs

import (
	"fmt"
	"regexp"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"headgate.dev/cmd/internal/term"
	"headgate.dev/schema"
)

// Status is one screen about a Sync: where it comes from, which commit is applied, how live it is, what it owns; and where something
// is not as it should be, what, and what to do next.
func (t Teller) Status(s *schema.Sync) string {
	rows := [][]string{t.source(s), t.revision(s)}
	if row := t.attempt(s); row != nil {
		rows = append(rows, row)
	}
	rows = append(rows, t.live(s), objects(s))
	if row := ready(s); row != nil {
		rows = append(rows, row)
	}
	for i, next := range t.next(s) {
		label := ""
		if i == 0 {
			label = "Next"
		}
		rows = append(rows, []string{label, next})
	}
	return t.paint(term.Fit(0, rows))
}

// word is the first word of the rows that are painted.
var word = regexp.MustCompile(`(?m)^((?:Live|Ready) +)(yes|no|waiting)( |$)`)

func (t Teller) paint(text string) string {
	return word.ReplaceAllStringFunc(text, func(line string) string {
		m := word.FindStringSubmatch(line)
		paint := map[string]func(string) string{"yes": t.Style.Good, "no": t.Style.Bad, "waiting": t.Style.Warn}[m[2]]
		return m[1] + paint(m[2]) + m[3]
	})
}

func (t Teller) source(s *schema.Sync) []string {
	text := s.Spec.URL + " " + following(s)
	if s.Spec.Path != "" {
		text += " · path " + s.Spec.Path
	}
	interval := string(s.Spec.Interval)
	if interval == "" {
		interval = "1m"
	}
	switch {
	case s.DeletionTimestamp != nil:
		text += " · being deleted, since " + t.ago(s.DeletionTimestamp.Time)
	case s.Spec.Suspend:
		text += " · suspended"
	default:
		text += " · every " + interval
		if f := s.Status.Forge; f != nil && f.HookTime != nil {
			text += ", hook " + t.ago(f.HookTime.Time)
		}
	}
	const short = 30
	if name := s.Namespace + "/" + s.Name; len(name) > short {
		return []string{"Sync", name + "  " + text} // so that the other rows keep their room
	}
	return []string{"Sync", s.Namespace + "/" + s.Name, text}
}

func (t Teller) revision(s *schema.Sync) []string {
	if s.Status.Revision == "" {
		return []string{"Revision", "none", "nothing is applied yet"}
	}
	text := t.commit(s, s.Status.Revision)
	if s.Spec.Pin != "" {
		text = strings.TrimPrefix(text+" · pinned", " · ")
		if Hash(s.Status.Revision) != s.Spec.Pin {
			text += " to " + abbreviated(s.Spec.Pin)
		}
	}
	return []string{"Revision", Short(s.Status.Revision), text}
}

// commit is subject, author and age of a commit, as far as they are known.
func (t Teller) commit(s *schema.Sync, revision string) string {
	h := about(s, revision)
	if h == nil {
		return ""
	}
	return who(h) + ", " + t.ago(h.Time.Time)
}

func who(h *schema.SyncHistory) string {
	text := fmt.Sprintf("%q", h.Subject)
	if h.Author != "" {
		text += " by " + h.Author
	}
	return text
}

// attempt is the commit that was tried last, where it is not the one that is applied.
func (t Teller) attempt(s *schema.Sync) []string {
	revision := s.Status.AttemptedRevision
	if revision == "" || revision == s.Status.Revision {
		return nil
	}
	h := about(s, revision)
	switch {
	case h == nil:
		return []string{"Tried", Short(revision), "on its way"}
	case h.Result == schema.ResultApplied: // it was applied before, and is on its way again
		return []string{"Tried", Short(revision), who(h) + ", on its way"}
	}
	return []string{"Tried", Short(revision), who(h) + ", " + strings.ToLower(string(h.Result)) + " " + t.ago(h.Time.Time)}
}

func (t Teller) live(s *schema.Sync) []string {
	c, l := condition(s, schema.SyncLive), s.Status.Live
	if c == nil {
		return []string{"Live", "no", "nothing is applied yet"}
	}
	if l == nil {
		l = &schema.SyncLiveStatus{}
	}
	switch c.Status {
	case metav1.ConditionTrue:
		return []string{"Live", "yes", liveWords(c, l)}
	case metav1.ConditionUnknown:
		text := c.Message
		if len(l.Gateways) > 0 {
			text = "acknowledged by " + envoys(l.Gateways)
		}
		return []string{"Live", "waiting", text}
	}
	text := c.Reason + ": " + c.Message
	if len(l.Gateways) > 0 {
		text += " · acknowledged by " + envoys(l.Gateways)
	}
	if l.Revision != "" && l.Revision != s.Status.Revision {
		text += " · live last: " + Short(l.Revision)
	}
	return []string{"Live", "no", text}
}

// liveWords says where a live commit is, and how long that took.
func liveWords(c *metav1.Condition, l *schema.SyncLiveStatus) string {
	text := c.Message
	if len(l.Gateways) > 0 {
		text = "on " + envoys(l.Gateways)
	}
	if l.Took == "" {
		return text
	}
	from := "it was seen"
	if l.Stages != nil && l.Stages.Hook != "" {
		from = "the push"
	}
	text += " · " + took(l.Took) + " after " + from
	if parts := stages(l.Stages); parts != "" {
		text += " (" + parts + ")"
	}
	return text
}

func objects(s *schema.Sync) []string {
	text := "none yet"
	if s.Status.Inventory != nil {
		text = fmt.Sprintf("%d owned", s.Status.Inventory.Objects)
	}
	if h := about(s, s.Status.Revision); h != nil && h.Changed != nil {
		text += fmt.Sprintf(" · %d changed", *h.Changed)
	}
	if d := s.Status.Drift; d != nil {
		text += fmt.Sprintf(" · %d drifted", d.Objects)
		if d.Open > 0 {
			text += fmt.Sprintf(" (fields: %d)", d.Open)
		}
	}
	if s.Spec.Prune != nil && !*s.Spec.Prune {
		text += " · what Git has no longer stays (prune: false)"
	}
	return []string{"Objects", text}
}

// ready says why a Sync is not Ready; nil where it is.
func ready(s *schema.Sync) []string {
	c := condition(s, schema.SyncReady)
	switch {
	case c == nil:
		return []string{"Ready", "no", "nobody has looked at it yet"}
	case c.Status == metav1.ConditionFalse && statusOf(s, schema.SyncStalled) == metav1.ConditionTrue:
		return []string{"Ready", "no", c.Reason + ": " + c.Message}
	case c.Status == metav1.ConditionFalse:
		return []string{"Ready", "no", c.Reason + ", tried again by itself: " + c.Message}
	case !current(s) && !s.Spec.Suspend:
		return []string{"Ready", "waiting", "what was changed in the Sync has not been acted on yet"}
	case c.Status == metav1.ConditionUnknown:
		return []string{"Ready", "waiting", c.Message}
	}
	return nil
}
