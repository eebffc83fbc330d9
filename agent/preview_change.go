package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"headgate.dev/agent/git"
	"headgate.dev/agent/preview"
	"headgate.dev/render"
	"headgate.dev/render/object"
	"headgate.dev/schema"
)

// changeKey is all that decides what a preview changes.
type changeKey struct {
	commit, base string
	fork         bool
	recipe       string
}

// key tells recipes apart by what they make of a commit.
func (r *recipe) key() string {
	return r.dir + "\n" + r.namespace + "\n" + r.target + "\n" + r.inputs.digest
}

// withoutValues is the recipe for the heads of strangers: what is substituted for others stays as it is written.
func (r *recipe) withoutValues() *recipe {
	in := *r.inputs
	in.values = nil
	in.digest = in.decides() + " without values"
	out := *r
	out.inputs = &in
	return &out
}

// headRefs are where Git hosts keep the head of a pull request, whosever repository it is in.
func headRefs(number int64) []string {
	return []string{fmt.Sprintf("refs/pull/%d/head", number), fmt.Sprintf("refs/merge-requests/%d/head", number)}
}

// findChange gives what the preview changes, from its merge base to its head. The error is a *Problem where somebody must act.
func (d *PreviewDriver) findChange(ctx context.Context, r *recipe) (preview.Change, error) {
	s := d.source
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return preview.Change{}, fmt.Errorf("waiting behind other previews: %w", context.Cause(ctx))
	}
	if err := s.open(d.shared.World, r.inputs.source); err != nil {
		return preview.Change{}, err
	}
	head, base, err := d.fetch(ctx, r)
	if err != nil {
		return preview.Change{}, d.fetchProblem(err)
	}
	done, err := d.shared.turn(ctx, d.owner)
	if err != nil {
		return preview.Change{}, err
	}
	defer done()
	renderer := &s.own
	if d.spec.Fork {
		renderer, r = &s.fork, r.withoutValues()
	}
	before, err := d.render(ctx, renderer, r, base)
	if err != nil {
		return preview.Change{}, d.renderProblem(ctx, "the commit that it begins at, "+base.Hash[:7]+", does not render: ", err)
	}
	after, err := d.render(ctx, renderer, r, head)
	if err != nil {
		return preview.Change{}, d.renderProblem(ctx, d.short()+": ", err)
	}
	return preview.Between(before, after), nil
}

// fetch gives head and merge base. A stranger's head is taken from where the host keeps pull requests, and never from anywhere else.
func (d *PreviewDriver) fetch(ctx context.Context, r *recipe) (head, base *git.Commit, err error) {
	h := d.source.handle
	var nowhere *git.NotFoundError
	if d.spec.Fork {
		head, err = h.Fetch(ctx, d.spec.Commit, headRefs(d.spec.Number)...)
	} else if head, err = h.Fetch(ctx, d.spec.Commit); errors.As(err, &nowhere) && d.spec.Number > 0 {
		head, err = h.Fetch(ctx, d.spec.Commit, headRefs(d.spec.Number)...)
	}
	if err != nil {
		return nil, nil, err
	}
	if keys := r.inputs.keys; keys != nil {
		if _, err := head.Verify(*keys); err != nil {
			return nil, nil, d.refused(ReasonVerify, d.short()+": "+err.Error(), err)
		}
	}
	if base, err = h.Fetch(ctx, d.spec.Base); err != nil {
		return nil, nil, fmt.Errorf("the commit that it begins at: %w", err)
	}
	return head, base, nil
}

// render gives the objects of a commit. One without the directory has none: it came later, or was taken away.
func (d *PreviewDriver) render(ctx context.Context, renderer **render.Renderer, r *recipe, c *git.Commit) (*object.Set, error) {
	if _, err := c.Tree.Stat(r.dir); errors.Is(err, fs.ErrNotExist) {
		return &object.Set{}, nil
	}
	if *renderer == nil {
		*renderer = render.New()
	}
	set, _, err := r.render(ctx, *renderer, c)
	if err != nil && !errors.As(err, new(schema.Errors)) {
		*renderer = nil // it may still be at work
	}
	return set, err
}

// fetchProblem says what is wrong with the commits of a preview.
func (d *PreviewDriver) fetchProblem(err error) error {
	var (
		p     *Problem
		moved *git.MovedError
	)
	switch {
	case errors.As(err, &p) || errors.Is(err, context.Canceled):
		return err
	case errors.As(err, &moved):
		return &Problem{Reason: ReasonMoved, Message: d.keeps(d.short() + ": " + err.Error()), Err: err}
	}
	return &Problem{Reason: ReasonFetch, Message: d.keeps(d.short() + ": " + err.Error()), Err: err}
}

// renderProblem says what is wrong with the files of a commit.
func (d *PreviewDriver) renderProblem(ctx context.Context, what string, err error) error {
	var wrong schema.Errors
	switch {
	case errors.As(err, &wrong):
		return d.refused(ReasonRender, what+list(wrong), err)
	case errors.Is(context.Cause(ctx), context.Canceled):
		return context.Canceled
	}
	return &Problem{Reason: ReasonRender, Message: d.keeps(what + err.Error()), Err: err}
}
