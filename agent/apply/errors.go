package apply

import (
	"fmt"
	"slices"
	"strings"

	"headgate.dev/agent/fields"
	"headgate.dev/render/object"
)

// Reason says what kind of error it is.
type Reason string

// Reasons.
const (
	// ReasonForbidden: the service account may not do it (Verb, Resource, Namespace).
	ReasonForbidden Reason = "forbidden"
	// ReasonConflict: other managers own fields that the object sets (Conflicts).
	ReasonConflict Reason = "conflict"
	// ReasonImmutable: a field cannot be changed; the object would have to be made again.
	ReasonImmutable Reason = "immutable"
	// ReasonRefused: an admission webhook or policy refused the object.
	ReasonRefused Reason = "refused"
	// ReasonInvalid: the API server does not take the object as it is.
	ReasonInvalid Reason = "invalid"
	// ReasonQuota: a quota of the namespace is used up.
	ReasonQuota Reason = "quota"
	// ReasonTerminating: the namespace, or the object itself, is being deleted.
	ReasonTerminating Reason = "terminating"
	// ReasonNoNamespace: the namespace is not there.
	ReasonNoNamespace Reason = "no namespace"
	// ReasonNotServed: the API server does not know the kind.
	ReasonNotServed Reason = "not served"
	// ReasonTimeout: there was no time left.
	ReasonTimeout Reason = "timeout"
	// ReasonChanged: the object was changed by others again and again while it was written.
	ReasonChanged Reason = "changed meanwhile"
	// ReasonUnavailable: the API server did not answer, or not with an answer.
	ReasonUnavailable Reason = "unavailable"
)

// Error is what went wrong with one object, or with all of a kind. Secrets' values are not in it.
type Error struct {
	Reason Reason
	// Doing is what was being done: "applying", "trying", "removing", "reading".
	Doing string
	// ID is the object; without a name, all objects of a kind in a namespace. Zero: the cluster.
	ID object.ID
	// Origin is where the object, or the field that is wrong, was written. Zero for objects that Git does not have.
	Origin object.Origin
	// Message is the API server's, or says more.
	Message string
	// Verb, Resource ("httproutes.gateway.networking.k8s.io") and Namespace are what the account may not do, for ReasonForbidden.
	Verb, Resource, Namespace string
	// Conflicts are for ReasonConflict, at least one.
	Conflicts []fields.Conflict

	cause error
}

// Error implements error: "shop/route.yaml:3:1: applying HTTPRoute team-a/shop: ...".
func (e *Error) Error() string {
	var b strings.Builder
	if e.Origin.File != "" {
		b.WriteString(e.Origin.String() + ": ")
	}
	b.WriteString(e.Doing)
	if e.ID.Kind != "" {
		b.WriteString(" " + describe(e.ID))
	}
	b.WriteString(": " + e.Message)
	return b.String()
}

// Unwrap gives the context's or the network's error where there is one. An API server's own answer is not kept: it may quote secrets.
func (e *Error) Unwrap() error { return e.cause }

// Retryable tells whether the same apply may succeed later with neither Git nor the Sync changed.
func (e *Error) Retryable() bool {
	switch e.Reason {
	case ReasonInvalid, ReasonImmutable, ReasonConflict:
		return false
	}
	return true
}

func describe(id object.ID) string {
	if id.Name != "" {
		return id.String()
	}
	if id.Namespace == "" {
		return "objects of kind " + id.Kind
	}
	return "objects of kind " + id.Kind + " in namespace " + id.Namespace
}

// Errors are the errors of several objects, at least one, sorted by origin and ID.
type Errors []*Error

// errorsShown is how many errors a message has.
const errorsShown = 5

// Error implements error.
func (e Errors) Error() string {
	var b strings.Builder
	for i, err := range e {
		if i == errorsShown {
			fmt.Fprintf(&b, "; and %d more", len(e)-i)
			break
		}
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(err.Error())
	}
	return b.String()
}

// Unwrap gives the errors one by one.
func (e Errors) Unwrap() []error {
	out := make([]error, len(e))
	for i, err := range e {
		out[i] = err
	}
	return out
}

// Retryable tells whether every one of them is.
func (e Errors) Retryable() bool {
	return !slices.ContainsFunc(e, func(err *Error) bool { return !err.Retryable() })
}

func (e Errors) has(reason Reason) bool {
	return slices.ContainsFunc(e, func(err *Error) bool { return err.Reason == reason })
}

// sorted gives the errors in the order of places and IDs, nil when there are none.
func (e Errors) sorted() error {
	if len(e) == 0 {
		return nil
	}
	slices.SortStableFunc(e, func(a, b *Error) int {
		if c := strings.Compare(a.Origin.File, b.Origin.File); c != 0 {
			return c
		}
		if c := a.Origin.Line - b.Origin.Line; c != 0 {
			return c
		}
		return object.Compare(a.ID, b.ID)
	})
	return e
}
