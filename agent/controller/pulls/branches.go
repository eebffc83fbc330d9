package pulls

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"headgate.dev/agent/forge"
	"headgate.dev/agent/preview/life"
	"headgate.dev/schema"
)

// Repository is where branches are. Errors are those of git.Repository.
type Repository interface {
	// Heads gives the commits of all branches by name: the whole list, or an error.
	Heads(ctx context.Context) (map[string]string, error)
	// MergeBases gives what heads have in common with another commit, by the heads.
	MergeBases(ctx context.Context, onto string, heads []string) (map[string]string, error)
	// Release ends the use.
	Release() error
}

// branches is what is known of the branches of a Sync whose previews are of branches.
type branches struct {
	repository Repository // nil: not opened
	// heads are as the last whole list had them, with the branch that is followed among them; nil before the first one.
	heads map[string]string
	// bases are the merge bases with onto, by head; empty where there is none.
	bases map[string]string
	onto  string
	// awaited are branches that a webhook told of.
	awaited map[string]awaited
}

// awaited is a commit that a webhook named before the host showed it.
type awaited struct {
	commit string
	until  time.Time
}

// atOnceBranches is how many merge bases are asked for in one request.
const atOnceBranches = 100

// connectBranches sees to the repository, and to the host where a commit status is required.
func (f *Follower) connectBranches(ctx context.Context, s *schema.Sync) error {
	f.disconnect()
	needed := s.Spec.Previews.Requires != ""
	if needed && (s.Spec.Forge == nil || s.Spec.Forge.Kind == schema.ForgeGeneric) {
		return errors.New("previews.requires needs to know the Git host: name its kind and a token in spec.forge")
	}
	if needed {
		var err error
		if f.host, f.repository, err = f.world.Connect(ctx, s); err != nil {
			return err
		}
	}
	repository, err := f.world.Repository(ctx, s)
	if err != nil {
		return err
	}
	b := f.branches
	if b == nil || f.generation != s.Generation {
		f.state = state{pulls: map[int]*pull{}, over: map[int]string{}, asks: map[int]*ask{}, checks: map[string]*check{}, unlabel: map[int]bool{},
			written: f.written, ours: f.ours, host: f.host, repository: f.repository, failures: f.failures, quiet: f.quiet}
		b = &branches{awaited: map[string]awaited{}}
	}
	b.repository = repository
	f.branches, f.generation, f.pollAt = b, s.Generation, time.Time{}
	return nil
}

// connected tells whether there is something to ask.
func (f *Follower) connected() bool {
	if f.branches != nil {
		return f.branches.repository != nil
	}
	return f.host != nil
}

// disconnect gives the repository back.
func (f *Follower) disconnect() {
	if b := f.branches; b != nil && b.repository != nil {
		if err := b.repository.Release(); err != nil {
			f.world.Log.Warn("closing the repository of branches", "error", err)
		}
		b.repository = nil
	}
}

// moved notes what a webhook said of branches.
func (b *branches) moved(refs []forge.RefHint, now time.Time) (told bool) {
	for _, r := range refs {
		name, isBranch := strings.CutPrefix(r.Ref, "refs/heads/")
		if !isBranch {
			continue
		}
		told = true
		if strings.Trim(r.Commit, "0") == "" {
			delete(b.awaited, name) // it is gone, they say
		} else if b.heads[name] != r.Commit {
			b.awaited[name] = awaited{commit: r.Commit, until: now.Add(patience)}
		}
	}
	return told
}

// list asks for all branches and for what those that get previews have in common with the one that is followed.
func (f *Follower) list(ctx context.Context, s *schema.Sync) error {
	b, now := f.branches, f.world.Now()
	if now.Before(f.pollAt) {
		return nil
	}
	f.current = false
	heads, err := b.repository.Heads(ctx)
	if err == nil && heads[branchOf(s)] == "" { // also the list that is empty
		err = fmt.Errorf("the repository lists %d branches, and not %q, which previews are compared with: name a branch that is there in spec.ref.branch",
			len(heads), branchOf(s))
	}
	if err != nil {
		f.disconnect() // what it was opened with may be another by the next time
		return err
	}
	b.heads = heads
	if err := f.compare(ctx, s); err != nil {
		return err
	}
	f.current = true
	f.pollAt = now.Add(min(f.interval(s), b.wait(now)))
	return nil
}

// wait is how long to wait for commits that were announced.
func (b *branches) wait(now time.Time) time.Duration {
	pause := idle
	for name, a := range b.awaited {
		left := a.until.Sub(now)
		if b.heads[name] == a.commit || left <= 0 {
			delete(b.awaited, name)
			continue
		}
		pause = min(pause, max(firstPause, min(longestPause, patience-left)))
	}
	return pause
}

// compare asks for the merge bases that are not known. Of a branch of which it cannot be told, it is said of that one alone.
func (f *Follower) compare(ctx context.Context, s *schema.Sync) error {
	b, r := f.branches, rules(s)
	onto := b.heads[r.Follows]
	if b.onto != onto || b.bases == nil {
		b.onto, b.bases = onto, map[string]string{}
	}
	wanted := map[string]bool{}
	for name, head := range b.heads {
		if named(&r, name) {
			wanted[head] = true
		}
	}
	maps.DeleteFunc(b.bases, func(head, _ string) bool { return !wanted[head] })
	maps.DeleteFunc(wanted, func(head string, _ bool) bool { _, known := b.bases[head]; return known })
	var failed error
	for some := range slices.Chunk(slices.Sorted(maps.Keys(wanted)), atOnceBranches) {
		err := f.bases(ctx, some)
		if err == nil {
			continue
		}
		failed = cmp.Or(failed, err)
		for _, head := range some {
			if len(some) == 1 || ctx.Err() != nil {
				break
			}
			_ = f.bases(ctx, []string{head}) // what is wrong is told already
		}
	}
	return failed
}

// named tells whether a branch is one that gets a preview.
func named(r *life.Rules, branch string) bool {
	return branch != r.Follows && slices.ContainsFunc(r.Names, func(p string) bool { return life.Match(p, branch) })
}

// bases learns the merge bases of some heads.
func (f *Follower) bases(ctx context.Context, heads []string) error {
	found, err := f.branches.repository.MergeBases(ctx, f.branches.onto, heads)
	if err != nil {
		return err
	}
	for _, head := range heads {
		f.branches.bases[head] = found[head]
	}
	return nil
}

// describe adds to a world what is known of branches. A branch is over when a whole list does not have it.
func (b *branches) describe(w *life.World) {
	if b.heads == nil {
		return
	}
	had := map[string]bool{}
	for i := range w.Previews {
		had[w.Previews[i].Branch] = true
	}
	for _, name := range slices.Sorted(maps.Keys(b.heads)) {
		head := b.heads[name]
		if !had[name] && !named(&w.Rules, name) {
			continue // it would take the name of a preview from another one
		}
		w.Subjects = append(w.Subjects, life.Subject{Branch: name, Head: head, Base: b.bases[head]})
	}
	gone := func(preview, branch string) {
		if branch != "" && b.heads[branch] == "" {
			w.Over[preview] = "deleted"
		}
	}
	for i := range w.Previews {
		gone(w.Previews[i].Name, w.Previews[i].Branch)
	}
	for i := range w.Absences {
		gone(w.Absences[i].Name, w.Absences[i].Branch)
	}
}
