package pulls

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"headgate.dev/agent"
	"headgate.dev/agent/forge"
	"headgate.dev/schema"
)

// Host is the Git host of a Sync; forge.Client is one.
type Host interface {
	OpenPullRequests(ctx context.Context, repo string) ([]forge.PullRequest, error)
	PullRequest(ctx context.Context, repo string, number int) (forge.PullRequest, error)
	Statuses(ctx context.Context, repo, commit string) ([]forge.Status, error)
	Comment(ctx context.Context, repo string, number int, id int64) (forge.Comment, error)
	Permission(ctx context.Context, repo, user string) (forge.Permission, error)
	RemoveLabel(ctx context.Context, repo string, number int, label string) error
	SetComment(ctx context.Context, repo string, number int, marker, body string) error
	SetStatus(ctx context.Context, repo, commit string, s forge.Status) error
	SetDeployment(ctx context.Context, repo string, d forge.Deployment) error
	Limit() (remaining int, reset time.Time, known bool)
}

// Store is where Previews are, and what is remembered.
type Store interface {
	// Previews gives those of a Sync, as far as they are known here; those that were just written may be missing.
	Previews(ctx context.Context, s *schema.Sync) ([]schema.Preview, error)
	// Create makes one; that there is one of the name already is an error. It fills in what the API server adds.
	Create(ctx context.Context, s *schema.Sync, p *schema.Preview) error
	// Update writes all but the pin of a spec, and the annotations.
	Update(ctx context.Context, p *schema.Preview) error
	// Delete deletes this very one; that it is gone is no error.
	Delete(ctx context.Context, p *schema.Preview, why string) error
	// Remembered is what was remembered last; never nil.
	Remembered(ctx context.Context, s *schema.Sync) *schema.SyncPreviewsStatus
	// Remember writes it into the status of the Sync.
	Remember(ctx context.Context, s *schema.Sync, next *schema.SyncPreviewsStatus) error
}

// World is what a Follower needs. All but Comment and Cluster are required.
type World struct {
	// Connect gives the host of a Sync and the repository there.
	Connect func(ctx context.Context, s *schema.Sync) (Host, string, error)
	// Repository opens the repository of a Sync, whose previews are of branches.
	Repository func(ctx context.Context, s *schema.Sync) (Repository, error)
	Store      Store
	// Turn waits until the host may be asked for something that is in no hurry; the function gives the turn back.
	Turn func(ctx context.Context) (func(), error)
	// Comment writes, in Markdown, what there is to say of a preview on its pull request. May be nil: then no more than that there is none is said.
	Comment func(context.Context, agent.PreviewReport) (string, error)
	// Cluster sets the comments of this cluster apart from those of others; may be empty.
	Cluster string
	Now     func() time.Time
	Jitter  func() float64 // in [0,1)
	Log     *slog.Logger
}

// Follower gives the pull requests or branches of a Sync their previews.
type Follower struct {
	world  World         // constant
	teller *teller       // constant
	wake   chan struct{} // has room for one: there is a note

	mu    sync.Mutex // guards what follows
	sync  *schema.Sync
	notes notes
	// ending are Previews that are being deleted, by their UIDs: one that is gone before the next look must not come back if somebody's hand did it.
	ending map[string]schema.Preview

	state // of the goroutine alone
}

// notes is what there is to do.
type notes struct {
	poll bool // ask for everything
	// numbers are pull requests to ask for, with what was said of them.
	numbers map[int][]forge.PullHint
	// refs are branches that moved, with the commit that they were said to be at.
	refs []forge.RefHint
	// commits are those that a status was set on.
	commits []string
}

// New makes a Follower, which begins with Run.
func New(w World, s *schema.Sync) *Follower {
	f := &Follower{world: w, teller: newTeller(&w), wake: make(chan struct{}, 1), sync: s, state: newState()}
	f.notes.poll = true
	return f
}

// Take hands over the Sync as it is now. One that says something else is looked at anew.
func (f *Follower) Take(s *schema.Sync) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if s.Generation != f.sync.Generation || s.Annotations[schema.ReconcileRequest] != f.sync.Annotations[schema.ReconcileRequest] {
		f.notes.poll = true
		f.rouse()
	}
	f.sync = s
}

// Changed says that a Preview of the Sync is another one.
func (f *Follower) Changed() { f.rouse() }

// Ending says that a Preview of the Sync is being deleted, or is gone.
func (f *Follower) Ending(p *schema.Preview) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ending == nil {
		f.ending = map[string]schema.Preview{}
	}
	f.ending[string(p.UID)] = *p.DeepCopy()
	f.rouse()
}

// Poll has the host asked for everything, as when what a Sync names has changed.
func (f *Follower) Poll() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.notes.poll = true
	f.rouse()
}

// Hint takes what webhooks said of the repository.
func (f *Follower) Hint(h forge.Hint) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := &f.notes
	n.poll = n.poll || h.More
	if n.numbers == nil {
		n.numbers = map[int][]forge.PullHint{}
	}
	for _, number := range h.PullRequests {
		n.numbers[number] = append(n.numbers[number], forge.PullHint{Number: number})
	}
	for _, p := range h.Pulls {
		n.numbers[p.Number] = append(n.numbers[p.Number], p)
	}
	n.refs, n.commits = append(n.refs, h.Refs...), append(n.commits, h.Statuses...)
	if len(n.numbers)+len(n.refs)+len(n.commits) > mostNotes {
		n.poll, n.refs, n.commits = true, nil, nil // everything is asked for; what approves is kept
	}
	f.rouse()
}

// mostNotes is how many notes are kept apart.
const mostNotes = 4096

func (f *Follower) rouse() {
	select {
	case f.wake <- struct{}{}:
	default: // it will see this note with the one before
	}
}

// take gives the Sync and what there is to do.
func (f *Follower) take() (*schema.Sync, notes) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := f.notes
	f.notes = notes{}
	return f.sync, n
}

// Report takes how a preview of the Sync is doing, to be told on its pull request.
func (f *Follower) Report(r agent.PreviewReport) { f.teller.report(r) }

// Run follows until ctx ends.
func (f *Follower) Run(ctx context.Context) {
	told := make(chan struct{})
	go func() { defer close(told); f.teller.run(ctx) }()
	defer func() { <-told }()
	defer f.disconnect()
	next := time.NewTimer(0)
	defer next.Stop()
	for {
		select { // the end; a note; the next look
		case <-ctx.Done():
			return
		case <-f.wake:
		case <-next.C:
		}
		s, n := f.take()
		next.Reset(f.look(ctx, s, n))
	}
}

// state is what a Follower knows, of its goroutine alone.
type state struct {
	host       Host
	repository string
	generation int64     // of the Sync that host is for
	branches   *branches // nil: previews are of pull requests

	pulls map[int]*pull  // that are open, as far as is known
	over  map[int]string // how others ended
	asks  map[int]*ask   // pull requests to ask for by themselves
	// checks are of commits that something is required of.
	checks map[string]*check
	// unlabel are pull requests whose label is to be taken off.
	unlabel map[int]bool
	// written are Previews that were written, until they are seen; ours those that were deleted, by their UIDs.
	written map[string]written
	ours    map[string]bool

	pollAt   time.Time // not before
	current  bool      // the host answered then
	failures int
	quiet    time.Time // the host wants no request before
}

func newState() state {
	return state{pulls: map[int]*pull{}, over: map[int]string{}, asks: map[int]*ask{}, checks: map[string]*check{}, unlabel: map[int]bool{},
		written: map[string]written{}, ours: map[string]bool{}}
}

// pull is a pull request that is open.
type pull struct {
	forge.PullRequest
	// heads are those that it has had, the newest last; a webhook may tell of an old one.
	heads []string
	// based: the merge base was asked for at this head.
	based string
}

// maxHeads is how many heads are remembered.
const maxHeads = 16

// learn takes in what the host said, unless it is older than what is known.
func (f *Follower) learn(p forge.PullRequest) {
	if p.State != forge.Open {
		f.over[p.Number] = string(p.State)
		delete(f.pulls, p.Number)
		return
	}
	delete(f.over, p.Number)
	k := f.pulls[p.Number]
	switch {
	case k == nil:
		k = &pull{}
		f.pulls[p.Number] = k
	case p.Updated.Before(k.Updated):
		return
	case p.MergeBase == "" && p.Head.Commit == k.Head.Commit && p.Base.Ref == k.Base.Ref:
		p.MergeBase = k.MergeBase // lists do not have it
	}
	k.PullRequest = p
	if n := len(k.heads); p.Head.Commit != "" && (n == 0 || k.heads[n-1] != p.Head.Commit) {
		k.heads = append(k.heads, p.Head.Commit)
		k.heads = k.heads[max(0, len(k.heads)-maxHeads):]
	}
}

// had tells whether a pull request has or had a head.
func (f *Follower) had(number int, commit string) bool {
	k := f.pulls[number]
	return k != nil && slices.Contains(k.heads, commit)
}

// numbers are the open pull requests that are known.
func (f *Follower) numbers() []int { return slices.Sorted(maps.Keys(f.pulls)) }
