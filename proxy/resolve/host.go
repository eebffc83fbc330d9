package resolve

import (
	"cmp"
	"slices"

	"headgate.dev/proxy/kube"
	"headgate.dev/proxy/model"
	"headgate.dev/proxy/resolve/gateway"
)

// Host puts the routes of one host of the gateway in the order in which they are tried. Each route contributes once; the order
// of the contributions does not matter. A host without any contribution exists only where a listener names it, and
// answers 404; otherwise the result is nil.
//
// The order (Gateway API, HTTPRouteSpec.hostnames and HTTPRouteRule.matches): the more specific hostname as the routes wrote
// it; then the match, as comparePrecedence says; then the older route; then namespace and name; then the place within the
// route. Of two identical matches the first answers.
func Host(g *gateway.Result, id model.HostID, contributions []Contribution) *model.Host {
	table := g.Table(id.Table)
	if table == nil {
		return nil
	}
	h := &model.Host{ID: id, Gateway: table.Gateway, Port: table.Port, Protocol: table.Protocol}
	switch len(contributions) {
	case 0:
		if _, named := slices.BinarySearchFunc(g.Hosts, id, gateway.CompareHosts); !named {
			return nil
		}
	case 1:
		h.Routes = contributions[0].Route.Rules
	default:
		h.Routes = merge(contributions)
	}
	return h
}

// merge concatenates the templates by everything that counts after the match, then sorts by the match, leaving ties as
// they are.
func merge(contributions []Contribution) []model.Route {
	cs := slices.Clone(contributions)
	slices.SortFunc(cs, compareContributions)
	n := 0
	for i := range cs {
		n += len(cs[i].Route.Rules)
	}
	order := make([]*model.Route, 0, n)
	for from := 0; from < len(cs); {
		to, start := from, len(order)
		for ; to < len(cs) && cs[to].Specificity == cs[from].Specificity; to++ {
			for i := range cs[to].Route.Rules {
				order = append(order, &cs[to].Route.Rules[i])
			}
		}
		slices.SortStableFunc(order[start:], func(a, b *model.Route) int { return comparePrecedence(&a.Match, &b.Match) })
		from = to
	}
	routes := make([]model.Route, len(order))
	for i, r := range order {
		routes[i] = *r
	}
	return routes
}

func compareContributions(a, b Contribution) int {
	return cmp.Or(cmp.Compare(b.Specificity, a.Specificity), compareRoutes(a.Route, b.Route))
}

// compareRoutes orders by age, then name; routes of different kinds that have these in common, by kind.
func compareRoutes(a, b *RouteResult) int {
	return cmp.Or(a.Created.Compare(b.Created), kube.CompareNames(a.Name, b.Name), cmp.Compare(a.Kind, b.Kind))
}

// comparePrecedence orders matches: an exact path, then regular expressions, then prefixes, of two of a kind the longer one;
// then those for gRPC; then those with a method; then more headers; then more query parameters (Gateway API,
// HTTPRouteRule.matches). The API leaves the place of regular expressions open: before prefixes is where the other gateways
// built on Envoy have them. For gRPC a service goes before a method of any service (GRPCRouteRule.matches), which is a regular
// expression too: it stands behind the prefixes, and before "/".
//
// How HTTPRoutes and GRPCRoutes go together the API leaves open as well: of equal paths the one for gRPC goes first, because
// it matches less.
func comparePrecedence(a, b *model.Match) int {
	if c := cmp.Compare(a.PathRank(), b.PathRank()); c != 0 {
		return c
	}
	if c := cmp.Compare(len(b.Path), len(a.Path)); c != 0 {
		return c
	}
	if a.GRPC != b.GRPC {
		if a.GRPC {
			return -1
		}
		return 1
	}
	if c := cmp.Compare(min(len(b.Method), 1), min(len(a.Method), 1)); c != 0 {
		return c
	}
	return cmp.Or(cmp.Compare(len(b.Headers), len(a.Headers)), cmp.Compare(len(b.Query), len(a.Query)))
}
