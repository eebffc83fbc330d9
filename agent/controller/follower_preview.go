package controller

import (
	"cmp"
	"slices"

	"headgate.dev/agent"
	"headgate.dev/agent/notify"
	"headgate.dev/agent/plan"
	"headgate.dev/schema"
)

// previewNews is what people are told of a preview: that it is live, failed, refused or ended.
type previewNews struct {
	sync    plan.Owner
	preview string // its name in the Sync's namespace
	// said is the same as long as there is nothing new to tell; empty: there is nothing to tell yet.
	said, title, line string
	commit            string
	bad, ended        bool
}

// newsOf gives what a report has for people. What passes by itself is none: that the host cannot be asked at this moment, or production is not known yet.
func newsOf(r *agent.PreviewReport) previewNews {
	n := previewNews{sync: r.Sync, preview: r.Preview, commit: r.Commit, ended: r.Ended}
	head := agent.ShortRevision("@sha1:" + r.Commit)
	p := r.Problem
	switch {
	case r.Ended || p != nil && p.Reason == agent.ReasonEnded:
		n.said, n.title = "ended", " has ended"
	case r.Refused || p != nil && p.Result == schema.ResultRefused:
		n.said, n.title, n.bad = "refused "+r.Commit, ": "+head+" is refused", true
	case p != nil && (p.Stalled || p.Reason == agent.ReasonRender || p.Reason == agent.ReasonUnhealthy):
		n.said, n.title, n.bad = "failed "+r.Commit+" "+p.Reason, ": "+head+" is not served", true
	case p == nil && r.Applied && !r.Live.IsZero():
		n.said, n.title, n.line = "live "+r.Commit, ": "+head+" is live", r.URL
	}
	n.title = "Preview " + cmp.Or(r.Name, r.Preview) + n.title
	if p != nil {
		n.line = truncate(p.Message)
	}
	return n
}

// previewed takes how a preview is doing, and does not wait for the follower of its Sync.
func (d *drifts) previewed(r agent.PreviewReport) {
	d.mu.Lock()
	f := d.followers[r.Sync]
	d.mu.Unlock()
	n := newsOf(&r)
	if f == nil || n.said == "" {
		return
	}
	f.heard.mu.Lock()
	defer f.heard.mu.Unlock()
	if f.heard.news = append(f.heard.news, n); len(f.heard.news) == 1 {
		go f.do(f.tellPreviews)
	}
}

// tellPreviews tells what was heard of previews, each thing once, also when another process has told it.
func (f *follower) tellPreviews() {
	f.heard.mu.Lock()
	all := f.heard.news
	f.heard.news = nil
	f.heard.mu.Unlock()
	for i := range all {
		p := &all[i]
		said := f.previews[p.preview]
		if said != p.said && (said != "" || !p.ended) { // of what ended before anything was told of it there is nothing to tell
			f.post(f.previewNotice(p))
			f.previews[p.preview] = p.said
		}
		if p.ended {
			delete(f.previews, p.preview)
		}
	}
}

// previewNotice makes a notice of news.
func (f *follower) previewNotice(p *previewNews) notify.Notice {
	n := f.notice(notify.Preview, "preview "+p.preview+" "+p.said, p.title)
	n.Object, n.Revision = f.owner.Namespace+"/"+p.preview, p.commit
	if !p.bad {
		n.Severity = notify.Info
	}
	n.Lines = slices.DeleteFunc([]string{p.line}, func(s string) bool { return s == "" })
	return n
}
