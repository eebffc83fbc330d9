package fields

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Conflict is a field that an apply wanted to set to another value than its owner, and was refused for (409, without force).
type Conflict struct {
	// Path is the field as people write it, or as the server wrote it where the object that was applied does not have it.
	Path string
	// Pointer is the RFC 6901 pointer of the field in what was applied; empty where it does not have it.
	Pointer string
	// Manager is the owner. The time is known for updates only.
	Manager Manager
}

// String gives "spec.replicas is owned by kubectl (scale)".
func (c Conflict) String() string { return c.Path + " is owned by " + c.Manager.String() }

// Conflicts reads the causes of a refused apply (details.causes of the Status). Applied is what was sent. Causes of other kinds
// are left out. Sorted by path and manager.
func Conflicts(causes []metav1.StatusCause, applied map[string]any) []Conflict {
	var out []Conflict
	for _, cause := range causes {
		if cause.Type != metav1.CauseTypeFieldManagerConflict {
			continue
		}
		c := Conflict{Path: strings.TrimPrefix(cause.Field, "."), Manager: managerOf(cause.Message)}
		if path, ok := serverPath(cause.Field, applied); ok && len(path) > 0 {
			c.Path = printPath(path)
			c.Pointer, _ = pointer(applied, path)
		}
		out = append(out, c)
	}
	slices.SortFunc(out, func(a, b Conflict) int {
		return cmp.Or(strings.Compare(a.Path, b.Path), strings.Compare(a.Manager.Name, b.Manager.Name), strings.Compare(a.Manager.Subresource, b.Manager.Subresource))
	})
	return out
}

// managerOf reads: conflict with "NAME" with subresource "SUB" using VERSION at TIME. All but the name may be missing. The API server
// has no better form for it.
func managerOf(message string) Manager {
	var m Manager
	rest, ok := strings.CutPrefix(message, "conflict with ")
	if !ok {
		return m
	}
	m.Name, rest = quotedWord(rest)
	if after, ok := strings.CutPrefix(rest, " with subresource "); ok {
		m.Subresource, rest = quotedWord(after)
	}
	m.Operation = Apply // the server says more about updates only
	if after, ok := strings.CutPrefix(rest, " using "); ok {
		m.Operation = Update
		m.APIVersion, rest, _ = strings.Cut(after, " ")
		rest = " " + rest
	}
	if after, ok := strings.CutPrefix(rest, " at "); ok {
		if at, err := time.Parse(time.RFC3339, after); err == nil {
			m.Time = at.UTC()
		}
	}
	return m
}

// quotedWord takes a quoted word off the beginning.
func quotedWord(s string) (word, rest string) {
	prefix, err := strconv.QuotedPrefix(s)
	if err != nil {
		return "", s
	}
	word, err = strconv.Unquote(prefix)
	if err != nil {
		return "", s
	}
	return word, s[len(prefix):]
}
