package process

import (
	"context"
	"fmt"
	"time"
)

// Drain says how a proxy that is to end takes leave of its clients.
type Drain struct {
	// Delay is how long new connections may still come: until everybody has heard that this proxy is to get none. Listeners
	// stay open all the while, and longer, so that nobody is refused.
	Delay time.Duration
	// Timeout bounds the wait for the last connection, after Delay. An HTTP connection ends with its next answer; one that
	// nobody uses, or of another protocol, ends when the client likes.
	Timeout time.Duration
	// Poll is how often Envoy is asked for its connections. 0: 0.5 s.
	Poll time.Duration
}

const defaultPoll = 500 * time.Millisecond

// Drain takes leave: it returns when no client is connected, or time is up, or the context ends, and says how many
// connections are left. Envoy goes on running.
func (a *Admin) Drain(ctx context.Context, d Drain) (left int, err error) {
	if err := a.CloseGently(ctx); err != nil {
		return 0, fmt.Errorf("draining Envoy: %w", err)
	}
	d.Poll = or(d.Poll, defaultPoll)
	// Timers of the two waits.
	delay, timeout := time.After(d.Delay), time.After(d.Delay+d.Timeout)
	select {
	case <-delay:
	case <-ctx.Done():
		return 0, nil
	}
	ticker := time.NewTicker(d.Poll)
	defer ticker.Stop()
	for none := 0; ; {
		if left, err = a.Connections(ctx); err != nil {
			if ctx.Err() != nil {
				return left, nil
			}
			return 0, fmt.Errorf("draining Envoy: %w", err)
		}
		// The first answer may be older than the delay.
		if none++; left > 0 {
			none = 0
		} else if none > 1 {
			return 0, nil
		}
		select {
		case <-ticker.C:
		case <-timeout:
			return left, nil
		case <-ctx.Done():
			return left, nil
		}
	}
}
