package branches

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"time"

	"headgate.dev/agent/git"
)

// history knows commits that were read, because the same are asked for each time that a branch moves.
type history struct {
	repository Repository
	graph      map[string]ancestry
}

// walk goes through the history of two commits, the newest commit first.
type walk struct {
	*history
	seen  map[string]int // by which of the two a commit was reached: 1, 2 or both, 3
	queue queue
}

// mergeBase gives the newest commit that is in the history of both, empty where there is none. It reads the history from both to there. Commits that are
// older than a common one are told apart from it by being reached from both.
func (h *history) mergeBase(ctx context.Context, a, b string) (string, error) {
	if h.graph == nil {
		h.graph = map[string]ancestry{}
	}
	w := walk{history: h, seen: map[string]int{}}
	for i, hash := range []string{a, b} {
		if err := w.reach(ctx, hash, i+1); err != nil {
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
			if err := w.reach(ctx, p, by); err != nil {
				return "", err
			}
		}
	}
	return "", nil
}

// reach notes that a commit is in the history of one of the two. In a shallow clone the history ends early.
func (w *walk) reach(ctx context.Context, hash string, by int) error {
	before := w.seen[hash]
	if before|by == before {
		return nil
	}
	w.seen[hash] = before | by // where it was passed already, a clock was wrong: its parents are told again
	c, known := w.graph[hash]
	if !known {
		commit, err := w.repository.At(ctx, hash, "")
		var missing *git.NotFoundError
		switch {
		case errors.As(err, &missing):
			return nil
		case err != nil:
			return fmt.Errorf("reading the history at %s: %w", hash, err)
		}
		c = ancestry{hash: hash, when: commit.When, parents: commit.Parents()}
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
