package forge

import (
	"crypto/sha256"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func commit(c byte) string {
	b := make([]byte, 40)
	for i := range b {
		b[i] = c
	}
	return string(b)
}

func hookOf(hook string, body string, e Event) arrival {
	return arrival{hook, e, sha256.Sum256([]byte(hook + body))}
}

func pushTo(repo, ref, id string) Event {
	return Event{Kind: Push, Repository: []string{"https://example.com/" + repo + ".git"}, Ref: ref, Commit: id}
}

func TestBurstIsOneHint(t *testing.T) {
	c := newCoalescer()
	for i := range 1000 {
		at := noon.Add(time.Duration(i) * 500 * time.Microsecond)
		if h := c.due(at); h != nil {
			t.Fatalf("after %d hooks: a hint already: %v", i, h)
		}
		c.add(at, hookOf("shop", fmt.Sprint(i), pushTo("team-a/shop", "refs/heads/main", commit('a'+byte(i%6)))))
	}
	next, some := c.next()
	if want := noon.Add(499500*time.Microsecond + quiet); !some || !next.Equal(want) {
		t.Errorf("the hint is due at %v, want %v", next, want)
	}
	got := c.due(next)
	want := []Hint{{Hook: "shop", Repository: []string{"https://example.com/team-a/shop.git"}, Refs: []RefHint{{"refs/heads/main", commit('a' + 999%6)}}, First: noon, Hooks: 1000}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if _, some := c.next(); some || c.due(noon.Add(time.Hour)) != nil {
		t.Error("something is left")
	}
}

func TestEndlessBurstIsCut(t *testing.T) {
	c := newCoalescer()
	hints := 0
	for i := range 5000 { // 5 s
		at := noon.Add(time.Duration(i) * time.Millisecond)
		c.add(at, hookOf("shop", fmt.Sprint(i), pushTo("team-a/shop", "refs/heads/main", commit('a'))))
		hints += len(c.due(at))
	}
	if hints != 4 {
		t.Errorf("%d hints in five seconds without a pause, want 4", hints)
	}
}

func TestRepositoriesStayApart(t *testing.T) {
	c := newCoalescer()
	c.add(noon, hookOf("a", "1", pushTo("team-a/shop", "refs/heads/main", commit('a'))))
	c.add(noon.Add(time.Millisecond), hookOf("b", "1", pushTo("team-a/shop", "refs/heads/main", commit('a'))))
	c.add(noon.Add(2*time.Millisecond), hookOf("a", "2", pushTo("team-a/cart", "refs/heads/main", commit('b'))))
	c.add(noon.Add(3*time.Millisecond), hookOf("a", "3", Event{Kind: Pull, Repository: []string{"https://example.com/team-a/shop.git"}, Number: 42}))
	c.add(noon.Add(3*time.Millisecond), hookOf("a", "4", Event{Kind: Pull, Repository: []string{"https://example.com/team-a/shop.git"}, Number: 7}))
	c.add(noon.Add(3*time.Millisecond), hookOf("a", "5", Event{Kind: StatusSet, Repository: []string{"https://example.com/team-a/shop.git"}, Commit: commit('c')}))
	got := c.due(noon.Add(time.Second))
	want := []Hint{
		{Hook: "a", Repository: []string{"https://example.com/team-a/shop.git"}, Refs: []RefHint{{"refs/heads/main", commit('a')}}, PullRequests: []int{7, 42},
			Statuses: []string{commit('c')}, First: noon, Hooks: 4},
		{Hook: "b", Repository: []string{"https://example.com/team-a/shop.git"}, Refs: []RefHint{{"refs/heads/main", commit('a')}}, First: noon.Add(time.Millisecond), Hooks: 1},
		{Hook: "a", Repository: []string{"https://example.com/team-a/cart.git"}, Refs: []RefHint{{"refs/heads/main", commit('b')}}, First: noon.Add(2 * time.Millisecond), Hooks: 1},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestReplaysCostOneHint(t *testing.T) {
	c := newCoalescer()
	push := hookOf("shop", "same", pushTo("team-a/shop", "refs/heads/main", commit('a')))
	c.add(noon, push)
	if h := c.due(noon.Add(quiet)); len(h) != 1 {
		t.Fatalf("the first: %v", h)
	}
	hints := 0
	for i := range 9000 {
		at := noon.Add(100*time.Millisecond + time.Duration(i)*time.Millisecond)
		c.add(at, push)
		hints += len(c.due(at))
	}
	if hints != 0 {
		t.Errorf("nine seconds of replays made %d hints", hints)
	}
	next, _ := c.next()
	if want := noon.Add(quiet + replayed); !next.Equal(want) {
		t.Errorf("the replays' hint is due at %v, want %v", next, want)
	}
	// What is new does not wait behind them.
	at := noon.Add(9500 * time.Millisecond)
	c.add(at, hookOf("shop", "other", pushTo("team-a/shop", "refs/heads/main", commit('b'))))
	if h := c.due(at.Add(quiet)); len(h) != 1 || h[0].Hooks != 9001 {
		t.Errorf("a new hook among replays: %v", h)
	}
}

func TestHintsAreBounded(t *testing.T) {
	c := newCoalescer()
	for i := range 3 * most {
		c.add(noon, hookOf("one", fmt.Sprint(i), pushTo("team-a/shop", fmt.Sprintf("refs/heads/b%04d", i), commit('a'))))
	}
	h := c.due(noon.Add(time.Second))
	if len(h) != 1 || len(h[0].Refs) != most || !h[0].More {
		t.Errorf("many refs: %d hints, %d refs, more %v", len(h), len(h[0].Refs), h[0].More)
	}
	for i := range 3 * most {
		c.add(noon, hookOf("two", fmt.Sprint(i), pushTo(fmt.Sprintf("team-a/r%04d", i), "refs/heads/main", commit('a'))))
	}
	h = c.due(noon.Add(time.Second))
	if len(h) != most+1 {
		t.Errorf("many repositories: %d hints, want %d", len(h), most+1)
	}
	for _, one := range h {
		if one.Repository == nil && (!one.More || one.Hooks != 2*most) {
			t.Errorf("the hint for the rest: %+v", one)
		}
	}
	if len(c.pending) != 0 || len(c.perHook) != 0 {
		t.Error("something is left")
	}
}
