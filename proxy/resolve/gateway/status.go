package gateway

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/proxy/resolve/condition"
)

// The functions of this file merge what the rules say into the status that an object has; see package condition for what of it
// stays. existing is never written to.

// ClassStatus gives the status of a class that is ours; the status of any other is left as it is.
func ClassStatus(c Class, existing gwv1.GatewayClassStatus, now metav1.Time) gwv1.GatewayClassStatus {
	if c.Ours {
		existing.Conditions = condition.Merge(existing.Conditions, c.Conditions, nil, condition.Stamp{Generation: c.Generation, Now: now})
		existing.SupportedFeatures = SupportedFeatures()
	}
	return existing
}

// Facts are what the status of a Gateway says that its specification does not.
type Facts struct {
	// Attached counts the routes by the Gateway's own API listeners: those with a Parent that lists it. One route counts once.
	Attached map[string]int32
	// Addresses are those that the Gateway can be reached at.
	Addresses []gwv1.GatewayStatusAddress
	// NotProgrammed takes the place of the Gateway's condition Programmed where that would be true: no proxy runs yet, or it has
	// no address. nil: nothing of that kind.
	NotProgrammed *condition.Condition
	// Assigned is the condition AddressesAssigned (GEP-5093); nil while nothing is known about addresses.
	Assigned *condition.Condition
	// Live is the condition of that type; nil: what it says stays.
	Live *condition.Condition
}

var (
	gatewayConditions  = []string{string(gwv1.GatewayConditionInsecureFrontendValidationMode), string(gwv1.GatewayConditionAddressesAssigned)}
	listenerConditions = []string{string(gwv1.ListenerConditionOverlappingTLSConfig)}
)

// Status gives the status of a Gateway.
func Status(g *Result, f Facts, existing gwv1.GatewayStatus, now metav1.Time) gwv1.GatewayStatus {
	s := condition.Stamp{Generation: g.Generation, Now: now}
	conditions := slices.Clone(g.Conditions)
	for i := range conditions {
		if f.NotProgrammed != nil && conditions[i].Type == f.NotProgrammed.Type && conditions[i].Status == metav1.ConditionTrue {
			conditions[i] = *f.NotProgrammed
		}
	}
	if f.Assigned != nil {
		conditions = append(conditions, *f.Assigned)
	}
	if f.Live != nil {
		conditions = append(conditions, *f.Live)
	}
	out := existing
	out.Conditions = condition.Merge(existing.Conditions, conditions, gatewayConditions, s)
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
			Conditions: condition.Merge(before, l.Conditions, listenerConditions, s),
		}
	}
	out.AttachedListenerSets = g.attachedSets()
	return out
}

// attachedSets counts the accepted sets; nil where ListenerSets are no matter at all.
func (g *Result) attachedSets() *int32 {
	if !g.takesSets && len(g.Sets) == 0 {
		return nil
	}
	var n int32
	for i := range g.Sets {
		if g.Sets[i].Accepted() {
			n++
		}
	}
	return &n
}

// SetStatus gives the status of a ListenerSet. attached counts the routes by its API listeners.
func SetStatus(set *ListenerSet, attached map[string]int32, existing gwv1.ListenerSetStatus, now metav1.Time) gwv1.ListenerSetStatus {
	s := condition.Stamp{Generation: set.Generation, Now: now}
	out := existing
	out.Conditions = condition.Merge(existing.Conditions, set.Conditions, nil, s)
	out.Listeners = nil
	for i := range set.Listeners {
		l := &set.Listeners[i]
		var before []metav1.Condition
		for j := range existing.Listeners {
			if string(existing.Listeners[j].Name) == l.Name {
				before = existing.Listeners[j].Conditions
			}
		}
		out.Listeners = append(out.Listeners, gwv1.ListenerEntryStatus{
			Name: gwv1.SectionName(l.Name), SupportedKinds: l.Kinds, AttachedRoutes: attached[l.Name],
			Conditions: condition.Merge(before, l.Conditions, listenerConditions, s),
		})
	}
	return out
}

// OrphanStatus gives the status of a ListenerSet that was a Gateway's of ours, and that names a Gateway that does not exist.
func OrphanStatus(generation int64, gateway string, existing gwv1.ListenerSetStatus, now metav1.Time) gwv1.ListenerSetStatus {
	why := "spec.parentRef: there is no Gateway " + gateway + "; create it, or name one that exists"
	out := existing
	out.Conditions = condition.Merge(existing.Conditions, []condition.Condition{
		condition.False(gwv1.ListenerSetConditionAccepted, gwv1.ListenerSetReasonParentNotAccepted, why),
		condition.False(gwv1.ListenerSetConditionProgrammed, gwv1.ListenerSetReasonParentNotAccepted, why),
	}, nil, condition.Stamp{Generation: generation, Now: now})
	out.Listeners = nil
	return out
}
