package drift

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"headgate.dev/render/object"
)

// Phase is where an alert is in its life.
type Phase string

// Phases.
const (
	Opened   Phase = "opened"
	Updated  Phase = "updated"
	Resolved Phase = "resolved"
	// Noted is no alert: something was put back, and that is all there is to say.
	Noted Phase = "noted"
)

// Notice is what people are told: about an alert, or that something was put back.
type Notice struct {
	// Key is the same for all notices about one alert, and another one for each object and group of fields of the Sync.
	Key    string
	Phase  Phase
	Object object.ID
	Group  string
	// Severity is the worst of the records.
	Severity Severity
	// Opened is when the alert was opened, At when this happened.
	Opened, At time.Time
	// Records are those that are open; when it is resolved, those that are over since it was opened. Sorted by path.
	Records []Record
}

// alert is one that is open, or was until a short while ago.
type alert struct {
	object object.ID
	group  string
	open   bool
	// opened and last are when it was opened and when something was last said about it; resolved when it was over.
	opened, last, resolved time.Time
	// told is what was last said. due is when there is more to say; zero: nothing is held back.
	told string
	due  time.Time
	// opens counts how often it was opened with less than flapWindow in between.
	opens    int
	severity Severity
}

// Limits of what is said about one alert.
const (
	// updateEvery is the least time between two updates.
	updateEvery = time.Minute
	// An alert that was opened more than flapOpens times within flapWindow of each other is resolved only after it was quiet for flapQuiet.
	flapOpens  = 3
	flapWindow = 10 * time.Minute
	flapQuiet  = time.Minute
	// failedFor is how long a correction does not work until people are told.
	failedFor = time.Minute
)

// settle asks for corrections, and opens, updates and resolves the alerts of an object, as its open records have it.
func (s *State) settle(now time.Time, id object.ID, e *Effects) {
	s.correct(now, id, e)
	groups := map[string][]Record{}
	var names []string
	for _, r := range s.open[id] {
		if !s.tells(now, r) {
			continue
		}
		if groups[r.Group()] == nil {
			names = append(names, r.Group())
		}
		groups[r.Group()] = append(groups[r.Group()], r.copy())
	}
	for name := range s.alerts[id] {
		if groups[name] == nil {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		if records := groups[name]; records != nil {
			s.firing(now, id, name, records, e)
			continue
		}
		s.quiet(now, s.alerts[id][name], e)
	}
}

// tells tells whether people are to know about an open record.
func (s *State) tells(now time.Time, r *Record) bool {
	o := s.objects[r.Object]
	switch r.Do {
	case Alert:
		return true
	case Correct:
		return r.Fight || r.Failed != "" && !within(r.Opened, now, failedFor) || o != nil && o.going
	}
	return false
}

// firing says what there is to say about an alert that is open or has to be.
func (s *State) firing(now time.Time, id object.ID, group string, records []Record, e *Effects) {
	a := s.alerts[id][group]
	if a == nil || !a.open {
		if s.paused(now) {
			return
		}
		if a == nil || !within(a.resolved, now, flapWindow) {
			a = &alert{object: id, group: group}
		}
		a.open, a.opened, a.opens = true, now, a.opens+1
		if s.alerts[id] == nil {
			s.alerts[id] = map[string]*alert{}
		}
		s.alerts[id][group] = a
		a.say(now, Opened, records, e)
		return
	}
	switch {
	case a.told == digest(records):
		a.due = time.Time{}
	case s.paused(now):
	case within(a.last, now, updateEvery):
		a.due = a.last.Add(updateEvery)
	default:
		a.say(now, Updated, records, e)
	}
}

// quiet resolves an alert of which no record is open.
func (s *State) quiet(now time.Time, a *alert, e *Effects) {
	if !a.open {
		if !within(a.resolved, now, flapWindow) {
			s.forget(a)
		}
		return
	}
	if a.opens > flapOpens && within(a.last, now, flapQuiet) {
		a.due = a.last.Add(flapQuiet)
		return
	}
	var over []Record
	for _, r := range s.past {
		if r.Object == a.object && r.Group() == a.group && !r.Resolved.Before(a.opened) {
			over = append(over, r.copy())
		}
	}
	slices.SortStableFunc(over, func(x, y Record) int { return compareRecords(&x, &y) })
	a.open, a.resolved = false, now
	a.say(now, Resolved, over, e)
	if s.objects[a.object] == nil {
		s.forget(a)
	}
}

func (s *State) forget(a *alert) {
	delete(s.alerts[a.object], a.group)
	if len(s.alerts[a.object]) == 0 {
		delete(s.alerts, a.object)
	}
}

func (a *alert) say(now time.Time, phase Phase, records []Record, e *Effects) {
	if len(records) > 0 {
		a.severity = worst(records)
	}
	a.last, a.due, a.told = now, time.Time{}, digest(records)
	e.Alerts = append(e.Alerts, Notice{
		Key: alertKey(a.object, a.group), Phase: phase, Object: a.object, Group: a.group, Severity: a.severity, Opened: a.opened, At: now, Records: records,
	})
}

// note says that something was put back.
func (s *State) note(now time.Time, r *Record) Notice {
	return Notice{
		Key: alertKey(r.Object, r.Group()), Phase: Noted, Object: r.Object, Group: r.Group(), Severity: Info, Opened: r.Opened, At: now, Records: []Record{r.copy()},
	}
}

func alertKey(id object.ID, group string) string {
	kind := id.Kind
	if id.Group != "" {
		kind += "." + id.Group
	}
	return strings.Join([]string{kind, id.Namespace, id.Name, group}, "/")
}

// digest is what a notice says; when it was said is no part of it.
func digest(records []Record) string {
	var b strings.Builder
	for _, r := range records {
		fmt.Fprintf(&b, "%s %s %s → %s by %s %t %s\n", r.What, r.Path, r.From, r.To, r.Managers(), r.Fight, r.Failed)
	}
	return b.String()
}

var bad = map[Severity]int{Info: 1, Warning: 2, Critical: 3}

func worst(records []Record) Severity {
	return slices.MaxFunc(records, func(a, b Record) int { return cmp.Compare(bad[a.Severity], bad[b.Severity]) }).Severity
}

func (r *Record) copy() Record {
	out := *r
	out.By, out.Puts = slices.Clone(r.By), slices.Clone(r.Puts)
	return out
}
