package notify

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var start = time.Date(2026, 11, 30, 3, 0, 0, 0, time.UTC)

func notice(key string, phase Phase, at time.Time) Notice {
	return Notice{
		Key: key, Event: Drift, Phase: phase, Severity: Warning, Sync: "team-a/shop", Kind: "HTTPRoute", Object: "team-a/" + key, Title: key + " " + string(phase), Opened: start, At: at,
	}
}

// post carries an Outbox through time, and through restarts.
type post struct {
	t         *testing.T
	now       time.Time
	box       Outbox
	receivers []Receiver
	// answer says what a receiver does with a batch.
	answer func(Batch) error
	got    []string
}

func (p *post) add(key string, phase Phase) {
	if !p.box.Add(p.now, notice(key, phase, p.now), p.receivers) {
		p.t.Fatalf("nobody wants %s", key)
	}
}

// pass lets time pass, and sends whatever is due.
func (p *post) pass(d time.Duration) {
	end := p.now.Add(d)
	for n := 0; ; n++ {
		if n > 10_000 {
			p.t.Fatal("it never ends")
		}
		p.send()
		next := p.box.Next(p.now)
		if next.IsZero() || next.After(end) {
			break
		}
		p.now = next
	}
	p.now = end
}

func (p *post) send() {
	for {
		batches := p.box.Due(p.now, p.receivers)
		if batches == nil {
			return
		}
		for _, batch := range batches {
			var err error
			if p.answer != nil {
				err = p.answer(batch)
			}
			if err == nil {
				for _, n := range batch.Notices {
					p.got = append(p.got, batch.Receiver.Name+": "+n.Title)
				}
			}
			p.box.Done(p.now, batch, err)
		}
	}
}

func (p *post) restart() {
	text, err := json.Marshal(p.box)
	if err != nil {
		p.t.Fatal(err)
	}
	p.box = Outbox{}
	if err := json.Unmarshal(text, &p.box); err != nil {
		p.t.Fatal(err)
	}
}

func newPost(t *testing.T, types ...string) *post {
	p := &post{t: t, now: start}
	for _, kind := range types {
		p.receivers = append(p.receivers, Receiver{Name: strings.ToLower(kind), Type: kind})
	}
	return p
}

func (p *post) check(want ...string) {
	p.t.Helper()
	if diff := cmp.Diff(want, p.got); diff != "" {
		p.t.Errorf("wanted (-), got (+):\n%s", diff)
	}
	p.got = nil
}

func TestFilters(t *testing.T) {
	for _, c := range []struct {
		r    Receiver
		n    Notice
		want bool
	}{
		{Receiver{}, Notice{Event: Drift, Severity: Warning}, true},
		{Receiver{}, Notice{Event: Drift, Severity: Info}, false},
		{Receiver{}, Notice{Event: Deployed, Severity: Info}, false},
		{Receiver{Events: []Event{Deployed}}, Notice{Event: Deployed, Severity: Info}, true},
		{Receiver{Events: []Event{Deployed}}, Notice{Event: Failed, Severity: Critical}, false},
		{Receiver{}, Notice{Event: Preview, Severity: Warning}, false},
		{Receiver{Events: []Event{Preview}}, Notice{Event: Preview, Severity: Info}, true},
		{Receiver{Events: []Event{Preview}, Severity: Warning}, Notice{Event: Preview, Severity: Info}, false},
		{Receiver{Events: []Event{Preview}, Severity: Warning}, Notice{Event: Preview, Severity: Warning}, true},
		{Receiver{Severity: Info}, Notice{Event: Stale, Severity: Info}, true},
		{Receiver{Severity: Critical}, Notice{Event: Stale, Severity: Warning}, false},
		{Receiver{Kinds: []string{"HTTPRoute"}}, Notice{Event: Drift, Severity: Warning, Kind: "Service"}, false},
		{Receiver{Kinds: []string{"HTTPRoute"}}, Notice{Event: Drift, Severity: Warning, Kind: "HTTPRoute"}, true},
		{Receiver{Kinds: []string{"HTTPRoute"}}, Notice{Event: Failed, Severity: Warning}, true},
	} {
		if got := c.r.Wants(&c.n); got != c.want {
			t.Errorf("%+v of %+v: %v", c.r, c.n, got)
		}
	}
}

// TestDownForAnHour: what was missed arrives, the newest about each alert, however often headgate was started in between.
func TestDownForAnHour(t *testing.T) {
	p := newPost(t, TypeAlertmanager, TypeSlack)
	tries := 0
	p.answer = func(b Batch) error {
		if b.Receiver.Type == TypeAlertmanager {
			tries++
			return &SendError{Message: "it is down"}
		}
		return nil
	}
	p.add("a", Opened)
	p.pass(time.Minute)
	p.check("slack: a opened")
	p.add("a", Updated)
	p.add("b", Opened)
	p.pass(10 * time.Minute)
	p.restart()
	p.add("b", Resolved)
	p.add("c", Opened)
	p.pass(48 * time.Minute)
	p.check("slack: a updated", "slack: b opened", "slack: b resolved", "slack: c opened")
	if tries < 10 || tries > 40 {
		t.Errorf("it was tried %d times in an hour", tries)
	}
	if got := p.box.Troubles(); !cmp.Equal(got, map[string]string{"alertmanager": "it is down"}) {
		t.Error(got)
	}
	p.answer = nil
	p.pass(6 * time.Minute)
	if len(p.got) < 3 || p.got[0] != "alertmanager: a updated" || p.got[1] != "alertmanager: b resolved" || p.got[2] != "alertmanager: c opened" {
		t.Error(p.got)
	}
	for _, again := range p.got[3:] {
		if strings.Contains(again, "b ") {
			t.Errorf("%s is said again", again)
		}
	}
	if len(p.box.Troubles()) > 0 {
		t.Error(p.box.Troubles())
	}
}

// TestRetryAfter: a receiver that says when is asked then, within an hour.
func TestRetryAfter(t *testing.T) {
	for after, want := range map[time.Duration]time.Duration{0: time.Second, 40 * time.Second: 40 * time.Second, 90 * time.Hour: time.Hour} {
		p := newPost(t, TypeSlack)
		p.answer = func(Batch) error { return &SendError{Message: "too much", After: after} }
		p.add("a", Opened)
		p.send()
		if next := p.box.Next(p.now); next.Sub(p.now) != want {
			t.Errorf("after %s: %s", after, next.Sub(p.now))
		}
		// A clock that is put back does not silence it.
		p.now = p.now.Add(-30 * 24 * time.Hour)
		if len(p.box.Due(p.now, p.receivers)) != 1 {
			t.Error("it is silent")
		}
	}
}

// TestRefused: what a receiver never takes is not tried again, and is counted.
func TestRefused(t *testing.T) {
	p := newPost(t, TypeSlack)
	p.answer = func(b Batch) error {
		if b.Notices[0].Key == "a" {
			return &SendError{Message: "bad request", Permanent: true}
		}
		return nil
	}
	p.add("a", Opened)
	p.add("b", Opened)
	p.pass(2 * time.Minute)
	p.check("slack: b opened", "slack: 1 more notices about Sync team-a/shop since 03:00:00")
	if !p.box.Empty() {
		t.Error("something is left")
	}
}

// TestRateLimit: a storm is a few notices and a summary that counts the rest.
func TestRateLimit(t *testing.T) {
	p := newPost(t, TypeSlack, TypeAlertmanager)
	for i := range 1000 {
		p.add(fmt.Sprintf("route-%d", i), Opened)
		p.pass(10 * time.Millisecond)
	}
	p.pass(2 * time.Minute)
	slack, alertmanager, summary := 0, map[string]bool{}, ""
	for _, got := range p.got {
		switch title, of := strings.CutPrefix(got, "slack: "); {
		case of && strings.Contains(title, "more notices"):
			summary = title
		case of:
			slack++
		default:
			alertmanager[got] = true
		}
	}
	if slack != PerMinute || summary != "990 more notices about Sync team-a/shop since 03:00:00" {
		t.Errorf("%d to Slack, %q", slack, summary)
	}
	if len(alertmanager) < 1000 {
		t.Errorf("%d to the Alertmanager", len(alertmanager))
	}
}

// TestSizeIsBounded: whatever comes while nobody can be reached, there is a bound, and nothing is lost without being counted.
func TestSizeIsBounded(t *testing.T) {
	p := newPost(t, TypeAlertmanager)
	p.answer = func(Batch) error { return errors.New("it is down") }
	for i := range 5000 {
		p.add(fmt.Sprintf("route-%d", i), Opened)
	}
	text, err := json.Marshal(p.box)
	if err != nil || len(text) > 150<<10 {
		t.Errorf("%d bytes, %v", len(text), err)
	}
	p.pass(25 * time.Hour)
	p.answer = nil
	p.pass(10 * time.Minute)
	p.check("alertmanager: 5000 more notices about Sync team-a/shop since 03:00:00")
}

// TestAlertsStayOpenInAnAlertmanager: it forgets what is not said again.
func TestAlertsStayOpenInAnAlertmanager(t *testing.T) {
	p := newPost(t, TypeAlertmanager)
	p.add("a", Opened)
	p.pass(0)
	p.check("alertmanager: a opened")
	p.restart()
	p.pass(5 * time.Minute)
	p.check("alertmanager: a opened", "alertmanager: a opened")
	worse := notice("a", Updated, p.now)
	worse.Severity = Critical
	p.box.Add(p.now, worse, p.receivers)
	var sent []Notice
	p.answer = func(b Batch) error { sent = append(sent, b.Notices...); return nil }
	p.pass(0)
	if len(sent) != 2 || sent[0].Phase != Resolved || sent[0].Severity != Warning || sent[1].Severity != Critical {
		t.Errorf("it became worse: %+v", sent)
	}
	sent = nil
	p.add("a", Resolved)
	p.pass(time.Hour)
	if len(sent) != 1 || sent[0].Severity != Critical || !p.box.Empty() {
		t.Errorf("it is over: %+v", sent)
	}
}

// TestNothingIsLost sends random alerts to receivers that fail at random, with restarts: in the end each receiver knows of each alert what is so, or was
// told that there is more.
func TestNothingIsLost(t *testing.T) {
	for seed := range uint64(50) {
		random := rand.New(rand.NewPCG(seed, 9))
		p := newPost(t, TypeAlertmanager, TypeWebhook)
		last := map[string]map[string]Phase{"alertmanager": {}, "webhook": {}}
		summaries := map[string]bool{}
		p.answer = func(b Batch) error {
			switch random.IntN(4) {
			case 0:
				return &SendError{Message: "no"}
			case 1:
				return &SendError{Message: "not now", After: time.Duration(random.IntN(600)) * time.Second}
			}
			for _, n := range b.Notices {
				last[b.Receiver.Name][n.Key] = n.Phase
				summaries[b.Receiver.Name] = summaries[b.Receiver.Name] || n.Key == "summary"
			}
			return nil
		}
		open := map[string]bool{}
		for range 100 {
			key := fmt.Sprint(random.IntN(8))
			phase := Opened
			if open[key] {
				phase = []Phase{Updated, Resolved}[random.IntN(2)]
			}
			open[key] = phase != Resolved
			p.add(key, phase)
			p.pass(time.Duration(random.IntN(60)) * time.Second)
			if random.IntN(10) == 0 {
				p.restart()
			}
		}
		p.answer = func(b Batch) error {
			for _, n := range b.Notices {
				last[b.Receiver.Name][n.Key] = n.Phase
				summaries[b.Receiver.Name] = summaries[b.Receiver.Name] || n.Key == "summary"
			}
			return nil
		}
		p.pass(time.Hour)
		for name, phases := range last {
			for key, is := range open {
				if told, known := phases[key]; !summaries[name] && (!known || is == (told == Resolved)) {
					t.Errorf("seed %d: %s was last told that %s is %q, and it is open: %v", seed, name, key, told, is)
				}
			}
		}
	}
}
