package apply

import (
	"context"
	"net/http"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"headgate.dev/agent/plan"
	"headgate.dev/render/object"
)

// removal is what becomes of one object that is to go.
type removal struct {
	id object.ID
	// removed is set when it went, kept when it turned out to be protected. Neither: it was gone, or somebody else's.
	removed *Removed
	kept    *plan.Kept
	freed   bool
}

// removeAll removes objects in their order, kind by kind. It gives those that stayed after all. After an error no further kind is begun.
func (r *run) removeAll(ctx context.Context, ids []object.ID) ([]object.ID, error) {
	removals := make([]*removal, len(ids))
	for i, id := range ids {
		removals[i] = &removal{id: id}
	}
	var stayed []object.ID
	for _, w := range waves(removals, func(m *removal) object.ID { return m.id }) {
		list := make([]task, len(w))
		for i, m := range w {
			list[i] = func(ctx context.Context) *Error { return r.remove(ctx, m) }
		}
		err := each(ctx, list, keepGoing)
		for _, m := range w {
			switch {
			case m.removed != nil:
				r.result.Removed = append(r.result.Removed, *m.removed)
			case m.kept != nil:
				r.result.Kept = append(r.result.Kept, *m.kept)
				stayed = append(stayed, m.id)
			case m.freed:
				r.result.Released = append(r.result.Released, m.id)
			}
		}
		if err != nil {
			return stayed, err
		}
	}
	return stayed, nil
}

// remove removes the very object whose mark was read. When it changed since, its mark is read again and decides.
func (r *run) remove(ctx context.Context, m *removal) *Error {
	t, err := r.kinds.find(m.id, "")
	if err != nil {
		e := r.answered("removing", m.id, nil, nil, err)
		if e.Reason == ReasonNotServed { // it went with its definition
			r.unsee(m.id)
			return nil
		}
		return e
	}
	for n := 1; ; n++ {
		known, ok := r.lookAt(m.id)
		if !ok || m.stays(known.mark, r.config.Owner) {
			return nil
		}
		err := r.as.remove(ctx, t, m.id, known)
		if err == nil {
			m.removed = &Removed{ID: m.id, UID: string(known.uid)}
		}
		if err == nil || isMissing(err) {
			r.unsee(m.id)
			return nil
		}
		if code(err) != http.StatusConflict || n == attempts {
			return r.answered("removing", m.id, nil, nil, err)
		}
		if e := r.get(ctx, t, m.id); e != nil {
			return e
		}
	}
}

// stays notes what keeps an object from being removed, and tells whether there is something.
func (m *removal) stays(mark plan.Mark, owner plan.Owner) bool {
	switch {
	case mark.Owner != owner:
		m.freed = true
	case mark.Protected:
		m.kept = &plan.Kept{ID: m.id, Reason: plan.KeptProtected}
	default:
		return false
	}
	return true
}

func (r *run) lookAt(id object.ID) (seen, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s, ok := r.seen[id]
	return s, ok
}

// Deletion says what becomes of what a Sync owns when the Sync is deleted.
type Deletion string

// Values of Deletion.
const (
	// Delete removes it.
	Delete Deletion = "Delete"
	// DeleteAndWait removes it and waits until the last object is gone.
	DeleteAndWait Deletion = "WaitForTermination"
	// Orphan leaves it, without its marks: it belongs to nobody then.
	Orphan Deletion = "Orphan"
)

// Remove ends what the Sync owns: objects first, the inventory last. Objects that stay (protected ones, the Sync's own namespace, with Orphan all) lose
// their marks. The result is there with an error too; after an error, the same call goes on from what is there.
//
// With an inventory that cannot be read as a whole nothing is removed, and the error says which part it is.
func (a *Applier) Remove(ctx context.Context, how Deletion) (*Result, error) {
	a.busy.Lock()
	defer a.busy.Unlock()
	r := a.newRun(Request{Keep: how == Orphan})
	defer r.finish()
	if err := r.load(ctx); err != nil {
		return &r.result, err
	}
	if r.broken != nil {
		return &r.result, r.unreadable()
	}
	if err := r.look(ctx); err != nil {
		return &r.result, err
	}
	return &r.result, r.end(ctx, plan.All(r.state(), r.options()), how)
}

// unreadable says what to do about a part of the inventory that nobody can read.
func (r *run) unreadable() *Error {
	return &Error{
		Reason: ReasonInvalid, Doing: "removing what is owned by", ID: r.syncID(), cause: r.broken,
		Message: r.broken.Error() + ": nothing is removed; mend or delete that part, a ConfigMap with the label " + LabelInventory,
	}
}

// end carries a plan without writes out.
func (r *run) end(ctx context.Context, p *plan.Plan, how Deletion) error {
	stayed, err := r.removeAll(ctx, p.Removals)
	r.result.Released = append(r.result.Released, p.Released...)
	if err != nil {
		return err
	}
	for _, k := range p.Kept {
		r.result.Kept = append(r.result.Kept, k)
		stayed = append(stayed, k.ID)
	}
	orphans := make([]task, len(stayed))
	for i, id := range stayed {
		orphans[i] = func(ctx context.Context) *Error { return r.orphan(ctx, id) }
	}
	if err := each(ctx, orphans, keepGoing); err != nil {
		return err
	}
	if how == DeleteAndWait {
		if err := r.awaitAll(ctx); err != nil {
			return err
		}
	}
	return r.erase(ctx)
}

// orphan takes the marks off an object.
func (r *run) orphan(ctx context.Context, id object.ID) *Error {
	t, err := r.kinds.find(id, "")
	if err != nil {
		return r.answered("releasing", id, nil, nil, err)
	}
	for n := 1; ; n++ {
		known, ok := r.lookAt(id)
		if !ok || known.mark.Owner != r.config.Owner {
			return nil
		}
		data := object.AppendJSON(nil, map[string]any{"metadata": map[string]any{
			"uid": string(known.uid), "resourceVersion": known.version,
			"labels":      map[string]any{plan.LabelSync: nil, plan.LabelSyncNamespace: nil},
			"annotations": map[string]any{plan.AnnotationApplied: nil},
		}})
		r.unsee(id)
		_, err := r.as.metaIn(t, id.Namespace).Patch(ctx, id.Name, types.MergePatchType, data, metav1.PatchOptions{FieldManager: Manager})
		if err == nil || isMissing(err) {
			return nil
		}
		if code(err) != http.StatusConflict || n == attempts {
			return r.answered("releasing", id, nil, nil, err)
		}
		if e := r.get(ctx, t, id); e != nil {
			return e
		}
	}
}

// awaitAll waits until everything that was removed is gone.
func (r *run) awaitAll(ctx context.Context) error {
	list := make([]task, len(r.result.Removed))
	for i, m := range r.result.Removed {
		list[i] = func(ctx context.Context) *Error {
			t, err := r.kinds.find(m.ID, "")
			if err == nil {
				err = r.awaitGone(ctx, t, m.ID, types.UID(m.UID))
			}
			if err == nil {
				return nil
			}
			e := r.answered("waiting for the end of", m.ID, nil, nil, err)
			if e.Reason == ReasonNotServed { // its kind went with it
				return nil
			}
			return e
		}
	}
	return each(ctx, list, keepGoing)
}
