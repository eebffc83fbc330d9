package pulls

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"headgate.dev/agent"
	"headgate.dev/agent/forge"
	"headgate.dev/agent/preview/life"
	"headgate.dev/schema"
)

// news is what was decided about the pull requests of a Sync, as far as there is something to say on them.
type news struct {
	sync       *schema.Sync
	host       Host
	repository string
	absences   map[int]life.Absence
	heads      map[int]string
	over       map[int]string
}

// teller says on pull requests what becomes of them: one comment on each, and a status at its head. It is a goroutine beside the follower's, which
// never waits for it; what it says is the same after a restart, so that nothing is said twice.
type teller struct {
	comment func(context.Context, agent.PreviewReport) (string, error)
	turn    func(context.Context) (func(), error)
	log     *slog.Logger
	name    string // what sets this cluster apart, may be empty
	wake    chan struct{}

	mu      sync.Mutex // guards what follows
	news    *news
	reports map[int]*agent.PreviewReport // the latest that was not told
	problem error                        // what somebody must do something about

	// of the goroutine alone
	topics   map[int]*topic
	failures int
}

// topic is what was said on one pull request.
type topic struct {
	body   string
	commit string
	status forge.Status
	shown  forge.Deployment
	live   string    // the head that was told to be live
	at     time.Time // nothing more of that head before
}

// settling is how long a preview that was told to be live waits before its comment is made again because production moved.
const settling = 10 * time.Second

func newTeller(w *World) *teller {
	return &teller{comment: w.Comment, turn: w.Turn, log: w.Log, name: w.Cluster, wake: make(chan struct{}, 1),
		reports: map[int]*agent.PreviewReport{}, topics: map[int]*topic{}}
}

// report takes how a preview is doing.
func (t *teller) report(r agent.PreviewReport) {
	if r.Number == 0 {
		return
	}
	t.mu.Lock()
	t.reports[int(r.Number)] = &r
	t.mu.Unlock()
	t.rouse()
}

// take takes what was decided.
func (t *teller) take(n *news) {
	t.mu.Lock()
	t.news = n
	t.mu.Unlock()
	t.rouse()
}

func (t *teller) rouse() {
	select {
	case t.wake <- struct{}{}:
	default: // it will see this with what was before
	}
}

// failed is what somebody must do something about; nil when nothing.
func (t *teller) failed() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.problem
}

// run tells until ctx ends.
func (t *teller) run(ctx context.Context) {
	again := time.NewTimer(idle)
	defer again.Stop()
	for {
		select { // the end; something to say; another try
		case <-ctx.Done():
			return
		case <-t.wake:
		case <-again.C:
		}
		again.Reset(t.tell(ctx))
	}
}

// message is what there is to say on one pull request.
type message struct {
	number int
	// report is nil where there is none.
	report  *agent.PreviewReport
	absence *life.Absence
	over    string
	head    string
}

// tell says what there is to say, and gives the time to the next try.
func (t *teller) tell(ctx context.Context) time.Duration {
	n, messages := t.messages()
	if n == nil {
		return idle
	}
	pause := idle
	for i := range messages {
		m := &messages[i]
		p := t.of(m.number)
		if wait := time.Until(p.at); wait > 0 && m.report != nil && m.over == "" && m.report.Commit == p.live {
			t.putBack(m)
			pause = min(pause, wait)
			continue
		}
		if err := t.say(ctx, n, m); err != nil && ctx.Err() == nil {
			t.putBack(m)
			for j := i + 1; j < len(messages); j++ {
				t.putBack(&messages[j])
			}
			return t.later(err)
		}
	}
	t.admit(nil)
	t.failures = 0
	return pause
}

// later says when to try again.
func (t *teller) later(err error) time.Duration {
	t.log.Debug("telling about pull requests", "error", err)
	t.failures++
	var e *forge.Error
	if errors.As(err, &e) && e.Reason == forge.RateLimited {
		return max(time.Until(e.Until), time.Second)
	}
	if errors.As(err, &e) && e.Reason != forge.Unavailable {
		t.admit(err)
	}
	return min(time.Second<<min(t.failures, 10), 10*time.Minute)
}

func (t *teller) admit(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.problem = err
}

func (t *teller) of(number int) *topic {
	p := t.topics[number]
	if p == nil {
		p = &topic{}
		t.topics[number] = p
	}
	return p
}

// putBack keeps a report for the next try, unless there is a newer one.
func (t *teller) putBack(m *message) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if m.report != nil && t.reports[m.number] == nil {
		t.reports[m.number] = m.report
	}
}

// messages takes what there may be to say, by number.
func (t *teller) messages() (*news, []message) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.news
	if n == nil {
		return nil, nil
	}
	reports := t.reports
	t.reports = map[int]*agent.PreviewReport{}
	all := map[int]*message{}
	get := func(number int) *message {
		if all[number] == nil {
			all[number] = &message{number: number, over: n.over[number], head: n.heads[number]}
		}
		return all[number]
	}
	for number, r := range reports {
		get(number).report = r
	}
	for number, a := range n.absences {
		get(number).absence = &a
	}
	for number := range n.over {
		if t.topics[number] != nil {
			get(number)
		}
	}
	out := make([]message, 0, len(all))
	for _, m := range all {
		out = append(out, *m)
	}
	slices.SortFunc(out, func(a, b message) int { return a.number - b.number })
	return n, out
}

// say says one thing, if it was not said before.
func (t *teller) say(ctx context.Context, n *news, m *message) error {
	body, err := t.body(ctx, n, m)
	if err != nil {
		t.log.Warn("writing the comment of a pull request", "pull request", m.number, "error", err)
		return nil
	}
	calls := t.calls(n, m, body)
	if len(calls) == 0 {
		return nil
	}
	done, err := t.turn(ctx)
	if err != nil {
		return err
	}
	defer done()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for _, call := range calls {
		if err := call(ctx); err != nil {
			return err
		}
	}
	return nil
}

// calls are those to the host that say what it was not told before.
func (t *teller) calls(n *news, m *message, body string) (out []func(context.Context) error) {
	p := t.of(m.number)
	status, commit := statusOf(n.sync, m)
	if tellsStatuses(n.sync) && commit != "" && (commit != p.commit || status != p.status) {
		out = append(out, func(ctx context.Context) error {
			err := n.host.SetStatus(ctx, n.repository, commit, status)
			if err == nil {
				p.commit, p.status = commit, status
			}
			return err
		})
	}
	if body != "" && body != p.body {
		out = append(out, func(ctx context.Context) error { return t.sayComment(ctx, n, m, p, body) })
	}
	if shown := t.deployment(n.sync, m); shown.Environment != "" && shown != p.shown {
		out = append(out, func(ctx context.Context) error { return t.show(ctx, n, m, p, shown) })
	}
	return out
}

// show has the host show the preview among its environments. That the token may not is said once, and keeps nothing else from being told.
func (t *teller) show(ctx context.Context, n *news, m *message, p *topic, d forge.Deployment) error {
	err := n.host.SetDeployment(ctx, n.repository, d)
	var e *forge.Error
	if errors.As(err, &e) && (e.Reason == forge.Forbidden || e.Reason == forge.NotFound || e.Reason == forge.Invalid) {
		t.log.Warn("a preview is not shown among the host's environments: let the token write deployments (GitHub) or environments (GitLab)",
			"pull request", m.number, "error", err)
		err = nil
	}
	if err == nil {
		p.shown = d
	}
	return err
}

// deployment is what the host is to show among its environments; without a name where nothing is to be said now.
func (t *teller) deployment(s *schema.Sync, m *message) forge.Deployment {
	r := m.report
	d := forge.Deployment{Environment: fmt.Sprintf("%s/pr-%d", environment(t.marker(s)), m.number)}
	switch {
	case !tellsStatuses(s):
		return forge.Deployment{}
	case m.over != "" || r != nil && r.Ended:
		return d
	case m.current() && r.Problem == nil && r.Applied && !r.Live.IsZero() && r.URL != "":
		d.Live, d.Commit, d.URL = true, r.Commit, r.URL
		return d
	}
	return forge.Deployment{}
}

// environment is a name that every host takes.
func environment(name string) string {
	if len(name) < 200 && forge.IsEnvironment(name) { // the number comes behind it
		return name
	}
	sum := sha256.Sum256([]byte(name))
	return "preview/" + hex.EncodeToString(sum[:8])
}

func (t *teller) sayComment(ctx context.Context, n *news, m *message, p *topic, body string) error {
	if err := n.host.SetComment(ctx, n.repository, m.number, t.marker(n.sync), body); err != nil {
		return err
	}
	p.body = body
	if m.report != nil && !m.report.Live.IsZero() {
		p.live, p.at = m.report.Commit, time.Now().Add(settling)
	}
	return nil
}

func tellsStatuses(s *schema.Sync) bool {
	f := s.Spec.Forge
	return f != nil && (f.Statuses == nil || *f.Statuses)
}

// marker is what the comment is found by.
func (t *teller) marker(s *schema.Sync) string {
	name := s.Namespace + "/" + s.Name
	if t.name != "" {
		name = t.name + "/" + name
	}
	if strings.Contains(name, "--") || strings.ContainsFunc(name, func(r rune) bool { return r > 0x7e || r <= ' ' }) {
		sum := sha256.Sum256([]byte(name))
		name = hex.EncodeToString(sum[:8])
	}
	return "preview/" + name
}

// body is the comment; empty where there is nothing to say yet. Of a pull request that is over only one is said that has a comment.
func (t *teller) body(ctx context.Context, n *news, m *message) (string, error) {
	switch r := m.report; {
	case m.over != "":
		if t.topics[m.number] == nil && (r == nil || !r.Ended) {
			return "", nil
		}
		return "*The preview has ended: this pull request is " + m.over + ".*\n", nil
	case r != nil && !r.Ended && conclusive(r) && (m.head == "" || m.head == r.Commit):
		if t.comment == nil {
			return "", nil
		}
		return t.comment(ctx, *r)
	case m.absence != nil:
		return absent(m.absence), nil
	}
	return "", nil
}

// conclusive: nothing more is to come soon.
func conclusive(r *agent.PreviewReport) bool {
	if r.Problem != nil {
		return r.Problem.Stalled || r.Refused
	}
	return r.Applied && !r.Live.IsZero() && r.Before != nil
}

// absent is the comment on a pull request without a preview. Nothing of it is a stranger's text.
func absent(a *life.Absence) string {
	const not = "*Not previewed: "
	switch a.Reason {
	case life.Fork:
		return not + "this pull request comes from a fork. Someone with write access can approve exactly this commit with `/preview " + a.Commit + "`.*\n"
	case life.Full, life.StatusMissing:
		return not + a.Message + ".*\n"
	case life.Ended, life.Expired:
		return "*The preview has ended: " + a.Message + ".*\n"
	}
	return "" // it says so itself, or passes
}

// statusOf is the commit status, and the commit that it is for; empty where there is none.
func statusOf(s *schema.Sync, m *message) (forge.Status, string) {
	out := forge.Status{Context: "headgate/preview"}
	if s.Spec.Forge != nil && s.Spec.Forge.Context != "" {
		out.Context = s.Spec.Forge.Context + "/preview"
	}
	r := m.report
	if !m.current() {
		return out, ""
	}
	switch {
	case r.Problem != nil && (r.Problem.Stalled || r.Refused):
		out.State, out.Description = forge.Failure, withoutCommit(r.Problem.Message, r.Commit)
	case r.Applied && !r.Live.IsZero():
		out.State, out.URL = forge.Success, r.URL
		out.Description = "live " + seconds(r.LiveAfter) + " after the push"
	default:
		out.State, out.Description = forge.Pending, "on its way"
	}
	return out, r.Commit
}

// current tells whether the report is about the head of a pull request that is open.
func (m *message) current() bool {
	r := m.report
	return m.over == "" && r != nil && !r.Ended && r.Commit != "" && (m.head == "" || m.head == r.Commit)
}

// withoutCommit leaves out which commit a problem is about: the host shows it at the commit.
func withoutCommit(message, commit string) string {
	if _, rest, named := strings.Cut(message, "@"+commit[:min(7, len(commit))]+": "); named {
		return rest
	}
	return message
}

// seconds is a duration as people say it.
func seconds(d time.Duration) string {
	if d < 2*time.Minute {
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return d.Round(time.Second).String()
}

// tell hands over what there is to say.
func (f *Follower) tell(s *schema.Sync, w *life.World, d *life.Decision) {
	if f.host == nil {
		return
	}
	n := &news{sync: s, host: f.host, repository: f.repository, absences: map[int]life.Absence{}, heads: map[int]string{}, over: map[int]string{}}
	have := map[int]bool{}
	for i := range w.Previews {
		have[w.Previews[i].Number] = have[w.Previews[i].Number] || !w.Previews[i].Ending
	}
	for _, a := range d.Absences {
		if a.Number > 0 && (!have[a.Number] || a.Reason == life.Fork || a.Reason == life.Expired) {
			n.absences[a.Number] = a // of another one what is served is told
		}
	}
	for i := range w.Subjects {
		n.heads[w.Subjects[i].Number] = w.Subjects[i].Head
	}
	for number, how := range f.over {
		n.over[number] = how
	}
	f.teller.take(n)
}
