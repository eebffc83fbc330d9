package apply

import (
	"context"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/watch"

	"headgate.dev/agent/plan"
	"headgate.dev/render/object"
)

// Watcher is told what happens to the objects of a Sync, by one goroutine. It does not write to what it is given, nor keep it.
type Watcher interface {
	// Listed has all there are of the kind, each time they were listed.
	Listed(contents []map[string]any)
	// Happened has an object that was written.
	Happened(content map[string]any)
	// Left has an object that is gone, or that lost the Sync's labels: which of them it is, Read says.
	Left(id object.ID)
}

// Watch tells what happens to the Sync's objects of a kind in a namespace, until the context ends or the API server refuses. The name of the ID does not matter.
func (a *Applier) Watch(ctx context.Context, id object.ID, version string, w Watcher) error {
	r := a.newRun(Request{})
	t, err := r.kinds.find(id, version)
	if err != nil {
		return err
	}
	selector := labels.SelectorFromSet(labels.Set{plan.LabelSync: a.config.Owner.Name, plan.LabelSyncNamespace: a.config.Owner.Namespace})
	err = a.as.follow(ctx, selection{target: t, namespace: id.Namespace, options: metav1.ListOptions{LabelSelector: selector.String()}}, watching{w})
	if err != nil {
		return r.answered("watching", object.ID{Group: id.Group, Kind: id.Kind, Namespace: id.Namespace}, nil, nil, err)
	}
	return nil
}

// watching is a follower that never has seen enough.
type watching struct{ Watcher }

func (w watching) listed(items []unstructured.Unstructured) bool {
	contents := make([]map[string]any, len(items))
	for i := range items {
		contents[i] = items[i].Object
	}
	w.Listed(contents)
	return false
}

func (w watching) happened(kind watch.EventType, u *unstructured.Unstructured) bool {
	if kind == watch.Deleted {
		gvk := u.GroupVersionKind()
		w.Left(object.ID{Group: gvk.Group, Kind: gvk.Kind, Namespace: u.GetNamespace(), Name: u.GetName()})
		return false
	}
	w.Happened(u.Object)
	return false
}

// Read gives an object as it is; nil when it, or its kind, is not there. Where the API server does not serve the version any more, the object is read in
// another one.
func (a *Applier) Read(ctx context.Context, id object.ID, version string) (map[string]any, error) {
	r := a.newRun(Request{})
	var unserved error
	for _, v := range []string{version, ""} {
		t, err := r.kinds.find(id, v)
		if own, ok := err.(*Error); ok && own.Reason == ReasonNotServed { //nolint:errorlint // find makes it, and nobody wraps it
			unserved = nil
			continue
		}
		if err != nil {
			return nil, err
		}
		live, err := a.as.in(t, id.Namespace).Get(ctx, id.Name, metav1.GetOptions{})
		switch {
		case isMissing(err) && apierrors.HasStatusCause(err, metav1.CauseTypeUnexpectedServerResponse): // it says nothing about the object
			unserved = r.answered("reading", id, nil, nil, err)
			r.kinds.again()
		case isMissing(err):
			return nil, nil
		case err != nil:
			return nil, r.answered("reading", id, nil, nil, err)
		default:
			return live.Object, nil
		}
	}
	return nil, unserved
}

// DryRun gives what an apply of the content would return for an object, by a dry run.
func (a *Applier) DryRun(ctx context.Context, o *object.Object, content map[string]any) (map[string]any, error) {
	return a.single(ctx, "trying", o, patch{content: content, dry: true, force: true})
}

// Correct applies the content to one object, whoever owns its fields, and gives the object as the API server returned it. No other apply runs meanwhile.
func (a *Applier) Correct(ctx context.Context, o *object.Object, content map[string]any) (map[string]any, error) {
	a.busy.Lock()
	defer a.busy.Unlock()
	delete(a.seen, o.ID)
	return a.single(ctx, "correcting", o, patch{content: content, force: true})
}

func (a *Applier) single(ctx context.Context, doing string, o *object.Object, p patch) (map[string]any, error) {
	r := a.newRun(Request{})
	t, err := r.kinds.find(o.ID, o.Version)
	if err != nil {
		return nil, err
	}
	live, err := a.as.apply(ctx, t, o.ID, p)
	if err != nil {
		return nil, r.answered(doing, o.ID, o, p.content, err)
	}
	return live.Object, nil
}
