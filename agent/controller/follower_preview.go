package controller

import (
	"slices"

	"headgate.dev/agent"
	"headgate.dev/agent/controller/internal/verdict"
	"headgate.dev/agent/notify"
)

// previewed takes how a preview is doing, and does not wait for the follower of its Sync.
func (d *drifts) previewed(r agent.PreviewReport) {
	d.mu.Lock()
	f := d.followers[r.Sync]
	d.mu.Unlock()
	n := verdict.OfPreview(&r)
	if f == nil || n.Said == "" {
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
		said := f.previews[p.Name]
		if said != p.Said && (said != "" || !p.Ended) { // of what ended before anything was told of it there is nothing to tell
			f.post(f.previewNotice(p))
			f.previews[p.Name] = p.Said
		}
		if p.Ended {
			delete(f.previews, p.Name)
		}
	}
}

// previewNotice makes a notice of news.
func (f *follower) previewNotice(p *verdict.Preview) notify.Notice {
	n := f.notice(notify.Preview, "preview "+p.Name+" "+p.Said, p.Title)
	n.Object, n.Revision = f.owner.Namespace+"/"+p.Name, p.Commit
	if !p.Bad {
		n.Severity = notify.Info
	}
	n.Lines = slices.DeleteFunc([]string{truncate(p.Line)}, func(s string) bool { return s == "" })
	return n
}
