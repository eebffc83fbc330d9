package engine

import (
	"fmt"
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/proxy/kube"
)

func claimsOf(e *Engine, changes ...kube.Change) []string { return claimsBeside(e, nil, changes...) }

// claimsBeside is claimsOf when somebody else is about to have something.
func claimsBeside(e *Engine, asks map[Ask]kube.Ref, changes ...kube.Change) []string {
	var out []string
	list, _ := e.Claims(changes, func(a Ask) (kube.Ref, bool) { by, ok := asks[a]; return by, ok })
	for _, c := range list {
		what := "the port"
		if c.Host != nil {
			what = c.Host.ID.Name + " " + c.Route.Match.Path
		}
		out = append(out, fmt.Sprintf("%s: %s of %s", c.Source.Name.Name, what, c.By.Name.Name))
	}
	return out
}

// TestClaims: a route that asks for what another has is named before it is there; one that asks for what it has itself, for something else, or for
// what only comes with it is not.
func TestClaims(t *testing.T) {
	s := newShared(t, path("one", "/one", 1), path("two", "/two", 1))
	steps, objects := s.steps, len(s.Snapshot().Names(kube.HTTPRoute))
	for _, test := range []struct {
		name    string
		changes []kube.Change
		want    []string
	}{
		{"the same path", []kube.Change{path("new", "/one", 1)}, []string{"new: shop.example /one of one"}},
		{"another path", []kube.Change{path("new", "/one/more", 1)}, nil},
		{"its own", []kube.Change{path("one", "/one", 2)}, nil},
		{"a move to another's", []kube.Change{path("one", "/two", 2)}, []string{"one: shop.example /two of two"}},
		{"two that come together", []kube.Change{path("new", "/new", 1), path("newer", "/new", 1)}, nil},
		{"two that change places", []kube.Change{path("one", "/two", 2), path("two", "/one", 2)}, nil},
		{"a removal", []kube.Change{{Kind: kube.HTTPRoute, Name: path("one", "/", 1).Name}}, nil},
	} {
		if got := claimsOf(s.Engine, test.changes...); !slices.Equal(got, test.want) {
			t.Errorf("%s: got %q, want %q", test.name, got, test.want)
		}
	}
	if s.steps != steps || len(s.Snapshot().Names(kube.HTTPRoute)) != objects {
		t.Error("asking has changed something")
	}
	// What a route has already, though another one answers, is no claim.
	s.take(s.Step([]kube.Change{path("late", "/one", 1)}))
	if got := claimsOf(s.Engine, path("late", "/one", 2)); got != nil {
		t.Errorf("got %q", got)
	}
}

// TestClaimsOfTwo: what somebody is about to have counts as if it was there, with a host that is still to come too.
func TestClaimsOfTwo(t *testing.T) {
	s := newShared(t, path("one", "/one", 1))
	none := func(Ask) (kube.Ref, bool) { return kube.Ref{}, false }
	elsewhere := func(name, at string) kube.Change {
		c := path(name, at, 1)
		c.Object.(*gwv1.HTTPRoute).Spec.Hostnames = []gwv1.Hostname{"new.example"}
		return c
	}
	if _, asks := s.Claims([]kube.Change{path("one", "/one", 2)}, none); len(asks) != 0 {
		t.Errorf("asks for %v, which it has", asks)
	}
	_, asks := s.Claims([]kube.Change{path("first", "/new", 1), elsewhere("other", "/")}, none)
	for _, test := range []struct {
		name   string
		change kube.Change
		want   []string
	}{
		{"the same path", path("second", "/new", 1), []string{"second: shop.example /new of first"}},
		{"another path", path("second", "/newer", 1), nil},
		{"a new host", elsewhere("second", "/"), []string{"second: new.example / of other"}},
		{"the same route", path("first", "/new", 1), nil},
	} {
		if got := claimsBeside(s.Engine, asks, test.change); !slices.Equal(got, test.want) {
			t.Errorf("%s: got %q, want %q", test.name, got, test.want)
		}
	}
}

// TestClaimsOfPorts: below HTTP the whole port is claimed.
func TestClaimsOfPorts(t *testing.T) {
	s := newShared(t)
	g := s.Snapshot().Gateway(path("g", "/", 1).Name).DeepCopy()
	g.Generation, g.ResourceVersion = 2, "2"
	g.Spec.Listeners = append(g.Spec.Listeners, gwv1.Listener{Name: "tcp", Port: 5432, Protocol: gwv1.TCPProtocolType})
	tcp := func(name string) kube.Change {
		r := &gwv1.TCPRoute{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: name, ResourceVersion: name}}
		r.Spec.ParentRefs = []gwv1.ParentReference{{Name: "g"}}
		r.Spec.Rules = []gwv1.TCPRouteRule{{BackendRefs: []gwv1.BackendRef{{BackendObjectReference: gwv1.BackendObjectReference{Name: "db", Port: new(gwv1.PortNumber)}}}}}
		*r.Spec.Rules[0].BackendRefs[0].Port = 5432
		return kube.ChangeOf(kube.TCPRoute, r)
	}
	s.Step([]kube.Change{kube.ChangeOf(kube.Gateway, g), tcp("one")})
	if got, want := claimsOf(s.Engine, tcp("two")), []string{"two: the port of one"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := claimsOf(s.Engine, tcp("one")); got != nil {
		t.Errorf("got %q", got)
	}
}
