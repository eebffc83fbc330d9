package drift

import (
	"fmt"
	"slices"
	"time"

	"headgate.dev/agent/fields"
	"headgate.dev/agent/plan"
	"headgate.dev/render/object"
)

// judge compares the live state of an object with its base. Why says what brought it about, if records are resolved by it.
func (s *State) judge(now time.Time, o *owned, live map[string]any, why Reason, e *Effects) {
	id := o.wanted.ID
	o.seen = versionOf(live)
	metadata, _ := live["metadata"].(map[string]any)
	if o.going = metadata["deletionTimestamp"] != nil; o.going {
		s.replace(now, id, []*Record{deletedRecord(o.wanted, true)}, why, e)
		return
	}
	if o.base != nil && (o.base.live.apiVersion != o.seen.apiVersion || inFlight(o.base.live.key, live, s.config.Manager)) {
		o.base = nil
	}
	if o.base == nil && !s.begin(now, o, live, e) {
		return
	}
	records, err := s.compare(o, live)
	if err != nil {
		e.Errors = append(e.Errors, fmt.Errorf("comparing %s: %w", id, err))
		return
	}
	s.replace(now, id, records, why, e)
}

// compare gives a record for each field of an object that drifted from its base.
func (s *State) compare(o *owned, live map[string]any) ([]*Record, error) {
	applied, err := o.base.content()
	if err != nil {
		return nil, err
	}
	changes, err := fields.Compare(applied, live, s.config.Manager)
	if err != nil {
		return nil, err
	}
	var records []*Record
	stored := s.stored(o)
	for _, c := range changes {
		at, whole := c.In(stored)
		if whole && plan.Left(o.wanted, s.rules, at) || sameDuration(o.wanted.ID, c) {
			continue
		}
		records = append(records, recordOf(o.wanted, c, at))
	}
	return records, nil
}

// begin finds the base of an object of which none is known: the live state where it says all that is wanted and is the Sync's; else a dry run is asked
// for. What the Sync wrote itself from another commit waits for the answer that says so.
func (s *State) begin(now time.Time, o *owned, live map[string]any, e *Effects) bool {
	wanted := Hide(s.stored(o), s.config.Key)
	if inFlight(plan.Key(o.wanted, s.rules).String(), live, s.config.Manager) {
		return false
	}
	managed, err := fields.Read(live)
	if err == nil && holds(wanted, live) && managed.AppliedAll(s.config.Manager, wanted) {
		o.base = newBase(live)
		return true
	}
	if o.held == nil {
		o.held = &sight{live}
	}
	if !o.trying && !o.waits(now) {
		o.trying = true
		e.Try = append(e.Try, o.wanted.ID)
	}
	return false
}

// stored is what is applied of an object.
func (s *State) stored(o *owned) map[string]any {
	return plan.Stamp(o.wanted.Content, s.config.Owner, plan.Key(o.wanted, s.rules))
}

// replace makes the open records of an object those that are given.
func (s *State) replace(now time.Time, id object.ID, records []*Record, why Reason, e *Effects) {
	before := s.open[id]
	if len(before) == 0 && len(records) == 0 {
		return
	}
	after := make([]*Record, 0, len(records))
	for _, r := range records {
		after = append(after, s.merge(now, before, r, e))
	}
	for _, old := range before {
		if !slices.ContainsFunc(after, func(r *Record) bool { return r == old }) {
			s.resolve(now, old, why, e)
		}
	}
	slices.SortFunc(after, compareRecords)
	if s.open[id] = after; len(after) == 0 {
		delete(s.open, id)
	}
	s.settle(now, id, e)
}

// merge gives the record that is open for a drift: the one that is there, one that was over a short while ago, or the new one.
func (s *State) merge(now time.Time, before []*Record, r *Record, e *Effects) *Record {
	i := slices.IndexFunc(before, func(old *Record) bool { return old.key() == r.key() })
	var known *Record
	if i >= 0 {
		known = before[i]
	} else if known = s.reopen(now, r); known != nil {
		e.Changed = true
		known.Edits++
		known.Updated = now
	}
	if known == nil {
		r.Opened, r.Updated, e.Changed = now, now, true
		s.decide(r)
		return r
	}
	known.in, known.Pointer, known.File, known.Line = r.in, r.Pointer, r.File, r.Line
	if sameDrift(known, r) {
		return known
	}
	if known.Managers() != r.Managers() {
		known.Fight = false
	}
	if i >= 0 {
		known.Edits++
	}
	known.What, known.From, known.To, known.By, known.Guess, known.Updated = r.What, r.From, r.To, r.By, r.Guess, now
	e.Changed = true
	s.decide(known)
	return known
}

// How long after a record was over the same drift opens it again, instead of a new one.
const (
	sameEdit  = time.Minute
	sameFight = 10 * time.Minute
)

// reopen takes a record back that was over a short while ago.
func (s *State) reopen(now time.Time, r *Record) *Record {
	for i := len(s.past) - 1; i >= 0; i-- {
		old := s.past[i]
		window := sameEdit
		if old.Reason == Corrected {
			window = sameFight
		}
		if old.key() == r.key() && within(old.Resolved, now, window) {
			s.past = slices.Delete(s.past, i, i+1)
			old.Resolved, old.Reason = time.Time{}, ""
			return old
		}
	}
	return nil
}

// within tells whether a time is not longer ago than a window. One that is yet to come is from before a clock was put back, and is not.
func within(t, now time.Time, window time.Duration) bool {
	ago := now.Sub(t)
	return ago >= 0 && ago < window
}

// resolve closes a record.
func (s *State) resolve(now time.Time, r *Record, why Reason, e *Effects) {
	o := s.objects[r.Object]
	if why == Reapplied && o != nil && r.What == Changed && r.To != Mask && s.wants(o, r) == r.To {
		why = Adopted
	}
	r.Resolved, r.Reason = now, why
	if why == Corrected {
		r.Corrections++
		r.Failed = ""
	}
	e.Changed = true
	s.past = append(s.past, r)
	if n := len(s.past) - MaxRecords; n > 0 {
		s.past = slices.Delete(s.past, 0, n)
	}
	if a := s.alerts[r.Object][r.Group()]; why == Corrected && r.Do == Correct && (a == nil || !a.open) {
		e.Alerts = append(e.Alerts, s.note(now, r))
	}
}

// wants gives what Git says at a record's field.
func (s *State) wants(o *owned, r *Record) string {
	v, ok := plan.LookUp(o.wanted.Content, r.in)
	if !ok {
		return ""
	}
	return shown(v, false)
}

func (s *State) decide(r *Record) {
	if o := s.objects[r.Object]; o != nil {
		r.Do, r.Severity = s.config.Policy.decide(o.wanted, r)
	}
}

// redecide asks the policy again about what is open.
func (s *State) redecide(id object.ID, e *Effects) {
	for _, r := range s.open[id] {
		do, severity := r.Do, r.Severity
		s.decide(r)
		if r.Do != do || r.Severity != severity {
			e.Changed = true
			r.Fight, r.Puts = false, nil
		}
	}
}

// correct asks for the correction of an object, if the policy says so for one of its records.
func (s *State) correct(now time.Time, id object.ID, e *Effects) {
	o := s.objects[id]
	if o == nil || o.writing > 0 || o.trying || o.going || o.waits(now) || s.paused(now) {
		return
	}
	var leave []string
	wanted := false
	for _, r := range s.open[id] {
		if r.Do != Correct || s.fought(now, r, e) {
			if r.in != "" {
				leave = append(leave, r.in)
			}
			continue
		}
		wanted = true
	}
	if !wanted {
		return
	}
	o.writing, o.correcting, o.left = 1, true, len(leave) > 0
	e.Correct = append(e.Correct, Correction{Object: o.wanted, Leave: leave})
}

// putBack remembers against whom an object is put back.
func (s *State) putBack(now time.Time, id object.ID) {
	for _, r := range s.open[id] {
		if r.Do == Correct && !r.Fight {
			r.Puts = append(r.Puts, Put{At: now, Manager: r.Managers()})
			r.Puts = r.Puts[max(0, len(r.Puts)-2*fightPuts):]
		}
	}
}

// fightPuts corrections of one field against one manager within fightWindow are a fight.
const (
	fightPuts   = 5
	fightWindow = 10 * time.Minute
)

// fought tells whether a record is part of a fight, which stays one until the record is over for good or somebody else changes the field.
func (s *State) fought(now time.Time, r *Record, e *Effects) bool {
	if r.Fight {
		return true
	}
	n := 0
	for _, p := range r.Puts {
		if p.Manager == r.Managers() && within(p.At, now, fightWindow) {
			n++
		}
	}
	if r.Fight = n >= fightPuts; r.Fight {
		e.Changed = true
	}
	return r.Fight
}

func (s *State) paused(now time.Time) bool { return now.Before(s.config.Policy.Pause) }
