package syncs

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/api/meta"

	"headgate.dev/cmd/internal/term"
	"headgate.dev/schema"
)

// Columns says which columns a table has.
type Columns struct {
	// Namespace has each row begin with its namespace.
	Namespace bool
	// Wide shows everything there is, however wide; else a table has term.Columns at most, as far as names allow it.
	Wide bool
}

// Table lists Syncs in the order they come in.
func (t Teller) Table(list []schema.Sync, c Columns) string {
	head := []string{"NAME", "REVISION", "LIVE", "READY", "MESSAGE", "AGE"}
	const message = 4
	if c.Wide {
		head = append(head, "URL", "SUSPENDED", "PINNED")
	}
	rows := [][]string{head}
	for i := range list {
		s := &list[i]
		row := []string{s.Name, orNone(Short(s.Status.Revision)), orNone(string(statusOf(s, schema.SyncLive))), orNone(string(statusOf(s, schema.SyncReady))), brief(s), t.age(s.CreationTimestamp)}
		if c.Wide {
			row = append(row, s.Spec.URL, strconv.FormatBool(s.Spec.Suspend), orNone(abbreviated(s.Spec.Pin)))
		}
		rows = append(rows, row)
	}
	namespaces := make([]string, 0, len(list))
	for i := range list {
		namespaces = append(namespaces, list[i].Namespace)
	}
	return table(rows, namespaces, message, c)
}

// Previews lists Previews in the order they come in.
func (t Teller) Previews(list []schema.Preview, c Columns) string {
	head := []string{"NAME", "URL", "REVISION", "LIVE", "AUTHOR", "AGE"}
	const url = 1
	if c.Wide {
		head = append(head, "SYNC", "MESSAGE")
	}
	rows := [][]string{head}
	var namespaces []string
	for i := range list {
		p := &list[i]
		live, message := "", ""
		if c := meta.FindStatusCondition(p.Status.Conditions, schema.PreviewLive); c != nil {
			live = string(c.Status)
		}
		if c := meta.FindStatusCondition(p.Status.Conditions, schema.PreviewReady); c != nil {
			message = c.Message
		}
		row := []string{p.Name, orNone(p.Status.URL), orNone(Short(p.Status.Revision)), orNone(live), orNone(p.Spec.Author), t.age(p.CreationTimestamp)}
		if c.Wide {
			row = append(row, p.Spec.Sync, orNone(message))
		}
		rows, namespaces = append(rows, row), append(namespaces, p.Namespace)
	}
	return table(rows, namespaces, url, c)
}

// table lays rows out, the first of which is the head. Of the flexible column so much is shown as there is room for, unless it is a wide one.
func table(rows [][]string, namespaces []string, flexible int, c Columns) string {
	if c.Namespace {
		for i := range rows {
			first := "NAMESPACE"
			if i > 0 {
				first = namespaces[i-1]
			}
			rows[i] = append([]string{first}, rows[i]...)
		}
		flexible++
	}
	if !c.Wide {
		room := max(term.Columns-others(rows, flexible), 16)
		for _, row := range rows {
			row[flexible] = term.Safe(row[flexible], room)
		}
	}
	return term.Table(0, rows)
}

// others is the width of all columns but one, with the gaps.
func others(rows [][]string, but int) int {
	total := 0
	for i := range rows[0] {
		if i == but {
			continue
		}
		width := 0
		for _, row := range rows {
			width = max(width, utf8.RuneCountInString(row[i]))
		}
		total += width + 2
	}
	return total
}

func orNone(text string) string {
	if text == "" {
		return "<none>"
	}
	return text
}

// brief is the message of a Sync in a table.
func brief(s *schema.Sync) string {
	var parts []string
	if s.DeletionTimestamp != nil {
		parts = append(parts, "being deleted")
	}
	if s.Spec.Suspend {
		parts = append(parts, "suspended")
	}
	if s.Spec.Pin != "" {
		parts = append(parts, "pinned")
	}
	if c := condition(s, schema.SyncReady); c != nil {
		parts = append(parts, c.Message)
	} else {
		parts = append(parts, "nobody has looked at it yet")
	}
	return strings.Join(parts, "; ")
}
