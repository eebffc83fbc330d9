package controller

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"

	"headgate.dev/agent/controller/internal/verdict"
	"headgate.dev/agent/forge"
	"headgate.dev/agent/pace"
	"headgate.dev/schema"
)

const (
	// tellTimeout bounds what it takes to tell a host one thing.
	tellTimeout = 30 * time.Second
	// tellAgain is how long a refusal that only somebody can change is left alone; other errors are tried again sooner.
	tellAgain = 10 * time.Minute
	// tellers is how many requests go to Git hosts at the same time.
	tellers = 8
)

// teller tells a Sync's host what becomes of its commits, beside the Sync's actor, which never waits for it.
type teller struct {
	agent *Agent
	wake  chan struct{} // has room for one: there is a note

	mu   sync.Mutex // guards what follows
	sync *schema.Sync
	want verdict.Verdict

	// of the goroutine alone
	host     host
	said     verdict.Said
	failures int
}

func newTeller(a *Agent) *teller { return &teller{agent: a, wake: make(chan struct{}, 1)} }

// note takes what is to be said about a Sync.
func (t *teller) note(s *schema.Sync, status *schema.SyncStatus) {
	v, ok := verdict.Of(status)
	if !ok {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sync, t.want = s, v
	select {
	case t.wake <- struct{}{}:
	default: // it will see this note with the one before
	}
}

// tells: the host of a Sync is to be told what becomes of commits.
func tells(s *schema.Sync) bool {
	f := s.Spec.Forge
	return f != nil && f.Kind != schema.ForgeGeneric && (f.Statuses == nil || *f.Statuses)
}

// tellHost has the host told what a status says. It is for the actor's goroutine.
func (x *actor) tellHost(ctx context.Context, s *schema.Sync, status *schema.SyncStatus) {
	if !tells(s) {
		return
	}
	if x.teller == nil {
		x.teller = newTeller(x.agent)
		go x.teller.run(ctx)
	}
	x.teller.note(s, status)
}

// run tells until ctx ends.
func (t *teller) run(ctx context.Context) {
	again := time.NewTimer(time.Hour)
	defer again.Stop()
	for {
		select { // the end; a note; another try
		case <-ctx.Done():
			return
		case <-t.wake:
		case <-again.C:
		}
		t.mu.Lock()
		s, want := t.sync, t.want
		t.mu.Unlock()
		pause := time.Hour
		if s != nil {
			pause = t.tell(ctx, s, want)
		}
		again.Reset(pause)
	}
}

// tell says what there is to say, and gives the time to the next try.
func (t *teller) tell(ctx context.Context, s *schema.Sync, want verdict.Verdict) time.Duration {
	rest := t.said.Next(want)
	if len(rest) == 0 {
		return time.Hour
	}
	select {
	case t.agent.telling <- struct{}{}:
		defer func() { <-t.agent.telling }()
	case <-ctx.Done():
		return 0
	}
	ctx, cancel := context.WithTimeout(ctx, tellTimeout)
	defer cancel()
	client, repository, err := t.host.connect(ctx, t.agent, s)
	name := contextOf(s)
	for _, v := range rest {
		if err != nil {
			break
		}
		err = client.SetStatus(ctx, repository, v.Commit, forge.Status{Context: name, State: v.State, Description: v.Text})
		if err == nil {
			t.said.Last = v
		}
	}
	t.admit(ctx, s, err)
	if err == nil {
		t.failures = 0
		return time.Hour
	}
	t.agent.log.Debug("telling a Git host about a commit", "sync", ownerOf(s).String(), "error", err)
	t.failures++
	if !passes(err) {
		t.host.forget()
	}
	return pauseAfter(err, t.failures, t.agent.now(), t.agent.jitter())
}

// contextOf is the name of a Sync's statuses at its host.
func contextOf(s *schema.Sync) string {
	return cmp.Or(s.Spec.Forge.Context, "headgate/"+s.Namespace+"/"+s.Name)
}

// host is the Git host of a Sync, with a client that remembers which statuses it has set. It is for one caller after the other.
type host struct {
	client     *forge.Client
	repository string
	generation int64 // of the Sync that client is for
}

// connect gives the client, and the repository's path there.
func (h *host) connect(ctx context.Context, a *Agent, s *schema.Sync) (*forge.Client, string, error) {
	if h.client != nil && h.generation == s.Generation {
		return h.client, h.repository, nil
	}
	client, repository, err := a.Forge(ctx, s)
	if err != nil {
		return nil, "", err
	}
	h.client, h.repository, h.generation = client, repository, s.Generation
	return client, repository, nil
}

// forget has the next call read the Secret again, which may be another one by then.
func (h *host) forget() { h.client = nil }

// admit says in the status what somebody must do something about. What passes by itself is not said.
func (t *teller) admit(ctx context.Context, s *schema.Sync, err error) {
	message := ""
	if err != nil {
		if passes(err) {
			return
		}
		message = truncate(err.Error())
	}
	_, _, writeErr := t.agent.statuses.Update(ctx, s, func(status *schema.SyncStatus) {
		next := forgeStatus(status)
		next.Message = message
		status.Forge = nil
		if *next != (schema.SyncForgeStatus{}) {
			status.Forge = next
		}
	})
	if writeErr != nil && ctx.Err() == nil {
		t.agent.log.Warn("telling what a Git host says", "sync", ownerOf(s).String(), "error", writeErr)
	}
}

// passes tells whether an error goes away by itself.
func passes(err error) bool {
	var e *forge.Error
	if !errors.As(err, &e) {
		return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
	}
	return e.Reason == forge.RateLimited || e.Reason == forge.Unavailable
}

// pauseAfter is how long to wait after an error: as long as the host wants, long where somebody must act, else longer from time to time.
func pauseAfter(err error, failures int, now time.Time, random float64) time.Duration {
	var e *forge.Error
	switch {
	case errors.As(err, &e) && e.Reason == forge.RateLimited:
		return max(e.Until.Sub(now), time.Second) + time.Duration(random*float64(10*time.Second))
	case !passes(err) && failures > 3: // at first the host may only not have the commit yet
		return pace.Spread(tellAgain, random)
	}
	return pace.Backoff(failures, tellAgain, random)
}
