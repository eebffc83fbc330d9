package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"headgate.dev/agent"
	"headgate.dev/cmd/internal/local"
	"headgate.dev/render"
	"headgate.dev/render/admit"
	"headgate.dev/render/object"
	"headgate.dev/schema"
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

// difference is everything there is to say about a change.
type difference struct {
	From     string          `json:"from"` // "main@4f2a9c1"
	To       string          `json:"to"`
	Traffic  []trafficChange `json:"traffic"`
	Total    int             `json:"trafficTotal"`
	Hidden   []local.Hidden  `json:"hidden"`
	Objects  []objectChange  `json:"objects"`
	Unserved schema.Errors   `json:"notServed"`
	Warnings schema.Errors   `json:"warnings"`

	named, gateways, listeners bool // several has looked, and what it found
}

type trafficChange struct {
	Before *local.Row `json:"before,omitempty"`
	After  *local.Row `json:"after,omitempty"`
}

type objectChange struct {
	Change string        `json:"change"` // added, changed or removed
	Object string        `json:"object"`
	From   string        `json:"from,omitempty"` // where it is written; of one that is removed: where it was
	Fields []fieldChange `json:"fields,omitempty"`
}

// fieldChange is one field; Old is nil for one that came, New for one that went.
type fieldChange struct {
	Field string  `json:"field"`
	Old   *string `json:"old,omitempty"`
	New   *string `json:"new,omitempty"`
	From  string  `json:"from,omitempty"`
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
	return nil
}

func (f *diffFlags) compare(ctx context.Context, dir string) (*difference, error) {
	renderer := render.New()
	d := &difference{Traffic: []trafficChange{}, Objects: []objectChange{}}
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
	changes, total := stack.Changed(diffLimit)
	for _, c := range changes {
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
			d.Objects = append(d.Objects, objectChange{Change: "added", Object: o.ID.String(), From: o.Origin.String()})
			continue
		}
		change := objectChange{Change: "changed", Object: o.ID.String(), From: o.Origin.String()}
		for _, field := range object.Changes(old, o) {
			change.Fields = append(change.Fields, newFieldChange(old, o, field))
		}
		d.Objects = append(d.Objects, change)
	}
	for _, id := range c.Removed {
		d.Objects = append(d.Objects, objectChange{Change: "removed", Object: id.String(), From: before.Get(id).Origin.String()})
	}
}

func newFieldChange(old, next *object.Object, c object.FieldChange) fieldChange {
	f := fieldChange{Field: c.Field, Old: &c.Old, New: &c.New, From: next.OriginOf(c.Pointer).String()}
	if c.Added {
		f.Old = nil
	}
	if c.Removed {
		f.New, f.From = nil, old.OriginOf(c.Pointer).String()
	}
	return f
}

// count tells how many objects were added, changed and removed.
func (d *difference) count() (added, changed, removed int) {
	for i := range d.Objects {
		switch d.Objects[i].Change {
		case "added":
			added++
		case "changed":
			changed++
		default:
			removed++
		}
	}
	return added, changed, removed
}

// summary is the change in one line.
func (d *difference) summary() string {
	added, changed, removed := d.count()
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
