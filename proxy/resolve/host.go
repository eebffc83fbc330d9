package resolve

import (
	"cmp"
	"slices"

	"headgate.dev/proxy/kube"
	"headgate.dev/proxy/model"
)

// Host puts the routes of one host of the gateway in the order in which they are tried. Each route contributes once; the order
// of the contributions does not matter. A host without any contribution exists only where a listener names it, and
// answers 404; otherwise the result is nil.
//
// The order (Gateway API, HTTPRouteSpec.hostnames and HTTPRouteRule.matches): the more specific hostname as the routes wrote
// it; then the match, as comparePrecedence says; then the older route; then namespace and name; then the place within the
// route. Of two identical matches the first answers.
func Host(g *GatewayResult, id model.HostID, contributions []Contribution) *model.Host {
	socket := g.socket(id.Table)
	if socket == nil {
		return nil
	}
	h := &model.Host{ID: id, Gateway: socket.Gateway, Port: socket.Port, Protocol: socket.Protocol}
	switch len(contributions) {
	case 0:
		if _, named := slices.BinarySearchFunc(g.Hosts, id, compareHosts); !named {
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
	return cmp.Or(
		cmp.Compare(b.Specificity, a.Specificity),
		a.Route.Created.Compare(b.Route.Created),
		kube.CompareNames(a.Route.Name, b.Route.Name),
		cmp.Compare(a.Route.Kind, b.Route.Kind))
}

// comparePrecedence orders matches: an exact path, then regular expressions, then prefixes, of two of a kind the longer one;
// then those with a method; then more headers; then more query parameters (Gateway API, HTTPRouteRule.matches). The API
// leaves the place of regular expressions open: before prefixes is where the other gateways built on Envoy have them.
func comparePrecedence(a, b *model.Match) int {
	if c := cmp.Compare(pathRank[a.PathKind], pathRank[b.PathKind]); c != 0 {
		return c
	}
	if c := cmp.Compare(len(b.Path), len(a.Path)); c != 0 {
		return c
	}
	if c := cmp.Compare(min(len(b.Method), 1), min(len(a.Method), 1)); c != 0 {
		return c
	}
	return cmp.Or(cmp.Compare(len(b.Headers), len(a.Headers)), cmp.Compare(len(b.Query), len(a.Query)))
}

var pathRank = [...]int{model.PathExact: 0, model.PathRegex: 1, model.PathPrefix: 2}
