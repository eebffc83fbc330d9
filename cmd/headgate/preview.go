package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"headgate.dev/agent"
	"headgate.dev/agent/git"
	"headgate.dev/agent/preview"
	"headgate.dev/cmd/internal/branches"
	"headgate.dev/cmd/internal/changes"
	"headgate.dev/cmd/internal/local"
	"headgate.dev/cmd/internal/narrow"
	"headgate.dev/cmd/internal/review"
	"headgate.dev/render"
	"headgate.dev/render/object"
	"headgate.dev/schema"
)

type previewFlags struct {
	treeFlags
	onto, output, domain, mode, name string
	fork                             bool
}

func previewCommand(s streams) *cobra.Command {
	c := &cobra.Command{Use: "preview", Short: "Say what a branch would change, and look after the previews of a cluster"}
	c.AddCommand(previewDiffCommand(s))
	return c
}

func previewDiffCommand(s streams) *cobra.Command {
	f := previewFlags{output: "markdown"}
	c := &cobra.Command{
		Use:   "diff BRANCH [DIR]",
		Short: "Write the comment of a pull request, without a cluster or a Git host",
		Long: `Write what a branch changes of a directory (default: the current one): which requests are answered differently, before →
after, what of it has no place in a preview, and which objects change. The branch is compared with the newest commit that it has in common
with the one it is to go to, so that a branch that is behind takes nothing back.

Titles, branch names and paths are written so that they can neither format nor link nor mention. A branch that does not render gets a comment
that says so, with files and lines, and exit code 1.`,
		Example: `  headgate preview diff my-branch
  headgate preview diff refs/remotes/origin/feature deploy/prod \
    --onto refs/remotes/origin/main
  headgate preview diff HEAD --domain preview.example.com`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd.Context(), s, args) },
	}
	f.addDefaults(c)
	flags := c.Flags()
	flags.StringVar(&f.onto, "onto", "main", "where the branch is to go: a branch, a tag, a commit")
	flags.StringVar(&f.domain, "domain", "", "the domain of previews, for their addresses (default: none are named)")
	flags.StringVar(&f.name, "name", "", "what the preview is called in addresses, as in pr-42 (default: the branch)")
	flags.StringVar(&f.mode, "mode", "host", "where previews answer: host, header or both")
	flags.BoolVar(&f.fork, "fork", false, "hold the branch to the rules for forks")
	flags.StringVarP(&f.output, "output", "o", f.output, "markdown, text or json")
	mustComplete(c, "output", "markdown", "text", "json")
	mustComplete(c, "mode", "host", "header", "both")
	return c
}

// pull is everything there is to say about a branch.
type pull struct {
	Onto         string             `json:"onto"`
	Branch       string             `json:"branch"`
	URLs         []string           `json:"urls,omitempty"`
	Refused      bool               `json:"refused,omitempty"`
	NotPreviewed schema.Errors      `json:"notPreviewed"`
	Errors       schema.Errors      `json:"errors"`
	Difference   *review.Difference `json:"difference,omitempty"`
}

func (f *previewFlags) run(ctx context.Context, s streams, args []string) error {
	if err := errors.Join(oneOf("output", f.output, "markdown", "text", "json"), oneOf("mode", f.mode, "host", "header", "both")); err != nil {
		return err
	}
	dir := "."
	if len(args) > 1 {
		dir = args[1]
	}
	endsSoon()
	f.unadmitted = true
	p, err := f.compare(ctx, args[0], dir)
	if err != nil {
		return err
	}
	switch f.output {
	case "json":
		err = writeJSON(s.out, p)
	case "text":
		p.text(s)
	default:
		p.markdown(s.out)
	}
	if err == nil && len(p.Errors) > 0 {
		return fmt.Errorf("%w: %w", errSaid, p.Errors)
	}
	return err
}

func (f *previewFlags) compare(ctx context.Context, branch, dir string) (*pull, error) {
	if err := checkDirectory(dir); err != nil {
		return nil, err
	}
	repo, onto, err := resolved(ctx, dir, f.onto)
	if err != nil {
		return nil, err
	}
	defer repo.Close()
	side, head, err := resolved(ctx, dir, branch)
	if err != nil {
		return nil, err
	}
	defer side.Close()
	p := &pull{Onto: onto.Short(), Branch: head.Short(), NotPreviewed: schema.Errors{}, Errors: schema.Errors{}}
	at, err := branches.MergeBase(ctx, repo, onto.Hash, head.Hash)
	if err != nil {
		return nil, err
	}
	if at == "" {
		return nil, fmt.Errorf("comparing %s with %s: they have no commit in common", p.Branch, p.Onto)
	}
	base, err := repo.At(ctx, at, "")
	if err != nil {
		return nil, err
	}
	renderer := render.New()
	main, err := renderer.Tree(onto.Tree, repo.Dir(), f.options())
	if err != nil {
		return nil, fmt.Errorf("rendering %s:\n%w", p.Onto, err)
	}
	change, err := branches.Compare(renderer, base, head, repo.Dir(), f.options())
	if err == nil {
		err = admitted(change.Put)
	}
	if errors.As(err, &p.Errors) {
		return p, nil
	}
	if err != nil {
		return nil, err
	}
	return p, f.plan(ctx, p, main.Set, change)
}

// resolved opens the repository of a directory at a reference.
func resolved(ctx context.Context, dir, name string) (*git.Repository, *git.Commit, error) {
	ref, err := git.ParseRef(name)
	if err != nil {
		return nil, nil, usageError{err}
	}
	repo, err := git.Open(git.Source{URL: dir, Ref: ref, Limits: limits}, git.Options{})
	if err != nil {
		return nil, nil, err
	}
	commit, err := repo.Resolve(ctx)
	if err != nil {
		return nil, nil, errors.Join(err, repo.Close())
	}
	return repo, commit, nil
}

// plan says what the change does, and what of it has no place in a preview.
func (f *previewFlags) plan(ctx context.Context, p *pull, main *object.Set, change preview.Change) error {
	slug := preview.Slug(cmp.Or(f.name, p.Branch[:max(strings.LastIndexByte(p.Branch, '@'), 0)], p.Branch))
	rules := preview.Rules{Sync: "preview", Name: slug, Namespace: preview.NamespaceName("preview", slug), Domain: f.domain, Mode: preview.Mode(f.mode)}
	if f.domain == "" {
		rules.Domain = "preview.invalid"
	}
	if f.fork {
		rules.Fork = &preview.Fork{}
	}
	plan, err := preview.New(main, change, rules)
	if err != nil {
		return err
	}
	for _, r := range plan.Refusals {
		p.NotPreviewed = append(p.NotPreviewed, r.Error)
	}
	p.Refused = plan.Refused
	for i := range plan.Sites {
		if f.domain != "" && plan.Sites[i].Host != "" {
			p.URLs = append(p.URLs, "http://"+plan.Sites[i].Host)
		}
	}
	after := change.Onto(main) // what a merge would do, which is not held to a preview's rules
	d := review.New(p.Onto, p.Branch, nil)
	merged := agent.Change{Set: after}
	merged.Put, merged.Removed = object.Diff(main, after)
	stack, err := holding(ctx, main, narrow.Touched(main, merged), local.Options{})
	if err != nil {
		return err
	}
	defer stack.Close()
	p.Difference = d
	return d.Apply(ctx, stack, main, merged)
}

func (p *pull) text(s streams) {
	fmt.Fprintf(s.out, "%s → %s\n", p.Branch, p.Onto)
	for _, u := range p.URLs {
		fmt.Fprintf(s.out, "  %s\n", u)
	}
	for _, e := range p.Errors {
		fmt.Fprintf(s.out, "  error %s\n", e.Error())
	}
	for _, e := range p.NotPreviewed {
		fmt.Fprintf(s.out, "  not previewed %s\n", e.Error())
	}
	if p.Difference != nil {
		p.Difference.Text(s.out, s.style())
	}
}

// markdown writes the comment.
func (p *pull) markdown(w io.Writer) {
	switch {
	case len(p.Errors) > 0:
		fmt.Fprintf(w, "**Not previewed:** %s does not render\n\n", changes.Code(p.Branch))
		bullets(w, p.Errors)
		return
	case p.Refused:
		fmt.Fprintf(w, "**Not previewed:** %s changes what a fork may not\n\n", changes.Code(p.Branch))
	case len(p.URLs) > 0:
		fmt.Fprint(w, "**Preview**")
		for _, u := range p.URLs {
			fmt.Fprint(w, " ", u) // made of labels, which hold letters, digits and dashes
		}
		fmt.Fprint(w, "\n\n")
	}
	bullets(w, p.NotPreviewed)
	p.Difference.Markdown(w)
}

func bullets(w io.Writer, errs schema.Errors) {
	for i, e := range errs {
		if i == review.MarkdownRows {
			fmt.Fprintf(w, "- and %d more\n", len(errs)-i)
			break
		}
		fmt.Fprintf(w, "- %s\n", changes.Code(e.Error()))
	}
	if len(errs) > 0 {
		fmt.Fprintln(w)
	}
}
