package git

import (
	"bytes"
	"cmp"
	"container/heap"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
)

// Branch is a branch of a local repository.
type Branch struct {
	// Name is without "refs/heads/". It is whatever somebody typed.
	Name string
	// Hash is the commit's id, When the committer's time.
	Hash string
	When time.Time
}

// errHistory is what a remote says when its history is asked for.
func errHistory(doing, name string) error {
	return &UnsupportedError{Doing: doing + " of " + name, What: "a remote, which is fetched without its history", Remedy: "clone it, and name the clone"}
}

func (r *Repository) local(doing string) (*local, error) {
	l, ok := r.origin.(*local)
	switch {
	case !ok:
		return nil, errHistory(doing, r.origin.name())
	case r.closed:
		return nil, errors.New(doing + ": the repository is closed")
	}
	return l, nil
}

// Branches lists the branches of a local repository, the one with the newest commit first. One that leads to no commit is left out.
func (r *Repository) Branches(_ context.Context) ([]Branch, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	l, err := r.local("listing the branches")
	if err != nil {
		return nil, err
	}
	heads, err := l.refs.heads()
	if err != nil {
		return nil, fmt.Errorf("listing the branches of %s: %w", l.root, err)
	}
	var out []Branch
	dates := make(map[string]time.Time, len(heads))
	for name, hash := range heads {
		when, known := l.dates[hash]
		if !known {
			c, err := l.objects.commit(plumbing.NewHash(hash))
			if err != nil {
				continue
			}
			when = c.When
		}
		dates[hash] = when
		out = append(out, Branch{Name: name, Hash: hash, When: when})
	}
	l.dates = dates
	slices.SortFunc(out, func(a, b Branch) int { return cmp.Or(b.When.Compare(a.When), strings.Compare(a.Name, b.Name)) })
	return out, nil
}

// At gives a commit of a local repository by its whole id, with the name of the branch that it is shown under; none when that is empty.
func (r *Repository) At(_ context.Context, hash, branch string) (*Commit, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	l, err := r.local("reading a commit")
	if err != nil {
		return nil, err
	}
	t := target{hash: hash}
	if branch != "" {
		t.ref = "refs/heads/" + branch
	}
	return l.read(t)
}

// MergeBase gives the newest commit that is in the history of both, empty where there is none. It reads the history from both to there.
func (r *Repository) MergeBase(ctx context.Context, a, b string) (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	l, err := r.local("reading the history")
	if err != nil {
		return "", err
	}
	return l.mergeBase(ctx, a, b)
}

// heads gives the ids of all branches.
func (l *localRefs) heads() (map[string]string, error) {
	const prefix = "refs/heads/"
	heads := map[string]string{}
	path := filepath.Join(l.common, "packed-refs")
	if st, err := os.Stat(path); err == nil {
		data, err := l.readPacked(path, st.Size())
		if err != nil {
			return nil, err
		}
		for line := range bytes.Lines(data) {
			id, name, _ := bytes.Cut(bytes.TrimSpace(line), []byte(" "))
			if short, ok := bytes.CutPrefix(name, []byte(prefix)); ok && fullID.Match(id) {
				heads[string(short)] = string(id)
			}
		}
	}
	root := filepath.Join(l.common, "refs", "heads")
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil // a directory that vanished holds no branch
		}
		short := filepath.ToSlash(strings.TrimPrefix(path, root+string(filepath.Separator)))
		if _, hash, err := l.read(prefix + short); err == nil && hash != "" {
			heads[short] = hash
		}
		return nil
	})
	return heads, err
}

// walk goes through the history of two commits, the newest commit first.
type walk struct {
	objects *objects
	graph   map[string]ancestry
	seen    map[string]int // by which of the two a commit was reached: 1, 2 or both, 3
	queue   queue
}

// mergeBase is MergeBase. Commits that are older than a common one are told apart from it by being reached from both.
func (l *local) mergeBase(ctx context.Context, a, b string) (string, error) {
	if l.graph == nil {
		l.graph = map[string]ancestry{}
	}
	w := walk{objects: l.objects, graph: l.graph, seen: map[string]int{}}
	for i, hash := range []string{a, b} {
		if err := w.reach(hash, i+1); err != nil {
			return "", err
		}
	}
	for w.queue.Len() > 0 {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		c, _ := heap.Pop(&w.queue).(ancestry)
		by := w.seen[c.hash]
		if by == 3 {
			return c.hash, nil
		}
		for _, p := range c.parents {
			if err := w.reach(p, by); err != nil {
				return "", err
			}
		}
	}
	return "", nil
}

// reach notes that a commit is in the history of one of the two. In a shallow clone the history ends early.
func (w *walk) reach(hash string, by int) error {
	before := w.seen[hash]
	if before|by == before {
		return nil
	}
	w.seen[hash] = before | by // where it was passed already, a clock was wrong: its parents are told again
	c, known := w.graph[hash]
	if !known {
		commit, err := w.objects.commit(plumbing.NewHash(hash))
		switch {
		case errors.Is(err, plumbing.ErrObjectNotFound):
			return nil
		case err != nil:
			return fmt.Errorf("reading the history at %s: %w", hash, err)
		}
		c = ancestry{hash: hash, when: commit.When, parents: commit.parents}
		if len(w.graph) < maxGraph {
			w.graph[hash] = c
		}
	}
	heap.Push(&w.queue, c)
	return nil
}

// ancestry is a commit in the history.
type ancestry struct {
	hash    string
	when    time.Time
	parents []string
}

// maxGraph is how many commits are remembered for the next merge base: the same are asked for each time that a branch moves.
const maxGraph = 50_000

// queue is a heap of commits, the newest on top.
type queue []ancestry

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].when.After(q[j].when) }
func (q queue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }

// Push implements heap.Interface.
func (q *queue) Push(c any) { *q = append(*q, c.(ancestry)) }

// Pop implements heap.Interface.
func (q *queue) Pop() any {
	last := len(*q) - 1
	c := (*q)[last]
	*q = (*q)[:last]
	return c
}
