package branches

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"headgate.dev/agent"
	"headgate.dev/cmd/internal/local"
	"headgate.dev/schema"
)

// Watch serves the branches of a local repository beside what is followed.
type Watch struct {
	follower Follower
	repo     Watched
	stack    *local.Stack
	report   func(Event)
	// mains has what is served, whenever that is another commit. One that nobody took gives way to the next.
	mains chan Main

	said map[string]string // what was reported of each branch last
}

// Watched is a repository whose references are watched; git.Repository is one.
type Watched interface {
	Repository
	Watch(ctx context.Context) (<-chan struct{}, error)
}

// NewWatch makes a Watch that tells what becomes of branches from the goroutine of Run.
func NewWatch(f Follower, repo Watched, stack *local.Stack, report func(Event)) *Watch {
	f.Repository = repo
	return &Watch{follower: f, repo: repo, stack: stack, report: report, mains: make(chan Main, 1), said: map[string]string{}}
}

// Serves tells what is served now. The nil Watch is told nothing.
func (w *Watch) Serves(o agent.Outcome) {
	if w == nil || o.Commit == nil || o.Change.Set == nil || !o.Applied() {
		return
	}
	select {
	case <-w.mains:
	default:
	}
	w.mains <- Main{Commit: o.Commit, Set: o.Change.Set}
}

// Run follows the branches until ctx ends. Nothing that is wrong with them touches what is served of main. The nil Watch returns at once.
func (w *Watch) Run(ctx context.Context) {
	if w == nil {
		return
	}
	hints, err := w.repo.Watch(ctx)
	if err != nil {
		return // whoever follows main says it
	}
	var main Main
	for {
		select { // the end; a reference moved; main is another commit
		case <-ctx.Done():
			return
		case _, open := <-hints:
			if !open {
				return
			}
		case main = <-w.mains:
		}
		if main.Commit != nil {
			w.look(ctx, main)
		}
	}
}

func (w *Watch) look(ctx context.Context, main Main) {
	found, err := w.follower.Look(ctx, main, w.stack.AliasHosts())
	if ctx.Err() != nil {
		return
	}
	if err == nil {
		err = w.stack.SetPreviews(ctx, Objects(found, main.Set))
	}
	if err != nil {
		w.tell(Event{Errors: inputs(err)})
		return
	}
	waiting, stop := context.WithTimeout(ctx, 10*time.Second)
	defer stop()
	if _, err := w.stack.WaitPreviews(waiting); err != nil && ctx.Err() == nil {
		w.tell(Event{Errors: schema.Errors{{Message: "no Envoy has acknowledged the branches yet"}}})
	}
	here := map[string]bool{}
	for i := range found {
		here[found[i].Name] = true
		w.tell(w.event(&found[i]))
	}
	for _, name := range slices.Sorted(maps.Keys(w.said)) {
		if name != "" && !here[name] {
			delete(w.said, name)
			w.report(Event{Event: "branch", Branch: name, Gone: true})
		}
	}
}

// Event is what is said about a branch.
type Event struct {
	Event    string `json:"event"` // branch
	Branch   string `json:"branch,omitempty"`
	Revision string `json:"revision,omitempty"`
	Subject  string `json:"subject,omitempty"`
	// URLs are where what it changes is served.
	URLs []string `json:"urls,omitempty"`
	// NotPreviewed are parts of the change that have no place here.
	NotPreviewed schema.Errors `json:"notPreviewed,omitempty"`
	Errors       schema.Errors `json:"errors,omitempty"`
	// Gone: it is deleted, merged, or nothing of what is served differs any more.
	Gone bool `json:"gone,omitempty"`
}

func (w *Watch) event(b *Branch) Event {
	e := Event{Event: "branch", Branch: b.Name}
	if b.Commit != nil {
		e.Revision, e.Subject = b.Commit.Revision, b.Commit.Subject
	}
	if b.Err != nil {
		e.Errors = inputs(b.Err)
	}
	if b.Plan == nil {
		return e
	}
	for i := range b.Plan.Sites {
		s := &b.Plan.Sites[i]
		if url := w.stack.PreviewURL(s.Host); url != "" {
			e.URLs = append(e.URLs, url)
		} else if slices.Contains(s.Kinds, "TLSRoute") {
			e.NotPreviewed = append(e.NotPreviewed, &schema.Error{Message: fmt.Sprintf("service %s/%s is reached by TLS that is passed through, which has no host of a branch here", s.Namespace, s.Service)})
		}
	}
	for _, r := range b.Plan.Refusals {
		e.NotPreviewed = append(e.NotPreviewed, r.Error)
	}
	return e
}

// tell reports what was not said of a branch before.
func (w *Watch) tell(e Event) {
	e.Event = "branch"
	text := fmt.Sprint(e.Revision, e.URLs, e.NotPreviewed, e.Errors)
	if w.said[e.Branch] == text {
		return
	}
	w.said[e.Branch] = text
	w.report(e)
}

// inputs gives an error as a list of places, whatever it is.
func inputs(err error) schema.Errors {
	var list schema.Errors
	if errors.As(err, &list) {
		return list
	}
	return schema.Errors{{Message: err.Error()}}
}
