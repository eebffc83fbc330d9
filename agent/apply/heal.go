package apply

import (
	"context"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/watch"

	"golang.org/x/sync/errgroup"

	"headgate.dev/agent/plan"
)

// Await waits until every object is healthy or has failed, and gives those that are not healthy, sorted by place. When the context ends before, it gives
// those that are not healthy by then, together with the context's error. Objects that are healthy as they were last seen cost no call; the others
// are watched, as the service account, which must be allowed to list and watch them.
//
// It may be called during an apply.
func (a *Applier) Await(ctx context.Context, expected []Expectation) ([]Unwell, error) {
	groups := map[group][]Expectation{}
	for _, e := range expected {
		if e.Live != nil && e.judge(e.Live).Health == Healthy {
			continue
		}
		g := group{e.ID.Group, e.ID.Kind, e.ID.Namespace}
		groups[g] = append(groups[g], e)
	}
	r := a.newRun(Request{})
	var mu sync.Mutex
	var unwell []Unwell
	var errs Errors
	var waiting errgroup.Group
	for _, g := range sortedGroups(groups) {
		h, s, err := r.healing(g, groups[g])
		if err != nil {
			errs = append(errs, err)
			continue
		}
		waiting.Go(func() error {
			err := r.as.follow(ctx, s, h)
			mu.Lock()
			defer mu.Unlock()
			unwell = append(unwell, h.unwell()...)
			if err != nil && ctx.Err() == nil {
				errs = append(errs, r.answered("watching", groups[g][0].ID, nil, nil, err))
			}
			return nil
		})
	}
	waiting.Wait() //nolint:errcheck // the errors are in errs
	if err := errs.sorted(); err != nil {
		return sortUnwell(unwell), err
	}
	return sortUnwell(unwell), ctx.Err()
}

// healing makes the follower of a group, and says what it follows: a single object, or everything of the kind that is the Sync's.
func (r *run) healing(g group, expected []Expectation) (*healing, selection, *Error) {
	t, err := r.kinds.find(expected[0].ID, "")
	if err != nil {
		return nil, selection{}, r.answered("watching", expected[0].ID, nil, nil, err)
	}
	h := &healing{expected: map[string]Expectation{}, verdicts: map[string]Verdict{}}
	for _, e := range expected {
		h.expected[e.ID.Name] = e
	}
	if len(expected) == 1 {
		return h, one(t, expected[0].ID), nil
	}
	owned := plan.LabelSync + "=" + r.config.Owner.Name + "," + plan.LabelSyncNamespace + "=" + r.config.Owner.Namespace
	return h, selection{target: t, namespace: g.namespace, options: metav1.ListOptions{LabelSelector: owned}}, nil
}

// healing is a follower that has seen enough when each of its objects is healthy or has failed.
type healing struct {
	expected map[string]Expectation // by name
	verdicts map[string]Verdict
}

func (h *healing) listed(items []unstructured.Unstructured) bool {
	for name, e := range h.expected {
		h.verdicts[name] = e.judge(nil)
	}
	for i := range items {
		h.see(items[i].GetName(), items[i].Object)
	}
	return h.settled()
}

func (h *healing) happened(kind watch.EventType, u *unstructured.Unstructured) bool {
	if kind == watch.Deleted {
		h.see(u.GetName(), nil)
	} else {
		h.see(u.GetName(), u.Object)
	}
	return h.settled()
}

func (h *healing) see(name string, live map[string]any) {
	if e, ok := h.expected[name]; ok {
		h.verdicts[name] = e.judge(live)
	}
}

func (h *healing) settled() bool {
	for _, v := range h.verdicts {
		if v.Health == Progressing {
			return false
		}
	}
	return len(h.verdicts) == len(h.expected)
}

// unwell gives the objects that are not healthy. What was never seen is on its way.
func (h *healing) unwell() []Unwell {
	var out []Unwell
	for name, e := range h.expected {
		v, seen := h.verdicts[name]
		if !seen {
			v = Verdict{Progressing, "it was not seen yet"}
		}
		if v.Health != Healthy {
			out = append(out, Unwell{ID: e.ID, Origin: e.Origin, Verdict: v})
		}
	}
	return out
}
