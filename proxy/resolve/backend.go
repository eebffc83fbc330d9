package resolve

import (
	"strconv"

	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/proxy/kube"
	"headgate.dev/proxy/model"
	"headgate.dev/proxy/resolve/backend"
	"headgate.dev/proxy/resolve/reference"
)

// place is where in a route something stands; backend is -1 outside of backendRefs.
type place struct {
	rule, backend int
}

// field gives the path of a field there ("rules[0].backendRefs[1]", "rules[0].filters[2].requestMirror").
func (p place) field(rest string) string {
	s := "rules[" + strconv.Itoa(p.rule) + "]"
	if p.backend >= 0 {
		s += ".backendRefs[" + strconv.Itoa(p.backend) + "]"
	}
	return s + rest
}

// backend resolves a reference to a Service port. One that does not resolve is noted, and gives the zero ClusterID (Gateway
// API, HTTPBackendRef: the reasons). Whether the reference is permitted is asked before whether its object exists: the answer
// must not tell what there is in a foreign namespace. field is where the reference stands.
func (b *ruleBuilder) backend(ref *gwv1.BackendObjectReference, use backend.Use, field func() string) model.ClusterID {
	id, reason, message := b.lookup(ref, use)
	if reason != "" {
		b.refs = append(b.refs, refFault{reason, field() + ": " + message})
		return model.ClusterID{}
	}
	b.clusters = append(b.clusters, id)
	return id
}

func (b *ruleBuilder) lookup(ref *gwv1.BackendObjectReference, use backend.Use) (id model.ClusterID, reason gwv1.RouteConditionReason, message string) {
	service, ok := kube.BackendService(b.name.Namespace, ref)
	if !ok {
		return id, gwv1.RouteReasonInvalidKind, "kind " + string(deref(ref.Kind)) + " (group " + strconv.Quote(string(deref(ref.Group))) +
			") cannot be a backend; name a Service"
	}
	from, to := reference.From{Kind: b.kind, Namespace: b.name.Namespace}, kube.Ref{Kind: kube.Service, Name: service}
	if !reference.Permitted(b.s, from, to) {
		return id, gwv1.RouteReasonRefNotPermitted, reference.NotPermitted(from, to)
	}
	return backend.Lookup(b.s, service, ref.Port, use)
}

// weight reads the weight of a share; 1 where nothing is said.
func weight(w *int32, index int) (uint32, *fault) {
	switch {
	case w == nil:
		return 1, nil
	case *w < 0 || *w > 1000000:
		return 0, unsupported("backendRefs[%d].weight: %d is not between 0 and 1000000", index, *w)
	default:
		return uint32(*w), nil
	}
}

func deref[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}
