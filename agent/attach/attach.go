// Package attach reads what attaches to Gateways: routes and listener sets that a Gateway accepted.
package attach

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/agent/drift"
	"headgate.dev/render/object"
)

// List gives everything that some Gateway accepted, from a cache, whose objects are not written to. Kinds that are not installed have none.
func List(ctx context.Context, from client.Reader) ([]drift.Attached, error) {
	var all []drift.Attached
	for _, list := range []client.ObjectList{
		&gwv1.HTTPRouteList{}, &gwv1.GRPCRouteList{}, &gwv1.TLSRouteList{}, &gwv1.TCPRouteList{}, &gwv1.UDPRouteList{}, &gwv1.ListenerSetList{},
	} {
		err := from.List(ctx, list, client.UnsafeDisableDeepCopy)
		if meta.IsNoMatchError(err) {
			continue // the kind is not installed
		}
		if err == nil {
			err = meta.EachListItem(list, func(o runtime.Object) error {
				if one, ok := of(o); ok {
					all = append(all, one)
				}
				return nil
			})
		}
		if err != nil {
			return nil, fmt.Errorf("listing %T: %w", list, err)
		}
	}
	return all, nil
}

// of reads which Gateways took an object.
func of(o runtime.Object) (drift.Attached, bool) {
	var kind string
	var parents []gwv1.RouteParentStatus
	switch r := o.(type) {
	case *gwv1.HTTPRoute:
		kind, parents = "HTTPRoute", r.Status.Parents
	case *gwv1.GRPCRoute:
		kind, parents = "GRPCRoute", r.Status.Parents
	case *gwv1.TLSRoute:
		kind, parents = "TLSRoute", r.Status.Parents
	case *gwv1.TCPRoute:
		kind, parents = "TCPRoute", r.Status.Parents
	case *gwv1.UDPRoute:
		kind, parents = "UDPRoute", r.Status.Parents
	case *gwv1.ListenerSet:
		kind = "ListenerSet"
		parents = []gwv1.RouteParentStatus{{Conditions: r.Status.Conditions, ParentRef: gwv1.ParentReference{
			Group: r.Spec.ParentRef.Group, Kind: r.Spec.ParentRef.Kind, Namespace: r.Spec.ParentRef.Namespace, Name: r.Spec.ParentRef.Name,
		}}}
	}
	m, ok := o.(metav1.Object)
	if !ok || kind == "" {
		return drift.Attached{}, false
	}
	out := drift.Attached{Object: object.ID{Group: gwv1.GroupName, Kind: kind, Namespace: m.GetNamespace(), Name: m.GetName()}, Labels: m.GetLabels()}
	for i := range parents {
		p := &parents[i]
		if meta.IsStatusConditionTrue(p.Conditions, string(gwv1.RouteConditionAccepted)) {
			out.To = append(out.To, parent(&p.ParentRef, m.GetNamespace()))
		}
	}
	return out, len(out.To) > 0
}

// parent gives what a parentRef of a namespace names.
func parent(ref *gwv1.ParentReference, namespace string) object.ID {
	id := object.ID{Group: gwv1.GroupName, Kind: "Gateway", Namespace: namespace, Name: string(ref.Name)}
	if ref.Group != nil {
		id.Group = string(*ref.Group)
	}
	if ref.Kind != nil {
		id.Kind = string(*ref.Kind)
	}
	if ref.Namespace != nil {
		id.Namespace = string(*ref.Namespace)
	}
	return id
}
