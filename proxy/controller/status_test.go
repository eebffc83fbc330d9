package controller

import (
	"context"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/proxy/engine"
)

// few is a client for Gateways by name and one ListenerSet.
type few struct {
	client.Client
	gateways map[string]bool
	set      *gwv1.ListenerSet
	writes   int
}

func (f *few) Get(_ context.Context, key client.ObjectKey, o client.Object, _ ...client.GetOption) error {
	switch o := o.(type) {
	case *gwv1.ListenerSet:
		f.set.DeepCopyInto(o)
		return nil
	case *gwv1.Gateway:
		if f.gateways[key.Name] {
			return nil
		}
	}
	return apierrors.NewNotFound(schema.GroupResource{}, key.Name)
}

func (f *few) Status() client.SubResourceWriter { return &fewStatus{few: f} }

type fewStatus struct {
	client.SubResourceWriter
	few *few
}

func (f *fewStatus) Update(_ context.Context, o client.Object, _ ...client.SubResourceUpdateOption) error {
	f.few.writes++
	o.(*gwv1.ListenerSet).DeepCopyInto(f.few.set)
	return nil
}

// A ListenerSet that left its Gateway does not keep what that said, unless another Gateway answers for it.
func TestOrphan(t *testing.T) {
	for parent, written := range map[string]bool{"gone": true, "ours": false, "theirs": false} {
		set := &gwv1.ListenerSet{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "s", Generation: 2}}
		set.Spec.ParentRef.Name = gwv1.ObjectName(parent)
		set.Status.Conditions = []metav1.Condition{{Type: "Accepted", Status: metav1.ConditionTrue, Reason: "Accepted", ObservedGeneration: 1}}
		f := &few{gateways: map[string]bool{"ours": true, "theirs": true}, set: set}
		w := &writer{client: f, book: newBook(), now: time.Now}
		w.book.gateways[types.NamespacedName{Namespace: "a", Name: "ours"}] = engine.GatewayState{}
		for range 2 { // the second time there is nothing to write
			if err := w.orphan(t.Context(), types.NamespacedName{Namespace: "a", Name: "s"}); err != nil {
				t.Fatal(err)
			}
		}
		c := meta.FindStatusCondition(f.set.Status.Conditions, "Accepted")
		if (f.writes == 1) != written || (c.Status == metav1.ConditionFalse && c.ObservedGeneration == 2) != written {
			t.Errorf("%s: %d writes, %+v", parent, f.writes, c)
		}
	}
}
