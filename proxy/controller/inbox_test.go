package controller

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/proxy/kube"
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
	i := newInbox()
	i.put(change("x", 1), change("y", 1))
	i.put(change("x", 2))
	<-i.wake
	got := i.take()
	if d := cmp.Diff([]kube.Change{change("x", 2), change("y", 1)}, got); d != "" {
		t.Errorf("want -, got +:\n%s", d)
	}
	i.put(change("y", 0))
	i.putBack(got)
	if d := cmp.Diff([]kube.Change{change("y", 0), change("x", 2)}, i.take()); d != "" {
		t.Errorf("after putting back: want -, got +:\n%s", d)
	}
	if left := i.take(); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}
