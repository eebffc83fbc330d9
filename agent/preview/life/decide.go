package life

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Decide says what to do. The same world gives the same decision.
func Decide(w World) Decision {
	d := newDecider(&w)
	for _, p := range d.previews {
		d.keep(p)
	}
	for _, s := range d.subjects {
		d.admit(s)
	}
	d.remember()
	return d.Decision
}

// decider is a decision in the making.
type decider struct {
	Decision
	*World
	subjects []*Subject           // by number, or by branch
	names    map[*Subject]string  // what the previews of subjects are called
	byName   map[string]*Subject  // what is known of those of previews and absences
	previews []*Preview           // by name
	have     map[string]*Preview  // by name
	before   map[string]*Absence  // by name
	now      map[string]*Absence  // by name
	approved map[*Subject]string  // whose head was approved just now, or before: by whom
	room     map[string]occupancy // by author; of "" for all
}

// occupancy is how many previews there are, and how many of them are just ending.
type occupancy struct{ there, ending int }

func newDecider(w *World) *decider {
	d := &decider{World: w, names: map[*Subject]string{}, byName: map[string]*Subject{}, have: map[string]*Preview{}, before: map[string]*Absence{},
		now: map[string]*Absence{}, approved: map[*Subject]string{}, room: map[string]occupancy{}}
	for i := range w.Previews {
		p := &w.Previews[i]
		d.have[p.Name] = p
		d.previews = append(d.previews, p)
		d.occupy(p.Author, 1, 0)
		if p.Ending {
			d.occupy(p.Author, 0, 1)
		}
	}
	slices.SortFunc(d.previews, func(a, b *Preview) int { return strings.Compare(a.Name, b.Name) })
	for i := range w.Absences {
		d.before[w.Absences[i].Name] = &w.Absences[i]
	}
	for i := range w.Subjects {
		d.subjects = append(d.subjects, &w.Subjects[i])
	}
	slices.SortStableFunc(d.subjects, func(a, b *Subject) int {
		return cmp.Or(cmp.Compare(a.Number, b.Number), strings.Compare(a.Branch, b.Branch))
	})
	d.subjects = slices.CompactFunc(d.subjects, func(a, b *Subject) bool { return a.Number == b.Number && a.Branch == b.Branch })
	d.name()
	d.approve()
	return d
}

func (d *decider) occupy(author string, there, ending int) {
	for _, key := range slices.Compact([]string{"", strings.ToLower(author)}) {
		o := d.room[key]
		o.there, o.ending = o.there+there, o.ending+ending
		d.room[key] = o
	}
}

// keep decides about a preview that there is.
func (d *decider) keep(p *Preview) {
	s := d.byName[p.Name]
	if p.Ending {
		d.endedByHand(p)
		return
	}
	if why := d.ends(p, s); why != "" {
		d.end(p, why)
		return
	}
	if s == nil {
		return // nothing is known of it
	}
	if age, why := d.tooOld(p, s); why != "" {
		d.end(p, why)
		d.miss(s, Expired, age)
		return
	}
	d.update(p, s)
}

// ends says why a preview is not to be any more; empty when it is.
func (d *decider) ends(p *Preview, s *Subject) string {
	switch how, over := d.Over[p.Name]; {
	case over:
		return how
	case d.Rules.Branches != (p.Number == 0):
		return "previews of this Sync are of something else now"
	case s == nil:
		return ""
	}
	if why := d.Rules.excluded(s); why != "" {
		return why
	}
	if s.Fork && (p.Commit != s.Head || !p.Fork) && d.approved[s] == "" {
		return "its head is another commit, which nobody has approved"
	}
	return ""
}

func (d *decider) end(p *Preview, why string) {
	d.Delete = append(d.Delete, Deletion{Preview: *p, Message: why})
	d.occupy(p.Author, 0, 1)
}

// tooOld says why a preview has lived long enough, to the person who looks for it and for the log; empty when it has not.
func (d *decider) tooOld(p *Preview, s *Subject) (advice, why string) {
	if p.Pin || !d.Current {
		return "", ""
	}
	switch {
	case p.Commit == s.Head && d.Now.Sub(p.Pushed) > d.Rules.TTL:
		why = "nothing was pushed for " + short(d.Rules.TTL) + " (previews.ttl)"
	case d.Now.Sub(p.Created) > d.Rules.MaxAge:
		why = "it was there for " + short(d.Rules.MaxAge) + " (previews.maxAge)"
	default:
		return "", ""
	}
	return why + "; the next push brings it back", why
}

// update moves a preview to the head.
func (d *decider) update(p *Preview, s *Subject) {
	next := *p
	next.Author = s.Author
	if s.Head != p.Commit || s.Base != p.Base {
		if !d.ready(s) {
			return // what was before serves on
		}
		next.Commit, next.Base = s.Head, s.Base
	}
	next.Fork = s.Fork
	if next.Commit != p.Commit {
		next.Pushed, next.ApprovedBy = d.pushed(s), d.approved[s]
	}
	if next != *p {
		d.Update = append(d.Update, next)
	}
}

// endedByHand remembers that somebody deleted a preview, so that it does not come back with the same commit.
func (d *decider) endedByHand(p *Preview) {
	_, over := d.Over[p.Name]
	if p.Ours || over || d.Rules.Branches != (p.Number == 0) {
		return
	}
	a := Absence{Name: p.Name, Number: p.Number, Branch: p.Branch, Author: p.Author, Commit: p.Commit, Seen: p.Pushed, Reason: Ended, Message: endedText}
	d.now[p.Name] = &a // if the head is another one by now, admit says what is of that
}

const endedText = "somebody ended it; the next push brings it back"

// admit decides about a subject without a preview.
func (d *decider) admit(s *Subject) {
	name := d.names[s]
	if _, over := d.Over[name]; over || d.Rules.excluded(s) != "" {
		return
	}
	if p := d.have[name]; p != nil && !p.Ending && !d.ending(name) {
		return
	}
	if a := d.remembered(name); a.ended(s.Head) {
		d.now[name] = a
		return
	}
	if s.Fork && d.approved[s] == "" {
		d.miss(s, Fork, forkText(s.Head))
		return
	}
	if !d.ready(s) || !d.fits(s) {
		return
	}
	d.occupy(s.Author, 1, 0)
	d.Create = append(d.Create, Preview{Name: name, Number: s.Number, Branch: s.Branch, Author: s.Author, Commit: s.Head, Base: s.Base, Fork: s.Fork,
		Pushed: d.pushed(s), Created: d.Now, ApprovedBy: d.approved[s]})
}

// ended tells whether the preview of a head is over, until the next push. A nil one is not.
func (a *Absence) ended(head string) bool {
	return a != nil && a.Commit == head && (a.Reason == Ended || a.Reason == Expired)
}

// remembered is what is known of a name: since a moment ago, or from the decision before.
func (d *decider) remembered(name string) *Absence {
	if a := d.now[name]; a != nil {
		return a
	}
	return d.before[name]
}

func (d *decider) ending(name string) bool {
	return slices.ContainsFunc(d.Delete, func(x Deletion) bool { return x.Preview.Name == name })
}

// ready tells whether a head can be previewed, and notes why not.
func (d *decider) ready(s *Subject) bool {
	check := d.Checks[s.Head]
	switch {
	case s.Head == "" || s.Base == "":
		d.miss(s, NoBase, "it has no commit in common with "+cmp.Or(s.Target, d.Rules.Follows)+", or the host has not found it yet")
	case s.Head == s.Base:
		d.miss(s, Nothing, "it has no commit that "+cmp.Or(s.Target, d.Rules.Follows)+" does not have")
	case d.Rules.Requires == "" || check == Green:
		return true
	case check == Red:
		d.miss(s, StatusMissing, "the commit status "+d.Rules.Requires+" says that it failed")
	default:
		d.miss(s, StatusMissing, "the commit status "+d.Rules.Requires+" is not green yet")
	}
	return false
}

// fits tells whether there is room, and notes what is in the way. Nobody has to go for another one.
func (d *decider) fits(s *Subject) bool {
	name, author := d.names[s], strings.ToLower(s.Author)
	if p := d.have[name]; p != nil {
		d.miss(s, Waiting, "the one before is just ending")
		return false
	}
	full := func(key string, limit int) bool { return d.room[key].there >= limit }
	soon := func(key string, limit int) bool { return d.room[key].there-d.room[key].ending < limit }
	all, own := full("", d.Rules.Total), author != "" && full(author, d.Rules.PerAuthor)
	switch {
	case !all && !own:
		return true
	case (!all || soon("", d.Rules.Total)) && (!own || soon(author, d.Rules.PerAuthor)):
		d.miss(s, Waiting, "another preview is just ending")
	case own && !soon(author, d.Rules.PerAuthor):
		d.miss(s, Full, fmt.Sprintf("its author has %d previews, as many as one may have (previews.limit.perAuthor); close or delete one of them", d.room[author].there))
	default:
		d.miss(s, Full, fmt.Sprintf("there are %d previews, as many as there may be (previews.limit.total); it comes when one of them ends", d.room[""].there))
	}
	return false
}

// miss notes why a head is not previewed.
func (d *decider) miss(s *Subject, why Reason, message string) {
	name := d.names[s]
	a := Absence{Name: name, Number: s.Number, Branch: s.Branch, Author: s.Author, Commit: s.Head, Reason: why, Message: message, Seen: d.Now, ApprovedBy: d.approved[s]}
	if before := d.remembered(name); before != nil && before.Commit == s.Head {
		a.Previous, a.Seen = before.Previous, before.Seen
	} else {
		a.Previous = d.lastHead(name, s)
	}
	d.now[name] = &a
}

// lastHead is the head that a subject had before this one, where one is known.
func (d *decider) lastHead(name string, s *Subject) string {
	if p := d.have[name]; p != nil && p.Commit != s.Head {
		return p.Commit
	}
	if a := d.before[name]; a != nil && a.Commit != s.Head {
		return a.Commit
	}
	return ""
}

// pushed is when the head was pushed, or seen first.
func (d *decider) pushed(s *Subject) time.Time {
	if a := d.before[d.names[s]]; a != nil && a.Commit == s.Head && !a.Seen.IsZero() {
		return a.Seen
	}
	if !s.Pushed.IsZero() {
		return s.Pushed
	}
	return d.Now
}

// remember collects the absences, those first that nobody would say again. Of a subject of which nothing is known stays what was known.
func (d *decider) remember() {
	for name, a := range d.before {
		_, over := d.Over[name]
		if d.now[name] == nil && !over && d.stays(a) {
			d.now[name] = a
		}
	}
	for _, a := range d.now {
		d.Decision.Absences = append(d.Decision.Absences, *a)
	}
	slices.SortFunc(d.Decision.Absences, func(a, b Absence) int {
		return cmp.Or(cmp.Compare(rank(&a), rank(&b)), cmp.Compare(a.Number, b.Number), strings.Compare(a.Name, b.Name))
	})
}

// stays tells whether what was known of a name is so still, though nothing was decided of it.
func (d *decider) stays(a *Absence) bool {
	s := d.byName[a.Name]
	if s == nil {
		return d.Rules.Branches == (a.Number == 0)
	}
	return a.lasts() && a.Commit == s.Head && d.have[a.Name] == nil && d.Rules.excluded(s) != ""
}

func rank(a *Absence) int {
	if a.lasts() {
		return 0
	}
	return 1
}

// short is a duration without the parts that are zero.
func short(t time.Duration) string {
	if t%(24*time.Hour) == 0 {
		return strconv.Itoa(int(t/(24*time.Hour))) + " days"
	}
	return strings.TrimSuffix(strings.TrimSuffix(t.String(), "0s"), "h0m")
}
