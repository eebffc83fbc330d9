package previews

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/agent"
	"headgate.dev/schema"
)

// telling is what was told of a preview last, so that nothing is told twice.
type telling struct{ applied, live, problem string }

// begin takes over what a process before has told.
func (t *telling) begin(s *schema.PreviewStatus) {
	t.applied = s.Revision
	if meta.IsStatusConditionTrue(s.Conditions, schema.PreviewLive) {
		t.live = s.Revision
	}
	if c := meta.FindStatusCondition(s.Conditions, schema.PreviewReady); c != nil && c.Status == "False" {
		t.problem = c.Reason + ": " + c.Message
	}
}

// report writes the status, and tells what happened.
func (x *actor) report(ctx context.Context, s *agent.PreviewStanding) {
	x.mu.Lock()
	o := x.preview
	x.mu.Unlock()
	if err := x.write(ctx, o, s); err != nil && ctx.Err() == nil {
		x.log.Warn("telling how the preview is doing", "error", err)
		// The next report tells it.
	}
	x.news(o, s)
}

// write writes what is another thing than what was written last.
func (x *actor) write(ctx context.Context, o *schema.Preview, s *agent.PreviewStanding) error {
	before, next := &schema.Preview{}, &schema.Preview{}
	before.Namespace, before.Name = o.Namespace, o.Name
	next.Namespace, next.Name = o.Namespace, o.Name
	before.Status = *o.Status.DeepCopy()
	if x.written != nil {
		before.Status = *x.written.DeepCopy()
	}
	next.Status = s.Status(before.Status, x.all.config.World.Now())
	if equality.Semantic.DeepEqual(&before.Status, &next.Status) {
		return nil
	}
	status := next.Status.DeepCopy()
	if err := x.all.client.Status().Patch(ctx, next, client.MergeFrom(before)); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("writing the status of Preview %s/%s: %w", o.Namespace, o.Name, err)
	}
	x.written = status
	return nil
}

// news tells what happened since the last report.
func (x *actor) news(o *schema.Preview, s *agent.PreviewStanding) {
	problem := ""
	if s.Problem != nil {
		problem = s.Problem.Reason + ": " + s.Problem.Message
	}
	if problem != "" && problem != x.told.problem && s.Problem.Reason != agent.ReasonProduction {
		x.event(o, corev1.EventTypeWarning, s.Problem.Reason, "Preview", s.Problem.Message)
	}
	x.told.problem = problem
	if s.Revision != "" && s.Revision != x.told.applied {
		x.event(o, corev1.EventTypeNormal, "Applied", "Apply", agent.ShortRevision(s.Revision)+" is applied")
	}
	x.told.applied = s.Revision
	if !s.Live.IsZero() && s.Revision != x.told.live && strings.HasSuffix(s.Revision, s.Commit) {
		x.told.live = s.Revision
		liveSeconds.WithLabelValues(x.of.Namespace, x.of.Name).Observe(s.LiveAfter.Seconds())
		x.event(o, corev1.EventTypeNormal, "Live", "Serve", fmt.Sprintf("%s is live after %s", agent.ShortRevision(s.Revision), s.LiveAfter.Round(1e6)))
	}
}

// event tells that something happened.
func (x *actor) event(o *schema.Preview, kind, reason, action, note string) {
	const limit = 1024 // of an event
	if len(note) > limit {
		note = strings.ToValidUTF8(note[:limit-3], "") + "..."
	}
	x.all.config.Recorder.Eventf(o, nil, kind, reason, action, "%s", note)
	x.log.Info(note, "reason", reason)
}

// address gives the URL of a host as the listeners of a Gateway have it: HTTPS before HTTP.
func (p *Previews) address(namespace, gateway, section, host string) string {
	var g gwv1.Gateway
	url := "http://" + host
	if err := p.client.Get(p.ctx, client.ObjectKey{Namespace: namespace, Name: gateway}, &g); err != nil {
		return url
	}
	for i := range g.Spec.Listeners {
		l := &g.Spec.Listeners[i]
		if section != "" && string(l.Name) != section || l.Hostname != nil && !covers(string(*l.Hostname), host) {
			continue
		}
		switch l.Protocol {
		case gwv1.HTTPSProtocolType:
			return "https://" + host + port(int(l.Port), 443)
		case gwv1.HTTPProtocolType:
			url = "http://" + host + port(int(l.Port), 80)
		}
	}
	return url
}

func port(n, usual int) string {
	if n == usual {
		return ""
	}
	return fmt.Sprintf(":%d", n)
}

// covers tells whether the hostname of a listener is that of a host.
func covers(hostname, host string) bool {
	if rest, ok := strings.CutPrefix(hostname, "*"); ok {
		return strings.HasSuffix(host, rest)
	}
	return hostname == "" || hostname == host
}
