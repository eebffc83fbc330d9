package pulls

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"headgate.dev/agent"
	"headgate.dev/agent/forge"
	"headgate.dev/render/object"
	"headgate.dev/schema"
)

// world is a host and a store in memory, which fail as they are told to.
type world struct {
	*testing.T
	mu       sync.Mutex
	pulls    map[int]forge.PullRequest
	comments map[int64]forge.Comment
	may      map[string]forge.Permission
	fail     error // of everything the host is asked
	hidden   map[int]bool
	asked    int
	previews map[string]*schema.Preview
	status   schema.SyncPreviewsStatus
	told     map[int][]string
	states   map[string]forge.StatusState
	shown    []forge.Deployment
	refuse   error // of deployments
	next     int
	now      time.Time
	f        *Follower
	s        *schema.Sync
}

func id(c string) string { return strings.Repeat(c, 40) }

func newWorld(t *testing.T) *world {
	w := &world{T: t, pulls: map[int]forge.PullRequest{}, comments: map[int64]forge.Comment{}, may: map[string]forge.Permission{}, hidden: map[int]bool{},
		previews: map[string]*schema.Preview{}, told: map[int][]string{}, states: map[string]forge.StatusState{}, now: time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)}
	w.s = &schema.Sync{ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "shop", Generation: 1}, Spec: schema.SyncSpec{
		Ref: &schema.SyncRef{Branch: "main"}, Forge: &schema.SyncForge{Kind: "gitea"},
		Previews: &schema.SyncPreviews{PullRequests: &schema.PreviewPullRequests{}, Forks: &schema.PreviewForks{Label: "ok"}},
	}}
	w.begin()
	return w
}

// begin starts a follower that knows nothing, as after a restart.
func (w *world) begin() {
	w.f = New(World{Connect: func(context.Context, *schema.Sync) (Host, string, error) { return w, "team-a/shop", nil }, Store: w,
		Turn: func(context.Context) (func(), error) { return func() {}, nil },
		Now:  func() time.Time { return w.now }, Jitter: func() float64 { return 0.5 }, Log: slog.New(slog.DiscardHandler)}, w.s)
}

// look has the follower look once, after some time.
func (w *world) look(after time.Duration) time.Duration {
	w.now = w.now.Add(after)
	s, n := w.f.take()
	return w.f.look(w.Context(), s, n)
}

func (w *world) open(number int, head string, change func(*forge.PullRequest)) {
	p := forge.PullRequest{Number: number, Author: "ada", State: forge.Open, Head: forge.Branch{Ref: "b", Commit: id(head)}, Base: forge.Branch{Ref: "main", Commit: id("0")},
		MergeBase: id("0"), Updated: w.now}
	if change != nil {
		change(&p)
	}
	w.pulls[number] = p
}

// has holds which previews there are: "1:aaaaaaa 2:bbbbbbb".
func (w *world) has(want string) {
	w.Helper()
	var got []string
	for _, p := range w.previews {
		if p.DeletionTimestamp == nil {
			got = append(got, fmt.Sprintf("%d:%.7s", p.Spec.Number, p.Spec.Commit))
		}
	}
	slices.Sort(got)
	if text := strings.Join(got, " "); text != want {
		w.Fatalf("there are %q, want %q; %+v", text, want, w.status)
	}
}

func (w *world) answer() error {
	w.asked++
	return w.fail
}

func (w *world) OpenPullRequests(context.Context, string) ([]forge.PullRequest, error) {
	if err := w.answer(); err != nil {
		return nil, err
	}
	var out []forge.PullRequest
	for n, p := range w.pulls {
		if p.State == forge.Open && !w.hidden[n] {
			out = append(out, p)
		}
	}
	return out, nil
}

func (w *world) PullRequest(_ context.Context, _ string, n int) (forge.PullRequest, error) {
	p, ok := w.pulls[n]
	if err := w.answer(); err != nil || !ok {
		return p, errors.Join(err, orNil(!ok, &forge.Error{Reason: forge.NotFound, Status: 404}))
	}
	return p, nil
}

func orNil(is bool, e *forge.Error) error {
	if is {
		return e
	}
	return nil
}

func (w *world) Statuses(_ context.Context, _, commit string) ([]forge.Status, error) {
	return []forge.Status{{Context: "ci", State: w.states[commit]}}, w.answer()
}

func (w *world) Comment(_ context.Context, _ string, _ int, k int64) (forge.Comment, error) {
	return w.comments[k], w.answer()
}

func (w *world) Permission(_ context.Context, _, user string) (forge.Permission, error) {
	return w.may[user], w.answer()
}

func (w *world) RemoveLabel(_ context.Context, _ string, n int, label string) error {
	p := w.pulls[n]
	p.Labels = slices.DeleteFunc(slices.Clone(p.Labels), func(l string) bool { return l == label })
	w.pulls[n] = p
	return w.answer()
}

func (w *world) SetComment(_ context.Context, _ string, n int, _, body string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.told[n] = append(w.told[n], body)
	return w.answer()
}

func (w *world) SetStatus(context.Context, string, string, forge.Status) error { return w.answer() }

func (w *world) SetDeployment(_ context.Context, _ string, d forge.Deployment) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.shown = append(w.shown, d)
	return w.refuse
}

func (w *world) Limit() (int, time.Time, bool) { return 0, time.Time{}, false }

func (w *world) Previews(context.Context, *schema.Sync) ([]schema.Preview, error) {
	var out []schema.Preview
	for _, p := range w.previews {
		out = append(out, *p.DeepCopy())
	}
	return out, nil
}

func (w *world) Create(_ context.Context, _ *schema.Sync, p *schema.Preview) error {
	if w.previews[p.Name] != nil {
		return errors.New("there is one")
	}
	w.next++
	p.UID, p.Generation, p.CreationTimestamp = types.UID(fmt.Sprint(w.next)), 1, metav1.Time{Time: w.now}
	w.previews[p.Name] = p.DeepCopy()
	return nil
}

func (w *world) Update(_ context.Context, p *schema.Preview) error {
	p.Generation++
	w.previews[p.Name] = p.DeepCopy()
	return nil
}

func (w *world) Delete(_ context.Context, p *schema.Preview, _ string) error {
	delete(w.previews, p.Name)
	return nil
}

func (w *world) Remembered(context.Context, *schema.Sync) *schema.SyncPreviewsStatus {
	return w.status.DeepCopy()
}

func (w *world) Remember(_ context.Context, _ *schema.Sync, next *schema.SyncPreviewsStatus) error {
	w.status = *next.DeepCopy()
	return nil
}

// TestOnlyKnowledgeEnds: whatever a host answers but that a pull request is over, its preview stays.
func TestOnlyKnowledgeEnds(t *testing.T) {
	for name, fail := range map[string]error{
		"403": &forge.Error{Reason: forge.Forbidden, Status: 403}, "404": &forge.Error{Reason: forge.NotFound, Status: 404},
		"401": &forge.Error{Reason: forge.Unauthorized, Status: 401}, "500": &forge.Error{Reason: forge.Unavailable, Status: 500},
		"429":         &forge.Error{Reason: forge.RateLimited, Status: 429, Until: time.Date(2026, 3, 4, 12, 10, 0, 0, time.UTC)},
		"half a page": &forge.Error{Reason: forge.Unexpected}, "no answer": context.DeadlineExceeded,
	} {
		for _, restarted := range []bool{false, true} {
			w := newWorld(t)
			w.s.Spec.Previews.MaxAge = "9999h"
			w.open(1, "a", nil)
			w.open(2, "a", nil)
			w.look(0)
			w.has("1:aaaaaaa 2:aaaaaaa")
			if restarted {
				w.begin()
			}
			p := w.pulls[1]
			p.State = forge.Merged
			w.pulls[1] = p
			w.fail = fail
			for range 5 {
				w.f.Hint(forge.Hint{PullRequests: []int{1, 2}, More: true})
				w.look(20 * 24 * time.Hour) // nothing grows too old meanwhile either
			}
			w.has("1:aaaaaaa 2:aaaaaaa")
			if w.status.Message == "" && name != "429" {
				t.Errorf("%s: the status says nothing", name)
			}
			w.fail = nil
			w.f.Poll()
			p = w.pulls[2]
			p.Head.Commit, p.Updated = id("b"), w.now
			w.pulls[2] = p
			w.look(time.Hour)
			w.has("2:bbbbbbb")
		}
	}
}

// TestEmptyList: a list without a pull request says nothing of it.
func TestEmptyList(t *testing.T) {
	w := newWorld(t)
	w.open(1, "a", nil)
	w.look(0)
	w.hidden[1] = true
	w.f.Poll()
	w.look(time.Hour)
	w.has("1:aaaaaaa")
	delete(w.pulls, 1) // 404
	w.f.Poll()
	w.look(time.Hour)
	w.has("1:aaaaaaa")
	w.open(1, "a", func(p *forge.PullRequest) { p.State = forge.Closed })
	w.f.Poll()
	w.look(time.Hour)
	w.has("")
}

// TestHooks: one look for each, in any order, and again until the commit is there.
func TestHooks(t *testing.T) {
	w := newWorld(t)
	w.open(1, "a", nil)
	w.look(0)
	w.has("1:aaaaaaa")
	w.f.Hint(forge.Hint{PullRequests: []int{1}, Pulls: []forge.PullHint{{Number: 1, Commit: id("b")}}})
	pause := w.look(time.Second)
	if pause > time.Second {
		t.Errorf("a commit that is not there yet is looked for again after %s", pause)
	}
	w.open(1, "b", nil)
	w.look(pause)
	w.has("1:bbbbbbb")
	w.f.Hint(forge.Hint{PullRequests: []int{1}, Pulls: []forge.PullHint{{Number: 1, Commit: id("a")}}}) // late
	asked := w.asked
	pause = w.look(time.Second)
	w.has("1:bbbbbbb")
	if w.asked != asked+1 || pause < 20*time.Second {
		t.Errorf("a late hook cost %d requests, the next look after %s", w.asked-asked, pause)
	}
	p := w.pulls[1]
	p.Head.Commit, p.Updated = id("a"), w.now.Add(-time.Hour) // an answer that is older than what is known
	w.pulls[1] = p
	w.f.Poll()
	w.look(time.Second)
	w.has("1:bbbbbbb")
}

// TestApprovals: only an event grants, by whoever may write, for the head.
func TestApprovals(t *testing.T) {
	fork := func(p *forge.PullRequest) { p.Fork, p.Author = true, "eve" }
	w := newWorld(t)
	w.may = map[string]forge.Permission{"ada": forge.Write, "eve": forge.Read}
	w.open(1, "a", fork)
	w.look(0)
	hint := func(h forge.PullHint) { w.f.Hint(forge.Hint{PullRequests: []int{1}, Pulls: []forge.PullHint{h}}) }
	w.comments[7] = forge.Comment{ID: 7, Author: "eve", Body: "/preview " + id("a"), Updated: w.now}
	hint(forge.PullHint{Number: 1, Comment: 7})
	w.look(time.Second)
	w.has("")
	w.comments[8] = forge.Comment{ID: 8, Author: "ada", Body: "/preview " + id("a"), Updated: w.now}
	w.f.Poll()
	w.look(time.Hour)
	w.has("") // polling never grants
	w.fail = &forge.Error{Reason: forge.Unavailable}
	hint(forge.PullHint{Number: 1, Comment: 8})
	w.look(time.Second)
	w.has("")
	w.fail = nil
	w.look(time.Minute) // it was not lost
	w.has("1:aaaaaaa")
	w.begin()
	w.look(time.Second)
	w.has("1:aaaaaaa")
	w.open(1, "b", func(p *forge.PullRequest) { fork(p); p.Labels = []string{"ok"} })
	hint(forge.PullHint{Number: 1, Commit: id("b")})
	w.look(time.Second)
	w.has("")
	if got := w.pulls[1].Labels; len(got) != 0 {
		t.Errorf("after a push there are the labels %v", got)
	}
	w.look(time.Minute)
	w.open(1, "b", func(p *forge.PullRequest) { fork(p); p.Labels = []string{"ok"} })
	hint(forge.PullHint{Number: 1, Commit: id("b"), Labels: []string{"ok"}, By: "eve"})
	w.look(time.Minute)
	w.has("")
	w.open(1, "b", fork)
	w.f.Poll()
	w.look(time.Minute)
	w.open(1, "b", func(p *forge.PullRequest) { fork(p); p.Labels = []string{"ok"} })
	hint(forge.PullHint{Number: 1, Commit: id("b"), Labels: []string{"ok"}, By: "ada"})
	w.look(time.Minute)
	w.has("1:bbbbbbb")
}

// TestMany: two hundred pull requests at once cost a list, not a request each, and the house is never fuller than it may be.
func TestMany(t *testing.T) {
	w := newWorld(t)
	w.s.Spec.Previews.Limit = &schema.PreviewLimit{Total: 150, PerAuthor: 200}
	w.look(0)
	asked := w.asked
	hint := forge.Hint{}
	for i := range 200 {
		w.open(i+1, "a", nil)
		hint.PullRequests = append(hint.PullRequests, i+1)
		hint.Pulls = append(hint.Pulls, forge.PullHint{Number: i + 1, Commit: id("a")})
	}
	w.f.Hint(hint)
	w.look(time.Second)
	if len(w.previews) != 150 || len(w.status.Without) != 50 || w.status.Count != 150 {
		t.Errorf("%d previews, %d without, count %d", len(w.previews), len(w.status.Without), w.status.Count)
	}
	if n := w.asked - asked; n > 2 {
		t.Errorf("it took %d requests", n)
	}
}

// TestEndedByHand: one that somebody deletes stays away until the next push, however fast it was gone; one that was left out comes back when it is not any more.
func TestEndedByHand(t *testing.T) {
	w := newWorld(t)
	w.open(1, "a", nil)
	w.look(0)
	gone := w.previews["shop.pr-1"].DeepCopy()
	delete(w.previews, "shop.pr-1")
	w.f.Ending(gone)
	w.look(time.Second)
	w.has("")
	w.begin()
	w.look(time.Second)
	w.has("")
	w.open(1, "b", nil)
	w.f.Poll()
	w.look(time.Hour)
	w.has("1:bbbbbbb")
	draft := func(is bool) {
		w.open(1, "b", func(p *forge.PullRequest) { p.Draft = is })
		w.f.Poll()
	}
	gone = w.previews["shop.pr-1"].DeepCopy()
	draft(true)
	w.look(time.Hour)
	w.f.Ending(gone) // the news of what was done here
	w.look(time.Second)
	draft(false)
	w.look(time.Hour)
	w.look(time.Second)
	w.has("1:bbbbbbb")
}

// TestRequires: a head without the required status waits, and what was before serves on.
func TestRequires(t *testing.T) {
	w := newWorld(t)
	w.s.Spec.Previews.Requires = "ci"
	w.open(1, "a", nil)
	w.states[id("a")] = forge.Pending
	w.look(0)
	w.has("")
	w.states[id("a")] = forge.Success
	w.f.Hint(forge.Hint{Statuses: []string{id("a")}})
	w.look(time.Second)
	w.has("1:aaaaaaa")
	w.open(1, "b", nil)
	w.states[id("b")] = forge.Failure
	w.f.Hint(forge.Hint{PullRequests: []int{1}})
	w.look(time.Second)
	w.has("1:aaaaaaa")
}

// TestShownAmongEnvironments: what is live is shown once, what has ended is shown as that, and a token that may not show it keeps nothing else from being told.
func TestShownAmongEnvironments(t *testing.T) {
	w := newWorld(t)
	w.f = New(World{Connect: w.f.world.Connect, Store: w, Turn: w.f.world.Turn, Now: w.f.world.Now, Jitter: w.f.world.Jitter, Log: w.f.world.Log,
		Comment: func(context.Context, agent.PreviewReport) (string, error) { return "It is live.", nil }}, w.s)
	w.open(1, "a", nil)
	w.look(0)
	live := agent.PreviewReport{Number: 1, Commit: id("a"), URL: "https://shop-pr-1.example.com", Applied: true, Live: w.now, Before: &object.Set{}}
	tell := func(r *agent.PreviewReport, want ...forge.Deployment) {
		t.Helper()
		if r != nil {
			w.f.Report(*r)
		}
		w.f.teller.of(1).at = time.Time{} // the time to settle is over
		w.f.teller.tell(t.Context())
		if !slices.Equal(w.shown, want) {
			t.Fatalf("shown is %+v, want %+v", w.shown, want)
		}
		w.shown = nil
	}
	const name = "preview/team-a/shop/pr-1"
	early := live
	early.Live = time.Time{}
	tell(&early)
	w.refuse = &forge.Error{Reason: forge.Unavailable, Status: 500}
	one := forge.Deployment{Environment: name, Commit: id("a"), URL: live.URL, Live: true}
	tell(&live, one)
	w.refuse = nil
	tell(nil, one) // once more
	tell(&live)
	w.refuse = &forge.Error{Reason: forge.Forbidden, Status: 403}
	p := w.pulls[1]
	p.State = forge.Merged
	w.pulls[1] = p
	w.f.Hint(forge.Hint{PullRequests: []int{1}})
	w.look(time.Second)
	tell(&agent.PreviewReport{Number: 1, Ended: true}, forge.Deployment{Environment: name})
	tell(nil)
	if told := w.told[1]; len(told) != 2 || !strings.Contains(told[1], "ended") {
		t.Errorf("the comments are %q", told)
	}
	if got := environment("preview/a.b/shop"); strings.Contains(got, ".") {
		t.Errorf("an environment is called %q", got)
	}
}
