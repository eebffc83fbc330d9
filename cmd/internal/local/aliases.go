package local

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/proxy/kube"
	"headgate.dev/schema"
)

const (
	// localhost is the domain whose names all mean this machine (RFC 6761, 6.3).
	localhost = "localhost"
	// httpSection is the HTTP listener of the Gateways that are made up.
	httpSection = "http"
	// MaxAliases is how many routes a tree may have for each to get an alias. One costs Envoy as much as a host of one's own,
	// and whoever has thousands looks at a few.
	MaxAliases = 500
)

// alias is a second way to what a route says: at NAME.localhost, which every browser finds on this machine. It is a route of
// its own beside the one of the tree, so that nothing that is said about that one changes.
type alias struct {
	source kube.Object // the route of the tree, or of a preview; never written to
	host   string      // empty: those of the source
	front  front
}

// aliasGatewayRef is the Gateway for aliases of routes whose own ones have no listener for them. It is not the default
// Gateway, which goes as soon as no route of the tree names it, and leaves its port to the first Gateway of one's own.
var aliasGatewayRef = kube.Ref{Kind: kube.Gateway, Name: types.NamespacedName{Namespace: DefaultNamespace, Name: localhost}}

// front is the listener by which an alias is reached.
type front struct {
	gateway types.NamespacedName
	section gwv1.SectionName
	port    int32
}

// aliasConflict says that a name is not to be had.
type aliasConflict struct {
	source kube.Ref
	text   string
}

// changeAliases gives the changes that make the aliases fit the routes.
func (w *world) changeAliases() (changes []kube.Change) {
	wanted := w.wantedAliases()
	for ref := range w.aliases {
		if _, has := wanted[ref]; !has {
			changes = append(changes, kube.Change{Kind: ref.Kind, Name: ref.Name})
		}
	}
	for ref, a := range wanted {
		if w.aliases[ref] != a {
			changes = append(changes, kube.ChangeOf(ref.Kind, a.route(ref.Name)))
		}
	}
	slices.SortFunc(changes, func(a, b kube.Change) int { // few, of the many that stay as they are
		return kube.CompareRefs(kube.Ref{Kind: a.Kind, Name: a.Name}, kube.Ref{Kind: b.Kind, Name: b.Name})
	})
	w.aliases, w.aliasGateway, w.listed = wanted, false, nil
	for _, a := range wanted {
		w.aliasGateway = w.aliasGateway || a.front.gateway == aliasGatewayRef.Name
	}
	return changes
}

// candidate is a route that may get an alias.
type candidate struct {
	ref  kube.Ref
	name string // of the service: that of the route, but for the second of a spec's several
	host string
}

func (w *world) wantedAliases() map[kube.Ref]alias {
	w.conflicts = nil
	wanted := w.wantedPreviews()
	if w.noAliases || len(w.routes) > MaxAliases {
		return wanted
	}
	claimed := w.localHosts()
	for _, c := range w.candidates() {
		source := w.routes[c.ref]
		if owner, has := claimant(claimed, c.host); has {
			if owner != c.ref && !slices.Contains(hostnamesOf(source), gwv1.Hostname(c.host)) {
				w.conflicts = append(w.conflicts, aliasConflict{c.ref, fmt.Sprintf("%s does not lead here, because %s %s has that host", c.host, owner.Kind, owner.Name)})
			}
			continue
		}
		f, ok := w.frontOf(source)
		ref := kube.Ref{Kind: c.ref.Kind, Name: types.NamespacedName{Namespace: c.ref.Name.Namespace, Name: c.ref.Name.Name + "." + localhost}}
		if _, has := w.routes[ref]; ok && !has {
			wanted[ref] = alias{source: source, host: c.host, front: f}
		}
	}
	slices.SortFunc(w.conflicts, func(a, b aliasConflict) int {
		return cmp.Or(kube.CompareRefs(a.source, b.source), cmp.Compare(a.text, b.text))
	})
	return wanted
}

// claimant gives the route that has a host or a wildcard for it.
func claimant(claimed map[string]kube.Ref, host string) (owner kube.Ref, has bool) {
	owner, has = claimed[host]
	for _, rest, found := strings.Cut(host, "."); found && !has; _, rest, found = strings.Cut(rest, ".") {
		owner, has = claimed["*."+rest]
	}
	return owner, has
}

// localHosts lists the hosts below localhost that routes name, each with the first that does.
func (w *world) localHosts() map[string]kube.Ref {
	hosts := map[string]kube.Ref{}
	for ref, route := range w.routes {
		for _, h := range hostnamesOf(route) {
			host := string(h)
			if first, has := hosts[host]; strings.HasSuffix(host, "."+localhost) && (!has || kube.CompareRefs(ref, first) < 0) {
				hosts[host] = ref
			}
		}
	}
	return hosts
}

// candidates lists the routes that lead to a Service, in no order, each with the host it may have. Where several namespaces have a
// service of one name, none has the short host.
func (w *world) candidates() []candidate {
	var out []candidate
	namespaces := map[string]map[string]bool{}
	for ref, route := range w.routes {
		if !leadsToService(route) {
			continue
		}
		c := candidate{ref: ref, name: w.serviceName(ref)}
		if strings.Contains(c.name, ".") {
			continue // no name for one label
		}
		if namespaces[c.name] == nil {
			namespaces[c.name] = map[string]bool{}
		}
		namespaces[c.name][ref.Name.Namespace] = true
		out = append(out, c)
	}
	for i := range out {
		c := &out[i]
		c.host = c.name + "." + localhost
		if len(namespaces[c.name]) > 1 {
			short := c.host
			c.host = c.name + "." + c.ref.Name.Namespace + "." + localhost
			if c.ref.Name.Name == c.name {
				w.conflicts = append(w.conflicts, aliasConflict{c.ref, fmt.Sprintf("%s could be one of %d services: this one is at %s", short, len(namespaces[c.name]), c.host)})
			}
		}
	}
	return out
}

// leadsToService tells whether a route of requests has a backend: a redirect of a gateway has none.
func leadsToService(o kube.Object) bool {
	switch r := o.(type) {
	case *gwv1.HTTPRoute:
		return slices.ContainsFunc(r.Spec.Rules, func(rule gwv1.HTTPRouteRule) bool { return len(rule.BackendRefs) > 0 })
	case *gwv1.GRPCRoute:
		return slices.ContainsFunc(r.Spec.Rules, func(rule gwv1.GRPCRouteRule) bool { return len(rule.BackendRefs) > 0 })
	}
	return false
}

// serviceName is the name of a route. Of a spec that needs several routes, the further ones are called NAME-2, NAME-3, and
// have the same hosts or the same rules as the first.
func (w *world) serviceName(ref kube.Ref) string {
	i := strings.LastIndexByte(ref.Name.Name, '-')
	if i < 0 {
		return ref.Name.Name
	}
	if n, err := strconv.Atoi(ref.Name.Name[i+1:]); err != nil || n < 2 {
		return ref.Name.Name
	}
	first := ref
	first.Name.Name = ref.Name.Name[:i]
	a, b := w.routes[first], w.routes[ref]
	if a == nil || !reflect.DeepEqual(hostnamesOf(a), hostnamesOf(b)) && !reflect.DeepEqual(rulesOf(a), rulesOf(b)) {
		return ref.Name.Name
	}
	return first.Name.Name
}

func rulesOf(o kube.Object) any {
	switch r := o.(type) {
	case *gwv1.HTTPRoute:
		return r.Spec.Rules
	case *gwv1.GRPCRoute:
		return r.Spec.Rules
	}
	return nil
}

// frontOf finds an HTTP listener for any host at a Gateway of the route, which lets the route in; else that of the
// Gateway for aliases. A route without a Gateway of ours is not ours to serve.
func (w *world) frontOf(route kube.Object) (front, bool) {
	spec, served := routeSpec(route), false
	best := front{aliasGatewayRef.Name, httpSection, 80}
	found := false
	for _, l := range w.listeners() {
		if !slices.ContainsFunc(spec.ParentRefs, func(p gwv1.ParentReference) bool { return l.belongsTo(route, &p) }) {
			continue
		}
		served = true
		if _, isGateway := l.owner.(*gwv1.Gateway); !isGateway || l.Protocol != gwv1.HTTPProtocolType || l.Hostname != nil && *l.Hostname != "" || !l.letsIn(route) {
			continue
		}
		if f := (front{l.gateway, l.Name, l.Port}); !found || cmp.Compare(f.port, best.port) < 0 {
			best, found = f, true
		}
	}
	return best, served
}

// belongsTo tells whether a parentRef means the listener or another of the same Gateway.
func (l *listener) belongsTo(route kube.Object, p *gwv1.ParentReference) bool {
	if _, isSet := l.owner.(*gwv1.ListenerSet); isSet {
		return l.isParent(route, &gwv1.ParentReference{Group: p.Group, Kind: p.Kind, Namespace: p.Namespace, Name: p.Name})
	}
	name, ok := kube.ParentGateway(route.GetNamespace(), p)
	return ok && name == l.gateway
}

// letsIn tells whether a listener takes routes of the namespace; one that selects by labels is not asked.
func (l *listener) letsIn(route kube.Object) bool {
	from := gwv1.NamespacesFromSame
	if l.AllowedRoutes != nil {
		if len(l.AllowedRoutes.Kinds) > 0 {
			return false
		}
		if n := l.AllowedRoutes.Namespaces; n != nil && n.From != nil {
			from = *n.From
		}
	}
	return from == gwv1.NamespacesFromAll || from == gwv1.NamespacesFromSame && route.GetNamespace() == l.owner.GetNamespace()
}

// route makes the object. It shares its rules with the source.
func (a alias) route(name types.NamespacedName) kube.Object {
	meta := metav1.ObjectMeta{Namespace: name.Namespace, Name: name.Name}
	namespace, section := gwv1.Namespace(a.front.gateway.Namespace), a.front.section
	parents := gwv1.CommonRouteSpec{ParentRefs: []gwv1.ParentReference{{
		Namespace: &namespace, Name: gwv1.ObjectName(a.front.gateway.Name), SectionName: &section}}}
	hosts := []gwv1.Hostname{gwv1.Hostname(a.host)}
	if a.host == "" {
		hosts = hostnamesOf(a.source)
	}
	if r, ok := a.source.(*gwv1.GRPCRoute); ok {
		return &gwv1.GRPCRoute{ObjectMeta: meta, Spec: gwv1.GRPCRouteSpec{CommonRouteSpec: parents, Hostnames: hosts, Rules: r.Spec.Rules}}
	}
	return &gwv1.HTTPRoute{ObjectMeta: meta, Spec: gwv1.HTTPRouteSpec{
		CommonRouteSpec: parents, Hostnames: hosts, Rules: a.source.(*gwv1.HTTPRoute).Spec.Rules}}
}

// isAlias tells whether a route is an alias.
func (w *world) isAlias(kind string, name types.NamespacedName) bool {
	k, known := kube.KindOf(gwv1.GroupName, kind)
	_, has := w.aliases[kube.Ref{Kind: k, Name: name}]
	return known && has
}

// aliasOf gives the alias of a route of the tree.
func (w *world) aliasOf(kind string, name types.NamespacedName) (alias, bool) {
	k, known := kube.KindOf(gwv1.GroupName, kind)
	a, has := w.aliases[kube.Ref{Kind: k, Name: types.NamespacedName{Namespace: name.Namespace, Name: name.Name + "." + localhost}}]
	return a, known && has
}

// AliasConflicts warns of services that are not at NAME.localhost.
func (s *Stack) AliasConflicts() schema.Errors {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs schema.Errors
	for _, c := range s.world.conflicts {
		errs = append(errs, &schema.Error{Position: s.originOf(c.source.Kind.String(), c.source.Name, -1), Message: c.text})
	}
	return errs
}
