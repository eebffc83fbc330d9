package notify

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Limits of an Outbox.
const (
	// PerMinute is how many notices a receiver gets in a minute; what is more is counted, and told in one summary at its end. An Alertmanager gets all,
	// since it groups them itself, and so does a commit status, which shows only what is so.
	PerMinute = 10
	// MaxWaiting is how many notices wait for one receiver. What is more is counted in a summary.
	MaxWaiting = 200
	// MaxAge is how long a notice waits for a receiver that cannot be reached.
	MaxAge = 24 * time.Hour
	// MaxBatch is how many notices an Alertmanager gets at once, or make one commit status.
	MaxBatch = 64

	refresh      = 2 * time.Minute // an alert that is not told again ends in an Alertmanager after five
	firstBackoff = time.Second
	lastBackoff  = 5 * time.Minute
	longestAfter = time.Hour
	titles       = 5 // in a summary
	summaryKey   = "summary"
)

// Outbox is what is to be sent to the receivers of one Sync. It belongs to one goroutine.
type Outbox struct {
	Boxes map[string]*Box `json:"boxes,omitempty"` // by the names of receivers
}

// Box is what is to be sent to one receiver.
type Box struct {
	// Waiting are the notices to send, the oldest first. There is one for each key.
	Waiting []Notice `json:"waiting,omitempty"`
	// Firing are the alerts that an Alertmanager or a commit status was told of and that are open, by key: they are told again from time to time.
	Firing map[string]Notice `json:"firing,omitempty"`
	// Told is when it was last told of them.
	Told time.Time `json:"told,omitzero"`
	// Sent are the times of the last minute at which something was sent, or was put in the queue to be sent.
	Sent []time.Time `json:"sent,omitempty"`
	// More is what does not go alone.
	More *Summary `json:"more,omitempty"`
	// Failures in a row, Error the last of them, and Retry when it is tried again.
	Failures int       `json:"failures,omitempty"`
	Error    string    `json:"error,omitempty"`
	Retry    time.Time `json:"retry,omitzero"`

	sending []Notice
	summary bool // what is being sent is the summary
}

// Summary counts notices that do not go alone.
type Summary struct {
	Count  map[string]int `json:"count"` // by "EVENT PHASE"
	Titles []string       `json:"titles"`
	Worst  string         `json:"worst"`
	Since  time.Time      `json:"since"`
	Lost   int            `json:"lost,omitempty"` // of these were too old, or refused
	Sync   string         `json:"sync"`
	About  string         `json:"cluster,omitempty"`
}

// Add puts a notice into the boxes of those who want it. It tells whether there was anybody.
func (o *Outbox) Add(now time.Time, n Notice, receivers []Receiver) bool {
	wanted := false
	for i := range receivers {
		r := &receivers[i]
		if !r.Wants(&n) {
			continue
		}
		wanted = true
		o.box(r.Name).add(now, n, r.keeps())
	}
	return wanted
}

// Keep forgets the boxes of receivers that are not there any more.
func (o *Outbox) Keep(receivers []Receiver) {
	maps.DeleteFunc(o.Boxes, func(name string, _ *Box) bool {
		return !slices.ContainsFunc(receivers, func(r Receiver) bool { return r.Name == name })
	})
}

func (o *Outbox) box(name string) *Box {
	if o.Boxes == nil {
		o.Boxes = map[string]*Box{}
	}
	if o.Boxes[name] == nil {
		o.Boxes[name] = &Box{}
	}
	return o.Boxes[name]
}

func (b *Box) add(now time.Time, n Notice, groups bool) {
	i := slices.IndexFunc(b.Waiting, func(w Notice) bool { return w.Key == n.Key })
	if i >= 0 && n.Phase != Noted {
		if n.Phase == Updated && b.Waiting[i].Phase == Opened {
			n.Phase = Opened // nobody knows that it was opened
		}
		b.Waiting[i] = n
		return
	}
	b.Sent = slices.DeleteFunc(b.Sent, func(t time.Time) bool { return !within(t, now, time.Minute) })
	if len(b.Waiting) >= MaxWaiting || !groups && len(b.Sent) >= PerMinute {
		b.count(now, &n)
		return
	}
	b.Waiting = append(b.Waiting, n)
	if !groups {
		b.Sent = append(b.Sent, now)
	}
}

// count puts a notice into the summary.
func (b *Box) count(now time.Time, n *Notice) {
	if b.More == nil {
		b.More = &Summary{Count: map[string]int{}, Since: now, Sync: n.Sync, About: n.Cluster}
	}
	b.More.Count[string(n.Event)+" "+string(n.Phase)]++
	if len(b.More.Titles) < titles {
		b.More.Titles = append(b.More.Titles, n.Title)
	}
	if ranks[n.Severity] > ranks[b.More.Worst] {
		b.More.Worst = n.Severity
	}
}

// Batch is what is to be sent to a receiver at once.
type Batch struct {
	Receiver Receiver
	Notices  []Notice
	// Open are the alerts that the receiver knows to be open once it has the batch, sorted by key. Only an Alertmanager and a commit status remember.
	Open []Notice
}

// Due gives what is to be sent now: at most one batch for each receiver, none to one that is being sent to or to be left alone. Each is answered by Done.
func (o *Outbox) Due(now time.Time, receivers []Receiver) []Batch {
	var out []Batch
	for _, r := range receivers {
		b := o.Boxes[r.Name]
		if b == nil || b.sending != nil || now.Before(b.Retry) && b.Retry.Sub(now) <= longestAfter {
			continue
		}
		b.expire(now)
		if notices := b.next(now, r.keeps()); notices != nil {
			b.sending = notices
			batch := Batch{Receiver: r, Notices: notices}
			if r.keeps() {
				batch.Open = b.open(notices)
			}
			out = append(out, batch)
		}
	}
	return out
}

func (b *Box) expire(now time.Time) {
	b.Waiting = slices.DeleteFunc(b.Waiting, func(n Notice) bool {
		old := now.Sub(n.At) > MaxAge
		if old {
			b.count(now, &n)
			b.More.Lost++
		}
		return old
	})
}

// next gives what is to be sent, nil for nothing.
func (b *Box) next(now time.Time, groups bool) []Notice {
	b.summary = false
	switch {
	case groups:
		return b.group(now)
	case len(b.Waiting) > 0:
		return slices.Clone(b.Waiting[:1])
	case b.More != nil && !within(b.More.Since, now, time.Minute):
		b.summary = true
		return []Notice{b.More.notice(now)}
	}
	return nil
}

// group gives what an Alertmanager is to be told: what is new, and what is open still from time to time.
func (b *Box) group(now time.Time) []Notice {
	if len(b.Waiting) > 0 {
		return b.relabel(b.Waiting[:min(len(b.Waiting), MaxBatch)])
	}
	if b.More != nil {
		b.summary = true
		return []Notice{b.More.notice(now)}
	}
	if len(b.Firing) == 0 || within(b.Told, now, refresh) {
		return nil
	}
	var out []Notice
	for _, key := range slices.Sorted(maps.Keys(b.Firing)) {
		out = append(out, b.Firing[key])
	}
	return out
}

// relabel makes notices such that an Alertmanager knows them again: the severity is a label there, and with another one it is another alert. So one that
// becomes worse is ended and opened again.
func (b *Box) relabel(notices []Notice) []Notice {
	var out []Notice
	for _, n := range notices {
		known, is := b.Firing[n.Key]
		switch {
		case is && n.Phase == Resolved:
			n.Severity = known.Severity
		case is && n.Phase != Noted && known.Severity != n.Severity:
			known.Phase, known.At = Resolved, n.At
			out = append(out, known)
		}
		out = append(out, n)
	}
	return out
}

func within(t, now time.Time, window time.Duration) bool {
	ago := now.Sub(t)
	return ago >= 0 && ago < window
}

// notice gives the summary as a notice.
func (s *Summary) notice(now time.Time) Notice {
	total := 0
	var parts []string
	for _, what := range slices.Sorted(maps.Keys(s.Count)) {
		total += s.Count[what]
		parts = append(parts, fmt.Sprintf("%s: %d", what, s.Count[what]))
	}
	n := Notice{
		Key: summaryKey, Event: Drift, Phase: Noted, Severity: s.Worst, Cluster: s.About, Sync: s.Sync, Opened: s.Since, At: now,
		Title: fmt.Sprintf("%d more notices about Sync %s since %s", total, s.Sync, s.Since.UTC().Format("15:04:05")),
		Lines: append([]string{strings.Join(parts, ", ")}, s.Titles...),
	}
	if s.Lost > 0 {
		n.Lines = append(n.Lines, fmt.Sprintf("%d of them could not be delivered", s.Lost))
	}
	return n
}

// Done says what became of a batch; err is nil when it arrived. A *SendError says whether and when it may be tried again.
func (o *Outbox) Done(now time.Time, batch Batch, err error) {
	b := o.Boxes[batch.Receiver.Name]
	if b == nil || b.sending == nil {
		return
	}
	sent := b.sending
	b.sending = nil
	failure, _ := err.(*SendError) //nolint:errorlint // whoever sends makes it, and nobody wraps it
	if err != nil && (failure == nil || !failure.Permanent) {
		b.fail(now, err, failure)
		return
	}
	b.Failures, b.Error, b.Retry = 0, "", time.Time{}
	b.take(now, sent, err != nil)
	if err != nil {
		b.Error = err.Error()
		return
	}
	if batch.Receiver.keeps() {
		b.told(now, sent)
	}
}

// fail plans the next try.
func (b *Box) fail(now time.Time, err error, failure *SendError) {
	wait := min(lastBackoff, firstBackoff<<min(b.Failures, 16))
	if failure != nil && failure.After > wait {
		wait = min(failure.After, longestAfter)
	}
	b.Failures, b.Error, b.Retry = b.Failures+1, err.Error(), now.Add(wait)
}

// take takes out of the box what was sent; lost says that it will never arrive. What came in the meantime for the same key is to be sent still.
func (b *Box) take(now time.Time, sent []Notice, lost bool) {
	summary := b.summary
	if summary {
		b.More = nil
	}
	for _, n := range sent {
		if i := slices.IndexFunc(b.Waiting, func(w Notice) bool { return same(w, n) }); i >= 0 {
			b.Waiting = slices.Delete(b.Waiting, i, i+1)
		}
		if lost && !summary {
			b.count(now, &n)
			b.More.Lost++
		}
	}
}

func same(a, b Notice) bool {
	return a.Key == b.Key && a.Phase == b.Phase && a.At.Equal(b.At) && a.Title == b.Title && slices.Equal(a.Lines, b.Lines)
}

// after gives the alerts that are open once some notices were told.
func after(firing map[string]Notice, told []Notice) map[string]Notice {
	out := maps.Clone(firing)
	for _, n := range told {
		switch n.Phase {
		case Opened, Updated:
			if out == nil {
				out = map[string]Notice{}
			}
			out[n.Key] = n
		case Resolved:
			delete(out, n.Key)
		}
	}
	return out
}

func (b *Box) open(told []Notice) []Notice {
	firing := after(b.Firing, told)
	var out []Notice
	for _, key := range slices.Sorted(maps.Keys(firing)) {
		out = append(out, firing[key])
	}
	return out
}

// told remembers which alerts are open in an Alertmanager.
func (b *Box) told(now time.Time, sent []Notice) {
	b.Firing = after(b.Firing, sent)
	if len(sent) >= len(b.Firing) {
		b.Told = now
	}
}

// Next is when Due may give something that it does not give now; zero: not before the next Add or Done.
func (o *Outbox) Next(now time.Time) time.Time {
	var next time.Time
	at := func(t time.Time) {
		if t.After(now) && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	for _, b := range o.Boxes {
		if b.sending != nil {
			continue
		}
		if len(b.Waiting) > 0 || b.More != nil || len(b.Firing) > 0 {
			at(b.Retry)
		}
		if b.More != nil {
			at(b.More.Since.Add(time.Minute))
		}
		if len(b.Firing) > 0 {
			at(b.Told.Add(refresh))
		}
	}
	return next
}

// Troubles gives the receivers that cannot be reached, with the last error, by their names.
func (o *Outbox) Troubles() map[string]string {
	out := map[string]string{}
	for name, b := range o.Boxes {
		if b.Error != "" {
			out[name] = b.Error
		}
	}
	return out
}

// Empty tells whether there is nothing to send and nothing to remember.
func (o *Outbox) Empty() bool {
	for _, b := range o.Boxes {
		if len(b.Waiting) > 0 || len(b.Firing) > 0 || b.More != nil {
			return false
		}
	}
	return true
}
