package envoy

import (
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"

	"headgate.dev/proxy/model"
)

// noRoute is the name of the route that answers 404 at the end of every host: an exact host never falls through to the
// wildcards, and the Lua filter tells a miss by the empty name.
const noRoute = "no-route"

// Field numbers of envoy.config.route.v3.RouteConfiguration and VirtualHost, which are put together from encoded routes,
// so that a bad route is found alone and nothing is encoded twice.
const (
	fieldTableName   protowire.Number = 1
	fieldTableHosts  protowire.Number = 2
	fieldHostName    protowire.Number = 1
	fieldHostDomains protowire.Number = 2
	fieldHostRoutes  protowire.Number = 3
)

var (
	// exactTail is what every RouteConfiguration of an exact host has behind its virtual host.
	exactTail = mustEncode(&routev3.RouteConfiguration{
		RequestHeadersToRemove: []string{scopeHeader},
		TypedPerFilterConfig:   filterConfig(scopeFilter, mustAny(&routev3.FilterConfig{Disabled: true})),
	})
	// wildcardTail is the same for the RouteConfiguration of a table's wildcard hosts.
	wildcardTail = mustEncode(&routev3.RouteConfiguration{
		RequestHeadersToRemove:   []string{scopeHeader},
		IgnorePortInHostMatching: true,
	})
	notFoundRoute = lastRoute(noRoute, 404)
	// misdirectedRoute sends a client that asks on one connection for the host of another table to a new connection.
	misdirectedRoute = lastRoute("misdirected", 421)
)

// lastRoute answers every request with a status.
func lastRoute(name string, status int) []byte {
	return mustEncode(&routev3.Route{
		Name:   name,
		Match:  &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_Prefix{Prefix: "/"}},
		Action: directResponse(status),
	})
}

// Host translates one hostname of a table. Problems never stop the rest of the host.
func Host(h *model.Host, o Options) HostResult {
	t := &translator{host: h, options: o, routes: make([]byte, 0, 512*(len(h.Routes)+1))}
	for i := range h.Routes {
		t.add(&h.Routes[i])
	}
	t.routes = appendBytes(t.routes, fieldHostRoutes, notFoundRoute)
	result := HostResult{Problems: t.problems}
	if h.ID.Wildcard() {
		body := virtualHost(h.ID.Name, hostDomains(h.ID.Name), t.routes)
		result.Part = &Part{ID: h.ID, Version: version(body), body: body}
		return result
	}
	name := scopeName(h.ID.Table, h.ID.Name)
	vhost := virtualHost(h.ID.Name, []string{anyHost}, t.routes)
	body := make([]byte, 0, len(name)+len(vhost)+len(exactTail)+16)
	body = appendBytes(body, fieldTableName, name)
	body = appendBytes(body, fieldTableHosts, vhost)
	body = append(body, exactTail...)
	result.Resources = []Resource{scope(name), newResource(RouteType, name, body)}
	return result
}

// Wildcards makes the scope of a table that answers for every host without a scope of its own: its wildcard hosts, 421 for
// the hosts of other tables of the port, and 404 for what none of them matches. Every table has it, with no parts too. The
// order of parts does not matter. A name that is both a part and misdirected is the part's.
func Wildcards(t *model.Table, parts []*Part, _ Options) []Resource {
	hosts := slices.Clone(parts)
	add := func(name string, route []byte) {
		if slices.ContainsFunc(hosts, func(p *Part) bool { return p.ID.Name == name }) {
			return
		}
		body := virtualHost(name, hostDomains(name), appendBytes(nil, fieldHostRoutes, route))
		hosts = append(hosts, &Part{ID: model.HostID{Table: t.ID, Name: name}, body: body})
	}
	for _, name := range t.Misdirected {
		add(name, misdirectedRoute)
	}
	add(anyHost, notFoundRoute)
	slices.SortFunc(hosts, func(a, b *Part) int { return strings.Compare(a.ID.Name, b.ID.Name) })
	name := scopeName(t.ID, anyHost)
	size := len(name) + len(wildcardTail) + 8
	for _, h := range hosts {
		size += len(h.body) + 8
	}
	body := appendBytes(make([]byte, 0, size), fieldTableName, name)
	for _, h := range hosts {
		body = appendBytes(body, fieldTableHosts, h.body)
	}
	body = append(body, wildcardTail...)
	return []Resource{scope(name), newResource(RouteType, name, body)}
}

// hostDomains are the domains of a host in the wildcard scope. "shop.example.com." is shop.example.com (RFC 9110, 4.2.3).
func hostDomains(host string) []string {
	if host == anyHost {
		return []string{anyHost}
	}
	return []string{host, host + "."}
}

func virtualHost(name string, domains []string, routes []byte) []byte {
	b := make([]byte, 0, len(routes)+len(name)+64)
	b = appendBytes(b, fieldHostName, name)
	for _, d := range domains {
		b = appendBytes(b, fieldHostDomains, d)
	}
	return append(b, routes...)
}
