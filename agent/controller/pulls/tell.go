package pulls

import (
	"headgate.dev/agent/preview/life"
	"headgate.dev/schema"
)

// News is what there is to say on the pull requests of a Sync, as far as it was decided here.
type News struct {
	Sync       *schema.Sync
	Host       Host
	Repository string
	// Absences are of pull requests whose head is not previewed.
	Absences []life.Absence
	// Heads are the heads of those that are open, by number.
	Heads map[int]string
	// Over are those that ended, and how.
	Over map[int]string
	// Labels ...
}

// tell hands over what there is to say.
func (f *Follower) tell(s *schema.Sync, w *life.World, d *life.Decision) {
	if f.world.Tell == nil || f.host == nil {
		return
	}
	n := News{Sync: s, Host: f.host, Repository: f.repository, Absences: d.Absences, Heads: map[int]string{}, Over: map[int]string{}}
	for i := range w.Subjects {
		n.Heads[w.Subjects[i].Number] = w.Subjects[i].Head
	}
	for number, how := range f.over {
		n.Over[number] = how
	}
	f.world.Tell(n)
}
