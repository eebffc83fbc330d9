package apply

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"headgate.dev/agent/fields"
	"headgate.dev/render/object"
)

// What an API server's refusal means can often be told by its text alone. All such texts are here.
var (
	// forbiddenText: pods "x" is forbidden: User "system:serviceaccount:a:b" cannot get resource "pods" in API group "" in the namespace "c".
	forbiddenText = regexp.MustCompile(`cannot (\S+) resource "([^"]+)" in API group "([^"]*)"(?: in the namespace "([^"]+)")?`)
	// deniedText are admission webhooks and admission policies.
	deniedText = regexp.MustCompile(`admission webhook "[^"]+" denied the request|` +
		`AdmissionPolicy '[^']+' with binding '[^']+' denied request`)
	// webhookText: the webhook itself does not work.
	webhookText = regexp.MustCompile(`failed calling webhook "[^"]+"`)
	// immutableText are the ways in which types of Kubernetes and rules of definitions say that a field stays as it is.
	immutableText = regexp.MustCompile(`(?i)\bimmutable\b|may not (be )?changed? once set|(may not|must not|cannot|can not|can't) be (changed|updated|modified)|` +
		`updates to \S+ spec for fields other than|pod updates may not change fields|may not change fields other than|cannot change roleRef`)
	quotaText = regexp.MustCompile(`exceeded quota: `)
	// undeclaredText: .spec.colour: field not declared in schema; unknown field "spec.colour".
	undeclaredText = regexp.MustCompile(`: \.(\S+): field not declared in schema|unknown field "([^"]+)"`)
	missingText    = regexp.MustCompile(`^namespaces "[^"]+" not found$`)
)

// answered turns the error of a call into an Error. Doing and the object are the caller's; the origin is that of the object, or of the
// field that the server names. Applied is what was sent, or nil.
func (r *run) answered(doing string, id object.ID, o *object.Object, applied map[string]any, err error) *Error {
	e := &Error{Doing: doing, ID: id, cause: err, Reason: ReasonUnavailable}
	if o != nil {
		e.Origin = o.Origin
	}
	var own *Error
	if errors.As(err, &own) {
		return own
	}
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		e.Message = r.mask().text(network(err), o)
		switch {
		case errors.Is(err, context.DeadlineExceeded):
			e.Reason, e.Message = ReasonTimeout, "there was no time left"
		case errors.Is(err, context.Canceled):
			e.Reason, e.Message = ReasonTimeout, "it was given up"
		}
		return e
	}
	e.cause = nil
	said := status.Status()
	e.Reason = reasonOf(said)
	e.Message = r.mask().text(said.Message, o)
	switch e.Reason {
	case ReasonForbidden:
		e.forbidden(said, r.account())
	case ReasonConflict:
		e.Conflicts = fields.Conflicts(causesOf(said), applied)
		e.Message = conflictMessage(e.Conflicts)
	case ReasonInvalid, ReasonImmutable:
		if o != nil {
			e.Origin = placeOf(o, said)
		}
	}
	if e.Reason == ReasonImmutable {
		e.Message += "; set force on the Sync to have it deleted and made again"
	}
	return e
}

// network says why there is no answer, without the address and the ports, which are others each time.
func network(err error) string {
	var operation *net.OpError
	var call *url.Error
	switch {
	case errors.As(err, &operation):
		err = operation.Err
	case errors.As(err, &call):
		err = call.Err
	default:
		return err.Error()
	}
	return "the API server does not answer: " + err.Error()
}

func causesOf(s metav1.Status) []metav1.StatusCause {
	if s.Details == nil {
		return nil
	}
	return s.Details.Causes
}

// reasonOf sorts an answer into the kinds of errors.
func reasonOf(s metav1.Status) Reason {
	switch {
	case webhookText.MatchString(s.Message):
		return ReasonUnavailable
	case deniedText.MatchString(s.Message):
		return ReasonRefused
	case hasCause(s, metav1.CauseTypeFieldManagerConflict):
		return ReasonConflict
	case hasCause(s, "NamespaceTerminating"):
		return ReasonTerminating
	case missingText.MatchString(s.Message):
		return ReasonNoNamespace
	case s.Reason == metav1.StatusReasonForbidden && quotaText.MatchString(s.Message):
		return ReasonQuota
	case immutable(s):
		return ReasonImmutable
	}
	return reasonOfCode(s)
}

func reasonOfCode(s metav1.Status) Reason {
	switch s.Code {
	case http.StatusForbidden, http.StatusUnauthorized:
		return ReasonForbidden
	case http.StatusConflict:
		return ReasonChanged
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotAcceptable:
		return ReasonNotServed
	case http.StatusRequestTimeout, http.StatusGatewayTimeout:
		return ReasonTimeout
	case http.StatusTooManyRequests:
		return ReasonUnavailable
	}
	if s.Code >= http.StatusInternalServerError {
		return serverError(s)
	}
	return ReasonInvalid
}

// serverError tells what is wrong with the object from what is wrong with the server: a type conversion that does not work is said with 500.
func serverError(s metav1.Status) Reason {
	if s.Code == http.StatusInternalServerError && strings.Contains(s.Message, "failed to create typed patch object") {
		return ReasonInvalid
	}
	return ReasonUnavailable
}

func hasCause(s metav1.Status, cause metav1.CauseType) bool {
	for _, c := range causesOf(s) {
		if c.Type == cause {
			return true
		}
	}
	return false
}

// immutable tells whether all that is wrong is that fields cannot be changed: then the same object would be taken as a new one.
func immutable(s metav1.Status) bool {
	if s.Code != http.StatusUnprocessableEntity && s.Code != http.StatusForbidden {
		return false
	}
	causes := causesOf(s)
	if len(causes) == 0 {
		return immutableText.MatchString(s.Message)
	}
	for _, c := range causes {
		if !immutableText.MatchString(c.Message) {
			return false
		}
	}
	return true
}

// forbidden says what the account lacks.
func (e *Error) forbidden(s metav1.Status, account string) {
	if m := forbiddenText.FindStringSubmatch(s.Message); m != nil {
		e.Verb, e.Resource, e.Namespace = m[1], m[2], m[4]
		if m[3] != "" {
			e.Resource += "." + m[3]
		}
		where := " in the whole cluster"
		if e.Namespace != "" {
			where = " in namespace " + e.Namespace
		}
		if e.Verb == "impersonate" {
			e.Message = "headgate may not act as " + account + ": " + e.Message
			return
		}
		e.Message = fmt.Sprintf("%s may not %s %s%s", account, e.Verb, e.Resource, where)
		return
	}
	e.Message = account + " may not: " + e.Message
}

func conflictMessage(conflicts []fields.Conflict) string {
	parts := make([]string, len(conflicts))
	for i, c := range conflicts {
		parts[i] = c.String()
	}
	return strings.Join(parts, "; ") + ": take the field out of Git, leave it to its owner with ignore, or take it over with force"
}

// placeOf gives the place of the field that the answer names first.
func placeOf(o *object.Object, s metav1.Status) object.Origin {
	if m := undeclaredText.FindStringSubmatch(s.Message); m != nil {
		return o.OriginOf(pointerOf(m[1] + m[2]))
	}
	for _, c := range causesOf(s) {
		if c.Field != "" {
			return o.OriginOf(pointerOf(c.Field))
		}
	}
	return o.Origin
}

// fieldToken is a part of a field's name in an API server's answer: .name, [0], [key].
var fieldToken = regexp.MustCompile(`\[([^\]]*)\]|([^.\[\]]+)`)

// pointerOf turns spec.rules[0].name into /spec/rules/0/name.
func pointerOf(field string) string {
	var b strings.Builder
	for _, m := range fieldToken.FindAllStringSubmatch(field, -1) {
		token := m[1] + m[2]
		b.WriteString("/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(strings.Trim(token, `"`)))
	}
	return b.String()
}
