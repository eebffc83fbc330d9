package apply

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"headgate.dev/agent/plan"
	"headgate.dev/render/object"
)

func testRun(t *testing.T, secrets ...string) *run {
	t.Helper()
	a := &Applier{config: Config{Owner: plan.Owner{Namespace: "team-a", Name: "shop"}, Account: "deployer"}, seen: map[object.ID]seen{}}
	return a.newRun(Request{Secrets: secrets})
}

func testObject(t *testing.T, apiVersion, kind string, content map[string]any) *object.Object {
	t.Helper()
	all := map[string]any{"apiVersion": apiVersion, "kind": kind, "metadata": map[string]any{"name": "shop", "namespace": "team-a"}}
	for key, value := range content {
		all[key] = value
	}
	o, err := object.New(all, object.Origin{File: "shop.yaml", Line: 3, Column: 1}, map[string]object.Origin{
		"/spec/rules/0/backendRefs": {File: "shop.yaml", Line: 9, Column: 5},
	})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// The texts are those of a real API server, 1.37.
func TestAnswers(t *testing.T) {
	route := testObject(t, "gateway.networking.k8s.io/v1", "HTTPRoute", nil)
	cause := func(kind metav1.CauseType, field, message string) metav1.StatusCause {
		return metav1.StatusCause{Type: kind, Field: field, Message: message}
	}
	for _, c := range []struct {
		name      string
		code      int32
		reason    metav1.StatusReason
		message   string
		causes    []metav1.StatusCause
		want      Reason
		says      string
		retryable bool
	}{
		{"forbidden", 403, metav1.StatusReasonForbidden,
			`httproutes.gateway.networking.k8s.io "shop" is forbidden: User "system:serviceaccount:team-a:deployer" cannot patch resource "httproutes" in API group "gateway.networking.k8s.io" in the namespace "team-a"`,
			nil, ReasonForbidden,
			"shop.yaml:3:1: applying HTTPRoute team-a/shop: service account team-a/deployer may not patch httproutes.gateway.networking.k8s.io in namespace team-a", true},
		{"forbidden in the cluster", 403, metav1.StatusReasonForbidden,
			`namespaces "shop" is forbidden: User "system:serviceaccount:team-a:deployer" cannot patch resource "namespaces" in API group "" at the cluster scope`,
			nil, ReasonForbidden, "service account team-a/deployer may not patch namespaces in the whole cluster", true},
		{"impersonation", 403, metav1.StatusReasonForbidden,
			`serviceaccounts "deployer" is forbidden: User "system:serviceaccount:headgate-system:headgate" cannot impersonate resource "serviceaccounts" in API group "" in the namespace "team-a"`,
			nil, ReasonForbidden, "headgate may not act as service account team-a/deployer: ", true},
		{"escalation", 403, metav1.StatusReasonForbidden,
			`roles.rbac.authorization.k8s.io "r" is forbidden: user "system:serviceaccount:team-a:deployer" (groups=["system:serviceaccounts"]) is attempting to grant RBAC permissions not currently held:`,
			nil, ReasonForbidden, "is attempting to grant RBAC permissions not currently held", true},
		{"conflict", 409, metav1.StatusReasonConflict, `Apply failed with 1 conflict: conflict with "flagger" using gateway.networking.k8s.io/v1: .spec.rules`,
			[]metav1.StatusCause{cause(metav1.CauseTypeFieldManagerConflict, ".spec.rules", `conflict with "flagger" using gateway.networking.k8s.io/v1`)},
			ReasonConflict, "spec.rules is owned by flagger: take the field out of Git, leave it to its owner with ignore, or take it over with force", false},
		{"changed", 409, metav1.StatusReasonConflict, `Operation cannot be fulfilled on httproutes "shop": the object has been modified; please apply your changes to the latest version and try again`,
			nil, ReasonChanged, "the object has been modified", true},
		{"immutable", 422, metav1.StatusReasonInvalid, `Deployment.apps "shop" is invalid: spec.selector: Invalid value: {"matchLabels":{"a":"b"}}: field is immutable`,
			[]metav1.StatusCause{cause(metav1.CauseTypeFieldValueInvalid, "spec.selector", `Invalid value: {"matchLabels":{"a":"b"}}: field is immutable`)},
			ReasonImmutable, "field is immutable; set force on the Sync to have it deleted and made again", false},
		{"immutable and wrong", 422, metav1.StatusReasonInvalid, `Deployment.apps "shop" is invalid: [...]`,
			[]metav1.StatusCause{
				cause(metav1.CauseTypeFieldValueInvalid, "spec.selector", "field is immutable"),
				cause(metav1.CauseTypeFieldValueRequired, "spec.template.spec.containers", "Required value"),
			}, ReasonInvalid, "is invalid", false},
		{"stateful set", 422, metav1.StatusReasonInvalid, `StatefulSet.apps "shop" is invalid: spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template' are forbidden`,
			[]metav1.StatusCause{cause(metav1.CauseTypeForbidden, "spec", "Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template' are forbidden")},
			ReasonImmutable, "deleted and made again", false},
		{"invalid", 422, metav1.StatusReasonInvalid, `HTTPRoute.gateway.networking.k8s.io "shop" is invalid: spec.rules[0].backendRefs[0].port: Invalid value: 0`,
			[]metav1.StatusCause{cause(metav1.CauseTypeFieldValueInvalid, "spec.rules[0].backendRefs[0].port", "Invalid value: 0")},
			ReasonInvalid, "shop.yaml:9:5: applying HTTPRoute team-a/shop: ", false},
		{"webhook", 403, metav1.StatusReasonForbidden, `admission webhook "deny.example.com" denied the request: not on Fridays`, nil, ReasonRefused, "not on Fridays", true},
		{"policy", 422, metav1.StatusReasonInvalid, `httproutes "shop" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no`,
			nil, ReasonRefused, "denied request: no", true},
		{"webhook is away", 500, metav1.StatusReasonInternalError, `Internal error occurred: failed calling webhook "deny.example.com": failed to call webhook: Post "https://x": dial tcp: refused`,
			nil, ReasonUnavailable, "failed calling webhook", true},
		{"quota", 403, metav1.StatusReasonForbidden, `configmaps "shop" is forbidden: exceeded quota: small, requested: count/configmaps=1, used: count/configmaps=3, limited: count/configmaps=3`,
			nil, ReasonQuota, "exceeded quota: small", true},
		{"terminating", 403, metav1.StatusReasonForbidden, `configmaps "shop" is forbidden: unable to create new content in namespace team-a because it is being terminated`,
			[]metav1.StatusCause{cause("NamespaceTerminating", "metadata.namespace", "namespace team-a is being terminated")}, ReasonTerminating, "being terminated", true},
		{"no namespace", 404, metav1.StatusReasonNotFound, `namespaces "team-a" not found`, nil, ReasonNoNamespace, `namespaces "team-a" not found`, true},
		{"no kind", 404, metav1.StatusReasonNotFound, `the server could not find the requested resource`, nil, ReasonNotServed, "could not find", true},
		{"away", 503, metav1.StatusReasonServiceUnavailable, `apiserver is shutting down`, nil, ReasonUnavailable, "shutting down", true},
		{"busy", 429, metav1.StatusReasonTooManyRequests, `too many requests`, nil, ReasonUnavailable, "too many", true},
		{"unknown field", 400, metav1.StatusReasonBadRequest, `failed to create typed patch object: .spec.hostname: field not declared in schema`, nil, ReasonInvalid, "field not declared", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := &apierrors.StatusError{ErrStatus: metav1.Status{
				Code: c.code, Reason: c.reason, Message: c.message, Details: &metav1.StatusDetails{Causes: c.causes},
			}}
			e := testRun(t).answered("applying", route.ID, route, route.Content, fmt.Errorf("around: %w", err))
			if e.Reason != c.want {
				t.Errorf("the reason is %q, not %q", e.Reason, c.want)
			}
			if !strings.Contains(e.Error(), c.says) {
				t.Errorf("%q does not say %q", e.Error(), c.says)
			}
			if e.Retryable() != c.retryable {
				t.Errorf("retryable: %v", e.Retryable())
			}
			if errors.Unwrap(e) != nil {
				t.Error("the server's answer is in it")
			}
		})
	}
}

func TestAnswersOfNobody(t *testing.T) {
	id := object.ID{Kind: "Service", Namespace: "team-a", Name: "shop"}
	e := testRun(t, "hunter22").answered("applying", id, nil, nil, errors.New(`Patch "https://10.0.0.1/hunter22": connection refused`))
	if e.Reason != ReasonUnavailable || !e.Retryable() || strings.Contains(e.Error(), "hunter22") {
		t.Errorf("%s: %v", e.Reason, e)
	}
	lost := &url.Error{Op: "Patch", URL: "https://10.0.0.1:6443/api", Err: &net.OpError{Op: "read", Net: "tcp", Err: errors.New("connection reset by peer")}}
	e = testRun(t).answered("applying", id, nil, nil, lost)
	if e.Error() != "applying Service team-a/shop: the API server does not answer: connection reset by peer" {
		t.Errorf("%v", e)
	}
	e = testRun(t).answered("applying", id, nil, nil, fmt.Errorf("patching: %w", context.DeadlineExceeded))
	if e.Reason != ReasonTimeout || !errors.Is(e, context.DeadlineExceeded) {
		t.Errorf("%s: %v", e.Reason, e)
	}
}

func TestErrorsAreSortedAndCut(t *testing.T) {
	var errs Errors
	for i := range 8 {
		errs = append(errs, &Error{Reason: ReasonInvalid, Doing: "trying", Message: "no", Origin: object.Origin{File: "a.yaml", Line: 8 - i}})
	}
	err := errs.sorted()
	want := "a.yaml:1: trying: no; a.yaml:2: trying: no; a.yaml:3: trying: no; a.yaml:4: trying: no; a.yaml:5: trying: no; and 3 more"
	if err.Error() != want {
		t.Errorf("%s", err)
	}
	var one *Error
	if !errors.As(err, &one) || one.Origin.Line != 1 {
		t.Errorf("%v is not to be found in it", one)
	}
	if Errors(nil).sorted() != nil {
		t.Error("no errors are an error")
	}
}

func TestSecretsAreMasked(t *testing.T) {
	secret := testObject(t, "v1", "Secret", map[string]any{
		"data":       map[string]any{"token": "aHVudGVyMjI="},
		"stringData": map[string]any{"key": "s3cr3t\n", "pin": "42"},
	})
	config := testObject(t, "v1", "ConfigMap", nil)
	all, _ := object.NewSet([]*object.Object{secret, config})
	for _, c := range []struct {
		name    string
		object  *object.Object
		message string
		want    string
	}{
		{"values of a Secret", secret, `Secret "shop" is invalid: data[token]: hunter22 and aHVudGVyMjI= and s3cr3t`,
			`Secret "shop" is invalid: data[token]: ***** and ***** and *****`},
		{"what is quoted of a Secret", secret, `Secret "shop" is invalid: data[a]: Invalid value: "hunter2": too short, "42"`,
			`Secret "shop" is invalid: data[a]: Invalid value: *****: too short, *****`},
		{"a webhook's name", secret, `admission webhook "deny.example.com" denied the request: "x"`, `admission webhook "deny.example.com" denied the request: *****`},
		{"other objects", config, `ConfigMap "shop" is invalid: data: Invalid value: "v": no`, `ConfigMap "shop" is invalid: data: Invalid value: "v": no`},
		{"substituted values", config, `Invalid value: "https://u:topsecret@x"`, `Invalid value: "https://u:*****@x"`},
		{"values of another object's Secret", config, `admission webhook "w" denied the request: hunter22 is not 42`,
			`admission webhook "w" denied the request: ***** is not 42`},
		{"encoded", config, `Invalid value: "dG9wc2VjcmV0"`, `Invalid value: "*****"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := newMasker([]string{"topsecret", ""}, all).text(c.message, c.object); got != c.want {
				t.Errorf("%s", got)
			}
		})
	}
}

func TestPointers(t *testing.T) {
	for field, want := range map[string]string{
		"spec.rules[0].backendRefs[1].port": "/spec/rules/0/backendRefs/1/port",
		"metadata.labels[a.b/c]":            "/metadata/labels/a.b~1c",
		`metadata.annotations["x"]`:         "/metadata/annotations/x",
		"":                                  "",
	} {
		if got := pointerOf(field); got != want {
			t.Errorf("%s: %s", field, got)
		}
	}
}

func FuzzMask(f *testing.F) {
	f.Add("hunter22", "data[a]: Invalid value: ", ": too short")
	f.Add("a\"b\\c", "\"", "\"")
	f.Add("abcabc", "abc", "abc")
	f.Fuzz(func(t *testing.T, value, before, after string) {
		if len(value) < 3 || !utf8.ValidString(value) || strings.Contains(masked, value) {
			return
		}
		o, err := object.New(map[string]any{
			"apiVersion": "v1", "kind": "Secret", "metadata": map[string]any{"name": "n"}, "stringData": map[string]any{"k": value},
		}, object.Origin{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := newMasker(nil, nil).text(before+value+after, o); strings.Contains(got, value) {
			t.Errorf("%q is in %q", value, got)
		}
	})
}
