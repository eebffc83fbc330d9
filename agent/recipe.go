package agent

import (
	"context"
	"errors"
	"fmt"

	"headgate.dev/agent/git"
	"headgate.dev/agent/internal/substitute"
	"headgate.dev/agent/plan"
	"headgate.dev/render"
	"headgate.dev/render/object"
	"headgate.dev/schema"
)

// recipe is how the commits of a Sync become objects, as of one look. It does not change.
type recipe struct {
	inputs *inputs
	// namespace is that of objects that name none, target the only one there may be (empty: any), dir the directory that is rendered.
	namespace, target, dir string
}

func (d *Driver) recipe() *recipe { return recipeOf(d.sync, d.inputs) }

func recipeOf(s *schema.Sync, in *inputs) *recipe {
	r := &recipe{inputs: in, namespace: renderNamespace(s), target: s.Spec.TargetNamespace, dir: s.Spec.Path}
	if r.dir == "" {
		r.dir = "."
	}
	return r
}

// errGivenUp is in the error of a render whose Renderer must not be used again.
var errGivenUp = errors.New("it took too long")

// render gives the objects of a commit. It is done by a goroutine of its own, so that one that takes too long keeps nobody waiting
// but its Sync; reading its files ends then.
func (r *recipe) render(ctx context.Context, renderer *render.Renderer, c *git.Commit) (*object.Set, schema.Errors, error) {
	type outcome struct {
		result render.Result
		err    error
	}
	ch := make(chan outcome, 1)
	tree := git.Tree(bounded{Tree: c.Tree, ctx: ctx})
	if r.inputs.values != nil {
		tree = substitute.Tree(tree, *r.inputs.values)
	}
	go func() {
		result, err := renderer.Tree(tree, r.dir, render.Options{Gateway: r.inputs.gateway, Namespace: r.namespace})
		ch <- outcome{result, err}
	}()
	select {
	case <-ctx.Done():
		return nil, nil, fmt.Errorf("rendering %s: %w: %w", c.Short(), errGivenUp, context.Cause(ctx))
	case o := <-ch:
		if o.err != nil {
			return nil, nil, o.err
		}
		set, err := r.finish(o.result.Set)
		return set, o.result.Warnings, err
	}
}

// finish does what is left to do to a rendered set.
func (r *recipe) finish(set *object.Set) (*object.Set, error) {
	if r.target != "" {
		if errs := outside(set, r.target); len(errs) > 0 {
			return nil, errs
		}
	}
	if r.inputs.values == nil {
		return set, nil
	}
	return r.inputs.values.Reveal(set)
}

// Rendering is a commit of a Sync's repository as objects.
type Rendering struct {
	Commit *git.Commit // its tree can be read no more
	Set    *object.Set
	// Secrets are values that must not be shown.
	Secrets []string
}

// Render renders any commit of the Sync's repository as the Sync would: with its credentials, values and directory. The Renderer is the caller's, for
// one goroutine at a time; after an error that is not schema.Errors it must not be used again. It may be called from any goroutine once the driver has looked
// at its repository; before, the error is a *Problem.
func (d *Driver) Render(ctx context.Context, ref git.Ref, renderer *render.Renderer) (out Rendering, err error) {
	r := d.shown.Load()
	if r == nil {
		return out, &Problem{Reason: ReasonWorking, Message: d.owner.String() + " has not been looked at yet"}
	}
	source := r.inputs.source
	source.Ref = ref
	handle, err := d.world.Repositories.Use(source, "")
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, handle.Release()) }()
	if out.Commit, err = handle.Resolve(ctx, d.world.Now()); err != nil {
		return out, err
	}
	done, err := d.world.Worker(ctx, plan.Owner{Namespace: d.owner.Namespace, Name: d.owner.Name + " " + ref.String()})
	if err != nil {
		return out, err
	}
	defer done()
	out.Set, _, err = r.render(ctx, renderer, out.Commit)
	out.Secrets = r.inputs.secrets()
	return out, err
}
