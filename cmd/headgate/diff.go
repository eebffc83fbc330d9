package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/spf13/cobra"

	"headgate.dev/agent"
	"headgate.dev/cmd/internal/local"
	"headgate.dev/cmd/internal/review"
	"headgate.dev/render"
	"headgate.dev/render/admit"
	"headgate.dev/render/object"
)

type diffFlags struct {
	treeFlags
	from, to, output string
}

func diffCommand(s streams) *cobra.Command {
	f := diffFlags{output: "text"}
	c := &cobra.Command{
		Use:   "diff [DIR]",
		Short: "Say what a change does to traffic and objects",
		Long: `Compare what a directory (default: the current one) stands for at two revisions: which requests are answered
differently, before → after; which rules can never match from then on, because another one takes their requests; and
which objects change, field by field. The values of Secrets are never shown. Nothing is served or applied.

Without flags the saved files are compared with HEAD: what a commit would do. --output markdown writes the table
for a pull request's comment. The exit code says nothing about whether there are differences.`,
		Example: `  headgate diff
  headgate diff deploy/prod --from main --to my-branch
  headgate diff --from HEAD~1 --to HEAD
  headgate diff --from refs/remotes/origin/main --to HEAD -o markdown`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd.Context(), s, args) },
	}
	f.addDefaults(c)
	flags := c.Flags()
	flags.StringVar(&f.from, "from", "HEAD", "the revision before: a branch, a tag, a commit, HEAD~1")
	flags.StringVar(&f.to, "to", "", "the revision after (default: the saved files)")
	flags.StringVarP(&f.output, "output", "o", f.output, "text, json or markdown")
	mustComplete(c, "output", "text", "json", "markdown")
	return c
}

func (f *diffFlags) run(ctx context.Context, s streams, args []string) error {
	if err := oneOf("output", f.output, "text", "json", "markdown"); err != nil {
		return err
	}
	if f.from == "" {
		return usageError{errors.New("--from is empty: expected a branch, a tag, a commit or HEAD~1")}
	}
	dir := "."
	if len(args) > 0 {
		dir = args[0]
	}
	endsSoon()
	f.unadmitted = true
	go admit.Prepare("HTTPRoute") // beside reading
	d, err := f.compare(ctx, dir)
	if err != nil {
		return err
	}
	switch f.output {
	case "json":
		return writeJSON(s.out, d)
	case "markdown":
		d.Markdown(s.out)
	default:
		d.Text(s.out, s.style())
	}
	return nil
}

func (f *diffFlags) compare(ctx context.Context, dir string) (*review.Difference, error) {
	renderer := render.New()
	refs := []string{f.from, f.to}
	if f.to == "" {
		slices.Reverse(refs) // the saved files are at hand, and most of the commit is the same
	}
	sides := map[string]*revision{}
	for _, ref := range refs {
		side, err := f.load(ctx, renderer, dir, ref)
		if err != nil {
			return nil, err
		}
		defer side.close()
		sides[ref] = side
	}
	before, after := sides[f.from], sides[f.to]
	d := review.New(before.name, after.name, after.result.Warnings)

	change := agent.Change{Set: after.result.Set}
	change.Put, change.Removed = object.Diff(before.result.Set, after.result.Set)
	stack, err := holding(ctx, before.result.Set, local.Touched(before.result.Set, change), local.Options{})
	if err != nil {
		return nil, err
	}
	defer stack.Close()
	if err := admitted(change.Put); err != nil {
		return nil, fmt.Errorf("rendering %s:\n%w", after.name, err)
	}
	return d, d.Apply(ctx, stack, before.result.Set, change)
}

// revision is one side of a comparison. Close it when its objects are no longer read.
type revision struct {
	name   string
	result render.Result
	close  func()
}

// load renders a directory at a revision. A revision that does not have the directory yet has nothing in it.
func (f *diffFlags) load(ctx context.Context, renderer *render.Renderer, dir, ref string) (*revision, error) {
	if err := checkDirectory(dir); err != nil {
		return nil, err
	}
	source, err := openLocal(dir, ref)
	if err != nil {
		return nil, err
	}
	r := &revision{name: "the saved files", close: func() { source.Close() }}
	commit, err := source.Resolve(ctx)
	if err != nil {
		r.close()
		return nil, err
	}
	if ref != "" {
		r.name = commit.Short()
	}
	if _, err := fs.Stat(commit.Tree, source.Dir()); errors.Is(err, fs.ErrNotExist) {
		r.result.Set = &object.Set{}
		return r, nil
	}
	if r.result, err = renderer.Tree(commit.Tree, source.Dir(), f.options()); err != nil {
		r.close()
		return nil, fmt.Errorf("rendering %s:\n%w", r.name, err)
	}
	return r, nil
}
