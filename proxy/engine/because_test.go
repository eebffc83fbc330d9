package engine

import (
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/types"

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
