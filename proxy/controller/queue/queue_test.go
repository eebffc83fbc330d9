package queue

import (
	"context"
	"errors"
	"testing"
	"time"
)

// TestQueue works a name again after an error and when asked to, and takes nothing before it leads.
func TestQueue(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	worked := make(chan string, 8)
	times := map[string]int{}
	q := Queue[string]{Name: "test", Workers: 1, Failed: func(k string, err error) { worked <- k + " " + err.Error() }}
	q.Work = func(_ context.Context, k string) (time.Duration, error) {
		times[k]++
		switch {
		case k == "fails" && times[k] == 1:
			return 0, errors.New("once")
		case k == "again" && times[k] == 1:
			worked <- "again for now"
			return time.Millisecond, nil
		}
		worked <- k
		return 0, nil
	}
	q.Init()
	q.Add("early")
	q.Lead()
	done := make(chan struct{})
	go func() { q.Run(ctx); close(done) }()
	for _, c := range []struct{ add, then string }{{"fails", "fails once"}, {"", "fails"}, {"again", "again for now"}, {"", "again"}} {
		if c.add != "" {
			q.Add(c.add)
		}
		select {
		case got := <-worked:
			if got != c.then {
				t.Fatalf("got %q, want %q", got, c.then)
			}
		case <-ctx.Done():
			t.Fatalf("waiting for %q", c.then)
		}
	}
	cancel()
	<-done
}
