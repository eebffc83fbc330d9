package forge

import (
	"fmt"
	"time"
)

// Reason says why a request came to nothing.
type Reason string

// Reasons of an [Error].
const (
	// Unauthorized: the credentials are missing, wrong or expired.
	Unauthorized Reason = "unauthorized"
	// Forbidden: the host knows who asks and refuses. Another token helps, trying again does not.
	Forbidden Reason = "forbidden"
	// NotFound: there is no such thing, or these credentials may not see it; hosts do not tell which.
	NotFound Reason = "not found"
	// RateLimited: not before Error.Until. Until then the client answers this itself, without asking.
	RateLimited Reason = "rate limited"
	// Unavailable: no answer, or one that says that the host is in trouble. Try again later.
	Unavailable Reason = "unavailable"
	// Invalid: the host understood the request and refuses what is in it.
	Invalid Reason = "invalid"
	// Unexpected: an answer that makes no sense: too long, cut off, not JSON, incomplete, a redirect to elsewhere.
	Unexpected Reason = "unexpected answer"
)

// Error is the error of every method of a [Client].
type Error struct {
	Reason Reason
	// Doing says what was being done and to what, as in "listing pull requests of team-a/shop".
	Doing string
	// Host is the name of the host, with its port if it has an unusual one.
	Host string
	// Status is the HTTP status, 0 when there was no answer.
	Status int
	// Until is when to try again; only RateLimited always has it.
	Until time.Time
	// Err is the cause. Text from the host in it is quoted and short.
	Err error
}

// Error implements error.
func (e *Error) Error() string {
	s := fmt.Sprintf("%s at %s: %s", e.Doing, e.Host, e.Reason)
	if e.Status != 0 {
		s += fmt.Sprintf(" (%d)", e.Status)
	}
	if !e.Until.IsZero() {
		s += " until " + e.Until.UTC().Format(time.RFC3339)
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }
