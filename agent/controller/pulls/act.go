package pulls

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"headgate.dev/agent/preview/life"
	"headgate.dev/schema"
)

// ObjectName is the name of the object of kind Preview for a preview of a Sync. There is a dot in front of the preview's name, which has none, so that no two
// Syncs share one.
func ObjectName(sync, name string) string { return sync + "." + name }

// Annotations.
const (
	// AnnotationPushed on a Preview is when its commit was pushed, or seen first, in RFC 3339.
	AnnotationPushed = "headgate.dev/pushed"
	// AnnotationApprovedBy on a Preview is who approved its commit, where that is a fork's.
	AnnotationApprovedBy = "headgate.dev/approved-by"
	// AnnotationHint on a Sync is how a replica that does not lead passes on what a webhook said of pull requests. Its value is new each time.
	AnnotationHint = "headgate.dev/preview-hint"
)

// mostAbsences is how many pull requests without a preview are remembered.
const mostAbsences = 500

// written is a Preview that was written and may not be seen yet.
type written struct {
	object schema.Preview
	at     time.Time
}

// unseen is how long a Preview that was written is believed to be there though it is not seen.
const unseen = 10 * time.Second

// previews gives what there is, with what was just written.
func (f *Follower) previews(ctx context.Context, s *schema.Sync, ending map[string]schema.Preview) ([]life.Preview, error) {
	list, err := f.world.Store.Previews(ctx, s)
	if err != nil {
		return nil, err
	}
	var out []life.Preview
	seen, there := map[string]bool{}, map[string]bool{}
	for i := range list {
		p := &list[i]
		seen[p.Spec.Name], there[string(p.UID)] = true, true
		w, ok := f.written[p.Spec.Name]
		switch {
		case ok && w.object.UID == p.UID && p.Generation < w.object.Generation:
			out = append(out, f.preview(&w.object))
			continue
		case ok && (w.object.UID == p.UID || p.CreationTimestamp.After(w.object.CreationTimestamp.Time)):
			delete(f.written, p.Spec.Name)
		}
		out = append(out, f.preview(p))
	}
	out = f.andEnding(out, ending, seen, there)
	out = f.andWritten(out, seen, there)
	if len(f.ours) > mostNotes { // that one is gone may still be to be heard
		maps.DeleteFunc(f.ours, func(uid string, _ bool) bool { return !there[uid] })
	}
	return out, nil
}

// andEnding adds those that end and are gone already, by name in seen and by uid in there.
func (f *Follower) andEnding(out []life.Preview, ending map[string]schema.Preview, seen, there map[string]bool) []life.Preview {
	for uid, p := range ending {
		name := p.Spec.Name
		if w, ok := f.written[name]; ok && string(w.object.UID) == uid {
			delete(f.written, name)
		}
		if !there[uid] && !seen[name] { // gone, and nobody was told yet
			v := f.preview(&p)
			v.Ending = true
			out, seen[name], there[uid] = append(out, v), true, true
		}
	}
	return out
}

// andWritten adds those that were just written and are not seen yet.
func (f *Follower) andWritten(out []life.Preview, seen, there map[string]bool) []life.Preview {
	for name, w := range f.written {
		switch {
		case seen[name]:
		case f.world.Now().Sub(w.at) > unseen:
			delete(f.written, name)
		default:
			out = append(out, f.preview(&w.object))
			there[string(w.object.UID)] = true
		}
	}
	return out
}

// settled forgets those that ended once what follows from that is remembered. It tells whether one was gone altogether, so that its place is free.
func (f *Follower) settled(previews []life.Preview, before map[string]schema.Preview) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for uid := range before {
		delete(f.ending, uid)
	}
	return len(before) > 0 && slices.ContainsFunc(previews, func(p life.Preview) bool { return p.Ending })
}

func (f *Follower) preview(p *schema.Preview) life.Preview {
	out := life.Preview{Name: p.Spec.Name, Number: int(p.Spec.Number), Branch: p.Spec.Branch, Author: p.Spec.Author, Commit: p.Spec.Commit, Base: p.Spec.Base,
		Fork: p.Spec.Fork, Pin: p.Spec.Pin, Created: p.CreationTimestamp.Time, ApprovedBy: p.Annotations[AnnotationApprovedBy],
		Ours: f.ours[string(p.UID)]}
	out.Ending = p.DeletionTimestamp != nil || out.Ours
	out.Pushed = out.Created
	if at, err := time.Parse(time.RFC3339, p.Annotations[AnnotationPushed]); err == nil {
		out.Pushed = at
	}
	return out
}

// act does what was decided. One that cannot be written keeps no other from being.
func (f *Follower) act(ctx context.Context, s *schema.Sync, d *life.Decision) error {
	var failed error
	object := func(string) *schema.Preview { return nil }
	if len(d.Delete)+len(d.Update) > 0 {
		list, err := f.world.Store.Previews(ctx, s)
		if err != nil {
			return err
		}
		object = f.newest(list)
	}
	for _, x := range d.Delete {
		if p := object(x.Preview.Name); p != nil {
			f.world.Log.Info("a preview ends", "preview", p.Name, "why", x.Message)
			if err := f.world.Store.Delete(ctx, p, x.Message); err != nil {
				failed = cmp.Or(failed, err)
				continue
			}
			f.ours[string(p.UID)] = true
		}
	}
	for i := range d.Update {
		if p := object(d.Update[i].Name); p != nil {
			failed = cmp.Or(failed, f.write(ctx, s, p.DeepCopy(), &d.Update[i]))
		}
	}
	for i := range d.Create {
		p := &schema.Preview{ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: ObjectName(s.Name, d.Create[i].Name)}}
		failed = cmp.Or(failed, f.write(ctx, s, p, &d.Create[i]))
	}
	return failed
}

// newest gives a Preview by its name in the Sync, as it was listed or as it was written since; nil where there is none.
func (f *Follower) newest(list []schema.Preview) func(name string) *schema.Preview {
	objects := map[string]*schema.Preview{}
	for i := range list {
		objects[list[i].Spec.Name] = &list[i]
	}
	return func(name string) *schema.Preview {
		p := objects[name]
		if w, ok := f.written[name]; ok && (p == nil || p.UID == w.object.UID && p.Generation < w.object.Generation) {
			p = w.object.DeepCopy()
		}
		return p
	}
}

// write makes an object say what was decided.
func (f *Follower) write(ctx context.Context, s *schema.Sync, p *schema.Preview, v *life.Preview) error {
	pin := p.Spec.Pin
	p.Spec = schema.PreviewSpec{Sync: s.Name, Name: v.Name, Number: int64(v.Number), Branch: v.Branch, Author: cut(v.Author, 255), Commit: v.Commit, Base: v.Base, Fork: v.Fork, Pin: pin}
	if p.Annotations == nil {
		p.Annotations = map[string]string{}
	}
	p.Annotations[AnnotationPushed] = v.Pushed.UTC().Format(time.RFC3339)
	delete(p.Annotations, AnnotationApprovedBy)
	if v.ApprovedBy != "" {
		p.Annotations[AnnotationApprovedBy] = v.ApprovedBy
	}
	var err error
	if p.UID == "" {
		f.world.Log.Info("a preview begins", "preview", p.Name, "commit", v.Commit, "fork", v.Fork, "approved by", v.ApprovedBy)
		err = f.world.Store.Create(ctx, s, p)
	} else {
		f.world.Log.Info("a preview moves on", "preview", p.Name, "commit", v.Commit, "fork", v.Fork, "approved by", v.ApprovedBy)
		err = f.world.Store.Update(ctx, p)
	}
	if err != nil {
		return fmt.Errorf("writing Preview %s/%s: %w", p.Namespace, p.Name, err)
	}
	f.written[v.Name] = written{*p, f.world.Now()}
	return nil
}

func cut(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	return string([]rune(text)[:limit/4])
}

func absence(a *schema.PreviewAbsence) life.Absence {
	out := life.Absence{Name: a.Name, Number: int(a.Number), Branch: a.Branch, Author: a.Author, Commit: a.Commit, Previous: a.Previous,
		Reason: life.Reason(a.Reason), Message: a.Message, ApprovedBy: a.ApprovedBy}
	if a.Seen != nil {
		out.Seen = a.Seen.Time
	}
	return out
}

// status is what is remembered and said in the Sync's status.
func (f *Follower) status(w *life.World, d *life.Decision, failed error) *schema.SyncPreviewsStatus {
	next := &schema.SyncPreviewsStatus{}
	for i := range w.Previews {
		if !w.Previews[i].Ending {
			next.Count++
		}
	}
	next.Count += int32(len(d.Create) - len(d.Delete)) //nolint:gosec // a thousand at most
	if failed != nil {
		next.Message = cut(failed.Error(), 1024)
	}
	for i := range d.Absences {
		if i == mostAbsences {
			break
		}
		a := &d.Absences[i]
		one := schema.PreviewAbsence{Name: a.Name, Number: int64(a.Number), Branch: cut(a.Branch, 255), Author: cut(a.Author, 255), Commit: a.Commit, Previous: a.Previous,
			Reason: string(a.Reason), Message: cut(a.Message, 1024), ApprovedBy: cut(a.ApprovedBy, 255)}
		if !a.Seen.IsZero() {
			one.Seen = &metav1.Time{Time: a.Seen}
		}
		next.Without = append(next.Without, one)
	}
	return next
}
