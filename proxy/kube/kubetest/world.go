// Package kubetest makes small random clusters for tests: objects of every kind over few names, so that they meet, and
// sequences of changes to them. The same seed gives the same sequence.
package kubetest

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"headgate.dev/proxy/kube"
)

// Class is the GatewayClass that most Gateways name, and Controller the controller that it usually belongs to.
const (
	Class      = "headgate"
	Controller = "headgate.dev/gateway"
)

// World is a cluster at one moment.
type World struct {
	rng     *rand.Rand
	objects map[kube.Ref]kube.Object
	changes int64 // how many there were: the resource version
}

// NewWorld makes an empty world.
func NewWorld(seed uint64) *World {
	return &World{rng: rand.New(rand.NewPCG(seed, seed^0x9e3779b97f4a7c15)), objects: map[kube.Ref]kube.Object{}}
}

// Fill gives the changes that make a world with about a third of all possible objects.
func (w *World) Fill() []kube.Change { return w.Changes(160) }

// Changes makes n random changes and returns them in their order: objects that appear, change in what matters, change in
// nothing that matters, disappear, or are deleted without having been there. One object may change more than once.
func (w *World) Changes(n int) []kube.Change {
	out := make([]kube.Change, n)
	for i := range out {
		out[i] = w.change()
	}
	return out
}

// All lists every object as it is now, sorted by kind and name: what a Snapshot has after all changes so far.
func (w *World) All() []kube.Change {
	refs := slices.SortedFunc(maps.Keys(w.objects), kube.CompareRefs)
	out := make([]kube.Change, len(refs))
	for i, r := range refs {
		out[i] = kube.Change{Kind: r.Kind, Name: r.Name, Object: w.objects[r]}
	}
	return out
}

func (w *World) change() kube.Change {
	w.changes++
	r := w.ref()
	old := w.objects[r]
	switch {
	case old != nil && w.one(4), old == nil && w.one(20):
		delete(w.objects, r)
		return kube.Change{Kind: r.Kind, Name: r.Name}
	case old != nil && w.one(6):
		w.objects[r] = w.sameAgain(old)
	default:
		w.objects[r] = w.object(r, old)
	}
	return kube.Change{Kind: r.Kind, Name: r.Name, Object: w.objects[r]}
}

// ref picks which object changes: routes most often, as in life.
func (w *World) ref() kube.Ref {
	kind := pick(w, []kube.Kind{
		kube.HTTPRoute, kube.HTTPRoute, kube.HTTPRoute, kube.HTTPRoute, kube.HTTPRoute, kube.Gateway, kube.Gateway, kube.Gateway, kube.Service, kube.Service,
		kube.Service, kube.EndpointSlice, kube.EndpointSlice, kube.ReferenceGrant, kube.ReferenceGrant, kube.Namespace, kube.GatewayClass,
		kube.GRPCRoute, kube.GRPCRoute, kube.TCPRoute, kube.TCPRoute, kube.UDPRoute, kube.UDPRoute, kube.TLSRoute, kube.TLSRoute, kube.TLSRoute,
		kube.ListenerSet, kube.ListenerSet, kube.Secret, kube.Secret, kube.ConfigMap, kube.BackendTLSPolicy, kube.BackendTLSPolicy,
	})
	name := types.NamespacedName{Namespace: pick(w, namespaces), Name: fmt.Sprintf("%s-%d", pick(w, []string{"one", "two"}), w.rng.IntN(2))}
	switch kind {
	case kube.GatewayClass:
		name = types.NamespacedName{Name: pick(w, []string{Class, "other"})}
	case kube.Namespace:
		name = types.NamespacedName{Name: pick(w, namespaces)}
	case kube.Gateway:
		name.Name = pick(w, gateways)
	case kube.Service:
		name.Name = pick(w, services)
	case kube.ListenerSet:
		name.Name = pick(w, sets)
	case kube.Secret:
		name.Name = pick(w, secrets)
	case kube.ConfigMap:
		name.Name = pick(w, configMaps)
	}
	return kube.Ref{Kind: kind, Name: name}
}

var (
	namespaces = []string{"a", "b", "c"}
	gateways   = []string{"gw", "edge"}
	services   = []string{"shop", "cart", "auth"}
	sets       = []string{"extra", "more"}
	secrets    = []string{"certificate", "other"}
	configMaps = []string{"ca", "older-ca"}
)

// sameAgain copies an object with metadata and a managed field that say nothing new.
func (w *World) sameAgain(o kube.Object) kube.Object {
	o = o.DeepCopyObject().(kube.Object)
	o.SetResourceVersion(fmt.Sprint(w.changes))
	o.SetManagedFields([]metav1.ManagedFieldsEntry{{Manager: fmt.Sprint(w.changes)}})
	return o
}

// meta gives the metadata of a new state of an object: a new age only where there was none before.
func (w *World) meta(r kube.Ref, old kube.Object) metav1.ObjectMeta {
	m := metav1.ObjectMeta{
		Namespace: r.Name.Namespace, Name: r.Name.Name, ResourceVersion: fmt.Sprint(w.changes), Generation: 1,
		UID:               types.UID(fmt.Sprint(w.changes)),
		CreationTimestamp: metav1.Time{Time: time.Unix(1700000000+w.rng.Int64N(3), 0).UTC()},
	}
	if old != nil {
		m.UID, m.CreationTimestamp, m.Generation = old.GetUID(), old.GetCreationTimestamp(), old.GetGeneration()+1
	}
	return m
}

// one is true once in n times.
func (w *World) one(n int) bool { return w.rng.IntN(n) == 0 }

func pick[T any](w *World, from []T) T { return from[w.rng.IntN(len(from))] }

// some picks up to n with repeats.
func some[T any](w *World, n int, from []T) []T {
	out := make([]T, w.rng.IntN(n+1))
	for i := range out {
		out[i] = pick(w, from)
	}
	return out
}

func ptr[T any](v T) *T { return &v }
