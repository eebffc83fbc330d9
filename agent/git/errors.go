package git

import (
	"errors"
	"fmt"
	"strings"
)

// NotFoundError says that a repository, a reference or a commit does not exist (any more).
type NotFoundError struct {
	// Ref is what was looked for, empty when the repository itself is missing.
	Ref string
	// Where is the repository: a URL without credentials, or a path.
	Where string
	// Hint says what to do, if anything is known.
	Hint string
}

// Error implements error.
func (e *NotFoundError) Error() string {
	if e.Ref == "" {
		return withHint(fmt.Sprintf("looking for a Git repository at %s: not found", e.Where), e.Hint)
	}
	return withHint(fmt.Sprintf("looking for %s in %s: not found", e.Ref, e.Where), e.Hint)
}

// AuthError says that a server wants other credentials, or cannot be trusted with ours.
type AuthError struct {
	URL string
	Err error
}

// Error implements error.
func (e *AuthError) Error() string { return fmt.Sprintf("authenticating to %s: %v", e.URL, e.Err) }

// Unwrap gives the cause.
func (e *AuthError) Unwrap() error { return e.Err }

// TooBigError says that something is beyond a limit.
type TooBigError struct {
	// What is what there is too much of: a path, or a URL with a noun.
	What string
	// Limit is the bound that was crossed, and Unit what it counts.
	Limit int64
	Unit  string
	Hint  string
}

// Error implements error.
func (e *TooBigError) Error() string {
	return withHint(fmt.Sprintf("%s: more than the limit of %d %s", e.What, e.Limit, e.Unit), e.Hint)
}

// BadInput tells a renderer that a file is wrong, not that reading it went wrong.
func (e *TooBigError) BadInput() bool { return true }

// BadInput is as for TooBigError.
func (e *UnsupportedError) BadInput() bool { return true }

// UnsupportedError says that something is valid Git but cannot be used here, and what to do instead.
type UnsupportedError struct {
	Doing, What, Remedy string
}

// Error implements error.
func (e *UnsupportedError) Error() string {
	return withHint(strings.TrimPrefix(e.Doing+": ", ": ")+e.What+" is not supported", e.Remedy)
}

// LinkError says that a path is a symbolic link or leads through one. Links are shown but never followed.
type LinkError struct {
	// Link is the path of the link, Target where it points.
	Link, Target string
}

// Error implements error.
func (e *LinkError) Error() string {
	return fmt.Sprintf("%s is a symbolic link to %q, and links are not followed: put the file itself there", e.Link, e.Target)
}

// SignatureError says that a commit, or the tag that led to it, is not signed by any of the given keys.
type SignatureError struct {
	Revision string
	// Tag is the tag whose signature was wanted; empty where it was the commit's.
	Tag string
	// Unsigned: there is no signature at all.
	Unsigned bool
	Err      error
}

// Error implements error.
func (e *SignatureError) Error() string {
	what, err := e.Revision, e.Err
	if e.Tag != "" {
		what = fmt.Sprintf("the tag of %s", e.Revision)
	}
	switch {
	case e.Unsigned && e.Tag != "":
		err = errors.New("the tag is not signed")
	case e.Unsigned:
		err = errors.New("the commit is not signed")
	}
	return fmt.Sprintf("verifying the signature of %s: %v", what, err)
}

// Unwrap gives the cause.
func (e *SignatureError) Unwrap() error { return e.Err }

func withHint(s, hint string) string {
	if hint == "" {
		return s
	}
	return s + ": " + hint
}
