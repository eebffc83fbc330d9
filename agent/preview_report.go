package agent

import (
	"time"

	"headgate.dev/agent/plan"
	"headgate.dev/agent/preview"
	"headgate.dev/render/object"
)

// PreviewReport is how a preview is doing, as of one moment. It is whole: a later one replaces it.
type PreviewReport struct {
	// Sync is whose preview it is, Preview the name of the object of kind Preview in the Sync's namespace.
	Sync    plan.Owner
	Preview string
	// Name is what the preview is called in hosts and headers, Number the pull request's (0: of a branch).
	Name   string
	Number int64
	// Commit is the head that this is about, Base the merge base it is compared with: whole ids.
	Commit, Base string
	// Fork is set for a head that is not of the repository itself.
	Fork bool
	// Before is production, as it was applied last; After what a merge would make of it, with what is refused a preview. Both are nil until the head
	// was planned, and where it cannot be (Problem). They are shared: read them, never write to them, and do not keep them.
	Before, After *object.Set
	// Sites are where the preview answers, by namespace and service; the URL is that of the first, empty by header alone.
	Sites []preview.Site
	URL   string
	// Refusals are what is left out of the change. Refused: a fork asked for what it may not have, and nothing is served.
	Refusals []preview.Refusal
	Refused  bool
	// Problem is why the head is not served, nil when there is none. Its message has file and line where the files are wrong; its reason
	// is that of the condition Ready. What was applied before goes on to serve: Serving is its commit, empty where nothing serves.
	Problem *Problem
	Serving string
	// Applied: all of it is in the cluster.
	Applied bool
	// Live is when every Envoy concerned had the head; zero: not yet. LiveAfter is the time from the push, or from the first sight of the head,
	// until then; it says nothing while Live is zero.
	Live      time.Time
	LiveAfter time.Duration
	// Ended: the preview is gone, and with it all that it was made of.
	Ended bool
}
