package main

import (
	"errors"
	"path"
	"path/filepath"
	"sync"
	"time"

	"headgate.dev/agent"
	"headgate.dev/cmd/internal/branches"
	"headgate.dev/cmd/internal/local"
	"headgate.dev/schema"
)

// reporter tells what happens while serving. Its methods may be called from several goroutines.
type reporter interface {
	// serves names the stack, before anything else is reported.
	serves(*local.Stack)
	// ready tells that Envoy runs, and how long it took to start.
	ready(time.Duration)
	// restarted tells why Envoy had to be started again.
	restarted(error)
	outcome(agent.Outcome)
	// branch tells what became of a branch beside it.
	branch(branches.Event)
}

func (f *upFlags) reporter(s streams, repo source) reporter {
	about := about{repository: repo.String(), path: path.Join(repo.Dir(), filepath.ToSlash(f.path)), worktree: f.worktree}
	if f.output == "json" {
		return &jsonReport{w: s.out, about: about}
	}
	return &textReport{w: s.out, style: s.style(), about: about}
}

// about is what is served, for the head of a report.
type about struct {
	repository, path string
	worktree         bool
}

// rowLimit is how many rows of traffic are printed at once.
const rowLimit = 20

// inputErrors gives an outcome's error as a list of places, whatever it is.
func inputErrors(err error) schema.Errors {
	var list schema.Errors
	if errors.As(err, &list) {
		return list
	}
	return schema.Errors{{Message: err.Error()}}
}

// base is what both reporters have.
type base struct {
	mu    sync.Mutex // one report at a time
	stack *local.Stack
	said  map[string]bool
}

// unsaid gives those errors that it has not given before.
func (b *base) unsaid(errs schema.Errors) (out schema.Errors) {
	for _, e := range errs {
		if text := e.Error(); !b.said[text] {
			if b.said == nil {
				b.said = map[string]bool{}
			}
			b.said[text] = true
			out = append(out, e)
		}
	}
	return out
}

func (b *base) serves(s *local.Stack) { b.stack = s }
