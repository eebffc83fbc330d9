package reference

import (
	"k8s.io/apimachinery/pkg/types"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/proxy/kube"
)

// From is the side of a reference that a grant trusts.
type From struct {
	Kind      kube.Kind // of the object that refers, of the group of Gateway API
	Namespace string
}

// Permitted tells whether the reference may be made: within a namespace always, into another one with a grant there. to is of
// the core group.
func Permitted(s *kube.Snapshot, from From, to kube.Ref) bool {
	if from.Namespace == to.Name.Namespace {
		return true
	}
	for _, name := range s.GrantsIn(to.Name.Namespace) {
		spec := &s.ReferenceGrant(name).Spec
		if trusts(spec, from) && offers(spec, to) {
			return true
		}
	}
	return false
}

func trusts(spec *gwv1.ReferenceGrantSpec, from From) bool {
	for _, f := range spec.From {
		if string(f.Group) == from.Kind.Group() && string(f.Kind) == from.Kind.String() && string(f.Namespace) == from.Namespace {
			return true
		}
	}
	return false
}

func offers(spec *gwv1.ReferenceGrantSpec, to kube.Ref) bool {
	for _, t := range spec.To {
		if string(t.Group) == to.Kind.Group() && string(t.Kind) == to.Kind.String() &&
			(t.Name == nil || *t.Name == "" || string(*t.Name) == to.Name.Name) {
			return true
		}
	}
	return false
}

// NotPermitted is the message about a reference without a grant.
func NotPermitted(from From, to kube.Ref) string {
	return to.Kind.String() + " " + to.Name.String() + " is in another namespace; it takes a ReferenceGrant in namespace " +
		to.Name.Namespace + " from " + from.Kind.String() + " in namespace " + from.Namespace
}

// Fault is why a reference does not hold. A nil *Fault is none.
type Fault struct {
	Cause   Cause
	Message string // begins with what is referred to
}

// Cause is a kind of Fault, for the reason of a condition.
type Cause uint8

// The causes.
const (
	Forbidden  Cause = iota // there is no grant
	WrongKind               // it names a kind that cannot be used there
	Unresolved              // there is no such object, or its data is no good
)

// text names an object for a message.
func text(k kube.Kind, n types.NamespacedName) string { return k.String() + " " + n.String() }
