package controller

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"headgate.dev/agent"
	"headgate.dev/agent/controller/internal/verdict"
	"headgate.dev/agent/notify"
	"headgate.dev/agent/plan"
	"headgate.dev/schema"
)

// TestPreviewsAreTold: live, failed, refused and ended are told once each, also by the next process; what passes by itself is not.
func TestPreviewsAreTold(t *testing.T) {
	now := time.Date(2026, 11, 30, 3, 0, 0, 0, time.UTC)
	owner := plan.Owner{Namespace: "team-a", Name: "shop"}
	a := &Agent{options: Options{Cluster: "prod"}}
	f := &follower{
		drifts: &drifts{agent: a}, owner: owner, log: slog.New(slog.DiscardHandler), sync: &schema.Sync{}, previews: map[string]string{},
		receivers: []notify.Receiver{
			{Name: "all", Type: notify.TypeWebhook, Events: []notify.Event{notify.Preview}},
			{Name: "bad", Type: notify.TypeWebhook, Events: []notify.Event{notify.Preview}, Severity: notify.Warning},
			{Name: "usual", Type: notify.TypeWebhook},
		},
	}
	tell := func(change func(*agent.PreviewReport)) map[string][]string {
		t.Helper()
		r := agent.PreviewReport{Sync: owner, Preview: "shop-pr-42", Name: "pr-42", Commit: strings.Repeat("a", 40), URL: "https://pr-42.example.com"}
		change(&r)
		if n := verdict.OfPreview(&r); n.Said != "" {
			f.heard.news = append(f.heard.news, n)
		}
		f.tellPreviews()
		got := map[string][]string{}
		for name, box := range f.outbox.Boxes {
			for _, n := range box.Waiting {
				got[name] = append(got[name], strings.Join(append([]string{string(n.Event), n.Severity, n.Title}, n.Lines...), " | "))
			}
		}
		f.outbox = notify.Outbox{}
		return got
	}
	problem := func(reason string, stalled bool) func(*agent.PreviewReport) {
		return func(r *agent.PreviewReport) {
			r.Problem = &agent.Problem{Reason: reason, Message: "shop.yaml:7:3: hsts is not known", Stalled: stalled, Err: errors.New("x")}
		}
	}
	refused := func(r *agent.PreviewReport) {
		problem("Policy", true)(r)
		r.Problem.Result, r.Refused = schema.ResultRefused, true
	}
	live := func(r *agent.PreviewReport) { r.Applied, r.Live = true, now }
	next := func(r *agent.PreviewReport) { live(r); r.Commit = strings.Repeat("b", 40) }
	ended := func(r *agent.PreviewReport) { r.Ended = true }
	both := func(text string) map[string][]string { return map[string][]string{"all": {text}, "bad": {text}} }
	one := func(text string) map[string][]string { return map[string][]string{"all": {text}} }
	none := map[string][]string{}
	for i, step := range []struct {
		change func(*agent.PreviewReport)
		want   map[string][]string
	}{
		{ended, none}, // nobody has heard of it
		{func(*agent.PreviewReport) {}, none},
		{func(r *agent.PreviewReport) { r.Applied = true }, none},
		{live, one("preview | info | Preview pr-42: aaaaaaa is live | https://pr-42.example.com")},
		{live, none},
		{problem(agent.ReasonProduction, false), none},
		{problem(agent.ReasonFetch, false), none},
		{problem(agent.ReasonRender, false), both("preview | warning | Preview pr-42: aaaaaaa is not served | shop.yaml:7:3: hsts is not known")},
		{problem(agent.ReasonRender, false), none},
		{live, one("preview | info | Preview pr-42: aaaaaaa is live | https://pr-42.example.com")},
		{next, one("preview | info | Preview pr-42: bbbbbbb is live | https://pr-42.example.com")},
		{refused, both("preview | warning | Preview pr-42: aaaaaaa is refused | shop.yaml:7:3: hsts is not known")},
		{problem(agent.ReasonEnded, true), one("preview | info | Preview pr-42 has ended | shop.yaml:7:3: hsts is not known")},
		{ended, none},
	} {
		if diff := cmp.Diff(step.want, tell(step.change)); diff != "" {
			t.Errorf("step %d: wanted (-), got (+):\n%s", i, diff)
		}
	}
	if len(f.previews) > 0 {
		t.Errorf("what is gone is remembered: %v", f.previews)
	}
	tell(live)
	f = &follower{drifts: f.drifts, owner: owner, log: f.log, sync: f.sync, receivers: f.receivers, previews: f.previews} // the next process
	if got := tell(live); len(got) > 0 {
		t.Errorf("told again: %v", got)
	}
	if got, want := tell(ended), one("preview | info | Preview pr-42 has ended"); cmp.Diff(want, got) != "" {
		t.Errorf("gone: %v", got)
	}
}
