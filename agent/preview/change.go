package preview

import (
	"headgate.dev/render/object"
)

// Change is what a pull request does.
type Change struct {
	// Put are the objects that are new or different at the head, Removed those of the merge base that the head has no longer. Both sorted by ID.
	Put, Removed []*object.Object
}

// Between gives the change from a merge base to a head.
func Between(base, head *object.Set) Change {
	put, removed := object.Diff(base, head)
	c := Change{Put: put}
	for _, id := range removed {
		c.Removed = append(c.Removed, base.Get(id))
	}
	return c
}

// Empty tells whether the change does nothing to any object.
func (c Change) Empty() bool { return len(c.Put)+len(c.Removed) == 0 }

// Onto gives what a change makes of production. What it removes and production has changed since is removed too: that is what a merge would do, or stop at.
func (c Change) Onto(production *object.Set) *object.Set {
	var drop []*object.Object
	for _, o := range c.Put {
		if old := production.Get(o.ID); old != nil {
			drop = append(drop, old)
		}
	}
	for _, o := range c.Removed {
		if old := production.Get(o.ID); old != nil {
			drop = append(drop, old)
		}
	}
	out, _ := production.Replace(c.Put, drop) // no ID twice: what has one is dropped
	return out
}
