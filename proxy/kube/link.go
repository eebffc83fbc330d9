package kube

import (
	"cmp"
	"slices"

	"k8s.io/apimachinery/pkg/types"
)

// relation is what an object has to do with the thing that a link leads to.
type relation uint8

const (
	toParent      relation = iota // route → Gateway
	toBackend                     // route → Service
	inNamespace                   // route → its namespace
	intoNamespace                 // route → another namespace that it refers into
	toClass                       // Gateway → GatewayClass
	toLabels                      // Gateway with a namespace selector → nothing
	toService                     // EndpointSlice → Service
	grantIn                       // ReferenceGrant → its namespace
)

// link leads from an object to something it names. Cluster-scoped targets have no Namespace.
type link struct {
	relation relation
	to       types.NamespacedName
}

// index answers the way back of every link. Most targets have one or two sources, some have thousands: a small set
// is a slice, a large one a map.
type index map[link]*refSet

type refSet struct {
	few  []Ref
	many map[Ref]struct{} // instead of few, from the first time there are more than maxFew
}

const maxFew = 8

func (x index) add(l link, r Ref) {
	set := x[l]
	switch {
	case set == nil:
		x[l] = &refSet{few: []Ref{r}}
	case set.many != nil:
		set.many[r] = struct{}{}
	case slices.Contains(set.few, r):
	case len(set.few) < maxFew:
		set.few = append(set.few, r)
	default:
		set.many = make(map[Ref]struct{}, 2*maxFew)
		for _, f := range set.few {
			set.many[f] = struct{}{}
		}
		set.many[r] = struct{}{}
		set.few = nil
	}
}

func (x index) remove(l link, r Ref) {
	set := x[l]
	if set == nil {
		return
	}
	if set.many != nil {
		delete(set.many, r)
	} else if i := slices.Index(set.few, r); i >= 0 {
		set.few = slices.Delete(set.few, i, i+1)
	}
	if len(set.few)+len(set.many) == 0 {
		delete(x, l)
	}
}

func (x index) refs(l link) []Ref {
	set := x[l]
	if set == nil {
		return nil
	}
	out := make([]Ref, 0, len(set.few)+len(set.many))
	out = append(out, set.few...)
	for r := range set.many {
		out = append(out, r)
	}
	slices.SortFunc(out, CompareRefs)
	return out
}

func (x index) names(l link) []types.NamespacedName {
	refs := x.refs(l)
	out := make([]types.NamespacedName, len(refs))
	for i, r := range refs {
		out[i] = r.Name
	}
	return out
}

// CompareRefs orders by kind, namespace, name.
func CompareRefs(a, b Ref) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), CompareNames(a.Name, b.Name))
}
