package fields

import (
	"fmt"
	"slices"

	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"headgate.dev/render/object"
)

// Kind says what happened to a field.
type Kind string

// Kinds of changes.
const (
	// Changed: it has another value.
	Changed Kind = "changed"
	// Removed: it is not there any more.
	Removed Kind = "removed"
	// Added: it is new inside an atomic field.
	Added Kind = "added"
)

// Change is a field that no longer has the value that was applied.
type Change struct {
	Kind Kind
	// Path is the field as people write it; places in lists are those in the applied object, of what was added those in the live one.
	Path string
	// Pointer is the RFC 6901 pointer of the field in the live object; for what was removed, in the applied one.
	Pointer string
	// Applied and Live are the values; nil where there is none. Values of Secrets are nil, and Secret is set.
	Applied, Live any
	Secret        bool
	// By are the managers that own the field now, the latest first. Of a field that was removed nobody is the owner: then they are
	// those that wrote the object since it was applied and Guess is set. None: the server does not say.
	By    []Manager
	Guess bool

	// path is in the applied object, for what was added in the live one.
	path, livePath fieldpath.Path
}

// String gives "spec.rules[0].timeouts.request: "10s" → "60s" by kubectl-edit".
func (c Change) String() string {
	from, to := show(c.Applied, c.Kind != Added), show(c.Live, c.Kind != Removed)
	if c.Secret {
		from, to = "*****", "*****"
	}
	out := fmt.Sprintf("%s: %s → %s", c.Path, from, to)
	for i, m := range c.By {
		if i > 0 {
			out += ", " + m.String()
			continue
		}
		out += map[bool]string{false: " by ", true: " perhaps by "}[c.Guess] + m.String()
	}
	return out
}

// In gives the RFC 6901 pointer of the field in another form of the object, such as the rendered one: items of lists are found by their keys.
// Where it has no such field the pointer is that of the longest part of the path that it has, and ok is false.
func (c Change) In(content map[string]any) (string, bool) {
	for n := len(c.path); n > 0; n-- {
		if p, ok := pointer(content, c.path[:n]); ok {
			return p, n == len(c.path)
		}
	}
	return "", false
}

// Compare says which fields of an object that a manager applied have another value in the live object. Applied is the object as the apply
// returned it, live a later state of the same object; both with their managedFields, and neither is written to. Changes are in the order of the fields.
//
// What others put beside the manager's fields, defaults that were there when it applied, and numbers and quantities written in another way are no changes.
func Compare(applied, live map[string]any, manager string) ([]Change, error) {
	before, err := Read(applied)
	if err != nil {
		return nil, fmt.Errorf("applied object: %w", err)
	}
	now, err := Read(live)
	if err != nil {
		return nil, fmt.Errorf("live object: %w", err)
	}
	c := &comparison{now: now, before: before, manager: manager, secret: isSecret(applied) || isSecret(live)}
	own := now.applied(manager)
	c.walk(before.applied(manager), own, spot{applied: applied, live: live, here: true})
	for i := range c.changes {
		c.finish(&c.changes[i], applied, live)
	}
	return c.changes, nil
}

// comparison is one call of Compare.
type comparison struct {
	before, now Managed
	manager     string
	secret      bool
	changes     []Change
}

// spot is where a walk is: a path, and both values there.
type spot struct {
	path fieldpath.Path
	// livePath is the path in the live object, another one where an item of an atomic list has moved.
	livePath      fieldpath.Path
	applied, live any
	// here tells whether the live object has the path.
	here bool
}

func (s spot) deeper(e fieldpath.PathElement) (spot, bool) {
	path := append(slices.Clip(s.path), e)
	out := spot{path: path, livePath: path}
	var ok bool
	if out.applied, _, ok = step(s.applied, e); !ok {
		return out, false
	}
	if s.here {
		out.live, _, out.here = step(s.live, e)
	}
	return out, true
}

// walk compares what a set owns. Own is what is owned still.
func (c *comparison) walk(set, own *fieldpath.Set, at spot) {
	for e, inner := range elements(set) {
		next, ok := at.deeper(e)
		if !ok {
			continue
		}
		member := set.Members.Has(e)
		switch {
		case member && !next.here:
			c.add(Removed, next)
		case inner != nil:
			still, ok := own.Children.Get(e)
			if !ok {
				still = &fieldpath.Set{}
			}
			c.walk(inner, still, next)
		case !next.here:
			c.add(Removed, next)
		case same(next.applied, next.live, next.path):
		case isContainer(next.applied) && isContainer(next.live) && own.Members.Has(e):
			// It is ours as it was, so what differs in it is somebody else's: it is not atomic.
		default:
			c.differ(next)
		}
	}
}

// elements gives the elements of a set in their order, with the sets below them.
func elements(set *fieldpath.Set) func(func(fieldpath.PathElement, *fieldpath.Set) bool) {
	var all []fieldpath.PathElement
	for e := range set.Members.All() {
		all = append(all, e)
	}
	for e := range set.Children.All() {
		if !set.Members.Has(e) {
			all = append(all, e)
		}
	}
	slices.SortFunc(all, fieldpath.PathElement.Compare)
	return func(yield func(fieldpath.PathElement, *fieldpath.Set) bool) {
		for _, e := range all {
			inner, ok := set.Children.Get(e)
			if !ok || inner.Empty() {
				inner = nil
			}
			if !yield(e, inner) {
				return
			}
		}
	}
}

func (c *comparison) add(kind Kind, at spot) {
	c.changes = append(c.changes, Change{Kind: kind, Applied: at.applied, Live: at.live, path: at.path, livePath: at.livePath})
}

// finish says where a change is and who made it.
func (c *comparison) finish(change *Change, applied, live map[string]any) {
	change.Path = printPath(change.path)
	if change.Kind == Removed {
		change.Pointer, _ = pointer(applied, change.path)
	} else {
		change.Pointer, _ = pointer(live, change.livePath)
	}
	change.By = c.now.owners(change.path, c.manager)
	if len(change.By) == 0 {
		change.By = c.now.newcomers(c.before, c.manager)
		change.Guess = len(change.By) > 0
	}
	if c.secret && secretPath(change.path) {
		change.Applied, change.Live, change.Secret = nil, nil, true
	}
}

func isSecret(content map[string]any) bool {
	return text(content, "kind") == "Secret" && text(content, "apiVersion") == "v1"
}

// secretPath tells whether a Secret's field holds what is secret: everything but what says which object it is.
func secretPath(path fieldpath.Path) bool {
	if len(path) == 0 || path[0].FieldName == nil {
		return true
	}
	switch *path[0].FieldName {
	case "metadata":
		return len(path) > 1 && path[1].FieldName != nil && *path[1].FieldName == "annotations"
	case "type", "immutable", "apiVersion", "kind":
		return false
	}
	return true
}

// Taken is a field of which a manager is no owner any more, whether the value changed or not.
type Taken struct {
	// Path is the field as people write it.
	Path string
	// By are the managers that own it now, the latest first. None: it was removed, or its owners were forgotten.
	By []Manager
}

// Lost says which fields that a manager owned are its own no longer: the next apply of another value by it is a conflict with their new owners.
func Lost(before, now Managed, manager string) []Taken {
	lost := before.applied(manager).Difference(now.applied(manager))
	var out []Taken
	for path := range lost.All() {
		path = path.Copy()
		out = append(out, Taken{Path: printPath(path), By: now.owners(path, manager)})
	}
	return out
}

// Ownership is a field and whose it is.
type Ownership struct {
	Path string
	// Managers that own it, the latest first; at least one.
	Managers []Manager
}

// Owners says for each field that has an owner whose it is, in the order of the fields.
func (m Managed) Owners() []Ownership {
	all := &fieldpath.Set{}
	for _, e := range m {
		all = all.Union(e.set)
	}
	var out []Ownership
	for path := range all.All() {
		path = path.Copy()
		o := Ownership{Path: printPath(path)}
		for _, e := range m {
			if e.set.Has(path) {
				o.Managers = append(o.Managers, e.Manager)
			}
		}
		out = append(out, o)
	}
	return out
}

// isContainer tells whether a value is a map or a list.
func isContainer(v any) bool {
	switch v.(type) {
	case map[string]any, []any:
		return true
	}
	return false
}

// sameJSON tells whether two values are written the same.
func sameJSON(a, b any) bool {
	return string(appendJSON(a)) == string(appendJSON(b))
}

func appendJSON(v any) []byte { return object.AppendJSON(nil, v) }
