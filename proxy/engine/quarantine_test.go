package engine

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/proxy/envoy"
	"headgate.dev/proxy/kube"
)

// shared is an engine with several routes on one host, and an Envoy that refuses whatever has a text in it.
type shared struct {
	*testing.T
	*Engine
	has map[fleetKey][]byte // what Envoy has
}

func newShared(t *testing.T, routes ...kube.Change) *shared {
	class := &gwv1.GatewayClass{ObjectMeta: metav1.ObjectMeta{Name: "c"}, Spec: gwv1.GatewayClassSpec{ControllerName: "example.com/controller"}}
	g := &gwv1.Gateway{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "g"}}
	g.Spec.GatewayClassName = "c"
	g.Spec.Listeners = []gwv1.Listener{{Name: "http", Port: 80, Protocol: gwv1.HTTPProtocolType}}
	s := &shared{T: t, Engine: New(Options{Controller: "example.com/controller"}), has: map[fleetKey][]byte{}}
	s.take(s.Step(append([]kube.Change{
		kube.ChangeOf(kube.GatewayClass, class), kube.ChangeOf(kube.Gateway, g),
		kube.ChangeOf(kube.Namespace, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "a"}}),
	}, routes...)))
	return s
}

// path makes a route of the host that has a path of its own.
func path(name, path string, generation int64) kube.Change {
	r := &gwv1.HTTPRoute{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: name, UID: types.UID(name), Generation: generation, ResourceVersion: fmt.Sprint(name, generation)}}
	r.Spec.ParentRefs = []gwv1.ParentReference{{Name: "g"}}
	r.Spec.Hostnames = []gwv1.Hostname{"shop.example"}
	code := 302
	r.Spec.Rules = []gwv1.HTTPRouteRule{{
		Matches: []gwv1.HTTPRouteMatch{{Path: &gwv1.HTTPPathMatch{Value: &path}}},
		Filters: []gwv1.HTTPRouteFilter{{Type: gwv1.HTTPRouteFilterRequestRedirect, RequestRedirect: &gwv1.HTTPRequestRedirectFilter{StatusCode: &code}}},
	}}
	return kube.ChangeOf(kube.HTTPRoute, r)
}

// take gives Envoy what a step brought, as often as it refuses something.
func (s *shared) take(e Effects) {
	for range 20 {
		var refused *Change
		for i, x := range e.XDS {
			k := fleetKey{x.Fleet, x.Key}
			switch {
			case x.Body == nil:
				delete(s.has, k)
			case bytes.Contains(x.Body, []byte("/bad")):
				refused = &e.XDS[i]
			default:
				s.has[k] = x.Body
			}
		}
		if refused == nil {
			return
		}
		e = s.Refused(refused.Fleet, refused.Key, s.steps, "no")
	}
	s.Fatal("Envoy goes on refusing")
}

// serves lists which of the paths Envoy has.
func (s *shared) serves(paths ...string) (out []string) {
	for _, p := range paths {
		for k, body := range s.has {
			if k.Type == envoy.RouteType && bytes.Contains(body, []byte(p)) {
				out = append(out, p)
				break
			}
		}
	}
	return out
}

func (s *shared) expect(what string, serves []string, pinned ...string) {
	s.Helper()
	var names []string
	for _, p := range s.Pinned() {
		names = append(names, p.Ref.Name.Name)
	}
	if got := s.serves("/a1", "/a2", "/a3", "/b1", "/b2", "/c1", "/bad"); !slices.Equal(got, serves) || !slices.Equal(names, pinned) {
		s.Errorf("%s: Envoy serves %v, want %v; %v are in quarantine, want %v", what, got, serves, names, pinned)
	}
}

// A route that Envoy refuses is served as it was before, and what shares its host goes on.
func TestQuarantine(t *testing.T) {
	s := newShared(t, path("a", "/a1", 1), path("b", "/b1", 1))
	s.expect("all is well", []string{"/a1", "/b1"})
	s.take(s.Step([]kube.Change{path("a", "/bad", 2)}))
	s.expect("a is refused", []string{"/a1", "/b1"}, "a")
	s.take(s.Step([]kube.Change{path("b", "/b2", 2)}))
	s.expect("b changes", []string{"/a1", "/b2"}, "a")
	s.take(s.Step([]kube.Change{path("a", "/bad2", 3)}))
	s.expect("a is refused again", []string{"/a1", "/b2"}, "a")
	s.take(s.Step([]kube.Change{path("a", "/a2", 4)}))
	s.expect("a is good", []string{"/a2", "/b2"})
	s.Settle(kube.Ref{Kind: kube.HTTPRoute, Name: types.NamespacedName{Namespace: "a", Name: "a"}}, 4)
	if len(s.before) != 1 {
		t.Errorf("%d routes are remembered as they were, want that of b", len(s.before))
	}
	s.take(s.Step([]kube.Change{path("c", "/bad", 1)}))
	s.expect("a new one is refused", []string{"/a2", "/b2"}, "c")
	s.take(s.Step([]kube.Change{{Kind: kube.HTTPRoute, Name: types.NamespacedName{Namespace: "a", Name: "c"}}}))
	s.expect("it is gone", []string{"/a2", "/b2"})
}

// Of several routes that came at once, only the bad one is put into quarantine.
func TestQuarantineFindsTheOne(t *testing.T) {
	for _, bad := range []string{"a", "b", "c"} {
		paths := map[string]string{"a": "/a1", "b": "/b1", "c": "/c1"}
		paths[bad] = "/bad"
		s := newShared(t, path("a", paths["a"], 1), path("b", paths["b"], 1), path("c", paths["c"], 1))
		var want []string
		for _, name := range []string{"a", "b", "c"} {
			if name != bad {
				want = append(want, paths[name])
			}
		}
		s.expect("at the first step", want, bad)
		s.take(s.Step([]kube.Change{path(bad, "/a3", 2)}))
		s.expect("it is good", slices.Sorted(slices.Values(append(want, "/a3"))))
	}
}

// What somebody else's change takes from a route in quarantine it does not keep: it is looked at anew.
func TestQuarantineEndsWithPermission(t *testing.T) {
	s := newShared(t, path("a", "/a1", 1))
	s.take(s.Step([]kube.Change{path("a", "/bad", 2)}))
	s.expect("a is refused", []string{"/a1"}, "a")
	g := s.snapshot.Gateway(types.NamespacedName{Namespace: "a", Name: "g"}).DeepCopy()
	g.Generation, g.ResourceVersion = 2, "2"
	host := gwv1.Hostname("*.example")
	g.Spec.Listeners[0].Hostname = &host
	s.take(s.Step([]kube.Change{kube.ChangeOf(kube.Gateway, g)}))
	s.expect("its Gateway changes", nil, "a")
}

// A proxy that cannot have the port of a listener refuses it whatever leads there: no route is put into quarantine for that.
func TestNoQuarantineForAPort(t *testing.T) {
	s := newShared(t)
	g := s.snapshot.Gateway(types.NamespacedName{Namespace: "a", Name: "g"}).DeepCopy()
	g.Generation, g.ResourceVersion = 2, "2"
	g.Spec.Listeners = append(g.Spec.Listeners, gwv1.Listener{Name: "tcp", Port: 81, Protocol: gwv1.TCPProtocolType})
	r := &gwv1.TCPRoute{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "t", UID: "t", Generation: 1, ResourceVersion: "1"}}
	section, port := gwv1.SectionName("tcp"), gwv1.PortNumber(80)
	r.Spec.ParentRefs = []gwv1.ParentReference{{Name: "g", SectionName: &section}}
	r.Spec.Rules = []gwv1.TCPRouteRule{{BackendRefs: []gwv1.BackendRef{{BackendObjectReference: gwv1.BackendObjectReference{Name: "s", Port: &port}}}}}
	e := s.Step([]kube.Change{kube.ChangeOf(kube.Gateway, g), kube.ChangeOf(kube.TCPRoute, r)})
	listener := slices.IndexFunc(e.XDS, func(c Change) bool { return c.Type == envoy.ListenerType })
	if listener < 0 {
		t.Fatalf("there is no listener in %+v", e.XDS)
	}
	x := e.XDS[listener]
	if behind := s.RoutesBehind(x.Fleet, x.Key); len(behind) != 1 {
		t.Fatalf("behind the listener are %v", behind)
	}
	s.Refused(x.Fleet, x.Key, s.steps, "Error adding/updating listener(s) a/g/81: cannot bind '[::]:81': Address already in use")
	if pinned := s.Pinned(); len(pinned) > 0 {
		t.Errorf("in quarantine: %v", pinned)
	}
	s.Refused(x.Fleet, x.Key, s.steps, "no")
	if pinned := s.Pinned(); len(pinned) != 1 {
		t.Errorf("in quarantine for another reason: %v", pinned)
	}
}
