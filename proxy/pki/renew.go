package pki

import (
	"context"
	"math/rand/v2"
	"time"
)

const (
	minRetry = 100 * time.Millisecond
	maxRetry = 30 * time.Second
)

// RenewOptions of Renew. The functions are called one at a time, from one goroutine.
type RenewOptions struct {
	// Got is given each certificate. Its error counts as a failed exchange.
	Got func(Certificate) error
	// Failed is told why there is no certificate this time, and after how long the next attempt comes. May be nil.
	Failed func(err error, again time.Duration)
	// Random gives numbers from 0 up to, not including, 1, so that a fleet does not renew in one moment. Nil: the system's.
	Random func() float64
	// After is time.After but in tests.
	After func(time.Duration) <-chan time.Time
}

func (o RenewOptions) withDefaults() RenewOptions {
	if o.Failed == nil {
		o.Failed = func(error, time.Duration) {}
	}
	if o.Random == nil {
		o.Random = rand.Float64
	}
	if o.After == nil {
		o.After = time.After
	}
	return o
}

// Renew gets certificates until the context ends: the first at once, the next when between half and 62 % of the life of
// the last are over, so that there is time to try again before two thirds are. A failed attempt is repeated after 0.1 s,
// doubling to 30 s, for ever: even a refusal may be mended meanwhile.
func (c *Client) Renew(ctx context.Context, o RenewOptions) {
	o = o.withDefaults()
	pause := minRetry
	for ctx.Err() == nil {
		cert, err := c.Exchange(ctx)
		if err == nil {
			err = o.Got(cert)
		}
		if ctx.Err() != nil {
			return
		}
		wait := renewIn(cert.NotAfter.Sub(c.now()), o.Random())
		if err != nil {
			// Half of the pause is random, for proxies that lost the controller together.
			wait = pause/2 + time.Duration(o.Random()*float64(pause/2))
			pause = min(2*pause, maxRetry)
			o.Failed(err, wait)
		} else {
			pause = minRetry
		}
		select {
		case <-o.After(wait):
		case <-ctx.Done():
		}
	}
}

// renewIn says when to renew a certificate that has that much of its life before it; random is from 0 to 1.
func renewIn(left time.Duration, random float64) time.Duration {
	const from, spread = 0.5, 0.12
	return max(time.Duration((from+spread*random)*float64(left)), minRetry)
}
