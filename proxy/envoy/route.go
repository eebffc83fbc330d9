package envoy

import (
	"encoding/hex"
	"fmt"

	"github.com/cespare/xxhash/v2"
	"google.golang.org/protobuf/types/known/anypb"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"

	"headgate.dev/proxy/model"
)

// translator collects the encoded routes of one host.
type translator struct {
	host     *model.Host
	options  Options
	routes   []byte // field fieldHostRoutes of the virtual host, repeated
	problems []Problem
}

// add appends a route, or what stands in for it.
func (t *translator) add(r *model.Route) {
	name := routeName(r)
	routes, err := t.translate(name, r)
	if err == nil {
		err = t.append(routes)
	}
	if err == nil {
		return
	}
	t.problems = append(t.problems, Problem{Source: r.Source, Message: err.Error()})
	match, err := routeMatch(&r.Match)
	if err != nil {
		return
	}
	standIn := &routev3.Route{Name: name, Match: match, Action: directResponse(500)}
	if err := t.append([]*routev3.Route{standIn}); err != nil {
		return // it is the match that Envoy would reject: the problem says so already
	}
}

// append checks and encodes routes; on an error none of them is added.
func (t *translator) append(routes []*routev3.Route) error {
	b := t.routes
	for _, r := range routes {
		if err := r.ValidateAll(); err != nil {
			return fmt.Errorf("checking the route as Envoy does: %w", plain(err))
		}
		var err error
		if b, err = appendMessage(b, fieldHostRoutes, r); err != nil {
			return fmt.Errorf("encoding the route: %w", err)
		}
	}
	t.routes = b
	return nil
}

// translate makes the Envoy routes of r, in the order in which they are tried: preflight requests, then the route itself,
// which is several where its shares differ in what only a route can say.
func (t *translator) translate(name string, r *model.Route) ([]*routev3.Route, error) {
	match, err := routeMatch(&r.Match)
	if err != nil {
		return nil, err
	}
	base := &routev3.Route{Name: name, Match: match}
	if err := editRoute(base, r); err != nil {
		return nil, err
	}
	routes, err := t.act(base, r)
	if err != nil || r.CORS == nil {
		return routes, err
	}
	return withCORS(routes, base.Match, r)
}

// act completes base with what the route does.
func (t *translator) act(base *routev3.Route, r *model.Route) ([]*routev3.Route, error) {
	switch {
	case r.Redirect != nil:
		action, bare := t.redirect(r)
		if action == nil {
			return nil, fmt.Errorf("redirect with status code %d: not one of 301, 302, 303, 307, 308", r.Redirect.Code)
		}
		base.Action = &routev3.Route_Redirect{Redirect: action}
		if bare {
			base.TypedPerFilterConfig = filterConfig(bareFilter, bareHost)
		}
	case r.Forward != nil:
		return forward(base, r)
	default:
		base.Action = directResponse(r.Status)
	}
	return []*routev3.Route{base}, nil
}

// editRoute sets the header edits of the route itself.
func editRoute(route *routev3.Route, r *model.Route) error {
	if err := checkEdits(r.RequestHeaders, r.ResponseHeaders); err != nil {
		return err
	}
	route.RequestHeadersToAdd, route.RequestHeadersToRemove = headerEdit(r.RequestHeaders)
	route.ResponseHeadersToAdd, route.ResponseHeadersToRemove = headerEdit(r.ResponseHeaders)
	return nil
}

// like makes a route with the name and the header edits of base, and a match of its own that can be changed without
// changing that of base.
func like(base *routev3.Route) *routev3.Route {
	return &routev3.Route{
		Name: base.Name,
		Match: &routev3.RouteMatch{
			PathSpecifier:   base.Match.PathSpecifier,
			Headers:         base.Match.Headers,
			QueryParameters: base.Match.QueryParameters,
			Grpc:            base.Match.Grpc,
		},
		RequestHeadersToAdd:     base.RequestHeadersToAdd,
		RequestHeadersToRemove:  base.RequestHeadersToRemove,
		ResponseHeadersToAdd:    base.ResponseHeadersToAdd,
		ResponseHeadersToRemove: base.ResponseHeadersToRemove,
	}
}

func directResponse(status int) *routev3.Route_DirectResponse {
	return &routev3.Route_DirectResponse{DirectResponse: &routev3.DirectResponseAction{Status: uint32(status)}}
}

// filterConfig is the per-route setting of one filter.
func filterConfig(filter string, config *anypb.Any) map[string]*anypb.Any {
	return map[string]*anypb.Any{filter: config}
}

// routeName says which rule a route comes from: "HTTPRoute/namespace/name/RULE", where RULE is the name of the rule, or a
// digest of the match for a rule without one. It stays the same when rules are inserted or reordered.
func routeName(r *model.Route) string {
	s := &r.Source
	b := make([]byte, 0, 96)
	for _, part := range [...]string{s.Kind, s.Namespace, s.Name.Name} {
		b = append(b, part...)
		b = append(b, '/')
	}
	if s.RuleName != "" {
		return string(append(b, s.RuleName...))
	}
	return string(hex.AppendEncode(b, digest(&r.Match)))
}

// digest of a match: every value with its length, so that no two matches have one text.
func digest(m *model.Match) []byte {
	b := make([]byte, 0, 128)
	text := func(s string) {
		b = append(b, byte(len(s)), byte(len(s)>>8))
		b = append(b, s...)
	}
	values := func(list []model.ValueMatch) {
		b = append(b, byte(len(list)))
		for _, v := range list {
			text(v.Name)
			text(v.Value)
			if v.Regex {
				b = append(b, '~')
			}
		}
	}
	b = append(b, byte(m.PathKind))
	text(m.Path)
	text(m.Method)
	values(m.Headers)
	values(m.Query)
	if m.GRPC {
		text("grpc")
	}
	sum := xxhash.Sum64(b)
	return []byte{byte(sum >> 56), byte(sum >> 48), byte(sum >> 40), byte(sum >> 32), byte(sum >> 24), byte(sum >> 16)}
}
