package verdict

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"headgate.dev/agent"
	"headgate.dev/agent/forge"
	"headgate.dev/schema"
)

// Verdict is what the host is told of one commit.
type Verdict struct {
	Commit string // its id
	State  forge.StatusState
	Text   string
}

// ended: nothing more is expected of the commit.
func (v Verdict) ended() bool { return v.State != forge.Pending }

// Of reads out of a Sync's status what became of the commit that was tried last; false where there is nothing to say. It is the same after a restart.
func Of(s *schema.SyncStatus) (Verdict, bool) {
	v := Verdict{Commit: s.AttemptedRevision[strings.LastIndexByte(s.AttemptedRevision, ':')+1:], State: forge.Pending}
	if v.Commit == "" {
		return v, false
	}
	if problem := blame(s); problem != "" {
		v.State, v.Text = forge.Failure, problem
		if _, rest, named := strings.Cut(problem, "@"+v.Commit[:min(7, len(v.Commit))]+": "); named {
			v.Text = rest // the host shows it at the commit
		}
		return v, true
	}
	v.Text = "on its way"
	if s.Revision == s.AttemptedRevision {
		v.State, v.Text = appliedVerdict(s)
	}
	return v, true
}

// appliedVerdict is what there is to say of a commit that is applied.
func appliedVerdict(s *schema.SyncStatus) (forge.StatusState, string) {
	live := meta.FindStatusCondition(s.Conditions, schema.SyncLive)
	switch {
	case live != nil && live.Status == metav1.ConditionTrue && s.Live != nil && s.Live.Revision == s.Revision:
		return forge.Success, liveText(s.Live, live.Reason)
	case live != nil && live.Status == metav1.ConditionFalse:
		return forge.Failure, live.Message
	}
	return forge.Pending, "applied, and on its way to the Envoys"
}

// blame is what is wrong with the commit itself; a repository that does not answer is not its fault.
func blame(s *schema.SyncStatus) string {
	if len(s.History) == 0 || s.History[0].Revision != s.AttemptedRevision || s.History[0].Result == schema.ResultApplied {
		return ""
	}
	return cmp.Or(s.History[0].Message, string(s.History[0].Result))
}

func liveText(live *schema.SyncLiveStatus, reason string) string {
	after := ""
	if took, err := time.ParseDuration(live.Took); err == nil {
		after = " in " + seconds(took)
	}
	if reason != agent.ReasonLive || len(live.Gateways) == 0 {
		return "applied" + after + "; it changes nothing that an Envoy has"
	}
	var acked, total int32
	for _, g := range live.Gateways {
		acked, total = acked+g.Acked, total+g.Total
	}
	noun := "Envoys"
	if total == 1 {
		noun = "Envoy"
	}
	return fmt.Sprintf("live on %d of %d %s%s", acked, total, noun, after)
}

// seconds is a duration as people say it: "0.8 s", "12 s", "3 min".
func seconds(d time.Duration) string {
	switch {
	case d < 10*time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < 2*time.Minute:
		return fmt.Sprintf("%.0f s", d.Seconds())
	}
	return fmt.Sprintf("%.0f min", d.Minutes())
}

// Said is what a host was told last by this process.
type Said struct{ Last Verdict }

// Next gives what is still to be said, the oldest first: of a commit that another one has overtaken before it was live, that it was. What was said once of
// a commit that ended so is not said again in other words, as when a fleet has grown.
func (s Said) Next(want Verdict) []Verdict {
	var out []Verdict
	if s.Last.Commit != "" && s.Last.Commit != want.Commit && !s.Last.ended() {
		out = append(out, Verdict{s.Last.Commit, forge.Failure, "overtaken by " + want.Commit[:min(7, len(want.Commit))] + " before it was live"})
	}
	if s.Last.Commit == want.Commit && s.Last.State == want.State && (want.State == forge.Success || s.Last.Text == want.Text) {
		return out
	}
	return append(out, want)
}
