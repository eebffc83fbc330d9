package controller

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"sync"

	"headgate.dev/agent/forge"
	"headgate.dev/agent/notify"
	"headgate.dev/schema"
)

// setter sets statuses at the Git host of a follower's Sync, for its receivers of type CommitStatus. It works as long as the follower does, so that a
// status does not stay bad when the Sync is deleted.
type setter struct {
	agent *Agent // constant

	asking sync.Mutex // held while the host is asked
	host   host

	mu   sync.Mutex // guards what follows
	sync *schema.Sync
}

// take takes over what the Sync says now.
func (t *setter) take(s *schema.Sync) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sync = s
}

// SetStatus implements notify.Setter. Each event has a status of its own beside the one that says how far a commit is.
func (t *setter) SetStatus(ctx context.Context, v notify.Verdict) error {
	select {
	case t.agent.telling <- struct{}{}:
		defer func() { <-t.agent.telling }()
	case <-ctx.Done():
		return &notify.SendError{Message: "other requests to Git hosts took too long"}
	}
	t.asking.Lock()
	defer t.asking.Unlock()
	t.mu.Lock()
	s := t.sync
	t.mu.Unlock()
	revision := cmp.Or(v.Revision, s.Status.Revision)
	commit := revision[strings.LastIndexByte(revision, ':')+1:]
	if commit == "" {
		return &notify.SendError{Message: "no commit is applied yet that could have a status"}
	}
	client, repository, err := t.host.connect(ctx, t.agent, s)
	if err == nil {
		state := forge.Failure
		if v.Good {
			state = forge.Success
		}
		err = client.SetStatus(ctx, repository, commit, forge.Status{Context: contextOf(s) + "/" + string(v.Event), State: state, Description: v.Text})
	}
	if err == nil {
		return nil
	}
	if !passes(err) {
		t.host.forget()
	}
	failure := &notify.SendError{Message: err.Error()}
	var e *forge.Error
	if errors.As(err, &e) {
		failure.Permanent = e.Reason == forge.Invalid
		if !e.Until.IsZero() {
			failure.After = e.Until.Sub(t.agent.now())
		}
	}
	return failure
}
