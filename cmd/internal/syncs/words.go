package syncs

import (
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"headgate.dev/schema"
)

// Hash is the commit of a revision, in 40 digits; empty where it has none.
func Hash(revision string) string {
	_, hash, _ := cut(revision)
	return hash
}

// Short is a revision as people read it: "main@4f2a9c1".
func Short(revision string) string {
	name, hash, ok := cut(revision)
	switch {
	case !ok:
		return revision
	case name == "":
		return abbreviated(hash)
	}
	return name + "@" + abbreviated(hash)
}

func cut(revision string) (name, hash string, ok bool) {
	const algorithm = "sha1:"
	at := strings.LastIndex(revision, algorithm)
	if at < 0 {
		return "", "", false
	}
	return strings.TrimSuffix(revision[:at], "@"), revision[at+len(algorithm):], true
}

func abbreviated(hash string) string {
	const digits = 7
	if len(hash) <= digits {
		return hash
	}
	return hash[:digits]
}

// span is a duration in the largest unit that says enough.
func span(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", max(d, 0).Milliseconds())
	case d < 10*time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d d", int(d.Hours()/24))
}

// ago is how long ago a time was. A clock that is a little ahead makes nothing happen in the future.
func (t Teller) ago(at time.Time) string {
	if d := t.Now.Sub(at); d >= time.Second {
		return span(d.Truncate(time.Second)) + " ago"
	}
	return "just now"
}

// age is the same in a column, as kubectl has it: "12s", "5m", "7h", "3d".
func (t Teller) age(at metav1.Time) string {
	if at.IsZero() {
		return "<unknown>"
	}
	d := max(t.Now.Sub(at.Time), 0)
	switch {
	case d < 2*time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}

// took is the text of a duration in a status, as people read it.
func took(text string) string {
	d, err := time.ParseDuration(text)
	if err != nil {
		return text
	}
	return span(d)
}

// stages are the parts of a time to live: "hook 503, fetch 180", in milliseconds.
func stages(s *schema.SyncStages) string {
	if s == nil {
		return ""
	}
	var out []string
	for _, stage := range []struct{ name, took string }{
		{"hook", s.Hook}, {"fetch", s.Fetch}, {"render", s.Render}, {"apply", s.Apply}, {"ack", s.Ack},
	} {
		if d, err := time.ParseDuration(stage.took); err == nil && d > 0 {
			out = append(out, fmt.Sprintf("%s %d", stage.name, d.Milliseconds()))
		}
	}
	return strings.Join(out, ", ")
}

// envoys says how many Envoys of which Gateways have acknowledged: "3 of 3 Envoys of infra/public, 1 of 2 of infra/intern".
func envoys(gateways []schema.SyncGatewayStatus) string {
	var out []string
	for i, g := range gateways {
		noun := ""
		if i == 0 {
			noun = " Envoys"
		}
		out = append(out, fmt.Sprintf("%d of %d%s of %s/%s", g.Acked, g.Total, noun, g.Namespace, g.Name))
	}
	return strings.Join(out, ", ")
}

// about is what is known of a commit from the history; nil where it is not in it.
func about(s *schema.Sync, revision string) *schema.SyncHistory {
	for i := range s.Status.History {
		if h := &s.Status.History[i]; h.Revision == revision {
			return h
		}
	}
	return nil
}

// following is what of the repository a Sync follows, in a word.
func following(s *schema.Sync) string {
	r := s.Spec.Ref
	switch {
	case r == nil:
		return "its default branch"
	case r.Commit != "":
		return "commit " + abbreviated(r.Commit)
	case r.Branch != "":
		return r.Branch
	case r.Tag != "":
		return "tag " + r.Tag
	case r.SemVer != "":
		return "tags " + r.SemVer
	case r.Name != "":
		return r.Name
	}
	return "its default branch"
}

func condition(s *schema.Sync, kind string) *metav1.Condition {
	return meta.FindStatusCondition(s.Status.Conditions, kind)
}

// statusOf is the status of a condition; empty where there is none.
func statusOf(s *schema.Sync, kind string) metav1.ConditionStatus {
	if c := condition(s, kind); c != nil {
		return c.Status
	}
	return ""
}

// current tells whether the status is about the Sync as it is now.
func current(s *schema.Sync) bool { return s.Status.ObservedGeneration == s.Generation }
