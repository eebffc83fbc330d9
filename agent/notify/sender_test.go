package notify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// sink is a receiver that writes down what it gets.
type sink struct {
	*httptest.Server
	status int
	header http.Header
	bodies []string
	heads  []http.Header
	paths  []string
}

func newSink(t *testing.T) *sink {
	s := &sink{status: 200, header: http.Header{}}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s.bodies, s.heads, s.paths = append(s.bodies, string(body)), append(s.heads, r.Header), append(s.paths, r.Method+" "+r.URL.Path)
		for name, values := range s.header {
			w.Header()[name] = values
		}
		w.WriteHeader(s.status)
	}))
	t.Cleanup(s.Close)
	return s
}

var local = &HTTP{Local: true, Now: func() time.Time { return start }}

func send(t *testing.T, kind string, to Address, notices ...Notice) error {
	t.Helper()
	return local.Senders()[kind].Send(t.Context(), to, Batch{Receiver: Receiver{Type: kind}, Notices: notices})
}

func TestWebhook(t *testing.T) {
	s := newSink(t)
	n := notice("cart", Opened, start)
	n.Cluster = "prod"
	if err := send(t, TypeWebhook, Address{URL: s.URL + "/hook", Token: "token", HMAC: []byte("key")}, n, n); err != nil {
		t.Fatal(err)
	}
	h := s.heads[0]
	for name, want := range map[string]string{
		"Ce-Specversion": "1.0", "Ce-Type": "dev.headgate.drift.opened", "Ce-Source": "/headgate/prod/syncs/team-a/shop", "Ce-Subject": "HTTPRoute/team-a/cart",
		"Ce-Time": "2026-11-30T03:00:00Z", "Content-Type": "application/json", "Authorization": "Bearer token", "X-Headgate-Signature": Sign([]byte(s.bodies[0]), []byte("key")),
	} {
		if h.Get(name) != want {
			t.Errorf("%s: %q, want %q", name, h.Get(name), want)
		}
	}
	if s.paths[0] != "POST /hook" || h.Get("Ce-Id") == "" || h.Get("Ce-Id") != s.heads[1].Get("Ce-Id") {
		t.Error(s.paths, h.Get("Ce-Id"), s.heads[1].Get("Ce-Id"))
	}
	var data map[string]any
	if err := json.Unmarshal([]byte(s.bodies[0]), &data); err != nil || data["sync"] != "team-a/shop" || data["phase"] != "opened" || data["text"] == "" {
		t.Error(data, err)
	}
}

func TestSlack(t *testing.T) {
	s := newSink(t)
	if err := send(t, TypeSlack, Address{URL: s.URL + "/services/T/B/secret", Username: "ada", Password: "x"}, notice("cart", Resolved, start)); err != nil {
		t.Fatal(err)
	}
	if user, password, _ := (&http.Request{Header: s.heads[0]}).BasicAuth(); user != "ada" || password != "x" || !strings.Contains(s.bodies[0], `"color":"#2eb67d"`) {
		t.Error(s.heads[0], s.bodies[0])
	}
}

func TestAnswers(t *testing.T) {
	s := newSink(t)
	for _, c := range []struct {
		status int
		after  string
		want   SendError
	}{
		{500, "", SendError{Message: "127.0.0.1 answers 500 Internal Server Error"}},
		{429, "30", SendError{Message: "127.0.0.1 answers 429 Too Many Requests", After: 30 * time.Second}},
		{503, "Mon, 30 Nov 2026 03:05:00 GMT", SendError{Message: "127.0.0.1 answers 503 Service Unavailable", After: 5 * time.Minute}},
		{429, "999999999999", SendError{Message: "127.0.0.1 answers 429 Too Many Requests", After: time.Hour}},
		{429, "soon", SendError{Message: "127.0.0.1 answers 429 Too Many Requests"}},
		{429, "-5", SendError{Message: "127.0.0.1 answers 429 Too Many Requests"}},
		{400, "", SendError{Message: "127.0.0.1 answers 400 Bad Request", Permanent: true}},
		{403, "", SendError{Message: "127.0.0.1 answers 403 Forbidden"}},
		{302, "", SendError{Message: "127.0.0.1 answers 302 Found"}},
	} {
		s.status = c.status
		s.header = http.Header{"Location": {s.URL + "/elsewhere"}}
		if c.after != "" {
			s.header.Set("Retry-After", c.after)
		}
		for _, kind := range []string{TypeWebhook, TypeSlack, TypeAlertmanager} {
			err := send(t, kind, Address{URL: s.URL + "/secret", Token: "token"}, notice("cart", Opened, start))
			var got *SendError
			if !errors.As(err, &got) || *got != c.want {
				t.Errorf("%s %d %s: %+v, want %+v", kind, c.status, c.after, got, c.want)
			}
		}
	}
	for _, path := range s.paths {
		if strings.Contains(path, "elsewhere") {
			t.Error("a redirect was followed")
		}
	}
}

// TestNeverAnswers: a receiver that takes the connection and says nothing is given up, and its address, which is a secret, is not in the error.
func TestNeverAnswers(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err = local.Senders()[TypeSlack].Send(ctx, Address{URL: "http://" + l.Addr().String() + "/services/secret"}, Batch{Notices: []Notice{notice("a", Opened, start)}})
	if err == nil || strings.Contains(err.Error(), "secret") || !strings.Contains(err.Error(), "no answer") {
		t.Error(err)
	}
}

func TestErrorsSayNoSecret(t *testing.T) {
	for _, u := range []string{"http://127.0.0.1:1/secret?token=secret", "http://[::1]:namedport/secret", "http://nowhere.invalid/secret", "%zz/secret", "gopher://secret"} {
		err := send(t, TypeSlack, Address{URL: u}, notice("a", Opened, start))
		if err == nil || strings.Contains(err.Error(), "secret") && !strings.HasPrefix(u, "gopher") {
			t.Errorf("%s: %v", u, err)
		}
	}
}

// TestNotThisMachine: a Sync's author does not get at what listens on this machine, whatever the address is called.
func TestNotThisMachine(t *testing.T) {
	s := newSink(t)
	port := s.URL[strings.LastIndexByte(s.URL, ':'):]
	for _, host := range []string{"127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "169.254.169.254", "127.1.2.3"} {
		err := (&HTTP{}).Senders()[TypeWebhook].Send(t.Context(), Address{URL: "http://" + host + port}, Batch{Notices: []Notice{notice("a", Opened, start)}})
		if err == nil || !strings.Contains(err.Error(), "not for receivers") {
			t.Errorf("%s: %v", host, err)
		}
	}
	if len(s.paths) > 0 {
		t.Error("it was reached")
	}
}

func TestAlertmanagerBody(t *testing.T) {
	s := newSink(t)
	open, over := notice("cart", Opened, start), notice("cart", Resolved, start.Add(time.Hour))
	back := notice("x", Resolved, start.Add(-time.Hour))
	for _, u := range []string{s.URL, s.URL + "/", s.URL + "/api/v2/alerts"} {
		if err := send(t, TypeAlertmanager, Address{URL: u}, open, over, back); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range s.paths {
		if path != "POST /api/v2/alerts" {
			t.Error(path)
		}
	}
	var got []alert
	if err := json.Unmarshal([]byte(s.bodies[0]), &got); err != nil || len(got) != 3 {
		t.Fatal(err, s.bodies[0])
	}
	a, b := got[0], got[1]
	if len(a.Labels) == 0 || !equal(a.Labels, b.Labels) || a.EndsAt != nil || b.EndsAt == nil || !b.EndsAt.Equal(over.At) || a.Labels["alertname"] != "HeadgateDrift" {
		t.Error(s.bodies[0])
	}
	if got[2].EndsAt.Before(got[2].StartsAt) {
		t.Error("it ends before it begins")
	}
}

func equal(a, b map[string]string) bool {
	for key, value := range a {
		if b[key] != value {
			return false
		}
	}
	return len(a) == len(b)
}

type recorder struct {
	got    []string
	answer error
}

func (r *recorder) Event(sync string, good bool, reason, text string) {
	r.got = append(r.got, sync+" "+reason+" "+map[bool]string{true: "good ", false: "bad "}[good]+text)
}

func (r *recorder) SetStatus(_ context.Context, v Verdict) error {
	r.got = append(r.got, string(v.Event)+" "+v.Revision+" "+map[bool]string{true: "good ", false: "bad "}[v.Good]+v.Text)
	return r.answer
}

func TestInsideTheCluster(t *testing.T) {
	r := &recorder{}
	long := notice("a", Opened, start)
	long.Title = strings.Repeat("ü", 2000)
	deployed := Notice{Event: Deployed, Phase: Noted, Sync: "a/b", Title: "live", Revision: "main@sha1:1"}
	if err := (KubernetesEvent{r}).Send(t.Context(), Address{}, Batch{Notices: []Notice{notice("a", Resolved, start), long, deployed}}); err != nil {
		t.Fatal(err)
	}
	if r.got[0] != "team-a/shop DriftResolved good [drift] a resolved" || len(r.got[1]) > 1100 || !strings.HasPrefix(r.got[1], "team-a/shop DriftOpened bad ") || r.got[2] != "a/b Deployed good [deployed] live" {
		t.Error(r.got)
	}
}

// TestCommitStatus carries alerts to a Git host: a status is bad as long as one is open, whatever was told last.
func TestCommitStatus(t *testing.T) {
	r := &recorder{}
	p := newPost(t, TypeCommitStatus)
	p.receivers[0].Events = []Event{Drift, Deployed, Failed, Preview}
	p.answer = func(b Batch) error { return (CommitStatus{r}).Send(t.Context(), Address{}, b) }
	check := func(want ...string) {
		t.Helper()
		p.pass(0)
		if diff := cmp.Diff(want, r.got); diff != "" {
			t.Errorf("wanted (-), got (+):\n%s", diff)
		}
		r.got = nil
	}
	p.add("a", Opened)
	check("drift  bad a opened")
	p.add("b", Opened)
	p.add("b", Updated) // it was not told yet, so that this is its begin
	check("drift  bad 2 alerts are open, one of them: b updated")
	p.add("b", Resolved)
	p.restart()
	check("drift  bad a opened")
	p.pass(5 * time.Minute) // the applied commit may be another one by then
	check("drift  bad a opened", "drift  bad a opened")
	p.add("a", Resolved)
	check("drift  good a resolved")
	for _, n := range []Notice{
		{Key: "1", Event: Failed, Phase: Noted, Severity: Warning, Revision: "main@sha1:1", Title: "1 is refused"},
		{Key: "2", Event: Deployed, Phase: Noted, Severity: Info, Revision: "main@sha1:2", Title: "2 is\nlive"},
		{Key: "3", Event: Preview, Phase: Noted, Severity: Info, Revision: "3", Title: "3 is live"},
		{Key: "4", Event: Preview, Phase: Noted, Severity: Warning, Revision: "4", Title: "4 is refused"},
	} {
		n.At = p.now
		p.box.Add(p.now, n, p.receivers)
	}
	check("failed main@sha1:1 bad 1 is refused", "deployed main@sha1:2 good 2 is live", "preview 3 good 3 is live", "preview 4 bad 4 is refused")
	if !p.box.Empty() {
		t.Error("something is left")
	}

	batch := Batch{Receiver: Receiver{Template: "{{.Nothing}}"}, Notices: []Notice{notice("a", Opened, start)}}
	var e *SendError
	if err := (CommitStatus{r}).Send(t.Context(), Address{}, batch); !errors.As(err, &e) || !e.Permanent {
		t.Errorf("a template that is none: %v", err)
	}
	batch.Receiver.Template = "a\n{{.Phase}}"
	r.answer = fmt.Errorf("asking: %w", &SendError{Message: "later", After: time.Minute})
	if err := (CommitStatus{r}).Send(t.Context(), Address{}, batch); !errors.As(err, &e) || e.After != time.Minute {
		t.Errorf("a host that is asked too often: %v", err)
	}
	if r.got[0] != "drift  good a opened" { // nothing is open in what the batch says
		t.Error(r.got)
	}
}
