// Package pace says when to look again.
package pace

import "time"

// Spread gives a time up to a tenth longer or shorter. The random number is in [0,1).
func Spread(d time.Duration, random float64) time.Duration {
	return d + time.Duration((random-0.5)*0.2*float64(d))
}

// Backoff gives the time to the next try after a number of failures in a row: a second, then twice as long each time, up to five minutes or
// the interval where that is longer; a random half of it is left out, so that what failed together does not come back together.
func Backoff(failures int, interval time.Duration, random float64) time.Duration {
	d := time.Second << min(max(failures-1, 0), 12)
	d = min(d, max(5*time.Minute, interval))
	return d/2 + time.Duration(random*float64(d)/2)
}
