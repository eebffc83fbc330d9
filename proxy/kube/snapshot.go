package kube

import (
	"cmp"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/schema"
)

// Snapshot is all objects that routing depends on. It belongs to one goroutine while Apply runs; reading is free for all
// in between.
type Snapshot struct {
	classes    table[*gwv1.GatewayClass]
	gateways   table[*gwv1.Gateway]
	httpRoutes table[*gwv1.HTTPRoute]
	grants     table[*gwv1.ReferenceGrant]
	services   table[*corev1.Service]
	slices     table[*discoveryv1.EndpointSlice]
	namespaces table[*corev1.Namespace]
	grpcRoutes table[*gwv1.GRPCRoute]
	tcpRoutes  table[*gwv1.TCPRoute]
	udpRoutes  table[*gwv1.UDPRoute]
	tlsRoutes  table[*gwv1.TLSRoute]
	sets       table[*gwv1.ListenerSet]
	policies   table[*gwv1.BackendTLSPolicy]
	secrets    table[*corev1.Secret]
	configMaps table[*corev1.ConfigMap]
	configs    table[*schema.ProxyConfig]
	links      index
}

type table[T Object] map[types.NamespacedName]T

// NewSnapshot makes an empty Snapshot.
func NewSnapshot() *Snapshot {
	return &Snapshot{
		classes:    table[*gwv1.GatewayClass]{},
		gateways:   table[*gwv1.Gateway]{},
		httpRoutes: table[*gwv1.HTTPRoute]{},
		grants:     table[*gwv1.ReferenceGrant]{},
		services:   table[*corev1.Service]{},
		slices:     table[*discoveryv1.EndpointSlice]{},
		namespaces: table[*corev1.Namespace]{},
		grpcRoutes: table[*gwv1.GRPCRoute]{},
		tcpRoutes:  table[*gwv1.TCPRoute]{},
		udpRoutes:  table[*gwv1.UDPRoute]{},
		tlsRoutes:  table[*gwv1.TLSRoute]{},
		sets:       table[*gwv1.ListenerSet]{},
		policies:   table[*gwv1.BackendTLSPolicy]{},
		secrets:    table[*corev1.Secret]{},
		configMaps: table[*corev1.ConfigMap]{},
		configs:    table[*schema.ProxyConfig]{},
	}
}

// Names are names of objects by kind, each list sorted and without repeats.
type Names [NumKinds][]types.NamespacedName

// Touched is what a batch of changes really changed.
type Touched struct {
	// Changed lists the objects that appeared, disappeared or now say something else that matters to routing or to
	// the status we write. Metadata that does not matter, and status, are no change.
	Changed Names
	// Status lists the objects that changed in nothing but their status, for whoever has to keep a status as it
	// should be.
	Status Names
	// Backends lists the Services whose set of EndpointSlices, or one of these, changed: also the one that a slice
	// belonged to before.
	Backends []Related
	// Parents lists the Gateways of the ListenerSets that changed: also the one that a set named before.
	Parents []Related
	// Targets lists the Services of the BackendTLSPolicies that changed: also those that a policy named before.
	Targets []Related
}

// Related is an object that others lead to or led to, and those of them that changed. A list of them is sorted, and so is From.
type Related struct {
	To   types.NamespacedName
	From []Ref
}

// Empty tells whether nothing that matters changed.
func (t *Touched) Empty() bool {
	for _, names := range t.Changed {
		if len(names) > 0 {
			return false
		}
	}
	return len(t.Backends) == 0
}

// Apply brings changes in, in their order, and says what they touched. An object that comes twice counts once; one that
// ends as it was before is listed all the same. Deleting what is not there touches nothing. It panics on a Change whose
// Object is not of the type of its Kind.
func (s *Snapshot) Apply(changes []Change) Touched {
	var t Touched
	for i := range changes {
		s.apply(&changes[i], &t)
	}
	for k := range NumKinds {
		t.Changed[k] = sortNames(t.Changed[k])
		t.Status[k] = sortNames(t.Status[k])
	}
	t.Backends, t.Parents, t.Targets = join(t.Backends), join(t.Parents), join(t.Targets)
	return t
}

func (s *Snapshot) apply(c *Change, t *Touched) {
	switch c.Kind {
	case GatewayClass:
		put(s, s.classes, c, t)
	case Gateway:
		put(s, s.gateways, c, t)
	case HTTPRoute:
		put(s, s.httpRoutes, c, t)
	case ReferenceGrant:
		put(s, s.grants, c, t)
	case Service:
		put(s, s.services, c, t)
	case EndpointSlice:
		put(s, s.slices, c, t)
	case Namespace:
		put(s, s.namespaces, c, t)
	default:
		s.applyFurther(c, t)
	}
}

func (s *Snapshot) applyFurther(c *Change, t *Touched) {
	switch c.Kind {
	case GRPCRoute:
		put(s, s.grpcRoutes, c, t)
	case TCPRoute:
		put(s, s.tcpRoutes, c, t)
	case UDPRoute:
		put(s, s.udpRoutes, c, t)
	case TLSRoute:
		put(s, s.tlsRoutes, c, t)
	case ListenerSet:
		put(s, s.sets, c, t)
	case BackendTLSPolicy:
		put(s, s.policies, c, t)
	case Secret:
		put(s, s.secrets, c, t)
	case ConfigMap:
		put(s, s.configMaps, c, t)
	case ProxyConfig:
		put(s, s.configs, c, t)
	default:
		panic(fmt.Sprintf("kube: change of kind %d", c.Kind))
	}
}

// put brings one change into its table and into the links.
func put[T Object](s *Snapshot, tab table[T], c *Change, t *Touched) {
	old, had := tab[c.Name]
	if c.Object == nil {
		if !had {
			return
		}
		delete(tab, c.Name)
		s.relink(c, linksOf(c.Kind, old), nil, t)
		t.Changed[c.Kind] = append(t.Changed[c.Kind], c.Name)
		return
	}
	now, ok := kept(c.Object).(T)
	if !ok {
		panic(fmt.Sprintf("kube: change of %s %s with an object of type %T", c.Kind, c.Name, c.Object))
	}
	tab[c.Name] = now
	if !had {
		s.relink(c, nil, linksOf(c.Kind, now), t)
		t.Changed[c.Kind] = append(t.Changed[c.Kind], c.Name)
		return
	}
	switch compare(c.Kind, old, now) {
	case differ:
		s.relink(c, linksOf(c.Kind, old), linksOf(c.Kind, now), t)
		t.Changed[c.Kind] = append(t.Changed[c.Kind], c.Name)
	case statusOnly:
		t.Status[c.Kind] = append(t.Status[c.Kind], c.Name)
	case same:
	}
}

// relink replaces the links of an object.
func (s *Snapshot) relink(c *Change, old, now []link, t *Touched) {
	r := Ref{Kind: c.Kind, Name: c.Name}
	for _, l := range old {
		s.links.Remove(l, r)
	}
	for _, l := range now {
		s.links.Add(l, r)
	}
	for _, ls := range [][]link{old, now} {
		for _, l := range ls {
			switch l.relation {
			case toService:
				t.Backends = append(t.Backends, Related{l.to, []Ref{r}})
			case setTo:
				t.Parents = append(t.Parents, Related{l.to, []Ref{r}})
			case toTarget:
				t.Targets = append(t.Targets, Related{l.to, []Ref{r}})
			}
		}
	}
}

// join sorts relations and puts those to the same object together.
func join(all []Related) []Related {
	slices.SortFunc(all, func(a, b Related) int {
		return cmp.Or(CompareNames(a.To, b.To), CompareRefs(a.From[0], b.From[0]))
	})
	out := all[:0]
	for _, r := range all {
		last := len(out) - 1
		switch {
		case last < 0 || out[last].To != r.To:
			out = append(out, r)
		case out[last].From[len(out[last].From)-1] != r.From[0]:
			out[last].From = append(out[last].From, r.From[0])
		}
	}
	return out
}

func sortNames(names []types.NamespacedName) []types.NamespacedName {
	if len(names) < 2 {
		return names
	}
	slices.SortFunc(names, CompareNames)
	return slices.Compact(names)
}

// CompareNames orders by namespace, then name.
func CompareNames(a, b types.NamespacedName) int {
	return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
}
