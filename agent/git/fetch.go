package git

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
)

// MovedError says that a reference points at another commit than the one that was asked for.
type MovedError struct {
	// Ref is the reference's full name, At where it points now.
	Ref, At string
	// Wanted is the commit that was asked for.
	Wanted string
}

// Error implements error.
func (e *MovedError) Error() string {
	return fmt.Sprintf("fetching %s: %s points at %s now", e.Wanted, e.Ref, e.At)
}

// Fetch gives the commit with an id of 40 digits, out of the store or from the server, whatever the source's own reference is. Where one of refs is
// there, full names of references, it is taken as the head of the first of them: when that points at another commit, the error is a *MovedError. Without
// refs the server is asked for the id alone, which not every server answers. Nothing but the source's own URL is ever asked. Errors are those of Resolve.
func (r *Repository) Fetch(ctx context.Context, id string, refs ...string) (*Commit, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch origin := r.origin.(type) {
	case *remote:
		if r.closed || !fullID.MatchString(id) {
			return nil, fmt.Errorf("fetching commit %q: the repository is closed, or that is not an id of 40 digits", id)
		}
		ctx, cancel := context.WithTimeout(ctx, r.options.Timeout)
		defer cancel()
		return origin.exactly(ctx, id, refs)
	case *local:
		return origin.read(target{hash: id})
	}
	return nil, errors.New("fetching a commit: there is no repository")
}

// exactly gives one commit.
func (r *remote) exactly(ctx context.Context, id string, refs []string) (*Commit, error) {
	defer r.end()
	t := target{hash: id}
	if s := r.cache.current; len(refs) > 0 && (s == nil || !s.has(id)) {
		var err error
		if t.ref, err = r.head(ctx, id, refs); err != nil {
			return nil, r.explain(ctx, "looking for "+id+" at", err)
		}
	}
	c, err := r.fetch(ctx, t)
	if err != nil {
		return nil, r.explain(ctx, fmt.Sprintf("fetching %s from", id), err)
	}
	r.dress(c, t)
	return c, nil
}

// head gives the first of some references that is there, when it points at a commit.
func (r *remote) head(ctx context.Context, id string, refs []string) (string, error) {
	known, err := r.advertised(ctx)
	if err != nil {
		return "", err
	}
	for _, name := range refs {
		switch at, ok := known.References[name]; {
		case ok && at == plumbing.NewHash(id):
			return name, nil
		case ok:
			return "", &MovedError{Ref: name, At: at.String(), Wanted: id}
		}
	}
	return "", &NotFoundError{Ref: strings.Join(refs, " or "), Where: r.url}
}
