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
	// MaxAliases is how many routes a tree may have for each to get an alias: one costs as much memory as a host of one's own,
	// and each change looks at all of them.
	MaxAliases = 500
)

// alias is a second way to what a route says: at NAME.localhost, which every browser finds on this machine. It is a route of
// its own beside the one of the tree, so that nothing that is said about that one changes.
type alias struct {
	source kube.Object // the route of the tree, or of a preview; never written to
	host   string      // empty: those of the source
	front  front
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
	w.aliases, w.aliasGateway, w.aliasSet, w.listed = wanted, false, aliasSet{}, nil
	for _, a := range wanted {
		w.aliasGateway = w.aliasGateway || a.front.gateway == aliasGatewayRef.Name
		if a.front.set != (aliasSet{}) {
			w.aliasSet = a.front.set
		}
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
		f, ok := w.frontOf(source, true)
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

// route makes the object. It shares its rules with the source.
func (a alias) route(name types.NamespacedName) kube.Object {
	meta := metav1.ObjectMeta{Namespace: name.Namespace, Name: name.Name}
	parents := gwv1.CommonRouteSpec{ParentRefs: []gwv1.ParentReference{a.front.parent()}}
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
