package inbox

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/proxy/kube"
	"headgate.dev/proxy/live"
)

func change(name string, generation int64) kube.Change {
	c := kube.Change{Kind: kube.Gateway, Name: types.NamespacedName{Namespace: "a", Name: name}}
	if generation > 0 {
		g := &gwv1.Gateway{}
		g.Generation = generation
		c.Object = g
	}
	return c
}

// TestInbox puts changes in, takes them, and puts them back: of one object the newest counts, in the order of the first.
func TestInbox(t *testing.T) {
	i := New()
	i.PutUpTo(live.Point{3, 1}, change("x", 1), change("y", 1))
	i.PutUpTo(live.Point{2, 4}, change("x", 2))
	<-i.Wake()
	got, point := i.Take()
	if d := cmp.Diff([]kube.Change{change("x", 2), change("y", 1)}, got); d != "" {
		t.Errorf("want -, got +:\n%s", d)
	}
	if d := cmp.Diff(live.Point{3, 4}, point); d != "" {
		t.Errorf("want -, got +:\n%s", d)
	}
	i.Put(change("y", 0))
	i.PutBack(got)
	again, _ := i.Take()
	if d := cmp.Diff([]kube.Change{change("y", 0), change("x", 2)}, again); d != "" {
		t.Errorf("after putting back: want -, got +:\n%s", d)
	}
	if left, _ := i.Take(); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}
