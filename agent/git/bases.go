package git

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"headgate.dev/agent/git/internal/history"
)

// Heads asks a remote for all its branches, and gives the ids of their commits by the names of the branches, without "refs/heads/". It is the whole list or
// an error; the list of an empty repository is empty. Errors are those of Resolve.
func (r *Repository) Heads(ctx context.Context) (map[string]string, error) {
	out := map[string]string{}
	err := r.ask(ctx, "listing the branches", func(ctx context.Context, o *remote) error {
		found, err := o.advertised(ctx)
		if err != nil {
			return o.explain(ctx, "listing the branches of", err)
		}
		for name, id := range found.References {
			if branch, ok := strings.CutPrefix(name, "refs/heads/"); ok {
				out[branch] = id.String()
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// MergeBases gives, by the ids of heads, the newest commit that each has in common with onto; there is none of one that has nothing in common with it. All
// are heads of branches of a remote. The answer of the server is as large as what the heads have and onto does not, where it can without their files.
// Errors are those of Resolve.
func (r *Repository) MergeBases(ctx context.Context, onto string, heads []string) (map[string]string, error) {
	out := map[string]string{}
	err := r.ask(ctx, "looking for merge bases", func(ctx context.Context, o *remote) error {
		if err := o.mergeBases(ctx, onto, heads, out); err != nil {
			return o.explain(ctx, fmt.Sprintf("looking for what %s has in common with %d branches of", onto, len(heads)), err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// ask has something asked of a remote.
func (r *Repository) ask(ctx context.Context, doing string, what func(context.Context, *remote) error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	o, ok := r.origin.(*remote)
	switch {
	case !ok:
		return &UnsupportedError{Doing: doing + " of " + r.origin.name(), What: "a local repository", Remedy: "name the URL of a remote"}
	case r.closed:
		return errors.New(doing + ": the repository is closed")
	}
	ctx, cancel := context.WithTimeout(ctx, r.options.Timeout)
	defer cancel()
	defer o.end()
	return what(ctx, o)
}

func (r *remote) mergeBases(ctx context.Context, onto string, heads []string, out map[string]string) error {
	heads = slices.DeleteFunc(slices.Compact(slices.Sorted(slices.Values(heads))), func(head string) bool {
		if head == onto {
			out[head] = onto
		}
		return head == onto
	})
	if len(heads) == 0 {
		return nil
	}
	s, err := r.between(ctx, onto, heads...)
	if err != nil {
		return err
	}
	common := map[string][]string{}
	for _, head := range heads {
		if common[head], err = history.Edge(ctx, head, s.objects.parents, func(string) bool { return true }); err != nil {
			break
		}
	}
	if err := errors.Join(err, s.remove()); err != nil {
		return err
	}
	for head, all := range common {
		base, err := r.newest(ctx, all)
		if err != nil {
			return err
		}
		if base != "" {
			out[head] = base
		}
	}
	return nil
}

// newest gives the one of some commits that is an ancestor of no other one. There are several only where a branch was merged with what it is compared with.
func (r *remote) newest(ctx context.Context, commits []string) (string, error) {
	best := ""
	for _, c := range commits {
		if best == "" {
			best = c
			continue
		}
		r.end() // each question is an exchange
		later, err := r.descends(ctx, c, best)
		if err != nil {
			return "", err
		}
		if later {
			best = c
		}
	}
	return best, nil
}
