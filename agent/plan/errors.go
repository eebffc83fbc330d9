package plan

import (
	"fmt"
	"strings"

	"headgate.dev/render/object"
)

// EmptyError says that a revision renders to nothing while the Sync owns something. An empty answer is a wrong path, a bad filter or
// an accident more often than a wish, so it removes nothing.
type EmptyError struct {
	// Owned is how many objects there would be to remove.
	Owned int
}

// Error implements error.
func (e *EmptyError) Error() string {
	return fmt.Sprintf("planning: the revision renders to no object at all while %s in the inventory: nothing is removed; "+
		"check the path, or delete the Sync to remove everything", counted(e.Owned, "is", "are"))
}

// OwnedError says that objects of the revision belong to other Syncs. Nothing of the revision is applied.
type OwnedError struct {
	// Objects are sorted by ID; there is at least one.
	Objects []Owned
}

// Owned is an object that belongs to another Sync.
type Owned struct {
	ID     object.ID
	Origin object.Origin
	Owner  Owner
}

// ownedShown is how many objects an OwnedError names.
const ownedShown = 5

// Error implements error.
func (e *OwnedError) Error() string {
	var b strings.Builder
	for i, o := range e.Objects {
		if i == ownedShown {
			fmt.Fprintf(&b, "; and %d more", len(e.Objects)-i)
			break
		}
		if i > 0 {
			b.WriteString("; ")
		}
		fmt.Fprintf(&b, "%s: %s belongs to %s", o.Origin, o.ID, o.Owner)
	}
	b.WriteString(": an object has one owner; take it out of one of the repositories first")
	return b.String()
}

func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
