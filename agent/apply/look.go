package apply

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"headgate.dev/agent/plan"
	"headgate.dev/render/object"
)

const (
	// listFrom is how many objects of a kind in a namespace make one list cheaper than a look at each.
	listFrom = 6
	// pageSize is how many objects of a list come at a time.
	pageSize = 500
	// workers is how many calls are made at the same time.
	workers = 8
)

// seen is what is known of a live object.
type seen struct {
	mark    plan.Mark
	uid     types.UID
	version string // resource version
	// managed is there for objects without an owner, which are about to be adopted.
	managed []metav1.ManagedFieldsEntry
}

// group are objects of one kind in one namespace, or in none.
type group struct{ group, kind, namespace string }

// look reads the metadata of all objects that matter and of which nothing is known: those that are wanted, because they may be somebody else's, and
// those that are not wanted any more. Whatever cannot be read is an error, so that there are no partial lists.
func (r *run) look(ctx context.Context) error {
	groups := map[group][]object.ID{}
	for _, id := range r.unknown() {
		g := group{id.Group, id.Kind, id.Namespace}
		groups[g] = append(groups[g], id)
	}
	var tasks []task
	for _, g := range sortedGroups(groups) {
		ids := groups[g]
		t, err := r.kinds.find(ids[0], "")
		var e *Error
		if errors.As(err, &e) && e.Reason == ReasonNotServed {
			r.notThere(ids) // without its kind there is no object; what is wanted says so when it is written
			continue
		}
		if err != nil {
			return r.answered("reading", object.ID{Group: g.group, Kind: g.kind, Namespace: g.namespace}, nil, nil, err)
		}
		if t.scope(ids[0]) != "" {
			r.notThere(ids) // said when it is written
			continue
		}
		if len(ids) >= listFrom {
			tasks = append(tasks, func(ctx context.Context) *Error { return r.list(ctx, t, g, ids) })
			continue
		}
		for _, id := range ids {
			tasks = append(tasks, func(ctx context.Context) *Error { return r.get(ctx, t, id) })
		}
	}
	return each(ctx, tasks, keepGoing)
}

// unknown gives the IDs of which nothing is known, sorted.
func (r *run) unknown() []object.ID {
	var out []object.ID
	for o := range r.request.Desired.All() {
		if _, ok := r.seen[o.ID]; !ok {
			out = append(out, o.ID)
		}
	}
	return append(out, plan.Unseen(r.request.Desired, r.state())...)
}

func sortedGroups[T any](groups map[group]T) []group {
	out := make([]group, 0, len(groups))
	for g := range groups {
		out = append(out, g)
	}
	slices.SortFunc(out, func(a, b group) int {
		return cmp.Or(cmp.Compare(a.group, b.group), cmp.Compare(a.kind, b.kind), cmp.Compare(a.namespace, b.namespace))
	})
	return out
}

func (r *run) notThere(ids []object.ID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, id := range ids {
		r.gone[id] = true
	}
}

// list reads all of a kind in a namespace. An account that may not list looks at each.
func (r *run) list(ctx context.Context, t target, g group, ids []object.ID) *Error {
	found := map[string]*metav1.PartialObjectMetadata{}
	options := metav1.ListOptions{Limit: pageSize}
	for {
		page, err := r.as.metaIn(t, g.namespace).List(ctx, options)
		if code(err) == http.StatusForbidden {
			return r.getAll(ctx, t, ids)
		}
		if err != nil && !isMissing(err) {
			return r.answered("reading", object.ID{Group: g.group, Kind: g.kind, Namespace: g.namespace}, nil, nil, err)
		}
		if err != nil { // a kind that went away since, or a page that is no longer to be had
			return r.getAll(ctx, t, ids)
		}
		for i := range page.Items {
			found[page.Items[i].Name] = &page.Items[i]
		}
		if options.Continue = page.Continue; options.Continue == "" {
			break
		}
	}
	for _, id := range ids {
		r.note(id, found[id.Name])
	}
	return nil
}

func (r *run) getAll(ctx context.Context, t target, ids []object.ID) *Error {
	for _, id := range ids {
		if err := r.get(ctx, t, id); err != nil {
			return err
		}
	}
	return nil
}

// get reads one object.
func (r *run) get(ctx context.Context, t target, id object.ID) *Error {
	found, err := r.as.metaIn(t, id.Namespace).Get(ctx, id.Name, metav1.GetOptions{})
	if isMissing(err) {
		found, err = nil, nil
	}
	if err != nil {
		return r.answered("reading", id, r.request.Desired.Get(id), nil, err)
	}
	r.note(id, found)
	return nil
}

// note keeps what was read of an object, nil where there is none.
func (r *run) note(id object.ID, found *metav1.PartialObjectMetadata) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if found == nil {
		delete(r.seen, id)
		r.gone[id] = true
		return
	}
	s := seen{mark: plan.ReadMark(found.Labels, found.Annotations), uid: found.UID, version: found.ResourceVersion}
	if r.stale(s.mark.Owner) {
		s.mark.Owner = plan.Owner{}
	}
	if found.DeletionTimestamp != nil {
		s.mark.Applied = object.Digest{} // when it is wanted, it is waited out and made anew
	}
	if s.mark.Owner == (plan.Owner{}) {
		s.managed = found.ManagedFields
	}
	r.seen[id] = s
}

// stale tells whether an owner is another Sync that does not exist any more.
func (r *run) stale(owner plan.Owner) bool {
	return owner != (plan.Owner{}) && owner != r.config.Owner && r.config.Exists != nil && !r.config.Exists(owner)
}

func statusOf(err error) (metav1.Status, bool) {
	var s apierrors.APIStatus
	if errors.As(err, &s) {
		return s.Status(), true
	}
	return metav1.Status{}, false
}
