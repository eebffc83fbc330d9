package syncs

import (
	"cmp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"headgate.dev/cmd/internal/term"
	"headgate.dev/schema"
)

// PreviewRow is a preview, or a pull request or branch that has none.
type PreviewRow struct {
	Namespace string `json:"namespace"`
	Sync      string `json:"sync"`
	// Preview is its name, as in pr-42.
	Preview  string `json:"preview"`
	URL      string `json:"url,omitempty"`
	Revision string `json:"revision,omitempty"`
	// Live is True, False or Unknown; of one that there is not the reason in one word.
	Live    string      `json:"live"`
	Author  string      `json:"author,omitempty"`
	Created metav1.Time `json:"created,omitzero"`
	// Message says why the head is not previewed; empty where it is.
	Message string `json:"message,omitempty"`
	Absent  bool   `json:"absent,omitempty"`
}

// PreviewRows are the rows of Previews, and of what Syncs say has none, by namespace, Sync and number.
func PreviewRows(previews []schema.Preview, list []schema.Sync) []PreviewRow {
	var rows []PreviewRow
	have := map[[3]string]int{}
	for i := range previews {
		p := &previews[i]
		r := PreviewRow{Namespace: p.Namespace, Sync: p.Spec.Sync, Preview: p.Spec.Name, URL: p.Status.URL, Revision: p.Status.Revision, Live: "Unknown",
			Author: p.Spec.Author, Created: p.CreationTimestamp}
		if c := meta.FindStatusCondition(p.Status.Conditions, schema.PreviewLive); c != nil {
			r.Live = string(c.Status)
		}
		if c := meta.FindStatusCondition(p.Status.Conditions, schema.PreviewReady); c != nil && c.Status == metav1.ConditionFalse {
			r.Message = c.Message
		}
		if p.DeletionTimestamp != nil {
			r.Message = "it is ending"
		}
		have[[3]string{r.Namespace, r.Sync, r.Preview}] = len(rows)
		rows = append(rows, r)
	}
	for i := range list {
		s := &list[i]
		if s.Status.Previews == nil {
			continue
		}
		for _, a := range s.Status.Previews.Without {
			if at, there := have[[3]string{s.Namespace, s.Name, a.Name}]; there {
				rows[at].Message = cmp.Or(rows[at].Message, abbreviated(a.Commit)+" is not previewed yet: "+a.Message)
				continue
			}
			r := PreviewRow{Namespace: s.Namespace, Sync: s.Name, Preview: a.Name, Revision: a.Commit, Live: a.Reason, Author: a.Author, Message: a.Message, Absent: true}
			if a.Seen != nil {
				r.Created = *a.Seen
			}
			rows = append(rows, r)
		}
	}
	slices.SortStableFunc(rows, func(a, b PreviewRow) int {
		return cmp.Or(strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Sync, b.Sync), cmp.Compare(len(a.Preview), len(b.Preview)), strings.Compare(a.Preview, b.Preview))
	})
	return rows
}

// PreviewTable lists rows, and says below why some are not previewed. All of it is strangers' text, and made safe for a terminal.
func (t Teller) PreviewTable(rows []PreviewRow, c Columns) string {
	head := []string{"SYNC", "PREVIEW", "URL", "REVISION", "LIVE", "AUTHOR", "AGE"}
	const url = 2
	lines, why := [][]string{head}, [][]string{}
	var namespaces []string
	for i := range rows {
		r := &rows[i]
		revision := Short(r.Revision)
		if _, hash, ok := cut(r.Revision); ok {
			revision = abbreviated(hash)
		} else if r.Absent {
			revision = abbreviated(r.Revision)
		}
		lines = append(lines, []string{term.Safe(r.Sync, 24), term.Safe(r.Preview, 24), orNone(r.URL), orNone(revision), r.Live, orNone(term.Safe(r.Author, 16)), t.age(r.Created)})
		namespaces = append(namespaces, r.Namespace)
		if r.Message != "" {
			name := r.Sync + " " + r.Preview
			if c.Namespace {
				name = r.Namespace + "/" + name
			}
			why = append(why, []string{name, r.Message})
		}
	}
	out := table(lines, namespaces, url, c)
	if len(why) > 0 {
		out += "\n" + t.Style.Bold("not as pushed") + "\n" + term.Fit(2, why)
	}
	return out
}
