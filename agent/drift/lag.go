package drift

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"headgate.dev/schema"
)

// LagAfter is how long the cluster may be behind Git, and the Envoys behind the cluster, until people are told.
const LagAfter = 5 * time.Minute

// Lag is that something does not follow.
type Lag struct {
	// Key is stale or not-live.
	Key         string
	Since       time.Time
	Title, Line string
}

// Keys of a Lag.
const (
	// LagStale: Git moved, and the cluster does not follow.
	LagStale = "stale"
	// LagNotLive: it was applied, and not every Envoy has it.
	LagNotLive = "not-live"
)

// Lags says what has not followed for some time: the cluster behind Git, with the reason, or the Envoys behind the cluster.
func Lags(s *schema.Sync, now time.Time, least time.Duration) []Lag {
	if s.Spec.Suspend || s.DeletionTimestamp != nil {
		return nil
	}
	ready, live := meta.FindStatusCondition(s.Status.Conditions, schema.SyncReady), meta.FindStatusCondition(s.Status.Conditions, schema.SyncLive)
	switch {
	case late(ready, now, least):
		what := "the cluster does not follow Git"
		if s.Status.Revision != "" {
			what = fmt.Sprintf("the cluster stays at %s", s.Status.Revision)
		}
		return []Lag{{Key: LagStale, Since: ready.LastTransitionTime.UTC(), Title: fmt.Sprintf("Sync %s/%s is stale: %s", s.Namespace, s.Name, what), Line: ready.Reason + ": " + ready.Message}}
	case ready != nil && ready.Status == metav1.ConditionTrue && late(live, now, least):
		return []Lag{{Key: LagNotLive, Since: live.LastTransitionTime.UTC(), Title: fmt.Sprintf("Sync %s/%s is applied and not live", s.Namespace, s.Name), Line: live.Reason + ": " + live.Message}}
	}
	return nil
}

func late(c *metav1.Condition, now time.Time, least time.Duration) bool {
	return c != nil && c.Status != metav1.ConditionTrue && now.Sub(c.LastTransitionTime.Time) >= least
}
