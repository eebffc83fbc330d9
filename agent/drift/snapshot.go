package drift

import (
	"slices"
	"strings"
	"time"

	"headgate.dev/render/object"
)

// Snapshot is what outlives a restart: the records, and what people were told.
type Snapshot struct {
	// Records that are open, sorted, and after them those that are over, the latest first; MaxRecords of these at most.
	Records []Record `json:"records,omitempty"`
	// Told are the alerts that are open.
	Told []Told `json:"told,omitempty"`
}

// Told is an alert that is open.
type Told struct {
	Object   object.ID `json:"object"`
	Group    string    `json:"group,omitempty"`
	Severity Severity  `json:"severity"`
	Opened   time.Time `json:"opened"`
	Last     time.Time `json:"last"`
	Digest   string    `json:"digest"`
}

// Snapshot gives what is to be kept.
func (s *State) Snapshot() Snapshot {
	out := Snapshot{Records: s.Open()}
	for i := len(s.past) - 1; i >= 0; i-- {
		out.Records = append(out.Records, s.past[i].copy())
	}
	for _, groups := range s.alerts {
		for _, a := range groups {
			if a.open {
				out.Told = append(out.Told, Told{Object: a.object, Group: a.group, Severity: a.severity, Opened: a.opened, Last: a.last, Digest: a.told})
			}
		}
	}
	slices.SortFunc(out.Told, func(a, b Told) int { return strings.Compare(alertKey(a.Object, a.Group), alertKey(b.Object, b.Group)) })
	return out
}

// Open gives the records that are open, sorted by object, path and way.
func (s *State) Open() []Record {
	var out []Record
	for _, records := range s.open {
		for _, r := range records {
			out = append(out, r.copy())
		}
	}
	slices.SortFunc(out, func(a, b Record) int { return compareRecords(&a, &b) })
	return out
}

func (s *State) restore(from *Snapshot) {
	for i := range from.Records {
		r := from.Records[i].copy()
		if r.Open() {
			s.open[r.Object] = append(s.open[r.Object], &r)
			continue
		}
		s.past = append(s.past, &r)
	}
	for _, records := range s.open {
		slices.SortFunc(records, compareRecords)
	}
	slices.Reverse(s.past)
	s.past = s.past[max(0, len(s.past)-MaxRecords):]
	for _, t := range from.Told {
		if s.alerts[t.Object] == nil {
			s.alerts[t.Object] = map[string]*alert{}
		}
		s.alerts[t.Object][t.Group] = &alert{
			object: t.Object, group: t.Group, open: true, opened: t.Opened, last: t.Last, told: t.Digest, opens: 1, severity: t.Severity,
		}
	}
}
