package pulls

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"headgate.dev/agent/forge"
	"headgate.dev/agent/pace"
	"headgate.dev/agent/preview/life"
	"headgate.dev/schema"
)

// idle is how long a Follower sleeps when nothing is to be done.
const idle = time.Hour

// look does what there is to do, and says how long to wait for the next look.
func (f *Follower) look(ctx context.Context, s *schema.Sync, n notes) time.Duration {
	if s.DeletionTimestamp != nil || s.Spec.Suspend || s.Spec.Previews == nil {
		f.keep(n)
		return idle
	}
	err := f.connect(ctx, s)
	var approvals []life.Approval
	if err == nil {
		f.note(s, n)
		approvals, err = f.answer(ctx, s)
	} else {
		f.keep(n)
	}
	if ctx.Err() != nil {
		return idle
	}
	if err != nil || f.world.Now().Before(f.quiet) {
		f.current, f.pollAt = false, time.Time{} // until everything was asked for again
	}
	if decideErr := f.settle(ctx, s, approvals, err); err == nil {
		err = decideErr
	}
	return f.pause(err)
}

// keep has notes come back with the next look.
func (f *Follower) keep(n notes) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.notes.poll = f.notes.poll || n.poll
	for number, hints := range n.numbers {
		if f.notes.numbers == nil {
			f.notes.numbers = map[int][]forge.PullHint{}
		}
		f.notes.numbers[number] = append(hints, f.notes.numbers[number]...)
	}
	f.notes.refs, f.notes.commits = append(n.refs, f.notes.refs...), append(n.commits, f.notes.commits...)
}

// connect sees to the host. Where the Sync says something else now, nothing that was learned holds.
func (f *Follower) connect(ctx context.Context, s *schema.Sync) error {
	if f.connected() && f.generation == s.Generation {
		return nil
	}
	if s.Spec.Previews.Branches != nil {
		return f.connectBranches(ctx, s)
	}
	f.disconnect()
	if s.Spec.Forge == nil || s.Spec.Forge.Kind == schema.ForgeGeneric {
		return errors.New("previews.pullRequests need to know the Git host: name its kind and a token in spec.forge")
	}
	host, repository, err := f.world.Connect(ctx, s)
	if err != nil {
		return err
	}
	if f.repository != repository || f.branches != nil {
		f.state = state{pulls: map[int]*pull{}, over: map[int]string{}, asks: map[int]*ask{}, checks: map[string]*check{}, unlabel: map[int]bool{},
			written: f.written, ours: f.ours}
	}
	f.host, f.repository, f.generation, f.pollAt = host, repository, s.Generation, time.Time{}
	return nil
}

// pause is how long to wait for the next look.
func (f *Follower) pause(err error) time.Duration {
	now := f.world.Now()
	var e *forge.Error
	switch {
	case err == nil:
		f.failures = 0
	case errors.As(err, &e) && e.Reason == forge.RateLimited:
		f.quiet = e.Until
		return max(e.Until.Sub(now), time.Second) + time.Duration(f.world.Jitter()*float64(time.Second))
	default:
		f.failures++
		if f.failures > 3 && errors.As(err, &e) && e.Reason != forge.Unavailable {
			f.host = nil // the Secret may be another one by then
		}
		return pace.Backoff(f.failures, 0, f.world.Jitter())
	}
	return max(f.next().Sub(now), 10*time.Millisecond)
}

// next is when there is something to ask for.
func (f *Follower) next() time.Time {
	next := f.pollAt
	for _, a := range f.asks {
		if a.at.Before(next) {
			next = a.at
		}
	}
	for _, c := range f.checks {
		if c.check != life.Green && c.at.Add(shortestPoll).Before(next) {
			next = c.at.Add(shortestPoll)
		}
	}
	if next.Before(f.quiet) {
		next = f.quiet
	}
	return next
}

// check is what is said about the required status of a commit.
type check struct {
	check life.Check
	at    time.Time // when it was asked for
}

// settle decides, and does what was decided. failed is why the host could not be asked.
func (f *Follower) settle(ctx context.Context, s *schema.Sync, approvals []life.Approval, failed error) error {
	f.mu.Lock()
	ending := maps.Clone(f.ending)
	f.mu.Unlock()
	previews, err := f.previews(ctx, s, ending)
	if err != nil {
		return err
	}
	w := life.World{Rules: rules(s), Previews: previews, Approvals: approvals, Current: f.current, Now: f.world.Now()}
	before := f.world.Store.Remembered(ctx, s)
	for i := range before.Without {
		w.Absences = append(w.Absences, absence(&before.Without[i]))
	}
	d := f.decide(&w)
	if failed == nil {
		for range 2 { // what a decision lacks may lead to the next question
			more, err := f.complete(ctx, s, &d)
			if err != nil {
				failed = err
			}
			if !more || err != nil {
				break
			}
			d = f.decide(&w)
		}
	}
	acted := f.act(ctx, s, &d)
	f.untag(ctx, forkLabel(s), d.Unlabel)
	next := f.status(&w, &d, cmp.Or(failed, f.teller.failed()))
	switch err := f.world.Store.Remember(ctx, s, next); {
	case err != nil && acted == nil:
		acted = err
	case err == nil && f.settled(previews, ending):
		f.rouse() // its place may be free now
	}
	f.tell(s, &w, &d)
	return cmp.Or(failed, acted)
}

// decide decides with what is known now.
func (f *Follower) decide(w *life.World) life.Decision {
	w.Subjects, w.Over, w.Checks = nil, map[string]string{}, map[string]life.Check{}
	for number, how := range f.over {
		w.Over[life.NameOf(number)] = how
	}
	if f.branches != nil {
		f.branches.describe(w)
	}
	for _, number := range f.numbers() {
		k := f.pulls[number]
		w.Subjects = append(w.Subjects, life.Subject{Number: number, Author: k.Author, Labels: k.Labels, Target: k.Base.Ref, Draft: k.Draft,
			Head: k.Head.Commit, Base: k.MergeBase, Fork: k.Fork})
	}
	for commit, c := range f.checks {
		w.Checks[commit] = c.check
	}
	return life.Decide(*w)
}

// complete asks for what was missing for a decision, and tells whether something came of it.
func (f *Follower) complete(ctx context.Context, s *schema.Sync, d *life.Decision) (more bool, err error) {
	now := f.world.Now()
	for i := range d.Absences {
		a := &d.Absences[i]
		k := f.pulls[a.Number]
		switch {
		case a.Commit == "" || a.Commit != f.headOf(a):
		case a.Reason == life.NoBase && k != nil && k.based != k.Head.Commit && k.MergeBase == "":
			_, err := f.askOne(ctx, s, a.Number, cmp.Or(f.asks[a.Number], &ask{}))
			if err != nil {
				return more, err
			}
			k.based, more = k.Head.Commit, true
		case a.Reason == life.StatusMissing:
			if f.asked(a.Commit, now) {
				continue
			}
			if err := f.ask(ctx, s.Spec.Previews.Requires, a.Commit); err != nil {
				return more, err
			}
			more = true
		}
	}
	f.forget()
	return more, nil
}

// headOf is the head of an absence's subject; empty where it is not known.
func (f *Follower) headOf(a *life.Absence) string {
	if k := f.pulls[a.Number]; k != nil {
		return k.Head.Commit
	}
	if f.branches != nil {
		return f.branches.heads[a.Branch]
	}
	return ""
}

// asked tells whether the required status of a commit was asked for a moment ago.
func (f *Follower) asked(commit string, now time.Time) bool {
	c := f.checks[commit]
	return c != nil && now.Before(c.at.Add(shortestPoll))
}

// ask asks for the required status of a commit.
func (f *Follower) ask(ctx context.Context, name, commit string) error {
	c := &check{check: life.Pending, at: f.world.Now()}
	all, err := f.host.Statuses(ctx, f.repository, commit)
	var e *forge.Error
	if err != nil && (!errors.As(err, &e) || e.Reason != forge.NotFound) {
		return err
	}
	for _, status := range all {
		if status.Context == name {
			c.check = map[forge.StatusState]life.Check{forge.Success: life.Green, forge.Failure: life.Red, forge.Pending: life.Pending}[status.State]
		}
	}
	f.checks[commit] = c
	return nil
}

// forget drops what is known of commits that are no heads any more.
func (f *Follower) forget() {
	heads := map[string]bool{}
	for _, k := range f.pulls {
		heads[k.Head.Commit] = true
	}
	if f.branches != nil {
		for _, head := range f.branches.heads {
			heads[head] = true
		}
	}
	maps.DeleteFunc(f.checks, func(commit string, _ *check) bool { return !heads[commit] })
}

// rules are those of a Sync.
func rules(s *schema.Sync) life.Rules {
	p := s.Spec.Previews
	r := life.Rules{Follows: branchOf(s), Total: 50, PerAuthor: 10, TTL: days(p.TTL, 7), MaxAge: days(p.MaxAge, 30), Requires: p.Requires, ForkLabel: forkLabel(s)}
	if l := p.Limit; l != nil {
		r.Total, r.PerAuthor = cmp.Or(int(l.Total), r.Total), cmp.Or(int(l.PerAuthor), r.PerAuthor)
	}
	if b := p.Branches; b != nil {
		r.Branches, r.Names = true, b.Names
	}
	if q := p.PullRequests; q != nil {
		r.Labels, r.Targets, r.Drafts, r.Authors = q.Labels, q.Targets, q.Drafts, q.Authors
	}
	return r
}

// days reads a duration.
func days(text string, otherwise int) time.Duration {
	d, err := schema.ParseDuration(text)
	if err != nil || d.Value <= 0 {
		return time.Duration(otherwise) * 24 * time.Hour
	}
	return d.Value
}

// untag takes labels off that do not approve any more, and those that could not be taken off before.
func (f *Follower) untag(ctx context.Context, label string, numbers []int) {
	for _, n := range numbers {
		f.unlabel[n] = true
	}
	for _, n := range slices.Sorted(maps.Keys(f.unlabel)) {
		if label == "" || f.host == nil || f.pulls[n] == nil {
			delete(f.unlabel, n)
			continue
		}
		if err := f.host.RemoveLabel(ctx, f.repository, n, label); err != nil {
			f.world.Log.Info("taking a label off that does not approve any more", "pull request", n, "error", err)
			continue
		}
		delete(f.unlabel, n)
		f.pulls[n].Labels = slices.DeleteFunc(slices.Clone(f.pulls[n].Labels), func(l string) bool { return l == label })
	}
}
