package pace

import (
	"testing"
	"time"
)

func TestBackoff(t *testing.T) {
	for _, test := range []struct {
		failures int
		interval time.Duration
		random   float64
		want     time.Duration
	}{
		{1, time.Minute, 0, 500 * time.Millisecond}, {1, time.Minute, 1, time.Second}, {4, time.Minute, 1, 8 * time.Second},
		{100, time.Minute, 1, 5 * time.Minute}, {100, time.Hour, 1, time.Hour}, {0, time.Minute, 1, time.Second},
	} {
		if got := Backoff(test.failures, test.interval, test.random); got != test.want {
			t.Errorf("%+v: got %s", test, got)
		}
	}
	if low, high := Spread(time.Minute, 0), Spread(time.Minute, 1); low != 54*time.Second || high != 66*time.Second {
		t.Errorf("spread from %s to %s", low, high)
	}
}
