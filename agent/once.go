package agent

import (
	"context"
	"errors"

	"headgate.dev/agent/git"
	"headgate.dev/agent/plan"
	"headgate.dev/render"
	"headgate.dev/schema"
)

// Once renders a commit as a Sync would, for a person who asks what it would do. Sync and Reader are required.
type Once struct {
	Sync   *schema.Sync
	Reader Reader
	Limits git.Limits
	// Commit to render. Nil: what the reference of the Sync, or its pin, points at now, which is fetched into a directory below Cache.
	Commit *git.Commit
	Cache  string
}

// Rendered is a commit as the objects that a Sync would apply.
type Rendered struct {
	Rendering
	// Ignore are the fields that the Sync leaves to others.
	Ignore []plan.Rule
}

// Render renders it. The errors are those of a driver: schema.Errors for what is wrong with the files, *Problem for what is wrong with the Sync.
func (o Once) Render(ctx context.Context) (out Rendered, err error) {
	s := o.Sync
	if o.Commit != nil { // the repository is at hand
		s = s.DeepCopy()
		s.Spec.SecretRef, s.Spec.Proxy, s.Spec.Verify = nil, nil, nil
	}
	in, err := readInputs(ctx, s, o.Reader, o.Limits)
	if err != nil {
		return out, err
	}
	out.Ignore, out.Secrets, out.Commit = in.ignore, in.secrets(), o.Commit
	if out.Commit == nil {
		repository, err := git.Open(in.source, git.Options{Cache: o.Cache})
		if err != nil {
			return out, err
		}
		defer func() { err = errors.Join(err, repository.Close()) }()
		if out.Commit, err = repository.Resolve(ctx); err != nil {
			return out, err
		}
	}
	if in.keys != nil {
		if _, err := out.Commit.Verify(*in.keys); err != nil {
			return out, &Problem{Reason: ReasonVerify, Message: out.Commit.Short() + ": " + err.Error(), Stalled: true, Err: err}
		}
	}
	out.Set, _, err = recipeOf(s, in).render(ctx, render.New(), out.Commit)
	return out, err
}
