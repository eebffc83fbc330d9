package git

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
)

// Branch is a branch of a local repository.
type Branch struct {
	// Name is without "refs/heads/". It is whatever somebody typed.
	Name string
	// Hash is the commit's id, When the committer's time.
	Hash string
	When time.Time
}

// local gives a repository that is read in place; the history of any other one is not here.
func (r *Repository) local(doing string) (*local, error) {
	l, ok := r.origin.(*local)
	switch {
	case !ok:
		return nil, &UnsupportedError{Doing: doing + " of " + r.origin.name(), What: "a remote, which is fetched without its history", Remedy: "clone it, and name the clone"}
	case r.closed:
		return nil, errors.New(doing + ": the repository is closed")
	}
	return l, nil
}

// Branches lists the branches of a local repository, the one with the newest commit first. One that leads to no commit is left out.
func (r *Repository) Branches(_ context.Context) ([]Branch, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	l, err := r.local("listing the branches")
	if err != nil {
		return nil, err
	}
	heads, err := l.refs.Below("refs/heads/")
	if err != nil {
		return nil, fmt.Errorf("listing the branches of %s: %w", l.root, err)
	}
	var out []Branch
	for ref, hash := range heads {
		c, err := l.objects.commit(plumbing.NewHash(hash))
		if err == nil {
			out = append(out, Branch{Name: strings.TrimPrefix(ref, "refs/heads/"), Hash: c.Hash, When: c.When})
		}
	}
	slices.SortFunc(out, func(a, b Branch) int { return cmp.Or(b.When.Compare(a.When), strings.Compare(a.Name, b.Name)) })
	return out, nil
}

// At gives a commit of a local repository by its whole id, with the name of the branch that it is shown under; none when that is empty.
func (r *Repository) At(_ context.Context, hash, branch string) (*Commit, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	l, err := r.local("reading a commit")
	if err != nil {
		return nil, err
	}
	t := target{hash: hash}
	if branch != "" {
		t.ref = "refs/heads/" + branch
	}
	return l.read(t)
}

// Parents gives the ids of the commits that this one was made from, the first one first.
func (c *Commit) Parents() []string { return slices.Clone(c.parents) }
