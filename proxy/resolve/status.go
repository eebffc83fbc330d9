package resolve

import (
	"fmt"
	"reflect"
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/proxy/model"
	"headgate.dev/proxy/resolve/condition"
)

// RouteFacts are what the status of a route says that its specification does not.
type RouteFacts struct {
	// Controller is our controller's name: which entries of status.parents are ours.
	Controller gwv1.GatewayController
	// Problems are the templates that could not be translated; their rules count as dropped.
	Problems []Problem
	// Live is what is known of the Envoys of a parent's Gateway, for a parent that takes the route; nil, or nil from it: what the
	// condition says stays. existing is the condition that is there, or nil.
	Live func(gateway types.NamespacedName, existing *metav1.Condition) *condition.Condition
	// Silent are the clusters that the route names and that have no endpoint: what is resolved, and yet answers nobody.
	Silent []model.ClusterID
}

// RouteStatus gives the status of a route of any kind. Entries of ours for parents that are not the route's any more go; what
// else is there stays as package condition says. existing is never written to.
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
		conditions = f.silence(conditions)
		ours := routeConditions
		switch {
		case len(r.Parents[i].Listeners) == 0:
			ours = notLive
		case f.Live != nil:
			if c := f.Live(r.Parents[i].Gateway, meta.FindStatusCondition(before, condition.Live)); c != nil {
				conditions = append(slices.Clip(conditions), *c)
			}
		}
		return gwv1.RouteParentStatus{
			ParentRef: r.Parents[i].Ref, ControllerName: f.Controller,
			Conditions: condition.Merge(before, conditions, ours, condition.Stamp{Generation: r.Generation, Now: now}),
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

// silence has the condition that every reference is resolved say which of them have no endpoint.
func (f *RouteFacts) silence(conditions []condition.Condition) []condition.Condition {
	if len(f.Silent) == 0 {
		return conditions
	}
	out := slices.Clone(conditions)
	for i := range out {
		if out[i].Type == string(gwv1.RouteConditionResolvedRefs) && out[i].Status == metav1.ConditionTrue {
			out[i].Message = condition.Bounded(len(f.Silent), func(i int) string {
				c := f.Silent[i]
				return fmt.Sprintf("port %d of Service %s has no endpoint that is ready", c.Port, c.Service)
			})
		}
	}
	return out
}

// The types of ours that are not always there; a route that is attached to nothing is live nowhere.
var (
	routeConditions = []string{string(gwv1.RouteConditionPartiallyInvalid)}
	notLive         = append([]string{condition.Live}, routeConditions...)
)

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
