package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"slices"

	"github.com/spf13/cobra"

	"headgate.dev/agent"
	"headgate.dev/cmd/internal/ahead"
	"headgate.dev/cmd/internal/cluster"
	"headgate.dev/cmd/internal/local"
	"headgate.dev/cmd/internal/narrow"
	"headgate.dev/cmd/internal/review"
	"headgate.dev/render"
	"headgate.dev/render/admit"
	"headgate.dev/render/object"
)

type diffFlags struct {
	treeFlags
	cluster.Diff
	from, to, output string
}

func diffCommand(s streams) *cobra.Command {
	f := diffFlags{output: "text"}
	c := &cobra.Command{
		Use:   "diff [DIR | SYNC]",
		Short: "Say what a change does to traffic and objects, or what a Sync would do to its cluster",
		Long: `Compare what a directory (default: the current one) stands for at two revisions: which requests are answered
differently, before → after; which rules can never match from then on, because another one takes their requests; and
which objects change, field by field. The values of Secrets are never shown. Nothing is served or applied.

Without flags the saved files are compared with HEAD: what a commit would do. --output markdown writes the table
for a pull request's comment.

With the name of a Sync (sync/NAME where there is a directory of that name): what the next look at its repository
would change in the cluster, as the API server says itself (dry run), so that defaults are no changes, and which
requests would be answered differently by its routes. It asks as you, or with --as-account as the Sync's service
account, which you must be allowed to impersonate. --local takes the saved files of a working copy for what is pushed.

The exit code says nothing about differences, but with --exit-code: 1 where there are some.`,
		Example: `  headgate diff
  headgate diff deploy/prod --from main --to my-branch
  headgate diff --from HEAD~1 --to HEAD
  headgate diff --from refs/remotes/origin/main --to HEAD -o markdown
  headgate diff shop -n team-a --local . --exit-code`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 && namesSync(args[0]) {
				return f.ofSync(cmd, s, args[0])
			}
			return f.run(cmd.Context(), s, args)
		},
	}
	f.addDefaults(c)
	f.Add(c)
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
	if f.ExitCode && d.Total+len(d.Objects) > 0 {
		return cluster.ErrDiffers
	}
	return nil
}

// label is the name of a Sync.
var label = regexp.MustCompile(`^(syncs?/)?[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)

// namesSync tells whether an argument is a Sync and no directory.
func namesSync(arg string) bool {
	_, err := os.Stat(arg)
	return label.MatchString(arg) && err != nil
}

// ofSync compares a cluster with what a Sync would make of it.
func (f *diffFlags) ofSync(cmd *cobra.Command, s streams, name string) error {
	if err := oneOf("output", f.output, "text", "json", "markdown"); err != nil {
		return err
	}
	if cmd.Flags().Changed("from") || cmd.Flags().Changed("to") || cmd.Flags().Changed("gateway") {
		return usageError{errors.New("--from, --to and --gateway are for directories; a Sync has its own")}
	}
	if cmd.Flags().Changed("namespace") {
		f.Flags.Namespace = f.namespace
	}
	f.Output, f.Limits = f.output, limits
	return f.Run(cmd.Context(), s.program(cmd.Root()), name)
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
	stack, err := holding(ctx, before.result.Set, narrow.Touched(before.result.Set, change), local.Options{})
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
	tree, stop := commit.Tree, func() {}
	if renderer.Empty() { // of a second revision, little is read
		tree, stop = ahead.Of(tree, source.Dir())
	}
	defer stop()
	if r.result, err = renderer.Tree(tree, source.Dir(), f.options()); err != nil {
		r.close()
		return nil, fmt.Errorf("rendering %s:\n%w", r.name, err)
	}
	return r, nil
}
