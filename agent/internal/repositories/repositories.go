// Package repositories shares the repositories of many Syncs.
package repositories

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"headgate.dev/agent/git"
)

// Pool holds the repositories of many Syncs. Those that ask for the same source with the same credentials share one store and one
// look at the server; a repository that is slow makes only those wait that ask for it.
type Pool struct {
	// Options for opening; Cache is required. Constant.
	Options git.Options
	// Now is the clock. Constant.
	Now func() time.Time

	mu    sync.Mutex // guards byKey, and users of those in it
	byKey map[sourceKey]*repository
}

// sourceKey is the digest of a source, credentials included.
type sourceKey [sha256.Size]byte

// repository is one source.
type repository struct {
	users int // guarded by Pool.mu

	turn chan struct{} // has room for whoever may touch what follows
	repo *git.Repository
	// began is when the last look began, and what it gave.
	began  time.Time
	commit *git.Commit
	err    error
}

// Handle is a source that somebody uses. It is for one goroutine at a time.
type Handle struct {
	all    *Pool
	key    sourceKey
	source git.Source
	// purpose is whose store it is; empty for that of production.
	purpose string
	shared  *repository
}

// Use begins to use a source, until Release. Each purpose has a store of its own, in a directory of that name, so that nobody with another one waits behind it;
// the empty one is production's.
func (r *Pool) Use(src git.Source, purpose string) (*Handle, error) {
	text, err := json.Marshal(src)
	if err != nil {
		return nil, fmt.Errorf("reading the source of a repository: %w", err)
	}
	text = append(text, purpose...)
	h := &Handle{all: r, key: sha256.Sum256(text), source: src, purpose: purpose}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.byKey == nil {
		r.byKey = map[sourceKey]*repository{}
	}
	h.shared = r.byKey[h.key]
	if h.shared == nil {
		h.shared = &repository{turn: make(chan struct{}, 1)}
		r.byKey[h.key] = h.shared
	}
	h.shared.users++
	return h, nil
}

// Release ends the use. Trees of its commits cannot be relied on afterwards.
func (h *Handle) Release() error {
	h.all.mu.Lock()
	h.shared.users--
	last := h.shared.users == 0
	if last {
		delete(h.all.byKey, h.key)
	}
	h.all.mu.Unlock()
	if !last {
		return nil
	}
	h.shared.turn <- struct{}{}
	defer func() { <-h.shared.turn }()
	if h.shared.repo == nil {
		return nil
	}
	return h.shared.repo.Close()
}

// Resolve gives the commit that the source's reference points at. The answer to a question that was asked at or after since will do,
// whoever asked it, an error included.
func (h *Handle) Resolve(ctx context.Context, since time.Time) (*git.Commit, error) {
	s := h.shared
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for the repository: %w", context.Cause(ctx))
	}
	if !s.began.IsZero() && !s.began.Before(since) {
		return s.commit, s.err
	}
	began := h.all.Now()
	if err := h.open(); err != nil {
		s.began, s.commit, s.err = began, nil, err
		return nil, err
	}
	commit, err := s.repo.Resolve(ctx)
	if ctx.Err() != nil {
		return nil, err // what one had no time for, another may have
	}
	s.began, s.commit, s.err = began, commit, err
	return commit, err
}

// open opens the repository. Whoever calls it has the turn.
func (h *Handle) open() error {
	if h.shared.repo != nil {
		return nil
	}
	options := h.all.Options
	options.Cache = filepath.Join(options.Cache, h.purpose)
	repo, err := git.Open(h.source, options)
	if err == nil {
		h.shared.repo = repo
	}
	return err
}

// Fetch gives a commit by its id; see git.Repository.Fetch.
func (h *Handle) Fetch(ctx context.Context, id string, refs ...string) (*git.Commit, error) {
	var out *git.Commit
	err := h.with(ctx, func(r *git.Repository) (err error) { out, err = r.Fetch(ctx, id, refs...); return err })
	return out, err
}

// Heads gives the branches; see git.Repository.Heads.
func (h *Handle) Heads(ctx context.Context) (map[string]string, error) {
	var out map[string]string
	err := h.with(ctx, func(r *git.Repository) (err error) { out, err = r.Heads(ctx); return err })
	return out, err
}

// MergeBases gives what branches have in common with a commit; see git.Repository.MergeBases.
func (h *Handle) MergeBases(ctx context.Context, onto string, heads []string) (map[string]string, error) {
	var out map[string]string
	err := h.with(ctx, func(r *git.Repository) (err error) { out, err = r.MergeBases(ctx, onto, heads); return err })
	return out, err
}

// with does something with the repository when it is its turn.
func (h *Handle) with(ctx context.Context, do func(*git.Repository) error) error {
	s := h.shared
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return fmt.Errorf("waiting for the repository: %w", context.Cause(ctx))
	}
	if err := h.open(); err != nil {
		return err
	}
	return do(s.repo)
}

// Descends tells whether a commit of the source has another one among its ancestors, or is that one.
func (h *Handle) Descends(ctx context.Context, c *git.Commit, ancestor string) (bool, error) {
	s := h.shared
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return false, fmt.Errorf("waiting for the repository: %w", context.Cause(ctx))
	}
	if s.repo == nil {
		return false, errors.New("looking for an ancestor: nothing was fetched yet")
	}
	return s.repo.Descends(ctx, c, ancestor)
}

// Source is what it was opened for.
func (h *Handle) Source() git.Source { return h.source }

// Same tells whether two handles share one repository.
func (h *Handle) Same(other *Handle) bool { return h.key == other.key }
