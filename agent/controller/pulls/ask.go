package pulls

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"headgate.dev/agent"
	"headgate.dev/agent/forge"
	"headgate.dev/agent/pace"
	"headgate.dev/agent/preview/life"
	"headgate.dev/schema"
)

const (
	// shortestPoll is the shortest time between two polls.
	shortestPoll = time.Minute
	// patience is how long a commit that a webhook named is looked for, first after firstPause and then twice as long each time, up to longestPause.
	patience     = time.Minute
	firstPause   = 200 * time.Millisecond
	longestPause = 10 * time.Second
	// atOnce is how many pull requests are asked for one by one in one look; what is left comes a moment later.
	atOnce = 40
	// many is how many pull requests cost more to ask for one by one than all of them in a list.
	many = 10
	// reserve is how many requests are left to others when the host tells how many it still takes.
	reserve = 100
)

// ask is a pull request that is to be asked for by itself.
type ask struct {
	hints []forge.PullHint // that may approve
	// commit is waited for until a time, if it is set.
	commit string
	until  time.Time
	pause  time.Duration
	at     time.Time
}

// wants adds what was said of a pull request to what is to be asked.
func (f *Follower) wants(number int, hints []forge.PullHint) {
	now := f.world.Now()
	a := f.asks[number]
	if a == nil {
		a = &ask{}
		f.asks[number] = a
	}
	a.at, a.pause = now, firstPause
	for _, h := range hints {
		if h.Comment != 0 || len(h.Labels) > 0 {
			a.hints = append(a.hints, h)
		}
		if h.Commit != "" && !f.had(number, h.Commit) {
			a.commit, a.until = h.Commit, now.Add(patience)
		}
	}
	a.hints = a.hints[max(0, len(a.hints)-atOnce):]
}

// note turns notes into what is to be asked.
func (f *Follower) note(s *schema.Sync, n notes) {
	for number, hints := range n.numbers {
		f.wants(number, hints)
	}
	if f.branches != nil {
		n.poll = f.branches.moved(n.refs, f.world.Now()) || n.poll
		n.refs = nil
	}
	for _, r := range n.refs {
		if branch, ok := strings.CutPrefix(r.Ref, "refs/heads/"); ok {
			n.poll = f.noteBranch(s, branch, r.Commit) || n.poll
		}
	}
	for _, commit := range n.commits {
		delete(f.checks, commit)
	}
	if n.poll {
		f.pollAt = time.Time{}
	}
}

// noteBranch asks for the pull requests of a branch that moved. It tells whether all are to be asked for.
func (f *Follower) noteBranch(s *schema.Sync, branch, commit string) (all bool) {
	for _, number := range f.numbers() {
		if k := f.pulls[number]; !k.Fork && k.Head.Ref == branch {
			f.wants(number, []forge.PullHint{{Number: number, Commit: commit}})
		}
	}
	return branch == branchOf(s) && len(f.pulls) > 0 // it may have been a merge, of which nobody else tells
}

// answer has the host asked for what there is to ask, and gives what approvals came of it.
func (f *Follower) answer(ctx context.Context, s *schema.Sync) ([]life.Approval, error) {
	now := f.world.Now()
	if now.Before(f.quiet) {
		return nil, nil
	}
	if f.branches != nil {
		return nil, f.list(ctx, s)
	}
	var approvals []life.Approval
	if f.due(now) <= many { // what a webhook told of is somebody waiting; the poll is not
		var err error
		if approvals, err = f.askEach(ctx, s); err != nil || now.Before(f.pollAt) {
			return approvals, err
		}
	}
	if err := f.poll(ctx, s); err != nil {
		return approvals, err
	}
	more, err := f.askEach(ctx, s)
	return append(approvals, more...), err
}

// due is how many pull requests are to be asked for by themselves now.
func (f *Follower) due(now time.Time) int {
	n := 0
	for _, a := range f.asks {
		if !now.Before(a.at) {
			n++
		}
	}
	return n
}

// poll asks for all that are open.
func (f *Follower) poll(ctx context.Context, s *schema.Sync) error {
	done, err := f.world.Turn(ctx)
	if err != nil {
		return err
	}
	defer done()
	now := f.world.Now()
	f.current = false
	list, err := f.host.OpenPullRequests(ctx, f.repository)
	if err != nil {
		return err
	}
	f.current, f.pollAt = true, now.Add(f.interval(s))
	listed := map[int]bool{}
	for _, k := range f.pulls {
		k.based = "" // the host may have found it by now
	}
	for _, p := range list {
		f.learn(p)
		listed[p.Number] = true
		if a := f.asks[p.Number]; a != nil && len(a.hints) == 0 {
			f.again(p.Number, a) // the list has told it
		}
	}
	// That one is not in the list does not mean that it is closed.
	for _, number := range f.known(ctx, s) {
		if f.over[number] == "" && !listed[number] && f.asks[number] == nil {
			f.asks[number] = &ask{at: now}
		}
	}
	return nil
}

// interval is the time between two polls: longer where the host takes few requests.
func (f *Follower) interval(s *schema.Sync) time.Duration {
	d := max(agent.IntervalOf(s), shortestPoll)
	if f.host != nil {
		if remaining, _, known := f.host.Limit(); known && remaining < 10*reserve {
			d *= 4
		}
	}
	return pace.Spread(d, f.world.Jitter())
}

// known are the numbers of all pull requests that something is known of.
func (f *Follower) known(ctx context.Context, s *schema.Sync) []int {
	numbers := map[int]bool{}
	for n := range f.pulls {
		numbers[n] = true
	}
	for _, a := range f.world.Store.Remembered(ctx, s).Without {
		numbers[int(a.Number)] = true
	}
	if all, err := f.world.Store.Previews(ctx, s); err == nil {
		for i := range all {
			numbers[int(all[i].Spec.Number)] = true
		}
	}
	delete(numbers, 0) // branches
	return slices.Sorted(maps.Keys(numbers))
}

// askEach asks for the pull requests whose time has come.
func (f *Follower) askEach(ctx context.Context, s *schema.Sync) ([]life.Approval, error) {
	var approvals []life.Approval
	asked := 0
	for _, number := range slices.Sorted(maps.Keys(f.asks)) {
		a := f.asks[number]
		if f.world.Now().Before(a.at) {
			continue
		}
		if asked++; asked > atOnce {
			break
		}
		found, err := f.askOne(ctx, s, number, a)
		if err != nil {
			return approvals, err
		}
		approvals = append(approvals, found...)
	}
	return approvals, nil
}

func (f *Follower) askOne(ctx context.Context, s *schema.Sync, number int, a *ask) ([]life.Approval, error) {
	var before []string
	if k := f.pulls[number]; k != nil {
		before = k.Labels
	}
	known := f.pulls[number] != nil
	p, err := f.host.PullRequest(ctx, f.repository, number)
	var e *forge.Error
	switch {
	case errors.As(err, &e) && e.Reason == forge.NotFound:
		f.again(number, a) // it may be there in a moment; that it is not says nothing
		return nil, nil
	case err != nil:
		return nil, err
	}
	f.learn(p)
	if k := f.pulls[number]; k != nil && p.MergeBase == "" {
		k.based = p.Head.Commit
	}
	hints := a.hints
	a.hints = nil
	approvals, err := f.approvals(ctx, s, p, hints, func(label string) bool { return known && !slices.Contains(before, label) })
	if err != nil {
		a.hints = hints
		return nil, err
	}
	f.again(number, a)
	return approvals, nil
}

// again has a pull request asked for once more while it does not have the commit that a webhook named.
func (f *Follower) again(number int, a *ask) {
	now := f.world.Now()
	if a.commit == "" || f.had(number, a.commit) || f.over[number] != "" || now.After(a.until) {
		delete(f.asks, number)
		return
	}
	a.pause = max(a.pause, firstPause)
	a.at, a.pause = now.Add(a.pause), min(2*a.pause, longestPause)
}

// approvals asks for what may approve the head of a fork. fresh tells whether a label was not there before.
func (f *Follower) approvals(ctx context.Context, s *schema.Sync, p forge.PullRequest, hints []forge.PullHint, fresh func(string) bool) ([]life.Approval, error) {
	if !p.Fork || p.State != forge.Open {
		return nil, nil
	}
	var out []life.Approval
	for _, h := range hints {
		a, err := f.claim(ctx, s, p, h, fresh)
		if err == nil && a != nil {
			a, err = f.permitted(ctx, p.Number, a)
		}
		var e *forge.Error
		switch {
		case errors.As(err, &e) && (e.Reason == forge.NotFound || e.Reason == forge.Invalid):
			continue // a comment or a user that there is not approves nothing
		case err != nil:
			return nil, err
		case a != nil:
			out = append(out, *a)
		}
	}
	return out, nil
}

// permitted gives an approval when it is of somebody with write access, else nil.
func (f *Follower) permitted(ctx context.Context, number int, a *life.Approval) (*life.Approval, error) {
	may, err := f.host.Permission(ctx, f.repository, a.By)
	if err == nil && may < forge.Write {
		f.world.Log.Info("an approval of somebody without write access does not count", "pull request", number, "by", a.By, "may", may.String())
		return nil, nil
	}
	return a, err
}

// claim is what a hook says that somebody approved; nil where it approves nothing.
func (f *Follower) claim(ctx context.Context, s *schema.Sync, p forge.PullRequest, h forge.PullHint, fresh func(string) bool) (*life.Approval, error) {
	if h.Comment != 0 {
		c, err := f.host.Comment(ctx, f.repository, p.Number, h.Comment)
		if err != nil {
			return nil, err
		}
		commit, ok := life.Command(c.Body)
		if !ok {
			return nil, nil
		}
		return &life.Approval{Number: p.Number, Commit: commit, By: c.Author, At: c.Updated}, nil
	}
	label := forkLabel(s)
	if label == "" || h.By == "" || !slices.Contains(h.Labels, label) || !slices.Contains(p.Labels, label) {
		return nil, nil
	}
	// Gitea names all labels that there are, so the one that counts may have been there before.
	if s.Spec.Forge.Kind == schema.ForgeKind(forge.Gitea) && !fresh(label) {
		return nil, nil
	}
	return &life.Approval{Number: p.Number, Commit: h.Commit, By: h.By, At: f.world.Now(), Label: true}, nil
}

func forkLabel(s *schema.Sync) string {
	if s.Spec.Previews == nil || s.Spec.Previews.Forks == nil {
		return ""
	}
	return s.Spec.Previews.Forks.Label
}

// branchOf is the branch that a Sync follows; empty while that is not known.
func branchOf(s *schema.Sync) string {
	if s.Spec.Ref != nil && s.Spec.Ref.Branch != "" {
		return s.Spec.Ref.Branch
	}
	name, _, _ := strings.Cut(s.Status.Revision, "@")
	return name
}
