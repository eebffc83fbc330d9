package condition_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"headgate.dev/proxy/resolve/condition"
)

var (
	early = metav1.NewTime(time.Unix(1000, 0))
	late  = metav1.NewTime(time.Unix(2000, 0))
)

// TestMerge: what each kind of existing condition comes to.
func TestMerge(t *testing.T) {
	existing := []metav1.Condition{
		{Type: "Theirs", Status: "False", LastTransitionTime: early},
		{Type: "Same", Status: "True", Reason: "Old", LastTransitionTime: early, ObservedGeneration: 1},
		{Type: "Gone", Status: "True", LastTransitionTime: early},
		{Type: "Later", Status: "True", Reason: "Later", LastTransitionTime: early, ObservedGeneration: 3},
		{Type: "Turned", Status: "True", LastTransitionTime: early, ObservedGeneration: 2},
	}
	wanted := []condition.Condition{
		condition.True("Same", "New", "m"), condition.False("Later", "Earlier", "m"), condition.False("Turned", "Off", "m"), condition.True("First", "New", "m"),
	}
	got := condition.Merge(existing, wanted, []string{"Gone", "Never"}, condition.Stamp{Generation: 2, Now: late})
	want := []metav1.Condition{
		existing[0],
		{Type: "Same", Status: "True", Reason: "New", Message: "m", LastTransitionTime: early, ObservedGeneration: 2},
		existing[3],
		{Type: "Turned", Status: "False", Reason: "Off", Message: "m", LastTransitionTime: late, ObservedGeneration: 2},
		{Type: "First", Status: "True", Reason: "New", Message: "m", LastTransitionTime: late, ObservedGeneration: 2},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}
}

func TestBounded(t *testing.T) {
	for n, want := range map[int]string{0: "", 2: "m0; m1", 5: "m0; m1; m2; m3; m4", 7: "m0; m1; m2; m3; m4; and 2 more"} {
		if got := condition.Bounded(n, func(i int) string { return fmt.Sprintf("m%d", i) }); got != want {
			t.Errorf("%d: %q", n, got)
		}
	}
}

func TestSet(t *testing.T) {
	cs := []condition.Condition{condition.True("A", "A", "")}
	if !condition.Is(cs, "A") || condition.Is(cs, "B") || !condition.AllTrue(cs) {
		t.Errorf("%+v", cs)
	}
	condition.Set(&cs, condition.False("A", "No", ""))
	condition.Set(&cs, condition.True("B", "B", ""))
	if len(cs) != 2 || condition.Is(cs, "A") || !condition.Is(cs, "B") || condition.AllTrue(cs) {
		t.Errorf("%+v", cs)
	}
}
