// Package branches finds out what the branches of a local repository would change, and plans a preview of each, for `headgate up` and
// `headgate preview diff`.
//
// Main is what is served. A branch is compared with the newest commit that it has in common with main, so that one that is behind takes nothing back; what
// it changes is laid over main as it is now.
package branches

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"strings"

	"headgate.dev/agent/git"
	"headgate.dev/agent/preview"
	"headgate.dev/render"
	"headgate.dev/render/object"
	"headgate.dev/schema"
)

// Repository is a local one; git.Repository is one.
type Repository interface {
	Branches(ctx context.Context) ([]git.Branch, error)
	At(ctx context.Context, hash, branch string) (*git.Commit, error)
}

// Main is what is served.
type Main struct {
	Commit *git.Commit
	Set    *object.Set
}

// Branch is one that differs from main.
type Branch struct {
	Name   string
	Commit *git.Commit
	// Plan is of the newest commit that renders; nil while there is none.
	Plan *preview.Plan
	// Err is what is wrong with the newest commit: schema.Errors, or why it could not be read.
	Err error
}

// Follower knows the branches. It is for one goroutine.
type Follower struct {
	Repository Repository
	// Dir is the directory of the tree that is rendered, Options what main is rendered with.
	Dir     string
	Options render.Options
	// Limit is how many branches are looked at, those with the newest commits.
	Limit int

	renderer *render.Renderer
	known    map[string]*known
	history  history
}

func (f *Follower) past() *history {
	f.history.repository = f.Repository
	return &f.history
}

// MergeBase gives the newest commit that is in the history of both, empty where there is none.
func MergeBase(ctx context.Context, r Repository, a, b string) (string, error) {
	return (&history{repository: r}).mergeBase(ctx, a, b)
}

// known is what was found out about a branch.
type known struct {
	main, head, base string
	commit           *git.Commit
	change           preview.Change
	planned          bool // change is of some commit
	err              error
}

// looked is how many branches are looked at for each that may be previewed: most of what lies around is merged.
const looked = 10

// Look plans the previews of all branches beside main. taken are hosts that are somebody else's. What is wrong with one branch is said of that branch. A
// change costs what it changes: a branch is rendered when it or its base moved.
func (f *Follower) Look(ctx context.Context, main Main, taken map[string]string) ([]Branch, error) {
	branches, err := f.Repository.Branches(ctx)
	if err != nil {
		return nil, err
	}
	before := f.known
	f.known = map[string]*known{}
	var names []string
	for i, b := range branches {
		if i == f.Limit*looked || len(names) == f.Limit {
			break
		}
		if "refs/heads/"+b.Name == main.Commit.Ref {
			continue
		}
		k := before[b.Name]
		if k == nil {
			k = &known{}
		}
		if f.know(ctx, k, main, b); ctx.Err() != nil {
			f.known = before
			return nil, ctx.Err()
		}
		f.known[b.Name] = k
		if !k.change.Empty() || k.err != nil {
			names = append(names, b.Name)
		}
	}
	return f.plan(main, names, taken), nil
}

// know finds out what a branch changes, unless that is known.
func (f *Follower) know(ctx context.Context, k *known, main Main, b git.Branch) {
	if k.main == main.Commit.Hash && k.head == b.Hash {
		return
	}
	base, err := f.past().mergeBase(ctx, main.Commit.Hash, b.Hash)
	if ctx.Err() != nil {
		return
	}
	moved := k.head != b.Hash || k.base != base
	k.main, k.head, k.base = main.Commit.Hash, b.Hash, base
	switch {
	case err != nil:
		k.err = err
	case base == "" || base == b.Hash: // nothing in common, or merged
		*k = known{main: k.main, head: k.head, base: base}
	case moved:
		k.err = f.compare(ctx, k, b.Name)
	}
}

// compare renders base and head. On an error the change stays what it was.
func (f *Follower) compare(ctx context.Context, k *known, branch string) error {
	head, err := f.Repository.At(ctx, k.head, branch)
	if err != nil {
		return err
	}
	k.commit = head
	base, err := f.Repository.At(ctx, k.base, "")
	if err != nil {
		return err
	}
	if f.renderer == nil {
		f.renderer = render.New()
	}
	change, err := Compare(f.renderer, base, head, f.Dir, f.Options)
	if err != nil {
		return err
	}
	k.change, k.planned = change, true
	return nil
}

// Compare gives what changes between two commits. A commit without the directory has nothing in it.
func Compare(r *render.Renderer, base, head *git.Commit, dir string, options render.Options) (preview.Change, error) {
	same, err := unchanged(base, head)
	if err != nil || same {
		return preview.Change{}, err
	}
	before, err := rendered(r, base, dir, options)
	if err != nil {
		return preview.Change{}, fmt.Errorf("the commit that it begins at, %s, does not render: %w", base.Short(), err)
	}
	after, err := rendered(r, head, dir, options)
	if err != nil {
		return preview.Change{}, err
	}
	return preview.Between(before, after), nil
}

func unchanged(a, b *git.Commit) (bool, error) {
	x, err := a.Tree.Digest(".")
	if err != nil {
		return false, fmt.Errorf("reading %s: %w", a.Short(), err)
	}
	y, err := b.Tree.Digest(".")
	if err != nil {
		return false, fmt.Errorf("reading %s: %w", b.Short(), err)
	}
	return x == y, nil
}

func rendered(r *render.Renderer, c *git.Commit, dir string, options render.Options) (*object.Set, error) {
	if _, err := fs.Stat(c.Tree, dir); errors.Is(err, fs.ErrNotExist) {
		return &object.Set{}, nil
	}
	result, err := r.Tree(c.Tree, dir, options)
	return result.Set, err
}

// plan plans the previews of some branches.
func (f *Follower) plan(main Main, names []string, taken map[string]string) []Branch {
	slugs := preview.Slugs(names)
	hosts := maps.Clone(taken)
	if hosts == nil {
		hosts = map[string]string{}
	}
	out := make([]Branch, 0, len(names))
	for _, name := range names {
		k := f.known[name]
		b := Branch{Name: name, Commit: k.commit, Err: k.err}
		if k.planned {
			plan, err := preview.New(main.Set, k.change, Rules(slugs[name], hosts))
			if err != nil {
				b.Err = errors.Join(b.Err, err)
			} else {
				b.Plan = plan
				for _, s := range plan.Sites {
					hosts[s.Host] = "branch " + schemaSafe(name)
				}
			}
		}
		out = append(out, b)
	}
	return out
}

// Rules are those of a branch on this machine.
func Rules(slug string, taken map[string]string) preview.Rules {
	return preview.Rules{
		Sync: "up", Name: slug, Namespace: preview.NamespaceName("up", slug), Domain: "localhost", Local: true, Taken: taken,
	}
}

// schemaSafe is a branch's name as it may stand in a message.
func schemaSafe(name string) string {
	e := schema.Error{Message: name}
	return strings.TrimSpace(e.Error())
}

// Objects gives the objects of all previews. One that two want is that of the first.
func Objects(branches []Branch, main *object.Set) *object.Set {
	var out []*object.Object
	have := map[object.ID]bool{}
	for i := range branches {
		if branches[i].Plan == nil {
			continue
		}
		for o := range branches[i].Plan.Objects.All() {
			if !have[o.ID] && main.Get(o.ID) == nil {
				have[o.ID] = true
				out = append(out, o)
			}
		}
	}
	set, _ := object.NewSet(out) // no ID twice
	return set
}
