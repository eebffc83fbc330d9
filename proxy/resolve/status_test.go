package resolve_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/proxy/kube"
	"headgate.dev/proxy/model"
	"headgate.dev/proxy/resolve"
	"headgate.dev/proxy/resolve/condition"
	"headgate.dev/proxy/resolve/gateway"
)

const controller = "headgate.dev/gateway"

var (
	early = metav1.NewTime(time.Unix(1000, 0))
	late  = metav1.NewTime(time.Unix(2000, 0))
)

const statusObjects = `apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw, generation: 4}
spec:
  gatewayClassName: headgate
  listeners: [{name: http, port: 80, protocol: HTTP}, {name: alt, port: 81, protocol: HTTP}]
---
apiVersion: v1
kind: Service
metadata: {name: shop}
spec: {ports: [{port: 8080}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: shop, generation: 7}
spec:
  parentRefs: [{name: gw, sectionName: http}, {name: gw, sectionName: alt}]
  rules:
  - backendRefs: [{name: shop, port: 8080}]
  - {name: second, matches: [{path: {value: /x}}], backendRefs: [{name: shop, port: 8080}]}
`

func theRoute(t *testing.T, s *kube.Snapshot) *resolve.RouteResult {
	t.Helper()
	return worldOf(s).routes[0]
}

// TestRouteStatusKeepsOthers: entries of other controllers and foreign conditions stay, entries of ours for parents that
// went go, and the second writing changes nothing.
func TestRouteStatusKeepsOthers(t *testing.T) {
	r := theRoute(t, snapshotOf(t, []byte(statusObjects)))
	facts := resolve.RouteFacts{Controller: controller}
	foreign := gwv1.RouteParentStatus{
		ParentRef: gwv1.ParentReference{Name: "theirs"}, ControllerName: "example.com/other",
		Conditions: []metav1.Condition{{Type: "Accepted", Status: "True", LastTransitionTime: early}},
	}
	stale := gwv1.RouteParentStatus{ParentRef: gwv1.ParentReference{Name: "gone"}, ControllerName: controller}
	mine := gwv1.RouteParentStatus{
		ParentRef: r.Parents[1].Ref, ControllerName: controller,
		Conditions: []metav1.Condition{
			{Type: "headgate.dev/Live", Status: "True", LastTransitionTime: early},
			{Type: "PartiallyInvalid", Status: "True", LastTransitionTime: early},
			{Type: "Accepted", Status: "False", LastTransitionTime: early, ObservedGeneration: 6},
		},
	}
	before := gwv1.RouteStatus{Parents: []gwv1.RouteParentStatus{stale, mine, foreign}}
	copied := *before.DeepCopy()
	got := resolve.RouteStatus(r, facts, before, late)
	condition := func(kind string, message string, at metav1.Time) metav1.Condition {
		return metav1.Condition{Type: kind, Status: "True", Reason: kind, Message: message, ObservedGeneration: 7, LastTransitionTime: at}
	}
	accepted, refs := condition("Accepted", "the route is attached", late), condition("ResolvedRefs", "every reference is resolved", late)
	want := gwv1.RouteStatus{Parents: []gwv1.RouteParentStatus{
		{ParentRef: r.Parents[1].Ref, ControllerName: controller, Conditions: []metav1.Condition{mine.Conditions[0], accepted, refs}},
		foreign,
		{ParentRef: r.Parents[0].Ref, ControllerName: controller, Conditions: []metav1.Condition{accepted, refs}},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}
	if diff := cmp.Diff(copied, before); diff != "" {
		t.Errorf("the existing status was written to:\n%s", diff)
	}
	again := resolve.RouteStatus(r, facts, got, metav1.NewTime(time.Unix(3000, 0)))
	if diff := cmp.Diff(got, again); diff != "" {
		t.Errorf("written again:\n%s", diff)
	}
}

// TestRouteStatusProblems: a template that could not be translated makes its rule a dropped one; all of them, the route not
// accepted.
func TestRouteStatusProblems(t *testing.T) {
	r := theRoute(t, snapshotOf(t, []byte(statusObjects)))
	problem := func(rule int) resolve.Problem {
		return resolve.Problem{Source: model.Source{Rule: rule, RuleName: []string{"", "second"}[rule]}, Message: "no"}
	}
	one := resolve.RouteStatus(r, resolve.RouteFacts{Controller: controller, Problems: []resolve.Problem{problem(1), problem(1)}}, gwv1.RouteStatus{}, late)
	cs := one.Parents[0].Conditions
	if len(cs) != 3 || cs[0].Status != "True" || cs[2].Type != "PartiallyInvalid" || cs[2].Message != "Dropped Rule 1 (second): matches[0]: no; requests that match are answered 500" {
		t.Errorf("one of two rules: %+v", cs)
	}
	all := resolve.RouteStatus(r, resolve.RouteFacts{Controller: controller, Problems: []resolve.Problem{problem(1), problem(0)}}, one, early)
	cs = all.Parents[0].Conditions
	if len(cs) != 2 || cs[0].Status != "False" || cs[0].LastTransitionTime != early || cs[1].LastTransitionTime != late {
		t.Errorf("every rule: %+v", cs)
	}
}

// TestRouteStatusSilent: references that are resolved and lead to no endpoint are named, within bounds.
func TestRouteStatusSilent(t *testing.T) {
	r := theRoute(t, snapshotOf(t, []byte(statusObjects)))
	silent := make([]model.ClusterID, 7)
	for i := range silent {
		silent[i] = model.ClusterID{Service: model.Name{Namespace: "shop", Name: "cart"}, Port: int32(8080 + i)}
	}
	resolved := func(silent []model.ClusterID) metav1.Condition {
		got := resolve.RouteStatus(r, resolve.RouteFacts{Controller: controller, Silent: silent}, gwv1.RouteStatus{}, late)
		return got.Parents[0].Conditions[1]
	}
	before := resolved(nil)
	one := resolved(silent[:1])
	if one.Status != "True" || one.Reason != before.Reason || one.Message != "port 8080 of Service shop/cart has no endpoint that is ready" {
		t.Errorf("one: %+v", one)
	}
	if all := resolved(silent); !strings.HasSuffix(all.Message, "; and 2 more") {
		t.Errorf("all: %+v", all)
	}
	if diff := cmp.Diff(before, resolved(nil)); diff != "" {
		t.Errorf("what is shared was written to:\n%s", diff)
	}
}

// TestStatusOfLaterGeneration: what somebody wrote who has seen more is left alone.
func TestStatusOfLaterGeneration(t *testing.T) {
	r := theRoute(t, snapshotOf(t, []byte(statusObjects)))
	newer := metav1.Condition{Type: "Accepted", Status: "False", Reason: "Later", ObservedGeneration: 8, LastTransitionTime: early}
	got := resolve.RouteStatus(r, resolve.RouteFacts{Controller: controller}, gwv1.RouteStatus{Parents: []gwv1.RouteParentStatus{{
		ParentRef: r.Parents[0].Ref, ControllerName: controller, Conditions: []metav1.Condition{newer},
	}}}, late)
	if diff := cmp.Diff(newer, got.Parents[0].Conditions[0]); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}
}

func TestGatewayStatus(t *testing.T) {
	s := snapshotOf(t, []byte(statusObjects))
	g := gateway.Resolve(s, types.NamespacedName{Namespace: "default", Name: "gw"})
	address := []gwv1.GatewayStatusAddress{{Value: "10.0.0.1"}}
	pending := gwv1.GatewayStatus{
		Conditions: []metav1.Condition{
			{Type: "example.com/Theirs", Status: "True", LastTransitionTime: early},
			{Type: "Accepted", Status: "Unknown", Reason: "Pending", LastTransitionTime: early},
		},
		Listeners: []gwv1.ListenerStatus{{Name: "gone"}, {Name: "alt", Conditions: []metav1.Condition{
			{Type: "Accepted", Status: "True", Reason: "Accepted", LastTransitionTime: early},
			{Type: "example.com/Theirs", Status: "True", LastTransitionTime: early},
		}}},
	}
	waiting := &condition.Condition{Type: "Programmed", Status: metav1.ConditionFalse, Reason: "AddressNotAssigned", Message: "no address yet"}
	got := gateway.Status(g, gateway.Facts{Attached: map[string]int32{"http": 3}, NotProgrammed: waiting}, pending, late)
	if c := got.Conditions; len(c) != 4 || c[0].Type != "example.com/Theirs" || c[1].Status != "True" || c[1].LastTransitionTime != late ||
		c[1].ObservedGeneration != 4 || c[2].Reason != "AddressNotAssigned" {
		t.Errorf("conditions %+v", got.Conditions)
	}
	if l := got.Listeners; len(l) != 2 || l[0].Name != "http" || l[0].AttachedRoutes != 3 || l[1].AttachedRoutes != 0 || len(l[1].Conditions) != 5 ||
		l[1].Conditions[0].LastTransitionTime != early || l[1].Conditions[2].LastTransitionTime != late {
		t.Errorf("listeners %+v", got.Listeners)
	}
	up := gateway.Status(g, gateway.Facts{Attached: map[string]int32{"http": 3}, Addresses: address}, got, early)
	if c := up.Conditions[2]; c.Status != "True" || c.LastTransitionTime != early || up.Addresses[0].Value != "10.0.0.1" {
		t.Errorf("programmed: %+v, %v", c, up.Addresses)
	}
	again := gateway.Status(g, gateway.Facts{Attached: map[string]int32{"http": 3}, Addresses: address}, up, late)
	if diff := cmp.Diff(up, again); diff != "" {
		t.Errorf("written again:\n%s", diff)
	}
}

func TestClassStatus(t *testing.T) {
	c := gateway.Class{Name: "x", Generation: 2, Ours: true, Conditions: []condition.Condition{{Type: "Accepted", Status: "True", Reason: "Accepted"}}}
	got := gateway.ClassStatus(c, gwv1.GatewayClassStatus{SupportedFeatures: []gwv1.SupportedFeature{{Name: "Older"}}}, late)
	if len(got.Conditions) != 1 || got.Conditions[0].ObservedGeneration != 2 || !cmp.Equal(got.SupportedFeatures, gateway.SupportedFeatures()) {
		t.Errorf("got %+v", got)
	}
	if theirs := gateway.ClassStatus(gateway.Class{}, got, early); !cmp.Equal(got, theirs) {
		t.Errorf("a class that is not ours was written to: %+v", theirs)
	}
}

// TestLongMessage: a message never exceeds what the API server takes.
func TestLongMessage(t *testing.T) {
	c := gateway.Class{Ours: true, Conditions: []condition.Condition{{Type: "Accepted", Status: "False", Message: strings.Repeat("é", 40000)}}}
	got := gateway.ClassStatus(c, gwv1.GatewayClassStatus{}, late).Conditions[0].Message
	if len(got) > 32768 || strings.ContainsRune(got, '\uFFFD') || !strings.HasSuffix(got, " ...") {
		t.Errorf("%d bytes, ends in %q", len(got), got[len(got)-8:])
	}
}
