package drift

import (
	"fmt"
	"strings"
	"time"
)

// Headline says in one line what a notice is about: "HTTPRoute team-a/cart drifted: spec.rules[0].timeouts.request by kubectl-edit".
func (n *Notice) Headline() string {
	switch n.Phase {
	case Resolved:
		return fmt.Sprintf("%s: resolved after %s%s", n.Object, short(n.At.Sub(n.Opened)), n.because())
	case Noted:
		return fmt.Sprintf("%s: put back by headgate after %s", n.Object, short(n.At.Sub(n.Records[0].Updated)))
	}
	verb := "drifted"
	if n.Phase == Updated {
		verb = "is still drifted"
	}
	if len(n.Records) == 1 && n.Records[0].What == Deleted {
		return fmt.Sprintf("%s was deleted", n.Object)
	}
	if len(n.Records) == 1 {
		return fmt.Sprintf("%s %s: %s%s", n.Object, verb, n.Records[0].Path, strings.TrimPrefix(by(&n.Records[0]), " "))
	}
	return fmt.Sprintf("%s %s: %d fields of %s", n.Object, verb, len(n.Records), n.Group)
}

func (n *Notice) because() string {
	var reasons []string
	seen := map[Reason]bool{}
	for i := range n.Records {
		if r := n.Records[i].Reason; r != "" && !seen[r] {
			seen[r] = true
			reasons = append(reasons, string(r))
		}
	}
	if reasons == nil {
		return ": the policy or who changed it is another one now"
	}
	return ": " + strings.Join(reasons, ", ")
}

// Lines says what a notice is about, a line for each field and what can be done about it. Ref is how the commands name the object ("team-a/cart").
func (n *Notice) Lines() []string {
	var out []string
	fight, alert := false, false
	for i := range n.Records {
		r := &n.Records[i]
		out = append(out, r.Text())
		if r.Failed != "" {
			out = append(out, "putting it back did not work: "+r.Failed)
		}
		fight, alert = fight || r.Fight, alert || r.Do == Alert
	}
	if n.Phase != Opened && n.Phase != Updated {
		return out
	}
	ref := n.Object.Kind + "/" + n.Object.Name
	if n.Object.Namespace != "" {
		ref = n.Object.Kind + "/" + n.Object.Namespace + "/" + n.Object.Name
	}
	if fight {
		out = append(out, fmt.Sprintf("headgate and %s change it in turns: headgate put it back %d times in %d minutes and has stopped",
			n.parties(), fightPuts, int(fightWindow/time.Minute)))
	}
	if alert || fight {
		out = append(out, fmt.Sprintf("put it back: headgate drift correct %s · keep it: headgate drift adopt %s (prints the patch for Git)", ref, ref))
	}
	return out
}

func (n *Notice) parties() string {
	for i := range n.Records {
		if r := &n.Records[i]; r.Fight && len(r.By) > 0 {
			return r.Managers()
		}
	}
	return "somebody else"
}

// Text gives a record in one line: "spec.rules[0].timeouts.request  10s (Git, cart.yaml:12) → 60s (live)  by kubectl-edit".
func (r *Record) Text() string {
	from := "(none)"
	if r.From != "" {
		from = Bare(r.From)
	}
	git := "Git"
	if r.File != "" {
		git = fmt.Sprintf("Git, %s:%d", r.File, r.Line)
	}
	to := "(none)"
	if r.To != "" {
		to = Bare(r.To)
	}
	path := r.Path
	if r.What == Deleted {
		path = "the object"
	}
	return fmt.Sprintf("%s  %s (%s) → %s (live)%s", path, from, git, to, by(r))
}

func by(r *Record) string {
	if len(r.By) == 0 {
		return ""
	}
	if r.Guess {
		return "  perhaps by " + r.Managers()
	}
	return "  by " + r.Managers()
}

// Bare gives a value of a record without the quotes of a JSON string that needs none.
func Bare(value string) string {
	inner, ok := strings.CutPrefix(value, `"`)
	if !ok {
		return value
	}
	if inner, ok = strings.CutSuffix(inner, `"`); !ok || inner == "" || strings.ContainsAny(inner, "\"\\ \t") {
		return value
	}
	return inner
}

// short writes a duration as people read it.
func short(d time.Duration) string {
	switch {
	case d < 0:
		return "0s"
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}
