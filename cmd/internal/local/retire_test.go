package local

import (
	"net/netip"
	"testing"
	"testing/fstest"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"headgate.dev/agent"
	"headgate.dev/render"
	"headgate.dev/render/object"
)

// TestRetire takes the route to a Service away and finds its echo endpoint gone after a while, not before; and kept when
// the route comes back in time.
func TestRetire(t *testing.T) {
	stack, err := New(Options{Listen: netip.MustParseAddr("127.0.0.1"), Ports: map[int32]uint16{80: 21480}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := stack.Close(); err != nil {
			t.Error(err)
		}
	})
	var set *object.Set
	apply := func(backend string) {
		t.Helper()
		tree := fstest.MapFS{"s.yaml": shop("shop", "shop.test", "  - {path: /, to: "+backend+"}\n")}
		result, err := render.Tree(tree, ".", render.Options{Gateway: DefaultGateway, Namespace: DefaultNamespace})
		if err != nil {
			t.Fatal(err)
		}
		c := agent.Change{Set: result.Set}
		c.Put, c.Removed = object.Diff(set, result.Set)
		set = result.Set
		if err := stack.Apply(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	old := servicePort{types.NamespacedName{Namespace: DefaultNamespace, Name: "a"}, 80, false}
	retired := func() bool { _, waiting := stack.retired[old]; return waiting }

	apply("a")
	apply("b")
	if !retired() {
		t.Fatal("a port without a route is not on its way out")
	}
	apply("a")
	if retired() {
		t.Fatal("a port that is routed again is still on its way out")
	}
	apply("b")
	stack.retire(time.Now().Add(retireAfter / 2))
	if !retired() {
		t.Fatal("retired too early")
	}
	stack.retire(time.Now().Add(2 * retireAfter))
	if retired() || len(stack.backends.unrouted) != 0 {
		t.Fatal("never retired")
	}
}
