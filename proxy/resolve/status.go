package resolve

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// The three functions of this file merge what the rules say into the status that an object has. What other controllers
// wrote stays where and as it is, and so do conditions of types that are not ours; a condition keeps its lastTransitionTime
// while its status is the same, and stays as it is altogether when somebody has already seen a later generation. So the result
// equals the existing status exactly when there is nothing to write. existing is never written to.

// ClassStatus gives the status of a class that is ours; the status of any other is left as it is.
func ClassStatus(c ClassResult, existing gwv1.GatewayClassStatus, now metav1.Time) gwv1.GatewayClassStatus {
	if c.Ours {
		existing.Conditions = mergeConditions(existing.Conditions, c.Conditions, nil, stamp{c.Generation, now})
	}
	return existing
}

// GatewayFacts are what the status of a Gateway says that its specification does not.
type GatewayFacts struct {
	// Attached counts the routes by API listener: those with a Parent that lists it. One route counts once.
	Attached map[string]int32
	// Addresses are those that the Gateway can be reached at.
	Addresses []gwv1.GatewayStatusAddress
	// NotProgrammed takes the place of the Gateway's condition Programmed where that would be true: no proxy runs yet, or it has
	// no address. nil: nothing of that kind.
	NotProgrammed *Condition
}

// GatewayStatus gives the status of a Gateway.
func GatewayStatus(g *GatewayResult, f GatewayFacts, existing gwv1.GatewayStatus, now metav1.Time) gwv1.GatewayStatus {
	s := stamp{g.Generation, now}
	conditions := slices.Clone(g.Conditions)
	for i := range conditions {
		if f.NotProgrammed != nil && conditions[i].Type == f.NotProgrammed.Type && conditions[i].Status == metav1.ConditionTrue {
			conditions[i] = *f.NotProgrammed
		}
	}
	out := existing
	out.Conditions = mergeConditions(existing.Conditions, conditions, nil, s)
	out.Addresses = f.Addresses
	out.Listeners = make([]gwv1.ListenerStatus, len(g.Listeners))
	for i := range g.Listeners {
		l := &g.Listeners[i]
		var before []metav1.Condition
		for j := range existing.Listeners {
			if string(existing.Listeners[j].Name) == l.Name {
				before = existing.Listeners[j].Conditions
			}
		}
		out.Listeners[i] = gwv1.ListenerStatus{
			Name: gwv1.SectionName(l.Name), SupportedKinds: l.Kinds, AttachedRoutes: f.Attached[l.Name],
			Conditions: mergeConditions(before, l.Conditions, nil, s),
		}
	}
	return out
}

// RouteFacts are what the status of a route says that its specification does not.
type RouteFacts struct {
	// Controller is our controller's name: which entries of status.parents are ours.
	Controller gwv1.GatewayController
	// Problems are the templates that could not be translated; their rules count as dropped.
	Problems []Problem
}

// RouteStatus gives the status of a route of any kind. Entries of ours for parents that are not the route's any more go.
func RouteStatus(r *RouteResult, f RouteFacts, existing gwv1.RouteStatus, now metav1.Time) gwv1.RouteStatus {
	v := r.verdict.with(f.Problems)
	written := make([]bool, len(r.Parents))
	out := existing
	out.Parents = make([]gwv1.RouteParentStatus, 0, max(len(existing.Parents), len(r.Parents)))
	entry := func(i int, before []metav1.Condition) gwv1.RouteParentStatus {
		written[i] = true
		conditions := r.Parents[i].Conditions
		if len(f.Problems) > 0 {
			conditions = v.conditions(r.Parents[i].attached)
		}
		return gwv1.RouteParentStatus{
			ParentRef: r.Parents[i].Ref, ControllerName: f.Controller,
			Conditions: mergeConditions(before, conditions, routeConditions, stamp{r.Generation, now}),
		}
	}
	for i := range existing.Parents {
		p := &existing.Parents[i]
		if p.ControllerName != f.Controller {
			out.Parents = append(out.Parents, *p)
			continue
		}
		for j := range r.Parents {
			if !written[j] && reflect.DeepEqual(r.Parents[j].Ref, p.ParentRef) {
				out.Parents = append(out.Parents, entry(j, p.Conditions))
				break
			}
		}
	}
	for i := range r.Parents {
		if !written[i] {
			out.Parents = append(out.Parents, entry(i, nil))
		}
	}
	return out
}

// routeConditions are the types of ours that are not always there.
var routeConditions = []string{string(gwv1.RouteConditionPartiallyInvalid)}

// with adds the rules that could not be translated.
func (v *verdict) with(problems []Problem) *verdict {
	out := *v
	out.dropped = slices.Clone(v.dropped)
	for _, p := range problems {
		known := slices.ContainsFunc(out.dropped, func(d droppedRule) bool { return d.index == p.Source.Rule })
		if !known {
			out.add(p.Source.Rule, p.Source.RuleName, &fault{
				gwv1.RouteReasonUnsupportedValue, fmt.Sprintf("matches[%d]: %s", p.Source.Match, p.Message),
			})
		}
	}
	slices.SortFunc(out.dropped, func(a, b droppedRule) int { return a.index - b.index })
	return &out
}

// stamp is what a condition gets when it is written.
type stamp struct {
	generation int64
	now        metav1.Time
}

// mergeConditions brings conditions into those that exist. Those of types in ours go when they are not wanted any more.
func mergeConditions(existing []metav1.Condition, wanted []Condition, ours []string, s stamp) []metav1.Condition {
	out := make([]metav1.Condition, 0, max(len(existing), len(wanted)))
	done := make([]bool, len(wanted))
	for i := range existing {
		c := existing[i]
		j := slices.IndexFunc(wanted, func(w Condition) bool { return w.Type == c.Type })
		switch {
		case j >= 0:
			done[j] = true
			out = append(out, wanted[j].over(c, s))
		case !slices.Contains(ours, c.Type):
			out = append(out, c)
		}
	}
	for j := range wanted {
		if !done[j] {
			out = append(out, wanted[j].over(metav1.Condition{}, s))
		}
	}
	return out
}

// over writes a condition over an earlier one of its type.
func (c Condition) over(before metav1.Condition, s stamp) metav1.Condition {
	if before.ObservedGeneration > s.generation {
		return before
	}
	out := metav1.Condition{
		Type: c.Type, Status: c.Status, Reason: c.Reason, Message: clip(c.Message),
		ObservedGeneration: s.generation, LastTransitionTime: s.now,
	}
	if before.Status == c.Status {
		out.LastTransitionTime = before.LastTransitionTime
	}
	return out
}

// clip keeps a message within what the API server takes (metav1.Condition: 32768 bytes), at a rune.
func clip(m string) string {
	const most = 32768
	if len(m) <= most {
		return m
	}
	return strings.ToValidUTF8(m[:most-4], "") + " ..."
}
