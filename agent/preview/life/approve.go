package life

import (
	"regexp"
	"slices"
	"strings"
	"time"
)

const (
	// shortestPrefix is how many digits of a commit approve it.
	shortestPrefix = 7
	// skew is what the times of comments may lack: hosts cut them to whole seconds.
	skew = time.Second
	// settled is how long a head must have been there before a label approves it, when it is not the first one: whoever set the label may still have had the one
	// before in front of them.
	settled = 30 * time.Second
)

var command = regexp.MustCompile(`^/preview[ \t]+([0-9a-fA-F]{7,40})$`)

// Command finds the commit in a comment that approves one: a line of its own, "/preview COMMIT". Of several the last one counts.
func Command(comment string) (commit string, ok bool) {
	for line := range strings.Lines(comment) {
		if m := command.FindStringSubmatch(strings.TrimSpace(line)); m != nil {
			commit, ok = strings.ToLower(m[1]), true
		}
	}
	return commit, ok
}

// forkText is for whoever reads the pull request. The commit stands there as a whole: of a short one somebody could make a second.
func forkText(head string) string {
	return "this pull request comes from a fork; someone with write access can approve exactly this commit with /preview " + head
}

// approve finds the forks whose head is approved: by the preview that it has, by what was remembered, or just now.
func (d *decider) approve() {
	for _, s := range d.subjects {
		if !s.Fork || s.Head == "" {
			continue
		}
		name := d.names[s]
		if p := d.have[name]; p != nil && p.Fork && p.Commit == s.Head && !p.Ending {
			d.approved[s] = orSomebody(p.ApprovedBy)
		}
		if a := d.before[name]; a != nil && a.Commit == s.Head && a.ApprovedBy != "" {
			d.approved[s] = a.ApprovedBy
		}
		d.hear(s)
		d.unlabel(s)
	}
}

// hear takes in what was just said about a fork.
func (d *decider) hear(s *Subject) {
	for _, a := range d.Approvals {
		if a.Number != s.Number {
			continue
		}
		if why := d.denies(&a, s); why != "" {
			d.Denied = append(d.Denied, Denial{Approval: a, Message: why})
			continue
		}
		d.approved[s] = orSomebody(a.By)
	}
}

func orSomebody(name string) string {
	if name == "" {
		return "somebody"
	}
	return name
}

// denies says why an approval does not count; empty when it does.
func (d *decider) denies(a *Approval, s *Subject) string {
	previous, seen := d.seen(s)
	switch {
	case len(a.Commit) < shortestPrefix || !strings.HasPrefix(s.Head, a.Commit):
		return "the head is " + s.Head + " now, which is another commit"
	case a.Label && !d.labelApproves(a, s):
		return "no label approves here"
	case a.Label && previous != "" && a.At.Sub(seen) < settled:
		return "the head moved just before the label was set: look at it again, and set the label once more"
	case a.Label || len(a.Commit) == len(s.Head):
		return ""
	case strings.HasPrefix(previous, a.Commit):
		return "the head before begins with the same digits: name the whole commit, " + s.Head
	case a.At.Before(seen.Add(-skew)):
		return "it is older than the head: name the whole commit, " + s.Head
	}
	return ""
}

// labelApproves: some label does, and a label is about a whole commit.
func (d *decider) labelApproves(a *Approval, s *Subject) bool {
	return d.Rules.ForkLabel != "" && len(a.Commit) == len(s.Head)
}

// seen is the head before this one, where one is known, and when this one was seen first.
func (d *decider) seen(s *Subject) (previous string, at time.Time) {
	name := d.names[s]
	if a := d.before[name]; a != nil && a.Commit == s.Head {
		return a.Previous, a.Seen
	}
	return d.lastHead(name, s), d.Now
}

// unlabel has the label taken off at the next push, and where it came too early to approve.
func (d *decider) unlabel(s *Subject) {
	label := d.Rules.ForkLabel
	if label == "" || !s.labelled(label) || d.approved[s] != "" {
		return
	}
	tooEarly := slices.ContainsFunc(d.Denied, func(x Denial) bool { return x.Approval.Label && x.Approval.Number == s.Number })
	if tooEarly || d.lastHead(d.names[s], s) != "" {
		d.Unlabel = append(d.Unlabel, s.Number)
	}
}
