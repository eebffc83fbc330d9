package verdict

import (
	"cmp"

	"headgate.dev/agent"
	"headgate.dev/schema"
)

// Preview is what people are told of a preview: that it is live, failed, refused or ended.
type Preview struct {
	// Name is that of the object of kind Preview, Commit the whole id of the head.
	Name, Commit string
	// Said is the same as long as there is nothing new to tell; empty: there is nothing to tell.
	Said string
	// Title says it in a line, Line more; it may be empty.
	Title, Line string
	// Bad: the head is not served. Ended: the preview is gone for good.
	Bad, Ended bool
}

// OfPreview gives what a report has for people. What passes by itself is nothing: that the host cannot be asked at this moment, or production is not known.
func OfPreview(r *agent.PreviewReport) Preview {
	v := Preview{Name: r.Preview, Commit: r.Commit, Ended: r.Ended}
	p := r.Problem
	if p == nil {
		p = &agent.Problem{}
	}
	v.Line = p.Message
	head := agent.ShortRevision("@sha1:" + r.Commit)
	title := ""
	switch {
	case r.Ended || p.Reason == agent.ReasonEnded:
		v.Said, title = "ended", " has ended"
	case r.Refused || p.Result == schema.ResultRefused:
		v.Said, title, v.Bad = "refused "+r.Commit, ": "+head+" is refused", true
	case lasts(p):
		v.Said, title, v.Bad = "failed "+r.Commit+" "+p.Reason, ": "+head+" is not served", true
	case r.Problem == nil && r.Applied && !r.Live.IsZero():
		v.Said, title, v.Line = "live "+r.Commit, ": "+head+" is live", r.URL
	}
	v.Title = "Preview " + cmp.Or(r.Name, r.Preview) + title
	return v
}

// lasts tells whether a problem is more than what passes by itself.
func lasts(p *agent.Problem) bool {
	return p.Stalled || p.Reason == agent.ReasonRender || p.Reason == agent.ReasonUnhealthy
}
