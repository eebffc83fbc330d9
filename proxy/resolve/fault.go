package resolve

import (
	"fmt"
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/proxy/resolve/condition"
)

// fault is why a rule is dropped. A nil *fault is none.
type fault struct {
	reason  gwv1.RouteConditionReason
	message string // begins with the field, relative to the rule
}

func unsupported(format string, args ...any) *fault {
	return &fault{gwv1.RouteReasonUnsupportedValue, fmt.Sprintf(format, args...)}
}

func incompatible(format string, args ...any) *fault {
	return &fault{gwv1.RouteReasonIncompatibleFilters, fmt.Sprintf(format, args...)}
}

// verdict is what is wrong with a route apart from where it attaches.
type verdict struct {
	rules   int // how many there are
	dropped []droppedRule
	refs    []refFault
	whole   *fault // the route as a whole cannot be accepted
	l4      bool   // the route is of a kind below HTTP
}

type droppedRule struct {
	index int
	name  string
	fault *fault
}

// refFault is a reference that does not resolve.
type refFault struct {
	reason  gwv1.RouteConditionReason
	message string // begins with the field, "rules[0].backendRefs[1]: ..."
}

// add notes that a rule is dropped.
func (v *verdict) add(index int, name string, f *fault) {
	v.dropped = append(v.dropped, droppedRule{index, name, f})
}

// resolvedRefs is the condition ResolvedRefs. The reason is that of the first reference; the message names them all, within
// bounds.
func (v *verdict) resolvedRefs() condition.Condition {
	if len(v.refs) == 0 {
		return allRefsResolved
	}
	return condition.Condition{
		Type: string(gwv1.RouteConditionResolvedRefs), Status: metav1.ConditionFalse,
		Reason: string(v.refs[0].reason), Message: condition.Bounded(len(v.refs), func(i int) string { return v.refs[i].message }),
	}
}

var allRefsResolved = condition.Condition{
	Type: string(gwv1.RouteConditionResolvedRefs), Status: metav1.ConditionTrue,
	Reason: string(gwv1.RouteReasonResolvedRefs), Message: "every reference is resolved",
}

// conditions completes what attach said about one parent: a route of which every rule is dropped is not accepted; one with some
// is partially invalid, in the wording that the API prescribes ("MUST start with the prefix \"Dropped Rule\"").
func (v *verdict) conditions(accepted []condition.Condition) []condition.Condition {
	refs := v.resolvedRefs()
	if len(v.refs) == 0 && len(v.dropped) == 0 && v.whole == nil && accepted[0] == acceptedRoute[0] {
		return soundRoute
	}
	out := []condition.Condition{accepted[0], refs}
	switch {
	case accepted[0].Status != metav1.ConditionTrue:
	case v.whole != nil:
		out[0] = notAccepted(v.whole.reason, v.whole.message)[0]
	case len(v.dropped) > 0 && len(v.dropped) == v.rules:
		out[0] = notAccepted(v.dropped[0].fault.reason, "every rule is dropped: "+condition.Bounded(len(v.dropped), v.droppedWords))[0]
	case len(v.dropped) > 0:
		message := "Dropped Rule " + condition.Bounded(len(v.dropped), v.droppedWords)
		if !v.l4 {
			message += "; requests that match are answered 500"
		}
		out = append(out, condition.True(gwv1.RouteConditionPartiallyInvalid, gwv1.RouteReasonUnsupportedValue, message))
	}
	return out
}

// lost tells whether nothing of the route can be served.
func (v *verdict) lost() bool {
	return v.whole != nil || (len(v.dropped) > 0 && len(v.dropped) == v.rules)
}

// soundRoute is what nearly all routes have.
var soundRoute = []condition.Condition{acceptedRoute[0], allRefsResolved}

func (v *verdict) droppedWords(i int) string {
	d := v.dropped[i]
	words := strconv.Itoa(d.index)
	if d.name != "" {
		words += " (" + d.name + ")"
	}
	return words + ": " + d.fault.message
}

func itoa(n int32) string { return strconv.Itoa(int(n)) }
