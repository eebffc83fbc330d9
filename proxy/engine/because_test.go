package engine

import (
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/proxy/kube"
	"headgate.dev/proxy/kube/kubetest"
)

// TestConcerns: whatever a step sends to a fleet has an object of the batch to answer for, and a change that comes alone
// answers for everything.
func TestConcerns(t *testing.T) {
	for seed := range uint64(40) {
		w := kubetest.NewWorld(seed)
		e := New(testOptions(false))
		e.Step(w.Fill())
		for n := range 200 {
			batch := w.Changes(1 + n%4)
			var refs []kube.Ref
			for _, c := range batch {
				refs = append(refs, kube.Ref{Kind: c.Kind, Name: c.Name})
			}
			effects := e.Step(batch)
			var fleets []string
			for _, c := range effects.Concerns {
				if !slices.Contains(refs, c.Object) {
					t.Fatalf("seed %d: %v is concerned and has not changed", seed, c.Object)
				}
				fleets = append(fleets, c.Fleet)
			}
			for _, x := range effects.XDS {
				if !slices.Contains(fleets, x.Fleet) {
					t.Fatalf("seed %d: nothing of %v answers for %v of %s", seed, refs, x.Key, x.Fleet)
				}
				if len(batch) == 1 && !slices.Contains(effects.Concerns, Concern{refs[0], x.Fleet}) {
					t.Fatalf("seed %d: %v does not answer for %v of %s", seed, refs[0], x.Key, x.Fleet)
				}
			}
		}
	}
}

// TestConcernOfWhatIsThere: a route whose cluster another route brought answers for the fleet all the same.
func TestConcernOfWhatIsThere(t *testing.T) {
	w := kubetest.NewWorld(1)
	e := New(testOptions(false))
	effects := e.Step(w.Fill())
	for ref, r := range e.routes {
		for i := range r.Attachments {
			gateway := r.Attachments[i].Gateway
			for _, o := range []kube.Ref{ref, {Kind: kube.Gateway, Name: gateway}, {Kind: kube.GatewayClass, Name: types.NamespacedName{Name: string(e.snapshot.Gateway(gateway).Spec.GatewayClassName)}}} {
				if c := (Concern{o, gateway.String()}); !slices.Contains(effects.Concerns, c) {
					t.Errorf("%v is missing", c)
				}
			}
		}
	}
}

// TestLeft: a ListenerSet that names another Gateway, or whose Gateway goes, is said to have left.
func TestLeft(t *testing.T) {
	s := newShared(t)
	set := &gwv1.ListenerSet{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "s", Generation: 1, ResourceVersion: "1"}}
	set.Spec.ParentRef.Name = "g"
	set.Spec.Listeners = []gwv1.ListenerEntry{{Name: "more", Port: 81, Protocol: gwv1.HTTPProtocolType}}
	name := types.NamespacedName{Namespace: "a", Name: "s"}
	if e := s.Step([]kube.Change{kube.ChangeOf(kube.ListenerSet, set)}); len(e.Left) > 0 {
		t.Errorf("when it comes: %v", e.Left)
	}
	moved := set.DeepCopy()
	moved.Generation, moved.ResourceVersion, moved.Spec.ParentRef.Name = 2, "2", "nobody"
	if e := s.Step([]kube.Change{kube.ChangeOf(kube.ListenerSet, moved)}); !slices.Equal(e.Left, []types.NamespacedName{name}) {
		t.Errorf("when it names another: %v", e.Left)
	}
	set.Generation, set.ResourceVersion = 3, "3"
	s.Step([]kube.Change{kube.ChangeOf(kube.ListenerSet, set)})
	gone := kube.Change{Kind: kube.Gateway, Name: types.NamespacedName{Namespace: "a", Name: "g"}}
	if e := s.Step([]kube.Change{gone}); !slices.Equal(e.Left, []types.NamespacedName{name}) {
		t.Errorf("when its Gateway goes: %v", e.Left)
	}
}
