package track

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/proxy/kube"
	"headgate.dev/proxy/live"
)

func route(uid types.UID, generation int64, version string) *gwv1.HTTPRoute {
	return &gwv1.HTTPRoute{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "r", UID: uid, Generation: generation, ResourceVersion: version}}
}

// change is that of an object of that name; nil: it is gone.
func change(ref kube.Ref, o kube.Object) *kube.Change {
	return &kube.Change{Kind: ref.Kind, Name: ref.Name, Object: o}
}

// What is known of a want, from the object as it was taken in last and up to where its kind was.
func TestFindWant(t *testing.T) {
	write := Want{UID: "u", Generation: 2, ResourceVersion: "20"}
	unversioned := Want{UID: "u", ResourceVersion: "20"}
	removal := Want{UID: "u", ResourceVersion: "20", Removed: true}
	lost := Want{UID: "u", Generation: 2}
	const far, near = 1000, 5
	for _, c := range []struct {
		name string
		want Want
		was  kube.Object // before it is nil
		is   kube.Object
		upTo uint64
		in   bool
	}{
		{"a write that has not come", write, nil, nil, near, false},
		{"an earlier generation", write, nil, route("u", 1, "19"), far, false},
		{"the generation", write, nil, route("u", 2, "20"), near, true},
		{"a later generation", write, nil, route("u", 3, "100"), near, true},
		{"a kind without generations, before", unversioned, nil, &corev1.Service{ObjectMeta: metav1.ObjectMeta{UID: "u", ResourceVersion: "9"}}, near, false},
		{"a kind without generations, after", unversioned, nil, &corev1.Service{ObjectMeta: metav1.ObjectMeta{UID: "u", ResourceVersion: "20"}}, near, true},
		{"an object of that name before it", write, nil, route("older", 7, "19"), near, false},
		{"an object of that name after it", write, nil, route("younger", 1, "21"), far, true},
		{"a write that somebody undid", write, nil, nil, far, true},
		{"a write that somebody undid, seen", lost, route("u", 2, "20"), nil, near, true},
		{"a write of which nothing is known", lost, nil, nil, far, false},
		{"whichever there is", Want{}, nil, route("any", 7, "3"), near, true},
		{"whichever there is, and it has not come", Want{}, nil, nil, far, false},
		{"the removal of whichever there is", Want{Removed: true}, nil, route("any", 7, "3"), near, false},
		{"a removal", removal, route("u", 2, "20"), nil, far, true},
		{"a removal of what has not come", removal, nil, nil, near, false},
		{"a removal that has not come", removal, nil, route("u", 2, "21"), far, false},
		{"a removal, and another object since", removal, nil, route("younger", 1, "30"), far, true},
		{"a removal, and another object before", removal, nil, route("older", 1, "3"), near, false},
	} {
		r := New(types.NamespacedName.String, func(kube.Kind) bool { return false })
		p := live.Point(nil).With(int(kube.HTTPRoute), c.upTo)
		ref := kube.Ref{Kind: kube.HTTPRoute}
		if c.was != nil {
			r.put(change(ref, c.was), nil, p, time.Time{})
		}
		if c.was != nil || c.is != nil {
			r.put(change(ref, c.is), nil, p, time.Time{})
		}
		if _, in := r.Find(kube.HTTPRoute, &c.want, p); in != c.in {
			t.Errorf("%s: %v", c.name, in)
		}
	}
}

// A removal that nobody watched is live nowhere, and in for nobody, before it is known at which version it had happened.
func TestUnseenRemoval(t *testing.T) {
	r := New(types.NamespacedName.String, func(kube.Kind) bool { return false })
	ref := kube.Ref{Kind: kube.HTTPRoute, Name: types.NamespacedName{Namespace: "a", Name: "r"}}
	at := func(v uint64) live.Point { return live.Point(nil).With(int(kube.HTTPRoute), v) }
	none := func(kube.Ref) bool { return false }
	start := time.Unix(1000, 0)
	want := Want{Name: ref.Name, UID: "u", Removed: true}
	gone := change(ref, nil)
	gone.Unseen = true
	r.put(change(ref, route("u", 1, "10")), []string{"f"}, at(10), start)
	if refs, _ := r.Reached("f", at(15), none, start); len(refs) != 1 {
		t.Fatal("it is not live")
	}
	r.put(gone, nil, at(15), start.Add(2*time.Second))
	if refs, _ := r.Reached("f", at(15), none, start); len(refs) > 0 || !r.Open("f", ref) {
		t.Error("live at a point that may be before it")
	}
	if _, in := r.Find(ref.Kind, &want, at(15)); in {
		t.Error("in, though nobody knows as of when")
	}
	if r.Known(at(15), start.Add(time.Second)) {
		t.Error("known from what was read before it")
	}
	if !r.Known(at(20), start.Add(3*time.Second)) || r.Known(at(30), start.Add(3*time.Second)) {
		t.Error("not known, or twice")
	}
	if o, in := r.Find(ref.Kind, &want, at(20)); !in || o.Version != 20 {
		t.Errorf("got %+v, %v", o, in)
	}
	if refs, _ := r.Reached("f", at(19), none, start); len(refs) > 0 {
		t.Error("live before its version")
	}
	if _, done := r.Reached("f", at(20), none, start); len(done) != 1 || !done[0].Removed {
		t.Errorf("not live: %+v", done)
	}
	// One that comes back is none any more.
	r.put(change(ref, route("v", 1, "21")), nil, at(21), start)
	r.put(gone, nil, at(22), start)
	r.put(change(ref, route("w", 1, "23")), nil, at(23), start)
	if r.Known(at(30), start.Add(time.Hour)) || r.Get(ref).Version != 23 {
		t.Errorf("got %+v", r.Get(ref))
	}
}

// What is still under way when an object changes again stays to be waited for, and removals are remembered for a while.
func TestOpenFleets(t *testing.T) {
	r := New(types.NamespacedName.String, func(kube.Kind) bool { return false })
	ref := kube.Ref{Kind: kube.HTTPRoute, Name: types.NamespacedName{Namespace: "a", Name: "r"}}
	at := func(v uint64) live.Point { return live.Point(nil).With(int(kube.HTTPRoute), v) }
	none := func(kube.Ref) bool { return false }
	start := time.Unix(1000, 0)
	r.put(change(ref, route("u", 1, "10")), []string{"f"}, at(10), start)
	r.put(change(ref, route("u", 2, "11")), []string{"g"}, at(11), start)
	if !r.Open("f", ref) || !r.Open("g", ref) {
		t.Error("what was under way is forgotten")
	}
	if refs, _ := r.Reached("f", at(10), none, start); len(refs) > 0 {
		t.Error("live before its version")
	}
	if refs, _ := r.Reached("f", at(11), func(kube.Ref) bool { return true }, start); len(refs) > 0 {
		t.Error("live though it is refused")
	}
	if refs, done := r.Reached("f", at(11), none, start); len(refs) != 1 || len(done) > 0 {
		t.Errorf("live in one of two fleets: %v, %v", refs, done)
	}
	if _, done := r.Reached("g", at(12), none, start.Add(time.Second)); len(done) != 1 || done[0] != (Settled{ref, 2, false, time.Second}) {
		t.Errorf("live in both: %v", done)
	}
	r.put(change(ref, nil), []string{"g"}, at(20), start)
	if o := r.Get(ref); !o.Removed || o.Version != 20 || !r.Open("g", ref) {
		t.Errorf("removed: %+v", o)
	}
	r.Forget("g")
	if r.Open("g", ref) {
		t.Error("a fleet that is gone is waited for")
	}
	for i := range tombstones + 1 {
		other := kube.Ref{Kind: kube.HTTPRoute, Name: types.NamespacedName{Namespace: "b", Name: string(rune('0' + i))}}
		r.put(change(other, route("v", 1, "21")), nil, at(21), start)
		r.put(change(other, nil), nil, at(22), start)
	}
	r.Reached("f", at(22), none, start)
	r.bury()
	if r.Get(ref) != nil || len(r.gone) != tombstones {
		t.Errorf("%d removals are remembered", len(r.gone))
	}
}
