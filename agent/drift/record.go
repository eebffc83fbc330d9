package drift

import (
	"cmp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"headgate.dev/agent/fields"
	"headgate.dev/agent/plan"
	"headgate.dev/render/object"
)

// What says in which way a field drifted.
type What string

// Ways to drift.
const (
	// Changed: it has another value.
	Changed What = "changed"
	// Removed: it is not there any more.
	Removed What = "removed"
	// Added: it is new inside a list or map that the Sync owns as a whole.
	Added What = "added"
	// Deleted: the whole object is gone, or about to go.
	Deleted What = "deleted"
)

// Record is one drifted field of one object. Records of the same object, path and way are the same record as long as it is open.
type Record struct {
	Object object.ID `json:"object"`
	// Path is the field as people write it, Pointer the same as an RFC 6901 pointer in the live object (in the applied one where it was removed).
	// Both are empty for an object that is gone.
	Path    string `json:"path,omitempty"`
	Pointer string `json:"pointer,omitempty"`
	What    What   `json:"what"`
	// From is what was applied and To what is live, as JSON, cut at MaxValue; empty where there is none. What is secret is Mask, whatever its length.
	From string `json:"from,omitempty"`
	To   string `json:"to,omitempty"`
	// By is who did it. It is empty where the API server does not say; Guess says that it is somebody who wrote the object at that time.
	By    []By `json:"by,omitempty"`
	Guess bool `json:"guess,omitempty"`
	// File and Line are where Git says what was applied. File is empty where that is not known.
	File string `json:"file,omitempty"`
	Line int    `json:"line,omitempty"`

	// Do is what the policy says, Severity how bad it is.
	Do       Do       `json:"do"`
	Severity Severity `json:"severity"`
	// Opened is when it was seen first, Updated when its value or its manager last changed, Resolved when it was over: zero while it is open.
	Opened   time.Time `json:"opened"`
	Updated  time.Time `json:"updated"`
	Resolved time.Time `json:"resolved,omitzero"`
	// Reason says why it is over.
	Reason Reason `json:"reason,omitempty"`
	// Edits is how often it was seen with a new value or drifted again within a minute; 1 for a single edit.
	Edits int `json:"edits"`
	// Corrections is how often it was put back. Fight says that headgate stopped doing so, because the same manager changed it again each time.
	Corrections int  `json:"corrections,omitempty"`
	Fight       bool `json:"fight,omitempty"`
	// Failed is why it could not be put back, the last time that was tried. Empty when it could, or was not tried.
	Failed string `json:"failed,omitempty"`
	// Puts are the last times at which it was put back.
	Puts []Put `json:"puts,omitempty"`

	// in is the pointer in the wanted object.
	in string
}

// Put is one correction.
type Put struct {
	At time.Time `json:"at"`
	// Manager is against whom.
	Manager string `json:"manager,omitempty"`
}

// MaxRecords is how many records are remembered of a Sync that are over.
const MaxRecords = 500

// By is who changed a field, out of managedFields.
type By struct {
	Manager     string `json:"manager"`
	Operation   string `json:"operation,omitempty"`
	Subresource string `json:"subresource,omitempty"`
	// Time to the second; zero where the API server did not say.
	Time time.Time `json:"time,omitzero"`
}

// String gives "kubectl-edit", "kubectl (scale)".
func (b By) String() string {
	return fields.Manager{Name: b.Manager, Subresource: b.Subresource}.String()
}

// Reason says why a record is over.
type Reason string

// Reasons.
const (
	// Reverted: somebody else put it back.
	Reverted Reason = "live value is Git's again"
	// Corrected: headgate put it back.
	Corrected Reason = "put back by headgate"
	// Reapplied: the object was applied again, from the same or another commit.
	Reapplied Reason = "applied again from Git"
	// Adopted: Git says now what was live.
	Adopted Reason = "Git has the live value now"
	// Disowned: the object is the Sync's no longer, or the field was left to others.
	Disowned Reason = "no longer the Sync's"
	// Closed: the Sync is gone.
	Closed Reason = "the Sync is gone"
)

// Mask stands for what is secret.
const Mask = "*****"

// MaxValue is how many bytes of a value a record keeps.
const MaxValue = 256

// Open tells whether the record is not over.
func (r *Record) Open() bool { return r.Resolved.IsZero() }

// Duration is how long it took until it was resolved, or has been open at a time. It is never negative.
func (r *Record) Duration(now time.Time) time.Duration {
	if !r.Open() {
		now = r.Resolved
	}
	return max(0, now.Sub(r.Opened))
}

// Managers gives the names of who did it: "kubectl-edit, kubectl (scale)"; empty where nobody knows.
func (r *Record) Managers() string {
	names := make([]string, len(r.By))
	for i, b := range r.By {
		names[i] = b.String()
	}
	return strings.Join(names, ", ")
}

// Group is the group of fields that the field belongs to: two parts of its path below metadata and spec, else one; empty for the whole object.
func (r *Record) Group() string {
	tokens := strings.Split(strings.TrimPrefix(r.Pointer, "/"), "/")
	n := 1
	if tokens[0] == "metadata" || tokens[0] == "spec" {
		n = 2
	}
	return strings.Join(tokens[:min(n, len(tokens))], ".")
}

// key tells records of one Sync apart.
type key struct {
	object object.ID
	path   string
	added  bool
}

func (r *Record) key() key { return key{r.Object, r.Path, r.What == Added} }

func compareRecords(a, b *Record) int {
	return cmp.Or(object.Compare(a.Object, b.Object), strings.Compare(a.Path, b.Path), strings.Compare(string(a.What), string(b.What)))
}

// recordOf makes a record of a change, which is at a pointer in what is applied.
func recordOf(desired *object.Object, c fields.Change, at string) *Record {
	r := &Record{Object: desired.ID, Path: c.Path, Pointer: c.Pointer, What: What(c.Kind), Guess: c.Guess, Edits: 1, in: at}
	if c.Kind != fields.Added {
		r.From = shown(c.Applied, c.Secret)
	}
	if c.Kind != fields.Removed {
		r.To = shown(c.Live, c.Secret)
	}
	for _, m := range c.By {
		r.By = append(r.By, By{Manager: m.Name, Operation: m.Operation, Subresource: m.Subresource, Time: m.Time})
	}
	if key, ok := strings.CutPrefix(at, "/data/"); ok && c.Secret {
		if _, ok := plan.LookUp(desired.Content, "/stringData/"+key); ok {
			at = "/stringData/" + key
		}
	}
	origin := desired.OriginOf(at)
	r.File, r.Line = origin.File, origin.Line
	return r
}

// deletedRecord says that an object is gone. Going says that it is still there, waiting for its finalizers.
func deletedRecord(desired *object.Object, going bool) *Record {
	r := &Record{Object: desired.ID, What: Deleted, From: `"there"`, To: `"gone"`, File: desired.Origin.File, Line: desired.Origin.Line, Edits: 1}
	if going {
		r.To = `"being deleted"`
	}
	return r
}

func shown(v any, secret bool) string {
	if secret {
		return Mask
	}
	return cut(string(object.AppendJSON(nil, v)), MaxValue)
}

// cut shortens a text to n bytes, at the border of a character.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	n -= len("…")
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}

// sameDrift tells whether two records say the same about the live object.
func sameDrift(a, b *Record) bool {
	return a.What == b.What && a.From == b.From && a.To == b.To && a.Guess == b.Guess && slices.Equal(a.By, b.By)
}
