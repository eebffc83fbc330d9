package syncs

import (
	"fmt"
	"io"

	"headgate.dev/agent/plan"
	"headgate.dev/cmd/internal/changes"
	"headgate.dev/cmd/internal/local"
	"headgate.dev/cmd/internal/review"
	"headgate.dev/cmd/internal/term"
	"headgate.dev/render/object"
	"headgate.dev/schema"
)

// Diff is what a Sync would change in its cluster. It marshals to JSON for machines.
type Diff struct {
	Sync string `json:"sync"`
	// From is what is applied, To what would be: "main@4f2a9c1".
	From string `json:"from"`
	To   string `json:"to"`
	// Traffic is what becomes of requests; nil where that is not known.
	Traffic *Traffic         `json:"traffic,omitempty"`
	Objects []changes.Object `json:"objects"`
	// Unchanged is how many objects need no write.
	Unchanged int `json:"unchanged"`
	// Kept are objects that Git has no longer and that stay, with the reason.
	Kept []string `json:"kept"`
	// Refused is what the API server would not take, with file and line.
	Refused []string `json:"refused"`
}

// Traffic is the part of a comparison that is about requests.
type Traffic struct {
	Changes []review.TrafficChange `json:"changes"`
	Total   int                    `json:"total"`
	Hidden  []local.Hidden         `json:"hidden"`

	difference *review.Difference
}

// TrafficOf takes that part out of a comparison.
func TrafficOf(d *review.Difference) *Traffic {
	return &Traffic{Changes: d.Traffic, Total: d.Total, Hidden: d.Hidden, difference: d}
}

// Text writes it for a terminal; nothing where every request is answered as before.
func (t *Traffic) Text(w io.Writer, style term.Style) { t.difference.TrafficText(w, style) }

// NewDiff begins a comparison.
func NewDiff(s *schema.Sync, to string) *Diff {
	from := "nothing"
	if s.Status.Revision != "" {
		from = Short(s.Status.Revision)
	}
	return &Diff{Sync: s.Namespace + "/" + s.Name, From: from, To: to, Objects: []changes.Object{}, Kept: []string{}, Refused: []string{}}
}

// Write compares an object of the cluster with what it would be; live is nil where there is none, would where that was not tried. What only the API
// server or headgate itself writes is no change.
func (d *Diff) Write(desired *object.Object, live, would map[string]any) error {
	if live == nil {
		d.Objects = append(d.Objects, changes.Object{Change: changes.Added, Object: desired.ID.String(), From: desired.Origin.String()})
		return nil
	}
	before, err := object.New(Written(live), object.Origin{}, nil)
	if err != nil {
		return fmt.Errorf("comparing %s: %w", desired.ID, err)
	}
	change := changes.Object{Change: changes.Changed, Object: desired.ID.String(), From: desired.Origin.String()}
	if would != nil {
		after, err := object.New(Written(would), desired.Origin, desired.Fields)
		if err != nil {
			return fmt.Errorf("comparing %s: %w", desired.ID, err)
		}
		for _, field := range object.Changes(before, after) {
			change.Fields = append(change.Fields, changes.NewField(before, after, field))
		}
		if len(change.Fields) == 0 {
			d.Unchanged++
			return nil
		}
	}
	d.Objects = append(d.Objects, change)
	return nil
}

// Remove notes an object that would go.
func (d *Diff) Remove(id object.ID) {
	d.Objects = append(d.Objects, changes.Object{Change: changes.Removed, Object: id.String()})
}

// Written is an object without its status and what the API server, or headgate as it applies it, puts into the metadata.
func Written(content map[string]any) map[string]any {
	out := object.CloneMap(content)
	delete(out, "status")
	metadata, ok := out["metadata"].(map[string]any)
	if !ok {
		return out
	}
	for _, field := range []string{"managedFields", "resourceVersion", "uid", "generation", "creationTimestamp"} {
		delete(metadata, field)
	}
	without(metadata, "annotations", plan.AnnotationApplied)
	without(metadata, "labels", plan.LabelSync, plan.LabelSyncNamespace)
	return out
}

// without takes keys out of a map inside a map, and the inner one where nothing else is in it.
func without(m map[string]any, name string, keys ...string) {
	inner, ok := m[name].(map[string]any)
	if !ok {
		return
	}
	for _, key := range keys {
		delete(inner, key)
	}
	if len(inner) == 0 {
		delete(m, name)
	}
}

// Summary is the change in one line.
func (d *Diff) Summary() string {
	added, changed, removed := changes.Count(d.Objects)
	if added+changed+removed+len(d.Refused) == 0 {
		return fmt.Sprintf("nothing would change; %d objects are as wanted", d.Unchanged)
	}
	return fmt.Sprintf("objects: %d added, %d changed, %d removed, %d as they are", added, changed, removed, d.Unchanged)
}

// Text writes it for a terminal.
func (d *Diff) Text(w io.Writer, style term.Style) {
	fmt.Fprintf(w, "%s %s → %s: %s\n", term.Safe(d.Sync, 200), style.Bold(term.Safe(d.From, 200)), style.Bold(term.Safe(d.To, 200)), d.Summary())
	if d.Traffic != nil && len(d.Traffic.Changes)+len(d.Traffic.Hidden) > 0 {
		d.Traffic.Text(w, style)
		if len(d.Objects) > 0 {
			fmt.Fprintf(w, "\n%s\n", style.Bold("objects"))
		}
	}
	for i := range d.Objects {
		d.Objects[i].Text(w)
	}
	for _, k := range d.Kept {
		fmt.Fprint(w, term.Fit(2, [][]string{{"= stays: " + k}}))
	}
	for _, r := range d.Refused {
		fmt.Fprint(w, term.Fit(2, [][]string{{"! refused: " + r}}))
	}
}

// Markdown writes it for a pull request's comment.
func (d *Diff) Markdown(w io.Writer) {
	fmt.Fprintf(w, "**Sync** %s %s → %s: %s\n", changes.Code(d.Sync), changes.Code(d.From), changes.Code(d.To), d.Summary())
	if d.Traffic != nil {
		d.Traffic.difference.TrafficMarkdown(w)
	}
	for _, r := range d.Refused {
		fmt.Fprintf(w, "\n> **Refused:** %s\n", changes.Code(r))
	}
	for _, k := range d.Kept {
		fmt.Fprintf(w, "\n> **Stays:** %s\n", changes.Code(k))
	}
	changes.Markdown(w, d.Objects)
}
