package fields

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"headgate.dev/render/object"
)

// Operations of a manager.
const (
	Apply  = string(metav1.ManagedFieldsOperationApply)
	Update = string(metav1.ManagedFieldsOperationUpdate)
)

// Manager is who wrote fields, and how.
type Manager struct {
	Name string
	// Operation is Apply or Update.
	Operation string
	// Subresource it wrote through ("status", "scale"); empty for the object itself.
	Subresource string
	// APIVersion of the fields.
	APIVersion string
	// Time of the last change of what the manager owns, to the second. Zero where the server did not say (it does not for some subresources).
	Time time.Time
}

// String gives "kubectl-edit", "kubectl (scale)".
func (m Manager) String() string {
	if m.Subresource == "" {
		return m.Name
	}
	return m.Name + " (" + m.Subresource + ")"
}

// Entry is what one manager owns.
type Entry struct {
	Manager
	set *fieldpath.Set
	raw []byte
}

// Managed is the managedFields of an object, sorted: the latest first.
type Managed []Entry

// Read reads metadata.managedFields of an object; without any, it is empty. Fields of a form that is not known are an error.
func Read(content map[string]any) (Managed, error) {
	metadata, _ := content["metadata"].(map[string]any)
	entries, _ := metadata["managedFields"].([]any)
	out := make(Managed, 0, len(entries))
	for i, e := range entries {
		m, ok := e.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("reading metadata.managedFields[%d]: it is no map", i)
		}
		at, err := timeOf(m)
		if err != nil {
			return nil, fmt.Errorf("reading metadata.managedFields[%d].time: %w", i, err)
		}
		manager := Manager{
			Name: text(m, "manager"), Operation: text(m, "operation"), Subresource: text(m, "subresource"), APIVersion: text(m, "apiVersion"), Time: at,
		}
		entry, err := newEntry(manager, object.AppendJSON(nil, m["fieldsV1"]))
		if err != nil {
			return nil, fmt.Errorf("reading metadata.managedFields[%d]: %w", i, err)
		}
		out = append(out, entry)
	}
	return out.sorted(), nil
}

// FromEntries is Read for entries that are decoded already.
func FromEntries(entries []metav1.ManagedFieldsEntry) (Managed, error) {
	out := make(Managed, 0, len(entries))
	for i, e := range entries {
		manager := Manager{Name: e.Manager, Operation: string(e.Operation), Subresource: e.Subresource, APIVersion: e.APIVersion}
		if e.Time != nil {
			manager.Time = e.Time.UTC()
		}
		raw := []byte("null")
		if e.FieldsV1 != nil {
			raw = e.FieldsV1.GetRawBytes()
		}
		entry, err := newEntry(manager, raw)
		if err != nil {
			return nil, fmt.Errorf("reading metadata.managedFields[%d]: %w", i, err)
		}
		out = append(out, entry)
	}
	return out.sorted(), nil
}

func newEntry(manager Manager, raw []byte) (Entry, error) {
	set := &fieldpath.Set{}
	if len(raw) > 0 && string(raw) != "null" {
		if raw[0] != '{' {
			return Entry{}, fmt.Errorf("fieldsV1 of %s is no map", manager)
		}
		if err := set.FromJSON(bytes.NewReader(raw)); err != nil {
			return Entry{}, fmt.Errorf("fieldsV1 of %s: %w", manager, err)
		}
	}
	return Entry{Manager: manager, set: set, raw: raw}, nil
}

func (m Managed) sorted() Managed {
	slices.SortStableFunc(m, func(a, b Entry) int {
		return cmp.Or(b.Time.Compare(a.Time), strings.Compare(a.Name, b.Name), strings.Compare(a.Operation, b.Operation),
			strings.Compare(a.Subresource, b.Subresource), strings.Compare(a.APIVersion, b.APIVersion))
	})
	return m
}

// applied gives what a manager owns by server-side apply.
func (m Managed) applied(manager string) *fieldpath.Set {
	out := &fieldpath.Set{}
	for _, e := range m {
		if e.isOf(manager) {
			out = out.Union(e.set)
		}
	}
	return out
}

func (e Entry) isOf(manager string) bool {
	return e.Name == manager && e.Operation == Apply && e.Subresource == ""
}

// owners gives the managers other than one that own a path, something in it, or all that it is in.
func (m Managed) owners(path fieldpath.Path, manager string) []Manager {
	var out []Manager
	for _, e := range m {
		if !e.isOf(manager) && covers(e.set, path) {
			out = append(out, e.Manager)
		}
	}
	return out
}

// covers tells whether a set has a path, something below it, or something that it is an atomic part of.
func covers(set *fieldpath.Set, path fieldpath.Path) bool {
	for i, element := range path {
		inner, more := set.Children.Get(element)
		if set.Members.Has(element) && (!more || i == len(path)-1) {
			return true
		}
		if !more {
			return false
		}
		set = inner
	}
	return true
}

// newcomers gives the managers, other than one, whose entries differ from those of an earlier state of the object. Status is not counted.
func (m Managed) newcomers(earlier Managed, manager string) []Manager {
	var out []Manager
	for _, e := range m {
		known := slices.ContainsFunc(earlier, func(old Entry) bool { return old.Manager == e.Manager && bytes.Equal(old.raw, e.raw) })
		if !known && !e.isOf(manager) && e.Subresource != "status" {
			out = append(out, e.Manager)
		}
	}
	return out
}

func text(m map[string]any, key string) string {
	s, _ := m[key].(string)
	return s
}

func timeOf(m map[string]any) (time.Time, error) {
	s := text(m, "time")
	if s == "" {
		return time.Time{}, nil
	}
	at, err := time.Parse(time.RFC3339, s)
	return at.UTC(), err
}
