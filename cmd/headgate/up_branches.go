package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"headgate.dev/agent"
	"headgate.dev/agent/git"
	"headgate.dev/cmd/internal/branches"
	"headgate.dev/cmd/internal/local"
	"headgate.dev/cmd/internal/term"
	"headgate.dev/schema"
)

// branchWatch serves the branches of a local repository beside what is followed.
type branchWatch struct {
	repo     *git.Repository
	stack    *local.Stack
	report   reporter
	follower *branches.Follower
	// mains has what is served, whenever that is another commit. One that nobody took gives way to the next.
	mains chan branches.Main

	said map[string]string // what was reported of each branch last
}

// watchBranches gives nil where there are no branches to be served: of a remote, of saved files, and with --branches 0.
func (f *upFlags) watchBranches(repo source, stack *local.Stack, report reporter, loop *agent.Loop) *branchWatch {
	r, ok := repo.(*git.Repository)
	if !ok || git.IsRemote(f.source) || f.once || f.branches <= 0 {
		return nil
	}
	return &branchWatch{
		repo: r, stack: stack, report: report, mains: make(chan branches.Main, 1), said: map[string]string{},
		follower: &branches.Follower{Repository: r, Dir: loop.Dir, Options: loop.Options, Limit: f.branches},
	}
}

// serves tells what is served now.
func (w *branchWatch) serves(o agent.Outcome) {
	if w == nil || o.Commit == nil || o.Change.Set == nil || !o.Applied() {
		return
	}
	select {
	case <-w.mains:
	default:
	}
	w.mains <- branches.Main{Commit: o.Commit, Set: o.Change.Set}
}

// run follows the branches until ctx ends. Nothing that is wrong with them touches what is served of main.
func (w *branchWatch) run(ctx context.Context) {
	hints, err := w.repo.Watch(ctx)
	if err != nil {
		return // whoever follows main says it
	}
	var main branches.Main
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

func (w *branchWatch) look(ctx context.Context, main branches.Main) {
	found, err := w.follower.Look(ctx, main, w.stack.AliasHosts())
	if ctx.Err() != nil {
		return
	}
	if err == nil {
		err = w.stack.SetPreviews(ctx, branches.Objects(found, main.Set))
	}
	if err != nil {
		w.tell(branchEvent{Errors: inputErrors(err)})
		return
	}
	waiting, stop := context.WithTimeout(ctx, 10*time.Second)
	defer stop()
	if _, err := w.stack.WaitPreviews(waiting); err != nil && ctx.Err() == nil {
		w.tell(branchEvent{Errors: schema.Errors{{Message: "no Envoy has acknowledged the branches yet"}}})
	}
	here := map[string]bool{}
	for i := range found {
		here[found[i].Name] = true
		w.tell(w.event(&found[i]))
	}
	for _, name := range slices.Sorted(maps.Keys(w.said)) {
		if name != "" && !here[name] {
			delete(w.said, name)
			w.report.branch(branchEvent{Event: "branch", Branch: name, Gone: true})
		}
	}
}

// branchEvent is what is said about a branch.
type branchEvent struct {
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

func (w *branchWatch) event(b *branches.Branch) branchEvent {
	e := branchEvent{Event: "branch", Branch: b.Name}
	if b.Commit != nil {
		e.Revision, e.Subject = b.Commit.Revision, b.Commit.Subject
	}
	if b.Err != nil {
		e.Errors = inputErrors(b.Err)
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
func (w *branchWatch) tell(e branchEvent) {
	e.Event = "branch"
	text := fmt.Sprint(e.Revision, e.URLs, e.NotPreviewed, e.Errors)
	if w.said[e.Branch] == text {
		return
	}
	w.said[e.Branch] = text
	w.report.branch(e)
}

func (r *jsonReport) branch(e branchEvent) { r.write(e) }

func (r *textReport) branch(e branchEvent) {
	r.mu.Lock()
	defer r.mu.Unlock()
	name := term.Safe(e.Branch, 60)
	switch {
	case e.Branch == "":
		r.printf("\n%s\n", r.style.Bad("the branches are as they were"))
	case e.Gone:
		r.printf("\nbranch %s · no longer beside what is served\n", name)
		return
	case len(e.Errors) > 0:
		r.printf("\nbranch %s %q · %s\n", name, term.Safe(e.Subject, 60), r.style.Bad("refused"))
	case len(e.URLs) == 0:
		r.printf("\nbranch %s %q · nothing of it answers requests here\n", name, term.Safe(e.Subject, 60))
	default:
		r.printf("\nbranch %s %q\n  %s\n", name, term.Safe(e.Subject, 60), strings.Join(e.URLs, "\n  "))
	}
	r.places(r.style.Bad("error"), e.Errors)
	r.places(r.style.Warn("not previewed"), e.NotPreviewed)
}

// checkBranches says what is wrong with --branches.
func (f *upFlags) checkBranches() error {
	switch {
	case f.branches < 0:
		return usageError{fmt.Errorf("--branches %d: expected a number, 0 for none", f.branches)}
	case f.branchesSet && f.branches > 0 && f.worktree:
		return usageError{errors.New("--branches needs commits: it goes with no --worktree")}
	case f.branchesSet && f.branches > 0 && git.IsRemote(f.source):
		return usageError{errors.New("--branches needs a local repository, because a remote is fetched without its history")}
	}
	return nil
}
