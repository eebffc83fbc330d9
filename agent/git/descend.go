package git

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"

	"headgate.dev/agent/git/internal/history"
)

// Descends tells whether a commit has another one, given by its id, among its ancestors, or is that one. A remote is asked for the commits between the two,
// where it can without their files: the answer is as large as what is new, and as the whole history where the other commit is none of it any more.
// Errors are those of Resolve.
func (r *Repository) Descends(ctx context.Context, c *Commit, ancestor string) (bool, error) {
	if c.Hash == ancestor || slices.Contains(c.parents, ancestor) {
		return true, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return false, errors.New("looking for an ancestor: the repository is closed")
	}
	if !r.remote {
		return r.origin.descends(ctx, c.Hash, ancestor)
	}
	ctx, cancel := context.WithTimeout(ctx, r.options.Timeout)
	defer cancel()
	return r.origin.descends(ctx, c.Hash, ancestor)
}

// descends implements origin.
func (r *remote) descends(ctx context.Context, hash, ancestor string) (bool, error) {
	defer r.end()
	s, err := r.between(ctx, ancestor, hash)
	if err != nil {
		return false, r.explain(ctx, fmt.Sprintf("looking for %s among the ancestors of %s at", ancestor, hash), err)
	}
	found, err := s.objects.reaches(ctx, hash, ancestor)
	return found, errors.Join(err, s.remove())
}

// between fetches the commits that lead to heads and not to ancestor into a store of their own.
func (r *remote) between(ctx context.Context, ancestor string, heads ...string) (*store, error) {
	refs, err := r.advertised(ctx)
	if err != nil {
		return nil, err
	}
	q := packp.NewUploadPackRequestFromCapabilities(refs.Capabilities)
	for _, c := range []capability.Capability{capability.NoProgress, capability.Filter, capability.MultiACKDetailed} {
		if c != capability.MultiACKDetailed && !refs.Capabilities.Supports(c) {
			continue
		}
		if err := q.Capabilities.Set(c); err != nil {
			return nil, fmt.Errorf("asking for %s: %w", c, err)
		}
	}
	if refs.Capabilities.Supports(capability.Filter) {
		q.Filter = packp.FilterTreeDepth(0)
	}
	for _, hash := range heads {
		q.Wants = append(q.Wants, plumbing.NewHash(hash))
	}
	q.Haves = []plumbing.Hash{plumbing.NewHash(ancestor)}
	answer, err := r.session.UploadPack(ctx, q)
	if err != nil {
		return nil, r.notOurs(strings.Join(heads, " or "), err)
	}
	s, err := r.cache.fresh()
	if err == nil {
		if err = s.add(packIn(q, answer), false, r.url); err != nil {
			err = errors.Join(err, s.remove())
		}
	}
	return s, errors.Join(err, answer.Close())
}

// descends implements origin.
func (l *local) descends(ctx context.Context, hash, ancestor string) (bool, error) {
	return l.objects.reaches(ctx, hash, ancestor)
}

// reaches tells whether a way over parents leads from one commit to another, as far as there are commits.
func (o *objects) reaches(ctx context.Context, hash, ancestor string) (found bool, err error) {
	_, err = history.Edge(ctx, hash, o.parents, func(parent string) bool { found = found || parent == ancestor; return !found })
	return found, err
}

// parents gives those of a commit; here is false where it is not here.
func (o *objects) parents(hash string) (parents []string, here bool, err error) {
	c, err := o.commit(plumbing.NewHash(hash))
	if errors.Is(err, plumbing.ErrObjectNotFound) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	return c.parents, true, nil
}
