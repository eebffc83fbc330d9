package fields

import (
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
)

// Applied tells whether a manager owns a field by server-side apply, the field itself or a whole that it is a part of. The names lead to it through maps.
func (m Managed) Applied(manager string, names ...string) bool {
	path := make(fieldpath.Path, len(names))
	for i, name := range names {
		path[i] = fieldpath.FieldNameElement(name)
	}
	return covers(m.applied(manager), path)
}

// AppliedAll tells whether a manager owns by server-side apply all that a content says, but for what says which object it is. So it is after
// an apply of the content, until others take something over.
func (m Managed) AppliedAll(manager string, content map[string]any) bool {
	return ownsMap(m.applied(manager), content, func(path string) bool {
		switch path {
		case "apiVersion", "kind", "metadata.name", "metadata.namespace":
			return true
		}
		return false
	})
}

func ownsMap(set *fieldpath.Set, content map[string]any, skip func(path string) bool) bool {
	for name, value := range content {
		if value == nil || skip != nil && skip(name) {
			continue
		}
		var inner func(string) bool
		if skip != nil && name == "metadata" {
			inner = func(path string) bool { return skip("metadata." + path) }
		}
		if !owns(set, fieldpath.FieldNameElement(name), value, inner) {
			return false
		}
	}
	return true
}

// owns tells whether a set has all of a value that stands at an element.
func owns(set *fieldpath.Set, e fieldpath.PathElement, value any, skip func(path string) bool) bool {
	deeper, more := set.Children.Get(e)
	if !more || deeper.Empty() {
		return set.Members.Has(e)
	}
	switch v := value.(type) {
	case map[string]any:
		return ownsMap(deeper, v, skip)
	case []any:
		return ownsItems(deeper, v)
	}
	return set.Members.Has(e)
}

func ownsItems(set *fieldpath.Set, items []any) bool {
	for i, item := range items {
		found := false
		for e := range elements(set) {
			if itemIs(item, i, e) {
				found = owns(set, e, item, nil)
				break
			}
		}
		if !found {
			return false
		}
	}
	return true
}
