package life

import (
	"time"
)

// Rules are what a Sync says about which previews there are.
type Rules struct {
	// Branches: previews are of branches, not of pull requests. Names are their patterns.
	Branches bool
	Names    []string
	// Follows is the branch that the Sync follows; it never gets a preview, and is the target where none is named. Empty: not known yet.
	Follows string
	// Labels, one of which a pull request must have; none: any or none.
	Labels []string
	// Targets are patterns of the branches that it wants to go to.
	Targets []string
	// Drafts may have one.
	Drafts bool
	// Authors who get one, or with "!" in front who does not.
	Authors []string
	// Total and PerAuthor are how many there may be. Required.
	Total, PerAuthor int
	// TTL is how long after the last push, MaxAge how long after it was made a preview ends. Required.
	TTL, MaxAge time.Duration
	// Requires is the context of a commit status that must be green first; empty: none.
	Requires string
	// ForkLabel is the label that approves; empty: none does.
	ForkLabel string
}

// Subject is a pull request that is open, or a branch, as the host said last.
type Subject struct {
	// Number is that of a pull request; else Branch is set.
	Number int
	Branch string
	// Author, Labels and Target are a pull request's.
	Author string
	Labels []string
	Target string
	Draft  bool
	// Head is the commit; empty where the host has none. Base is the merge base; empty where it is not known.
	Head, Base string
	Fork       bool
	// Pushed is when the head was pushed, where that is known.
	Pushed time.Time
}

// Preview is one that there is, or is to be.
type Preview struct {
	// Name is that in hosts and headers, "pr-42". It is unique for a Sync and never changes.
	Name           string
	Number         int
	Branch, Author string
	Commit, Base   string
	Fork, Pin      bool
	// Pushed is when the commit was pushed or seen first, Created when the preview was made.
	Pushed, Created time.Time
	// Ending: it is being deleted. Ours: by a decision of this package, not by somebody's hand.
	Ending, Ours bool
	// ApprovedBy is who approved a fork's commit.
	ApprovedBy string
}

// Reason is why a head is not previewed.
type Reason string

// Reasons of absences.
const (
	// Fork: it is a fork's, and nobody has approved it.
	Fork Reason = "Fork"
	// Full: there are as many previews as there may be, of all or of its author.
	Full Reason = "Full"
	// Ended: somebody deleted the preview of this very commit.
	Ended Reason = "Ended"
	// Expired: the preview of this very commit was too old.
	Expired Reason = "Expired"
	// StatusMissing: the commit status that is required is not green.
	StatusMissing Reason = "StatusMissing"
	// NoBase: no commit in common with the branch that it is to go to was found.
	NoBase Reason = "NoBase"
	// Nothing: it has no commit that that branch does not have.
	Nothing Reason = "Nothing"
	// Waiting: another preview is just ending, whose place it takes. It passes by itself.
	Waiting Reason = "Waiting"
)

// Absence is a subject whose head is not previewed.
type Absence struct {
	Name           string
	Number         int
	Branch, Author string
	// Commit is the head, Previous the one before it where one was seen, Seen when the head was seen first.
	Commit, Previous string
	Seen             time.Time
	Reason           Reason
	Message          string
	// ApprovedBy is who approved the commit, where it is a fork's.
	ApprovedBy string
}

// lasts tells whether it must be remembered: it says something that nobody would say again.
func (a *Absence) lasts() bool { return a.Reason == Ended || a.Reason == Expired || a.ApprovedBy != "" }

// Approval is what somebody with write access just said about a pull request. That they have write access was asked of the host.
type Approval struct {
	Number int
	// Commit is what was approved, in lower case: for a comment its whole id or the first 7 digits at least, for a label the head it was set at.
	Commit string
	By     string
	// At is when, by the host's clock.
	At time.Time
	// Label: a label was set. Else it was a comment.
	Label bool
}

// Check is what is said about the required commit status.
type Check string

// Checks. The zero Check is not known.
const (
	Green   Check = "green"
	Pending Check = "pending"
	Red     Check = "red"
)

// World is everything that a decision depends on.
type World struct {
	Rules Rules
	// Subjects are those of which the host said something. There may be holes: of one that is not among them nothing is known.
	Subjects []Subject
	// Over says of previews, by name, how their subject ended, where the host said so: "merged", "closed", "deleted".
	Over map[string]string
	// Previews are all that there are.
	Previews []Preview
	// Absences are those of the decision before.
	Absences []Absence
	// Checks are of the heads, where something is required.
	Checks    map[string]Check
	Approvals []Approval
	// Current: the host answered when it was asked last for everything. Else nothing grows too old, since there may have been a push.
	Current bool
	Now     time.Time
}

// Deletion is a preview that is to end, and why.
type Deletion struct {
	Preview Preview
	Message string
}

// Decision is what to do.
type Decision struct {
	// Create, Update and Delete are in the order of numbers and names. Those of Update have another commit, base or author than there is.
	Create, Update []Preview
	Delete         []Deletion
	// Absences are all that are to be remembered, those of the host's subjects first that nobody would say again.
	Absences []Absence
	// Unlabel are numbers of pull requests whose approving label does not hold any more.
	Unlabel []int
	// Denied are approvals that did not count, with the reason.
	Denied []Denial
}

// Denial is an approval that does not count.
type Denial struct {
	Approval Approval
	Message  string
}
