package drift

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"headgate.dev/schema"
)

func TestLags(t *testing.T) {
	now := time.Date(2026, 11, 30, 3, 0, 0, 0, time.UTC)
	condition := func(kind string, status metav1.ConditionStatus, ago time.Duration) metav1.Condition {
		return metav1.Condition{Type: kind, Status: status, Reason: "Because", Message: "it is so", LastTransitionTime: metav1.NewTime(now.Add(-ago))}
	}
	ready := condition(schema.SyncReady, metav1.ConditionTrue, time.Hour)
	for _, c := range []struct {
		conditions []metav1.Condition
		suspend    bool
		want       string
	}{
		{nil, false, ""},
		{[]metav1.Condition{ready}, false, ""},
		{[]metav1.Condition{condition(schema.SyncReady, metav1.ConditionFalse, time.Minute)}, false, ""},
		{[]metav1.Condition{condition(schema.SyncReady, metav1.ConditionFalse, time.Hour)}, false, "stale"},
		{[]metav1.Condition{condition(schema.SyncReady, metav1.ConditionFalse, time.Hour)}, true, ""},
		{[]metav1.Condition{condition(schema.SyncReady, metav1.ConditionUnknown, LagAfter)}, false, "stale"},
		{[]metav1.Condition{ready, condition(schema.SyncLive, metav1.ConditionFalse, time.Hour)}, false, "not-live"},
		{[]metav1.Condition{ready, condition(schema.SyncLive, metav1.ConditionTrue, time.Hour)}, false, ""},
		{[]metav1.Condition{condition(schema.SyncReady, metav1.ConditionFalse, -time.Hour)}, false, ""}, // a clock was put back
	} {
		s := &schema.Sync{Spec: schema.SyncSpec{Suspend: c.suspend}, Status: schema.SyncStatus{Conditions: c.conditions}}
		got := ""
		for _, l := range Lags(s, now, LagAfter) {
			got += l.Key
		}
		if got != c.want {
			t.Errorf("%v: %q, want %q", c.conditions, got, c.want)
		}
	}
}
