package forge

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	// longestWait bounds what a header can demand: hosts count by the hour, and a wrong one must not silence us for a year.
	longestWait = 2 * time.Hour
	// secondaryWait is what GitHub asks for when it names no time, doubled at each refusal in a row.
	secondaryWait = time.Minute
	longestBlind  = 16 * time.Minute
)

// limiter remembers what a host said about its limits. It is a value without a lock.
type limiter struct {
	until     time.Time
	refusals  int // in a row, without a time named by the host
	remaining int
	reset     time.Time
	known     bool
}

// answer notes what an answer says, and tells whether it is a refusal because of limits. The limits are GitHub's (X-RateLimit-*, Retry-After, and
// secondary limits that may only be told by their text) and GitLab's (RateLimit-*, Retry-After).
func (l *limiter) answer(now time.Time, res *http.Response, body []byte) bool {
	l.note(now, res.Header)
	refused := res.StatusCode == http.StatusTooManyRequests ||
		res.StatusCode == http.StatusForbidden && (l.exhausted(res.Header) || res.Header.Get("Retry-After") != "" || speaksOfLimits(body)) ||
		res.StatusCode == http.StatusServiceUnavailable && res.Header.Get("Retry-After") != ""
	if !refused {
		if res.StatusCode < http.StatusBadRequest {
			l.refusals = 0
		}
		if l.exhausted(res.Header) { // this one was answered, the next will not be
			l.hold(now, l.reset)
		}
		return false
	}
	switch after, ok := retryAfter(now, res.Header); {
	case ok:
		l.hold(now, after)
	case l.exhausted(res.Header):
		l.hold(now, l.reset)
	default:
		l.hold(now, now.Add(min(secondaryWait<<min(l.refusals, 8), longestBlind)))
		l.refusals++
	}
	return true
}

func (l *limiter) hold(now, until time.Time) {
	if latest := now.Add(longestWait); until.After(latest) {
		until = latest
	}
	if earliest := now.Add(time.Second); until.Before(earliest) {
		until = earliest
	}
	if until.After(l.until) {
		l.until = until
	}
}

func (l *limiter) exhausted(h http.Header) bool {
	v := first(h, "X-RateLimit-Remaining", "RateLimit-Remaining")
	return v == "0" && l.known
}

// note reads how much is left. The time of the reset is on the host's clock, which need not be ours.
func (l *limiter) note(now time.Time, h http.Header) {
	remaining, err := strconv.Atoi(first(h, "X-RateLimit-Remaining", "RateLimit-Remaining"))
	if err != nil || remaining < 0 {
		l.known = false
		return
	}
	epoch, err := strconv.ParseInt(first(h, "X-RateLimit-Reset", "RateLimit-Reset"), 10, 64)
	if err != nil || epoch <= 0 {
		l.known = false
		return
	}
	reset := time.Unix(epoch, 0)
	if date, err := http.ParseTime(h.Get("Date")); err == nil {
		reset = now.Add(reset.Sub(date))
	}
	l.remaining, l.reset, l.known = remaining, reset, true
}

// retryAfter reads RFC 9110's Retry-After: seconds, or a date.
func retryAfter(now time.Time, h http.Header) (time.Time, bool) {
	v := h.Get("Retry-After")
	if n, err := strconv.ParseUint(v, 10, 31); err == nil {
		return now.Add(time.Duration(n) * time.Second), true
	}
	if t, err := http.ParseTime(v); err == nil {
		if date, err := http.ParseTime(h.Get("Date")); err == nil {
			t = now.Add(t.Sub(date))
		}
		return t, true
	}
	return time.Time{}, false
}

// speaksOfLimits: GitHub refuses with 403 for limits as for permissions, and does not always send a header with it.
func speaksOfLimits(body []byte) bool {
	text := strings.ToLower(string(body[:min(len(body), 4096)]))
	return strings.Contains(text, "secondary rate limit") || strings.Contains(text, "rate limit exceeded") || strings.Contains(text, "abuse detection")
}

func first(h http.Header, names ...string) string {
	for _, name := range names {
		if v := h.Get(name); v != "" {
			return v
		}
	}
	return ""
}
