package apply

import (
	"context"
	"errors"
	"net/http"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"

	"headgate.dev/render/object"
)

// retryWatch is how long after a watch ended without anything to say the next one begins.
const retryWatch = 500 * time.Millisecond

// selection says which objects to follow.
type selection struct {
	target    target
	namespace string
	options   metav1.ListOptions // selectors only
}

// one selects one object.
func one(t target, id object.ID) selection {
	return selection{target: t, namespace: id.Namespace, options: metav1.ListOptions{
		FieldSelector: fields.OneTermEqualSelector("metadata.name", id.Name).String(),
	}}
}

// follower is told what happens to the objects of a selection, by one goroutine.
type follower interface {
	// listed has all there are, each time they were listed. It tells whether it has seen enough.
	listed(items []unstructured.Unstructured) bool
	// happened has one change. It tells whether it has seen enough.
	happened(kind watch.EventType, u *unstructured.Unstructured) bool
}

// follow lists and then watches, until the follower has seen enough, the context ends, or the API server refuses. A watch that ends is begun again.
func (c *client) follow(ctx context.Context, s selection, f follower) error {
	for {
		done, err := c.followOnce(ctx, s, f)
		if done || err != nil && !transient(err) {
			return err
		}
		if !pause(ctx, retryWatch) {
			return ctx.Err()
		}
	}
}

func (c *client) followOnce(ctx context.Context, s selection, f follower) (bool, error) {
	calls := c.in(s.target, s.namespace)
	list, err := calls.List(ctx, s.options)
	if err != nil {
		return false, err
	}
	if f.listed(list.Items) {
		return true, nil
	}
	options := s.options
	options.ResourceVersion, options.AllowWatchBookmarks = list.GetResourceVersion(), true
	w, err := calls.Watch(ctx, options)
	if err != nil {
		return false, err
	}
	defer w.Stop()
	for event := range w.ResultChan() {
		u, ok := event.Object.(*unstructured.Unstructured)
		switch {
		case event.Type == watch.Error:
			return false, apierrors.FromObject(event.Object)
		case !ok || event.Type == watch.Bookmark:
		case f.happened(event.Type, u):
			return true, nil
		}
	}
	return false, ctx.Err()
}

// transient tells whether it makes sense to ask again.
func transient(err error) bool {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	c := code(err) // 0: no answer at all
	return c == 0 || c == http.StatusGone || c == http.StatusTooManyRequests || c >= http.StatusInternalServerError
}

// awaitGone waits until the very object is gone.
func (r *run) awaitGone(ctx context.Context, t target, id object.ID, uid types.UID) error {
	return r.as.follow(ctx, one(t, id), gone{uid})
}

// gone is a follower that has seen enough when an object is gone.
type gone struct{ uid types.UID }

func (g gone) listed(items []unstructured.Unstructured) bool {
	for i := range items {
		if items[i].GetUID() == g.uid {
			return false
		}
	}
	return true
}

func (g gone) happened(kind watch.EventType, u *unstructured.Unstructured) bool {
	return kind == watch.Deleted && u.GetUID() == g.uid
}

// settle waits until the definitions that were written are served.
func (r *run) settle(ctx context.Context, jobs []*job) error {
	var definitions []*job
	for _, j := range jobs {
		if kindOf(j.id()) == definitionKind {
			definitions = append(definitions, j)
		}
	}
	if len(definitions) == 0 {
		return nil
	}
	if err := each(ctx, tasks(definitions, r.established), keepGoing); err != nil {
		return err
	}
	return r.discovered(ctx, definitions)
}

func (r *run) established(ctx context.Context, j *job) *Error {
	if served(j.written.Live) {
		return nil
	}
	if err := r.as.follow(ctx, one(j.target, j.id()), establishing{}); err != nil {
		return r.answered("waiting for", j.id(), j.Object, nil, err)
	}
	return nil
}

// establishing is a follower that has seen enough when a definition is established.
type establishing struct{}

func (establishing) listed(items []unstructured.Unstructured) bool {
	return len(items) == 1 && served(items[0].Object)
}

func (establishing) happened(kind watch.EventType, u *unstructured.Unstructured) bool {
	return kind != watch.Deleted && served(u.Object)
}

// served tells whether a definition is established.
func served(definition map[string]any) bool {
	conditions, _, _ := unstructured.NestedSlice(definition, "status", "conditions")
	for _, c := range conditions {
		m, _ := c.(map[string]any)
		if m["type"] == "Established" && m["status"] == "True" {
			return true
		}
	}
	return false
}

// discovered waits until the API server also says that it serves definitions, a moment after they are established. It does not announce that, so it is
// asked again.
func (r *run) discovered(ctx context.Context, definitions []*job) error {
	wait := 20 * time.Millisecond
	for {
		r.kinds.again()
		missing := r.undiscovered(definitions)
		if missing == nil {
			return nil
		}
		if !pause(ctx, wait) {
			return r.answered("waiting for", missing.id(), missing.Object, nil, ctx.Err())
		}
		wait = min(2*wait, time.Second)
	}
}

// undiscovered gives a definition that is not discovered yet, nil when all are.
func (r *run) undiscovered(definitions []*job) *job {
	for _, j := range definitions {
		kind, _, _ := unstructured.NestedString(j.Object.Content, "spec", "names", "kind")
		group, _, _ := unstructured.NestedString(j.Object.Content, "spec", "group")
		versions, _, _ := unstructured.NestedSlice(j.Object.Content, "spec", "versions")
		for _, v := range versions {
			m, _ := v.(map[string]any)
			name, _ := m["name"].(string)
			if m["served"] != true {
				continue
			}
			if _, err := r.kinds.mapper.RESTMapping(schema.GroupKind{Group: group, Kind: kind}, name); err != nil {
				return j
			}
		}
	}
	return nil
}
