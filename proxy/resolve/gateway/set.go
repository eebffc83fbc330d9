package gateway

import (
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/proxy/kube"
	"headgate.dev/proxy/resolve/condition"
)

// listenerSets finds the sets that name the Gateway, and the listeners of those that it takes (GEP-1713).
func (g *Result) listenerSets(s *kube.Snapshot, o *gwv1.Gateway) {
	var objects []*gwv1.ListenerSet
	for _, name := range s.SetsOfGateway(g.Name) {
		objects = append(objects, s.ListenerSet(name))
	}
	slices.SortStableFunc(objects, func(a, b *gwv1.ListenerSet) int {
		return a.CreationTimestamp.Compare(b.CreationTimestamp.Time) // by name where they are of one age
	})
	for _, object := range objects {
		g.Sets = append(g.Sets, newSet(object, setAllowed(s, o, object.Namespace)))
	}
	for i := range g.Sets {
		for j := range g.Sets[i].Listeners {
			g.all = append(g.all, &g.Sets[i].Listeners[j])
		}
	}
}

func newSet(o *gwv1.ListenerSet, allowed bool) ListenerSet {
	set := ListenerSet{Name: types.NamespacedName{Namespace: o.Namespace, Name: o.Name}, Generation: o.Generation, Attached: allowed}
	if !allowed {
		return set
	}
	set.Listeners = make([]Listener, 0, len(o.Spec.Listeners))
	for i := range o.Spec.Listeners {
		spec := gwv1.Listener(o.Spec.Listeners[i])
		if find(set.Listeners, string(spec.Name)) != nil {
			continue // no valid set has a name twice; the first counts
		}
		l := newListener(&spec, o.Namespace)
		l.Set = set.Name
		set.Listeners = append(set.Listeners, l)
	}
	return set
}

// setAllowed reads spec.allowedListeners; nothing said means none.
func setAllowed(s *kube.Snapshot, o *gwv1.Gateway, namespace string) bool {
	a := o.Spec.AllowedListeners
	if a == nil || a.Namespaces == nil || a.Namespaces.From == nil {
		return false
	}
	switch *a.Namespaces.From {
	case gwv1.NamespacesFromAll:
		return true
	case gwv1.NamespacesFromSame:
		return namespace == o.Namespace
	case gwv1.NamespacesFromSelector:
		selector, err := metav1.LabelSelectorAsSelector(a.Namespaces.Selector)
		return err == nil && selects(s, selector, namespace)
	default:
		return false
	}
}

func selects(s *kube.Snapshot, selector labels.Selector, namespace string) bool {
	set := namespaceLabels{name: namespace}
	if o := s.Namespace(namespace); o != nil {
		set.labels = o.Labels
	}
	return selector.Matches(set)
}

// finish sets the conditions of the set, once its listeners have theirs. gateway tells whether the Gateway is accepted.
func (s *ListenerSet) finish(gateway bool) {
	both := func(reason gwv1.ListenerSetConditionReason, message string) {
		s.Conditions = []condition.Condition{
			condition.False(gwv1.ListenerSetConditionAccepted, reason, message),
			condition.False(gwv1.ListenerSetConditionProgrammed, reason, message),
		}
	}
	usable, bad := 0, []string(nil)
	for i := range s.Listeners {
		if s.Listeners[i].Usable {
			usable++
		} else {
			bad = append(bad, s.Listeners[i].Name)
		}
	}
	message := "listeners that cannot be served: " + strings.Join(bad, ", ") + "; see their conditions"
	switch {
	case !s.Attached:
		both(gwv1.ListenerSetReasonNotAllowed, "the Gateway takes no ListenerSets from namespace "+s.Name.Namespace+"; see spec.allowedListeners there")
	case !gateway:
		both(gwv1.ListenerSetReasonParentNotAccepted, "the Gateway is not accepted; see its conditions")
		s.Conditions[1].Reason = "ParentNotProgrammed"
	case usable == 0:
		both(gwv1.ListenerSetReasonListenersNotValid, message)
	default:
		accepted := condition.True(gwv1.ListenerSetConditionAccepted, gwv1.ListenerSetReasonAccepted, "every listener is accepted")
		if len(bad) > 0 {
			accepted = condition.True(gwv1.ListenerSetConditionAccepted, gwv1.ListenerSetReasonListenersNotValid, message)
		}
		s.Conditions = []condition.Condition{accepted,
			condition.True(gwv1.ListenerSetConditionProgrammed, gwv1.ListenerSetReasonProgrammed, "the configuration is with the proxies")}
	}
}
