package git

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/go-git/go-git/v5/plumbing"

	"headgate.dev/agent/git/internal/refs"
)

// ancestor goes back from a commit, as gitrevisions(7) has it. Each step is one of first parents, or to one parent of a merge.
func (o *objects) ancestor(hash, back string) (string, error) {
	for _, step := range refs.Steps(back) {
		n := 1
		if step[1:] != "" {
			var err error
			if n, err = strconv.Atoi(step[1:]); err != nil {
				return "", &NotFoundError{Ref: hash + back, Hint: "no history is that long"}
			}
		}
		parent, times := n, 1
		if step[0] == '~' {
			parent, times = 1, n
		}
		for range times {
			next, err := o.parent(hash, parent)
			if err != nil {
				return "", err
			}
			hash = next
		}
	}
	return o.parent(hash, 0) // whether it is there
}

// parent gives a parent of a commit, counted from 1; 0 is the commit itself.
func (o *objects) parent(hash string, n int) (string, error) {
	c, err := o.commit(plumbing.NewHash(hash))
	switch {
	case errors.Is(err, plumbing.ErrObjectNotFound):
		return "", &NotFoundError{Ref: "commit " + hash, Hint: `the clone may be shallow: "git fetch --unshallow" brings its history`}
	case err != nil:
		return "", fmt.Errorf("reading the history at %s: %w", hash, err)
	case n == 0:
		return c.Hash, nil
	case n > len(c.parents):
		hint := fmt.Sprintf("it has %d", len(c.parents))
		if len(c.parents) == 0 {
			hint = "it is the first commit"
		}
		return "", &NotFoundError{Ref: fmt.Sprintf("parent %d of commit %s", n, c.Hash[:7]), Hint: hint}
	}
	return c.parents[n-1], nil
}
