package life

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"
)

// truth is a pull request as it really is.
type truth struct {
	Subject
	open bool
	// blessed is the head that somebody with write access approved after the last push; empty: none.
	blessed string
}

// host is a random repository with pull requests, seen through a network that loses things.
type host struct {
	*rand.Rand
	t     *testing.T
	w     World
	pulls []*truth
	// touched says of previews that somebody deleted them, at which commit.
	touched map[string]string
}

// FuzzLife lets pull requests live at random, and asks for decisions with holes in what is known: whatever comes, only knowledge ends a preview, there are never
// more than there may be, and no fork's head runs that was not approved since it was pushed.
func FuzzLife(f *testing.F) {
	for seed := range uint64(300) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		h := &host{Rand: rand.New(rand.NewPCG(seed, 7)), t: t, touched: map[string]string{}}
		h.w.Rules = Rules{Follows: "main", Total: 1 + h.IntN(4), PerAuthor: 1 + h.IntN(3), TTL: time.Hour, MaxAge: 5 * time.Hour, ForkLabel: "ok"}
		if h.IntN(3) == 0 {
			h.w.Rules.Requires = "ci"
		}
		h.w.Now = noon
		for range 60 {
			h.w.Now = h.w.Now.Add(time.Duration(h.IntN(20)) * time.Minute)
			h.happen()
			h.look()
			d := Decide(h.w)
			if again := Decide(h.w); !reflect.DeepEqual(d, again) {
				t.Fatalf("two decisions:\n%s\n%s", told(d), told(again))
			}
			h.check(d)
			h.apply(d)
		}
	})
}

func (h *host) commit() string { return fmt.Sprintf("%08x%032d", h.Uint32N(6), h.IntN(9)) }

// happen changes the truth.
func (h *host) happen() {
	h.w.Approvals = nil
	if len(h.pulls) < 7 && h.IntN(3) == 0 {
		n := len(h.pulls) + 1
		h.pulls = append(h.pulls, &truth{open: true, Subject: Subject{Number: n, Author: fmt.Sprint("u", h.IntN(3)), Target: "main", Head: h.commit(), Base: id("0"), Fork: h.IntN(2) == 0}})
	}
	if len(h.pulls) == 0 {
		return
	}
	p := h.pulls[h.IntN(len(h.pulls))]
	switch h.IntN(8) {
	case 0, 1:
		if head := h.commit(); head != p.Head {
			p.Head, p.blessed = head, ""
		}
	case 2:
		p.open = !p.open
	case 3:
		p.Draft = !p.Draft
	case 4, 5: // somebody approves what they saw: the head, or something else
		a := Approval{Number: p.Number, Commit: p.Head, By: "ada", At: h.w.Now}
		if h.IntN(3) == 0 {
			a.Commit = h.commit()
		}
		if a.Commit == p.Head {
			p.blessed = p.Head
		}
		h.w.Approvals = append(h.w.Approvals, a)
	case 6:
		if i := len(h.w.Previews); i > 0 {
			v := &h.w.Previews[h.IntN(i)]
			if !v.Ending {
				v.Ending = true
				h.touched[v.Name] = v.Commit
			}
		}
	}
}

// look is what the host says, with holes.
func (h *host) look() {
	h.w.Subjects, h.w.Over, h.w.Checks = nil, map[string]string{}, map[string]Check{}
	h.w.Current = h.IntN(4) > 0
	for _, p := range h.pulls {
		if h.IntN(4) == 0 {
			continue
		}
		if !p.open {
			h.w.Over[NameOf(p.Number)] = "closed"
			continue
		}
		s := p.Subject
		if h.IntN(6) == 0 {
			s.Base = ""
		}
		if h.IntN(5) == 0 {
			s.Labels = []string{"ok"} // that it is there approves nothing
		}
		h.w.Subjects = append(h.w.Subjects, s)
		h.w.Checks[s.Head] = []Check{"", Pending, Green, Green, Red}[h.IntN(5)]
	}
	h.Shuffle(len(h.w.Subjects), func(i, j int) { h.w.Subjects[i], h.w.Subjects[j] = h.w.Subjects[j], h.w.Subjects[i] })
}

func (h *host) check(d Decision) {
	h.t.Helper()
	known := map[string]Subject{}
	for _, s := range h.w.Subjects {
		known[NameOf(s.Number)] = s
	}
	count, before := map[string]int{}, map[string]int{}
	for _, p := range h.w.Previews {
		count["all"], count[p.Author] = count["all"]+1, count[p.Author]+1
	}
	for k, v := range count {
		before[k] = v
	}
	for _, x := range d.Delete {
		s, there := known[x.Preview.Name]
		_, over := h.w.Over[x.Preview.Name]
		old := h.w.Current && h.w.Now.Sub(x.Preview.Pushed) > h.w.Rules.TTL || h.w.Current && h.w.Now.Sub(x.Preview.Created) > h.w.Rules.MaxAge
		positive := there && (s.Draft || s.Fork && s.Head != x.Preview.Commit || old && !x.Preview.Pin)
		if !over && !positive {
			h.t.Errorf("%s ends without knowledge: %s", x.Preview.Name, x.Message)
		}
	}
	for _, p := range append(d.Create, d.Update...) {
		truth := h.pulls[p.Number-1]
		if p.Fork && (truth.blessed != p.Commit || p.Commit != truth.Head) {
			h.t.Errorf("%s of a fork runs %s, approved is %q", p.Name, p.Commit, truth.blessed)
		}
		if truth.Fork && !p.Fork {
			h.t.Errorf("%s is not called a fork's", p.Name)
		}
		if h.w.Rules.Requires != "" && h.w.Checks[p.Commit] != Green {
			h.t.Errorf("%s runs %s, whose status is %q", p.Name, p.Commit, h.w.Checks[p.Commit])
		}
	}
	for _, p := range d.Create {
		if h.touched[p.Name] == p.Commit {
			h.t.Errorf("%s comes back at the commit that somebody ended it at", p.Name)
		}
		count["all"], count[p.Author] = count["all"]+1, count[p.Author]+1
		if count["all"] > max(h.w.Rules.Total, before["all"]) || count[p.Author] > max(h.w.Rules.PerAuthor, before[p.Author]) {
			h.t.Errorf("%s is one too many", p.Name)
		}
	}
	names := map[string]bool{}
	for _, a := range d.Absences {
		if names[a.Name] || strings.Contains(a.Message, "\n") {
			h.t.Errorf("absence %+v", a)
		}
		names[a.Name] = true
	}
}

// apply does what was decided; what ends takes its time.
func (h *host) apply(d Decision) {
	byName := map[string]Preview{}
	for _, p := range d.Update {
		byName[p.Name] = p
		delete(h.touched, p.Name)
	}
	for _, x := range d.Delete {
		p := x.Preview
		p.Ending, p.Ours = true, true
		byName[p.Name] = p
	}
	var next []Preview
	for _, p := range h.w.Previews {
		if q, changed := byName[p.Name]; changed {
			p = q
		}
		if p.Ending && h.IntN(2) == 0 {
			continue
		}
		next = append(next, p)
	}
	for _, p := range d.Create {
		delete(h.touched, p.Name)
	}
	// A name that is forgotten because its subject is over, or left out, is free again.
	remembered := map[string]bool{}
	for _, a := range d.Absences {
		remembered[a.Name] = a.Reason == Ended || remembered[a.Name]
	}
	for name := range h.touched {
		if !remembered[name] {
			delete(h.touched, name)
		}
	}
	h.w.Previews, h.w.Absences = append(next, d.Create...), d.Absences
}
