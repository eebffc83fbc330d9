package agent

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"headgate.dev/schema"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// tell puts a status on a few lines.
func tell(s *schema.SyncStatus) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s attempted %s", s.Revision, s.AttemptedRevision)
	for _, c := range s.Conditions {
		fmt.Fprintf(&b, "\n%s=%s %s: %s", c.Type, c.Status, c.Reason, c.Message)
	}
	if l := s.Live; l != nil {
		fmt.Fprintf(&b, "\nlive %s took %s", l.Revision, l.Took)
		for _, g := range l.Gateways {
			fmt.Fprintf(&b, " %s/%s %d/%d", g.Namespace, g.Name, g.Acked, g.Total)
		}
	}
	for _, h := range s.History {
		fmt.Fprintf(&b, "\n%s %s %s %s %s", h.Revision, h.Result, h.Duration, h.LiveAfter, h.Message)
	}
	return b.String()
}

func TestStatus(t *testing.T) {
	one := &Attempt{Revision: "main@sha1:1111111111", Author: "Ada", Subject: "One", Seen: noon, Took: 80 * time.Millisecond}
	two := &Attempt{Revision: "main@sha1:2222222222", Author: "Ada", Subject: "Two", Seen: noon.Add(time.Minute)}
	s, status, now := &Standing{Generation: 1, Objects: -1}, schema.SyncStatus{}, noon
	for _, step := range []struct {
		name string
		do   func(s *Standing)
		want string
	}{
		{"nothing yet, and no account", func(s *Standing) {
			s.Problem = &Problem{Reason: ReasonNoAccount, Message: "name one", Stalled: true}
		}, ` attempted 
Ready=False NoServiceAccount: name one
Stalled=True NoServiceAccount: name one
Live=False NotLive: nothing is applied yet`},
		{"on its way", func(s *Standing) { s.Problem, s.Attempt, s.Working = nil, one, true }, ` attempted main@sha1:1111111111
Ready=Unknown Progressing: a commit is on its way
Live=False NotLive: nothing is applied yet
Reconciling=True Progressing: a commit is on its way`},
		{"applied", func(s *Standing) { s.Working, s.Objects, one.Applied = false, 2, true }, `main@sha1:1111111111 attempted main@sha1:1111111111
Ready=True Applied: 2 objects are as in Git
Live=Unknown Waiting: applied; not every Envoy concerned has answered
live  took 
main@sha1:1111111111 Applied 80ms  `},
		{"live", func(s *Standing) {
			one.Live = noon.Add(200 * time.Millisecond)
			one.Reach = &Reach{Gateways: []GatewayReach{{"infra", "public", Envoys{3, 3}}}}
		}, `main@sha1:1111111111 attempted main@sha1:1111111111
Ready=True Applied: 2 objects are as in Git
Live=True Live: every Envoy concerned has it
live main@sha1:1111111111 took 200ms infra/public 3/3
main@sha1:1111111111 Applied 80ms 200ms `},
		{"a bad commit", func(s *Standing) {
			s.Attempt, s.Problem = two, &Problem{Reason: ReasonRender, Message: "main@2222222: a.yaml:1:1: no; main@1111111 stays applied", Stalled: true, Result: schema.ResultRefused}
			two.Took = 5 * time.Millisecond
		}, `main@sha1:1111111111 attempted main@sha1:2222222222
Ready=False RenderFailed: main@2222222: a.yaml:1:1: no; main@1111111 stays applied
Live=True Live: every Envoy concerned has it
Stalled=True RenderFailed: main@2222222: a.yaml:1:1: no; main@1111111 stays applied
live main@sha1:1111111111 took 200ms infra/public 3/3
main@sha1:2222222222 Refused 5ms  main@2222222: a.yaml:1:1: no; main@1111111 stays applied
main@sha1:1111111111 Applied 80ms 200ms `},
		{"it was tried again, and an Envoy refuses a part", func(s *Standing) {
			s.Problem, two.Applied, two.Refused = nil, true, "main@2222222: a.yaml:1:1: HTTPRoute shop: bad regex"
			two.Reach = &Reach{Gateways: []GatewayReach{{"infra", "public", Envoys{2, 3}}}}
		}, `main@sha1:2222222222 attempted main@sha1:2222222222
Ready=True Applied: 2 objects are as in Git
Live=False Refused: main@2222222: a.yaml:1:1: HTTPRoute shop: bad regex
live main@sha1:1111111111 took 200ms infra/public 2/3
main@sha1:2222222222 Applied 5ms  
main@sha1:1111111111 Applied 80ms 200ms `},
	} {
		t.Run(step.name, func(t *testing.T) {
			step.do(s)
			now = now.Add(time.Second)
			status = s.Status(status, now)
			if got := tell(&status); got != step.want {
				t.Errorf("got:\n%s\nwant:\n%s", got, step.want)
			}
			again := s.Status(status, now.Add(time.Hour))
			if tell(&again) != tell(&status) || fmt.Sprint(again.Conditions) != fmt.Sprint(status.Conditions) {
				t.Errorf("the same standing, told again, gives:\n%s", tell(&again))
			}
		})
	}
}

func TestHistoryIsBounded(t *testing.T) {
	status := schema.SyncStatus{}
	for i := range 30 {
		s := Standing{Objects: -1, Attempt: &Attempt{Revision: fmt.Sprintf("main@sha1:%040d", i), Seen: noon, Applied: true}}
		status = s.Status(status, noon)
	}
	if len(status.History) != schema.SyncHistoryLimit || !strings.HasSuffix(status.History[0].Revision, "29") {
		t.Errorf("got %d, the first %s", len(status.History), status.History[0].Revision)
	}
}

// A restart finds the same commit applied and live: what was said of it stays as it was.
func TestStatusAfterRestart(t *testing.T) {
	first := Standing{Objects: 1, Attempt: &Attempt{Revision: "main@sha1:1", Seen: noon, Applied: true, Live: noon.Add(time.Second), Took: time.Second}}
	status := first.Status(schema.SyncStatus{}, noon)
	again := Standing{Objects: 1, Attempt: &Attempt{Revision: "main@sha1:1", Seen: noon.Add(time.Hour), Applied: true, Live: noon.Add(time.Hour), Unrouted: true}}
	next := again.Status(status, noon.Add(time.Hour))
	if !next.Live.Since.Equal(status.Live.Since) || !reflect.DeepEqual(next.History[0], status.History[0]) {
		t.Errorf("got %+v\nwant %+v", next.Live, status.Live)
	}
}
