package drift

import (
	"maps"
	"slices"
	"time"

	"headgate.dev/agent/plan"
	"headgate.dev/render/object"
)

// Config is what a State knows of its Sync.
type Config struct {
	// Owner is the Sync, Manager the field manager of its applies. Required.
	Owner   plan.Owner
	Manager string
	// Key is that of Hide. Contents given to the State are hidden with it. Required.
	Key []byte
	// Policy says what is done about drift.
	Policy Policy
}

// State is what is known about the objects of one Sync. It belongs to one goroutine.
type State struct {
	config  Config
	rules   []plan.Rule
	objects map[object.ID]*owned
	open    map[object.ID][]*Record         // sorted by compareRecords
	past    []*Record                       // the last that were resolved, the oldest first
	alerts  map[object.ID]map[string]*alert // by group
}

// owned is an object of the Sync.
type owned struct {
	wanted *object.Object
	base   *base
	// seen is the newest state that was looked at.
	seen version
	// writing is how many applies of the object are on their way, correcting whether one of them is a correction. trying: a dry run is. As long as any is, what is
	// seen is held until it is known what came of it.
	writing            int
	correcting, trying bool
	held               *sight
	// failures in a row of corrections or dry runs, and when the next may be.
	failures int
	retry    time.Time
	// left: what is being corrected is not all that drifted.
	left bool
	// going: it has a deletion timestamp, so that it cannot be corrected.
	going bool
}

// sight is the state of an object at some time; without content, that it is not there.
type sight struct{ content map[string]any }

// Effects are what is to be done after an observation. The zero value is nothing.
type Effects struct {
	// Correct are objects to apply again; answered by Corrected.
	Correct []Correction
	// Try are objects to apply with a dry run, since what an apply returns is not known; answered by Tried.
	Try []object.ID
	// Look are objects to read once more; answered by Seen or Gone.
	Look []object.ID
	// Alerts to send, in their order.
	Alerts []Notice
	// Changed tells whether Snapshot gives something else than before.
	Changed bool
	// Errors are objects that could not be compared.
	Errors []error
}

// Correction is an object to apply again.
type Correction struct {
	Object *object.Object
	// Leave are RFC 6901 pointers in what is applied of the object (plan.Stamp): fields that drifted and are not to be put back; they are applied with their live value.
	Leave []string
}

// Content gives what is to be applied, with the fields of the live object (nil: there is none) that are left as they are; then also with its resource
// version, so that what changed in the meantime is left too.
func (c *Correction) Content(owner plan.Owner, rules []plan.Rule, live map[string]any) map[string]any {
	stamped := plan.Stamp(c.Object.Content, owner, plan.Key(c.Object, rules))
	yielding := slices.Clone(rules)
	if len(c.Leave) > 0 {
		yielding = append(yielding, plan.Rule{Fields: c.Leave})
	}
	out, yielded := plan.Yield(&object.Object{ID: c.Object.ID, Content: stamped}, live, yielding)
	if len(yielded) == 0 {
		return out
	}
	out, metadata := maps.Clone(out), maps.Clone(out["metadata"].(map[string]any))
	liveMetadata, _ := live["metadata"].(map[string]any)
	metadata["resourceVersion"] = liveMetadata["resourceVersion"]
	out["metadata"] = metadata
	return out
}

// Applied is what became of an apply.
type Applied struct {
	// Begun is what Begin was told.
	Begun []object.ID
	// Set is all that the Sync wants now, and Rules what it leaves to others. A nil Set says that the apply stopped half way: then the Sync wants
	// what it wanted before, but for what was written.
	Set   *object.Set
	Rules []plan.Rule
	// Written are the objects that were written, Removed those that were removed or are no longer the Sync's.
	Written []Written
	Removed []object.ID
	// Intact says that nothing else was written, not even without an answer.
	Intact bool
}

// Written is an object and what the API server returned for it, hidden.
type Written struct {
	Object  *object.Object
	Content map[string]any
}

// New makes the State of a Sync, with what was known of it before (nil: nothing was). Until Applied says what it owns, nothing is its own.
func New(config Config, before *Snapshot) *State {
	s := &State{config: config, objects: map[object.ID]*owned{}, open: map[object.ID][]*Record{}, alerts: map[object.ID]map[string]*alert{}}
	if before != nil {
		s.restore(before)
	}
	return s
}

// Begin says that an apply of these objects, or their removal, begins. What is seen of them is judged once Applied says what came of it.
func (s *State) Begin(ids []object.ID) {
	for _, id := range ids {
		if o := s.objects[id]; o != nil {
			o.writing++
		}
	}
}

// Applied says what came of an apply.
func (s *State) Applied(now time.Time, a Applied) Effects {
	e := &Effects{}
	if a.Set != nil {
		s.want(now, a.Set, a.Rules, e)
	}
	for _, id := range a.Removed {
		if a.Set == nil || a.Set.Get(id) == nil {
			s.drop(now, id, Disowned, e)
		}
	}
	written := map[object.ID]bool{}
	for _, w := range a.Written {
		written[w.Object.ID] = true
		s.written(now, w, e)
	}
	for _, id := range a.Begun {
		if o := s.objects[id]; o != nil {
			o.writing = max(0, o.writing-1)
			if a.Set == nil && !a.Intact && !written[id] {
				o.base = nil // it may have been written without an answer
			}
			s.release(now, o, Reapplied, e)
		}
	}
	return s.done(e)
}

// want takes over what the Sync wants.
func (s *State) want(now time.Time, set *object.Set, rules []plan.Rule, e *Effects) {
	s.rules = rules
	for id := range s.objects {
		if set.Get(id) == nil {
			s.drop(now, id, Disowned, e)
		}
	}
	for id := range s.open {
		if set.Get(id) == nil {
			s.drop(now, id, Disowned, e)
		}
	}
	for o := range set.All() {
		if known := s.objects[o.ID]; known != nil {
			known.wanted = o
			continue
		}
		s.objects[o.ID] = &owned{wanted: o}
	}
}

// drop forgets an object.
func (s *State) drop(now time.Time, id object.ID, why Reason, e *Effects) {
	s.replace(now, id, nil, why, e)
	delete(s.objects, id)
	s.settle(now, id, e)
}

func (s *State) written(now time.Time, w Written, e *Effects) {
	o := s.objects[w.Object.ID]
	if o == nil {
		o = &owned{}
		s.objects[w.Object.ID] = o
	}
	o.wanted, o.trying, o.failures, o.retry = w.Object, false, 0, time.Time{}
	o.base = newBase(w.Content)
	s.judge(now, o, w.Content, Reapplied, e)
	if o.held != nil && o.held.content == nil { // it was gone before it was written, or is gone since
		o.held = nil
		e.Look = append(e.Look, w.Object.ID)
	}
	s.release(now, o, Reapplied, e)
}

// release judges what was held back.
func (s *State) release(now time.Time, o *owned, why Reason, e *Effects) {
	if held := o.held; held != nil && o.writing == 0 && !o.trying {
		o.held = nil
		s.see(now, o, held, why, e)
	}
}

// Seen says what an object is like, by a watch or a list, in any order: what is older than what was seen before is left out. The content is hidden.
func (s *State) Seen(now time.Time, content map[string]any) Effects {
	e := &Effects{}
	if o := s.objects[IDOf(content)]; o != nil {
		s.see(now, o, &sight{content}, Reverted, e)
	}
	return s.done(e)
}

// Gone says that an object was looked for and is not there.
func (s *State) Gone(now time.Time, id object.ID) Effects {
	e := &Effects{}
	if o := s.objects[id]; o != nil {
		s.see(now, o, &sight{}, Reverted, e)
	}
	return s.done(e)
}

func (s *State) see(now time.Time, o *owned, seen *sight, why Reason, e *Effects) {
	switch {
	case seen.content != nil && versionOf(seen.content).olderThan(o.seen):
	case o.writing > 0 || o.trying:
		if o.held == nil || o.held.content == nil || seen.content == nil || !versionOf(seen.content).olderThan(versionOf(o.held.content)) {
			o.held = seen
		}
	case seen.content == nil:
		o.going = false
		s.replace(now, o.wanted.ID, []*Record{deletedRecord(o.wanted, false)}, why, e)
	default:
		s.judge(now, o, seen.content, why, e)
	}
}

// Tried says what a dry run would have returned, hidden. Nil: it did not work, and is tried again later.
func (s *State) Tried(now time.Time, id object.ID, content map[string]any) Effects {
	e := &Effects{}
	o := s.objects[id]
	if o == nil || !o.trying {
		return *e
	}
	o.trying = false
	if content == nil {
		o.fail(now)
		return s.done(e)
	}
	o.failures, o.retry = 0, time.Time{}
	o.base = newBase(content)
	s.release(now, o, Reverted, e)
	return s.done(e)
}

// Corrected says what the API server returned for a correction, hidden; or, when it did not work (nil), why. Then it is tried again later.
func (s *State) Corrected(now time.Time, id object.ID, content map[string]any, failed string) Effects {
	e := &Effects{}
	o := s.objects[id]
	if o == nil || !o.correcting {
		return *e
	}
	o.correcting, o.writing = false, o.writing-1
	if content == nil {
		o.fail(now)
		for _, r := range s.open[id] {
			if r.Do == Correct {
				r.Failed, e.Changed = cut(failed, MaxValue), true
			}
		}
		s.release(now, o, Reverted, e)
		return s.done(e)
	}
	o.failures, o.retry = 0, time.Time{}
	s.putBack(now, id)
	if !o.left {
		o.base = newBase(content)
	}
	s.judge(now, o, content, Corrected, e)
	if o.left { // what was left as it is live is no more Git's value than before, and an apply of all may return something else by now
		o.base = nil
		s.judge(now, o, content, Corrected, e)
	}
	if o.held != nil && o.held.content == nil {
		o.held = nil
		e.Look = append(e.Look, id)
	}
	s.release(now, o, Reverted, e)
	return s.done(e)
}

// Retry limits.
const (
	firstRetry = time.Second
	lastRetry  = 5 * time.Minute
)

func (o *owned) fail(now time.Time) {
	o.retry = now.Add(min(lastRetry, firstRetry<<min(o.failures, 16)))
	o.failures++
}

// waits tells whether the object is not to be written or tried yet. A time that is too far away is one before a clock was put back.
func (o *owned) waits(now time.Time) bool {
	return now.Before(o.retry) && o.retry.Sub(now) <= lastRetry
}

// Tick says what time it is. It is to be called at the time that Next gives, or after.
func (s *State) Tick(now time.Time) Effects {
	e := &Effects{}
	for _, id := range s.ids() {
		o := s.objects[id]
		if o != nil && o.base == nil && !o.trying && o.writing == 0 && !o.waits(now) && o.failures > 0 {
			e.Look = append(e.Look, id)
		}
		s.settle(now, id, e)
	}
	return s.done(e)
}

// Next is when Tick has something to do; zero: not before the next observation.
func (s *State) Next(now time.Time) time.Time {
	var next time.Time
	at := func(t time.Time) {
		if t.After(now) && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	for id, o := range s.objects {
		if o.failures > 0 && (o.base == nil || len(s.open[id]) > 0) {
			at(o.retry)
		}
	}
	if len(s.open) > 0 {
		at(s.config.Policy.Pause)
	}
	for _, groups := range s.alerts {
		for _, a := range groups {
			at(a.due)
		}
	}
	return next
}

// SetPolicy changes what is done about drift, of what is open too.
func (s *State) SetPolicy(now time.Time, p Policy) Effects {
	e := &Effects{}
	s.config.Policy = p
	for _, id := range s.ids() {
		s.redecide(id, e)
		s.settle(now, id, e)
	}
	return s.done(e)
}

// Force corrects an object whatever the policy says, as somebody asked for.
func (s *State) Force(now time.Time, id object.ID) Effects {
	e := &Effects{}
	o := s.objects[id]
	if o == nil || o.writing > 0 || len(s.open[id]) == 0 || o.going {
		return *e
	}
	for _, r := range s.open[id] {
		r.Fight, r.Puts = false, nil
	}
	o.writing, o.correcting, o.left, e.Changed = 1, true, false, true
	e.Correct = append(e.Correct, Correction{Object: o.wanted})
	return s.done(e)
}

// Close resolves everything: the Sync is gone.
func (s *State) Close(now time.Time) Effects {
	e := &Effects{}
	for _, id := range s.ids() {
		s.drop(now, id, Closed, e)
	}
	return s.done(e)
}

// Unknown gives the objects of which nothing was seen yet that says what they are like, sorted: those to list at the start.
func (s *State) Unknown() []object.ID {
	var out []object.ID
	for id, o := range s.objects {
		if o.base == nil && !o.trying && o.writing == 0 {
			out = append(out, id)
		}
	}
	slices.SortFunc(out, object.Compare)
	return out
}

// Owned gives all objects that the Sync owns, sorted.
func (s *State) Owned() []object.ID {
	out := make([]object.ID, 0, len(s.objects))
	for id := range s.objects {
		out = append(out, id)
	}
	slices.SortFunc(out, object.Compare)
	return out
}

// ids gives the objects about which there is something open, or an alert, or a try that did not work; sorted.
func (s *State) ids() []object.ID {
	set := map[object.ID]bool{}
	for id := range s.open {
		set[id] = true
	}
	for id := range s.alerts {
		set[id] = true
	}
	for id, o := range s.objects {
		if o.failures > 0 {
			set[id] = true
		}
	}
	out := make([]object.ID, 0, len(set))
	for id := range set {
		out = append(out, id)
	}
	slices.SortFunc(out, object.Compare)
	return out
}

func (s *State) done(e *Effects) Effects {
	e.Changed = e.Changed || len(e.Alerts) > 0
	return *e
}

// IDOf gives which object a content is.
func IDOf(content map[string]any) object.ID {
	metadata, _ := content["metadata"].(map[string]any)
	group, _ := object.SplitAPIVersion(text(content, "apiVersion"))
	return object.ID{Group: group, Kind: text(content, "kind"), Namespace: text(metadata, "namespace"), Name: text(metadata, "name")}
}
