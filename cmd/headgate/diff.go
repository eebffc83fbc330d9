package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"headgate.dev/agent"
	"headgate.dev/cmd/internal/changes"
	"headgate.dev/cmd/internal/cluster"
	"headgate.dev/cmd/internal/local"
	"headgate.dev/render"
	"headgate.dev/render/admit"
	"headgate.dev/render/object"
	"headgate.dev/schema"
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
would change in the cluster, as the API server says itself (dry run), so that defaults are no changes. It asks as
you, or with --as-account as the Sync's service account, which you must be allowed to impersonate. --local
takes the saved files of a working copy for what is pushed.

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

// difference is everything there is to say about a change.
type difference struct {
	From     string           `json:"from"` // "main@4f2a9c1"
	To       string           `json:"to"`
	Traffic  []trafficChange  `json:"traffic"`
	Total    int              `json:"trafficTotal"`
	Hidden   []local.Hidden   `json:"hidden"`
	Objects  []changes.Object `json:"objects"`
	Unserved schema.Errors    `json:"notServed"`
	Warnings schema.Errors    `json:"warnings"`

	named, gateways, listeners bool // several has looked, and what it found
}

type trafficChange struct {
	Before *local.Row `json:"before,omitempty"`
	After  *local.Row `json:"after,omitempty"`
}

// diffLimit is how many rows of traffic are compared in writing.
const diffLimit = 1000

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
		d.markdown(s.out)
	default:
		d.text(s.out, s.style())
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

func (f *diffFlags) compare(ctx context.Context, dir string) (*difference, error) {
	renderer := render.New()
	d := &difference{Traffic: []trafficChange{}, Objects: []changes.Object{}}
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
	d.From, d.To, d.Warnings = before.name, after.name, nonNil(after.result.Warnings)

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
	if err := stack.Apply(ctx, change); err != nil {
		return nil, err
	}
	rows, total := stack.Changed(diffLimit)
	for _, c := range rows {
		d.Traffic = append(d.Traffic, trafficChange(c))
	}
	d.Total, d.Hidden, d.Unserved = total, slices.Concat([]local.Hidden{}, stack.NewlyHidden()), nonNil(stack.Unserved())
	d.objects(before.result.Set, change)
	return d, nil
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

// objects compares the objects that a change writes and removes with what there was.
func (d *difference) objects(before *object.Set, c agent.Change) {
	for _, o := range c.Put {
		old := before.Get(o.ID)
		if old == nil {
			d.Objects = append(d.Objects, changes.Object{Change: changes.Added, Object: o.ID.String(), From: o.Origin.String()})
			continue
		}
		change := changes.Object{Change: changes.Changed, Object: o.ID.String(), From: o.Origin.String()}
		for _, field := range object.Changes(old, o) {
			change.Fields = append(change.Fields, changes.NewField(old, o, field))
		}
		d.Objects = append(d.Objects, change)
	}
	for _, id := range c.Removed {
		d.Objects = append(d.Objects, changes.Object{Change: changes.Removed, Object: id.String(), From: before.Get(id).Origin.String()})
	}
}

// summary is the change in one line.
func (d *difference) summary() string {
	added, changed, removed := changes.Count(d.Objects)
	if d.Total+len(d.Objects) == 0 {
		return "no change"
	}
	return fmt.Sprintf("%s of traffic; objects: %d added, %d changed, %d removed", count(d.Total, "change"), added, changed, removed)
}

// requests is how a row names its requests: with the listener, and the Gateway, where the rows are of several. A connection is
// named by its listener.
func (d *difference) requests(r *local.Row) string {
	row := &r.Row
	gateways, listeners := d.several()
	text, connection := row.Host+" "+row.Request, row.Request == row.Listener
	switch {
	case connection && row.Host == "*":
		text = row.Listener
	case connection:
		text = row.Listener + " " + row.Host
	case listeners:
		text = row.Listener + " " + text
	}
	if gateways {
		text = r.Gateway + " " + text
	}
	return text
}

// several tells whether the rows are of more than one Gateway, and the requests among them of more than one listener.
func (d *difference) several() (gateways, listeners bool) {
	if d.named {
		return d.gateways, d.listeners
	}
	gateway, listener := "", ""
	for _, c := range d.Traffic {
		for _, r := range []*local.Row{c.Before, c.After} {
			if r == nil {
				continue
			}
			d.gateways = d.gateways || gateway != "" && gateway != r.Gateway
			gateway = r.Gateway
			if r.Row.Request != r.Row.Listener {
				d.listeners = d.listeners || listener != "" && listener != r.Row.Listener
				listener = r.Row.Listener
			}
		}
	}
	d.named = true
	return d.gateways, d.listeners
}

// hiddenWords says that a rule can never match, and who is in its way.
func hiddenWords(h *local.Hidden) (what, by string) {
	if h.Same {
		return fmt.Sprintf("conflict: %s of %s never answers", hiddenRequests(h), h.Object),
			fmt.Sprintf("%s claims the same and goes first (%s)", h.By, hiddenWhy(h))
	}
	return fmt.Sprintf("shadowed: %s of %s never answers", hiddenRequests(h), h.Object),
		fmt.Sprintf("%s takes all of it (%s)", h.By, hiddenWhy(h))
}

// hiddenRequests names the requests; connections by their listener.
func hiddenRequests(h *local.Hidden) string {
	switch {
	case h.Host == "*" && !strings.Contains(h.Request, "/"):
		return h.Request
	case strings.HasPrefix(h.Request, "tls:"):
		return h.Request + " " + h.Host
	}
	return h.Host + " " + h.Request
}

// hiddenWhy is why the other one goes first, without its name once more.
func hiddenWhy(h *local.Hidden) string {
	if h.Tie {
		return "only the age or the name decides"
	}
	return h.Why
}
