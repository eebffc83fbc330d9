package drift

import (
	"slices"
	"strings"
	"time"

	"headgate.dev/agent/fields"
	"headgate.dev/render/object"
)

// durations are the fields of Gateway API, by name, whose values are durations (GEP-2257).
var durations = []string{"request", "backendRequest", "backoff", "absoluteTimeout", "idleTimeout"}

// sameDuration tells whether a change is only that a duration is written in another way: 60s is 1m.
func sameDuration(id object.ID, c fields.Change) bool {
	if !strings.HasSuffix(id.Group, "gateway.networking.k8s.io") || c.Kind != fields.Changed {
		return false
	}
	if !slices.Contains(durations, c.Pointer[strings.LastIndexByte(c.Pointer, '/')+1:]) {
		return false
	}
	a, isA := c.Applied.(string)
	b, isB := c.Live.(string)
	if !isA || !isB {
		return false
	}
	da, errA := time.ParseDuration(a)
	db, errB := time.ParseDuration(b)
	return errA == nil && errB == nil && da == db
}
