package main

import (
	"errors"
	"fmt"
	"strings"

	"headgate.dev/agent"
	"headgate.dev/agent/git"
	"headgate.dev/cmd/internal/branches"
	"headgate.dev/cmd/internal/local"
	"headgate.dev/cmd/internal/term"
)

// watchBranches gives nil where there are no branches to be served: of a remote, of saved files, and with --branches 0.
func (f *upFlags) watchBranches(repo source, stack *local.Stack, report reporter, loop *agent.Loop) *branches.Watch {
	r, ok := repo.(*git.Repository)
	if !ok || git.IsRemote(f.source) || f.once || f.branches <= 0 {
		return nil
	}
	return branches.NewWatch(branches.Follower{Dir: loop.Dir, Options: loop.Options, Limit: f.branches}, r, stack, report.branch)
}

func (r *jsonReport) branch(e branches.Event) { r.write(e) }

func (r *textReport) branch(e branches.Event) {
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
	r.places(r.style.Bad, "error", e.Errors)
	r.places(r.style.Warn, "not previewed", e.NotPreviewed)
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
