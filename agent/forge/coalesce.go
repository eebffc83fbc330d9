package forge

import (
	"cmp"
	"crypto/sha256"
	"maps"
	"slices"
	"time"
)

const (
	// quiet is how long a repository must be silent before its hint, and longest how long a burst can put that off. A host sends several hooks
	// for one push, within a few milliseconds.
	quiet   = 20 * time.Millisecond
	longest = time.Second
	// replayed is how long after a hint the repetition of a hook waits: whoever can record one cannot make more than this of it.
	replayed = 10 * time.Second
	// most bounds what one hint lists, and the repositories that one hook has hints for at the same time.
	most = 256
)

// Hint says that something happened to a repository. It stands for all hooks since the one before.
type Hint struct {
	// Hook is the Name of the Hook that they came by.
	Hook string
	// Repository are the URLs that they named, sorted; none when they named none, or too many: any repository that the hook is for.
	Repository []string
	// Refs are what was pushed, by name, with the commit of the hook that came last. Hooks overtake each other, so that need not be the newest.
	Refs []RefHint
	// PullRequests are the numbers of those that something happened to, Statuses the commits that something was said about, both sorted.
	PullRequests []int
	Statuses     []string
	// Pulls is what was said of them besides, in the order in which the hooks came.
	Pulls []PullHint
	// Ping: somebody tried the hook.
	Ping bool
	// More happened than is listed.
	More bool
	// First is when the first of the hooks arrived, Hooks how many there were.
	First time.Time
	Hooks int
	// Pushed is when the first of the pushes arrived at the host, as far as the hooks say; zero when none does. The clock is the host's.
	Pushed time.Time
}

// RefHint is a reference, and the commit that it was said to be at; empty when it was deleted, or nothing was said.
type RefHint struct{ Ref, Commit string }

// PullHint is what one hook said of a pull request: its head, a comment by its id, labels that were set and by whom, as in [Event].
type PullHint struct {
	Number  int      `json:"number"`
	Commit  string   `json:"commit,omitempty"`
	Comment int64    `json:"comment,omitempty"`
	Labels  []string `json:"labels,omitempty"`
	By      string   `json:"by,omitempty"`
}

// coalescer collects hooks into hints. It is a value without clock and lock.
type coalescer struct {
	pending map[hintKey]*gathering
	perHook map[string]int
	last    *bounded[hintKey, time.Time] // when the last hint was
	seen    *bounded[[sha256.Size]byte, struct{}]
}

// hintKey is a repository as one hook names it.
type hintKey struct{ hook, repository string }

// gathering is a hint in the making.
type gathering struct {
	first, latest time.Time
	pushed        time.Time
	fresh         bool // not only repetitions
	urls, commits map[string]bool
	refs          map[string]string
	pulls         map[int]bool
	details       []PullHint
	ping, more    bool
	hooks         int
}

func newCoalescer() *coalescer {
	return &coalescer{pending: map[hintKey]*gathering{}, perHook: map[string]int{}, last: newBounded[hintKey, time.Time](remembered, nil),
		seen: newBounded[[sha256.Size]byte, struct{}](remembered, nil)}
}

// arrival is a hook that is good. Its digest is over the hook and the body; the delivery's own id is not signed, and would not do.
type arrival struct {
	hook   string
	event  Event
	digest [sha256.Size]byte
}

// add takes a hook in.
func (c *coalescer) add(now time.Time, a arrival) {
	_, repeated := c.seen.get(a.digest)
	c.seen.put(a.digest, struct{}{})
	k := hintKey{hook: a.hook}
	if len(a.event.Repository) > 0 {
		k.repository = Key(a.event.Repository[0])
	}
	g := c.pending[k]
	if g == nil && c.perHook[a.hook] >= most {
		k.repository, a.event = "", Event{} // no more apart: one for all
		g = c.pending[k]
	}
	if g == nil {
		g = &gathering{first: now, urls: map[string]bool{}, commits: map[string]bool{}, refs: map[string]string{}, pulls: map[int]bool{}}
		c.pending[k] = g
		c.perHook[a.hook]++
	}
	g.latest, g.fresh = now, g.fresh || !repeated
	g.hooks++
	g.take(a.event)
}

func (g *gathering) take(e Event) {
	for _, u := range e.Repository {
		note(g, g.urls, u, true)
	}
	if !e.Pushed.IsZero() && (g.pushed.IsZero() || e.Pushed.Before(g.pushed)) {
		g.pushed = e.Pushed
	}
	switch e.Kind {
	case Ping:
		g.ping = true
	case Push:
		if e.Ref == "" {
			g.more = true
			return
		}
		note(g, g.refs, e.Ref, e.Commit)
	case Pull:
		note(g, g.pulls, e.Number, true)
		g.detail(PullHint{e.Number, e.Commit, e.Comment, e.Labels, e.By})
	case StatusSet:
		note(g, g.commits, e.Commit, true)
	default:
		g.more = true
	}
}

// detail keeps what was said of a pull request. Of heads alone the last one will do.
func (g *gathering) detail(p PullHint) {
	alone := p.Comment == 0 && len(p.Labels) == 0
	if alone {
		g.details = slices.DeleteFunc(g.details, func(o PullHint) bool { return o.Number == p.Number && o.Comment == 0 && len(o.Labels) == 0 })
	}
	switch {
	case alone && p.Commit == "":
	case len(g.details) >= most:
		g.more = true
	default:
		g.details = append(g.details, p)
	}
}

func note[K comparable, V any](g *gathering, m map[K]V, k K, v V) {
	if _, known := m[k]; !known && len(m) >= most {
		g.more = true
		return
	}
	m[k] = v
}

// at is when the hint is due.
func (c *coalescer) at(k hintKey, g *gathering) time.Time {
	t := g.latest.Add(quiet)
	if end := g.first.Add(longest); end.Before(t) {
		t = end
	}
	if last, ok := c.last.get(k); ok && !g.fresh && last.Add(replayed).After(t) {
		return last.Add(replayed)
	}
	return t
}

// next is when the next hint is due; false when none is.
func (c *coalescer) next() (time.Time, bool) {
	var soonest time.Time
	for k, g := range c.pending {
		if t := c.at(k, g); soonest.IsZero() || t.Before(soonest) {
			soonest = t
		}
	}
	return soonest, len(c.pending) > 0
}

// due takes the hints out that are due, in the order of their first hooks.
func (c *coalescer) due(now time.Time) []Hint {
	var hints []Hint
	for k, g := range c.pending {
		if c.at(k, g).After(now) {
			continue
		}
		delete(c.pending, k)
		if c.perHook[k.hook]--; c.perHook[k.hook] == 0 {
			delete(c.perHook, k.hook)
		}
		c.last.put(k, now)
		hints = append(hints, g.hint(k.hook))
	}
	slices.SortFunc(hints, func(a, b Hint) int {
		return cmp.Or(a.First.Compare(b.First), cmp.Compare(a.Hook, b.Hook), slices.Compare(a.Repository, b.Repository))
	})
	return hints
}

func (g *gathering) hint(hook string) Hint {
	h := Hint{Hook: hook, Repository: slices.Sorted(maps.Keys(g.urls)), PullRequests: slices.Sorted(maps.Keys(g.pulls)),
		Statuses: slices.Sorted(maps.Keys(g.commits)), Pulls: g.details, Ping: g.ping, More: g.more, First: g.first, Hooks: g.hooks, Pushed: g.pushed}
	for _, ref := range slices.Sorted(maps.Keys(g.refs)) {
		h.Refs = append(h.Refs, RefHint{ref, g.refs[ref]})
	}
	return h
}
