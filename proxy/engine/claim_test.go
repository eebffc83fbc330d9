package engine

import (
	"fmt"
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/proxy/kube"
)

func claimsOf(e *Engine, changes ...kube.Change) []string {
	var out []string
	for _, c := range e.Claims(changes) {
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
