package object

import (
	"fmt"
	"iter"
	"slices"

	"headgate.dev/schema"
)

// Set is everything one revision renders to: objects by ID, each once. It is immutable; the nil Set is empty.
// A Set made from another one (Replace) shares every object that stayed, which is what makes Diff cheap.
type Set struct {
	objects []*Object // sorted by ID, no ID twice
}

// NewSet makes a Set. An ID that comes from two places is an error naming both; the Set then holds the first of them,
// in the order of their origins.
func NewSet(objects []*Object) (*Set, schema.Errors) {
	return (*Set)(nil).Replace(objects, nil)
}

// Len is the number of objects.
func (s *Set) Len() int {
	if s == nil {
		return 0
	}
	return len(s.objects)
}

// All gives the objects in the order of their IDs.
func (s *Set) All() iter.Seq[*Object] {
	if s == nil {
		return func(func(*Object) bool) {}
	}
	return slices.Values(s.objects)
}

// Get gives the object of an ID, nil when there is none.
func (s *Set) Get(id ID) *Object {
	if s == nil {
		return nil
	}
	if i, ok := slices.BinarySearchFunc(s.objects, id, compareID); ok {
		return s.objects[i]
	}
	return nil
}

// Replace gives the Set without the objects of drop and with those of add. An object is dropped only where it is the
// very one the Set holds (the same pointer), so that drop may name what has already been replaced. The errors are
// those of NewSet. It costs one copy of a slice of pointers plus what the change is large.
func (s *Set) Replace(add, drop []*Object) (*Set, schema.Errors) {
	kept := s.without(drop)
	added := slices.Clone(add)
	slices.SortFunc(added, func(a, b *Object) int {
		if c := a.Compare(b); c != 0 {
			return c
		}
		return compareOrigins(a.Origin, b.Origin)
	})
	var errs schema.Errors
	out := make([]*Object, 0, len(kept)+len(added))
	for _, o := range added {
		i, found := slices.BinarySearchFunc(kept, o.ID, compareID)
		out = append(out, kept[:i]...)
		kept = kept[i:]
		switch {
		case found:
			errs = append(errs, duplicate(kept[0], o))
		case len(out) > 0 && out[len(out)-1].ID == o.ID:
			errs = append(errs, duplicate(out[len(out)-1], o))
		default:
			out = append(out, o)
		}
	}
	return &Set{objects: append(out, kept...)}, errs.Sort()
}

// without gives the objects of s that are not dropped; the result may be s's own slice.
func (s *Set) without(drop []*Object) []*Object {
	if s == nil {
		return nil
	}
	if len(drop) == 0 {
		return s.objects
	}
	sorted := slices.Clone(drop)
	slices.SortFunc(sorted, (*Object).Compare)
	out := make([]*Object, 0, len(s.objects))
	rest := s.objects
	for _, o := range sorted {
		i, found := slices.BinarySearchFunc(rest, o.ID, compareID)
		out = append(out, rest[:i]...)
		rest = rest[i:]
		if found && rest[0] == o {
			rest = rest[1:]
		}
	}
	return append(out, rest...)
}

// Diff gives what must be written and removed to come from old to next: objects that are new or whose digest differs,
// and the IDs that are gone, both sorted. Objects shared by both are told by their pointers.
func Diff(old, next *Set) (changed []*Object, removed []ID) {
	var a, b []*Object
	if old != nil {
		a = old.objects
	}
	if next != nil {
		b = next.objects
	}
	for len(a) > 0 && len(b) > 0 {
		if a[0] == b[0] {
			a, b = a[1:], b[1:]
			continue
		}
		switch c := a[0].Compare(b[0]); {
		case c < 0:
			removed, a = append(removed, a[0].ID), a[1:]
		case c > 0:
			changed, b = append(changed, b[0]), b[1:]
		default:
			if a[0].Digest != b[0].Digest {
				changed = append(changed, b[0])
			}
			a, b = a[1:], b[1:]
		}
	}
	for _, o := range a {
		removed = append(removed, o.ID)
	}
	return append(changed, b...), removed
}

func compareID(o *Object, id ID) int { return Compare(o.ID, id) }

// duplicate says that two places make the same object, at the later of them.
func duplicate(a, b *Object) *schema.Error {
	if compareOrigins(a.Origin, b.Origin) > 0 {
		a, b = b, a
	}
	if a.Origin == b.Origin {
		return &schema.Error{Position: b.Origin, Message: fmt.Sprintf(
			"%s is made twice from here: two kustomizations of the tree build on it; give one of them another name or namespace, "+
				"or render only one", b.ID)}
	}
	return &schema.Error{
		Position: b.Origin,
		Message:  fmt.Sprintf("%s is made twice: here and at %s; rename or remove one of them", b.ID, a.Origin),
	}
}
