package envoy

import (
	"fmt"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"

	"headgate.dev/proxy/model"
)

// routeMatch translates a match; an error means that no Envoy matcher can say it.
func routeMatch(m *model.Match) (*routev3.RouteMatch, error) {
	match := &routev3.RouteMatch{}
	switch {
	case m.PathKind == model.PathRegex:
		if err := checkRegex(m.Path); err != nil {
			return nil, fmt.Errorf("path %q: %w", m.Path, err)
		}
		match.PathSpecifier = &routev3.RouteMatch_SafeRegex{SafeRegex: &matcherv3.RegexMatcher{Regex: m.Path}}
	case m.PathKind == model.PathExact:
		match.PathSpecifier = &routev3.RouteMatch_Path{Path: m.Path}
	case m.Path == "/" || m.Path == "": // Envoy's whole-segment prefix has no form for everything
		match.PathSpecifier = &routev3.RouteMatch_Prefix{Prefix: "/"}
	default:
		match.PathSpecifier = &routev3.RouteMatch_PathSeparatedPrefix{PathSeparatedPrefix: m.Path}
	}
	if m.GRPC {
		match.Grpc = &routev3.RouteMatch_GrpcRouteMatchOptions{}
	}
	if m.Method != "" {
		match.Headers = append(match.Headers, exactHeader(":method", m.Method))
	}
	for _, v := range m.Headers {
		value, err := stringMatch(v)
		if err != nil {
			return nil, fmt.Errorf("header %q: %w", v.Name, err)
		}
		match.Headers = append(match.Headers, header(v.Name, value))
	}
	for _, v := range m.Query {
		value, err := stringMatch(v)
		if err != nil {
			return nil, fmt.Errorf("query parameter %q: %w", v.Name, err)
		}
		match.QueryParameters = append(match.QueryParameters, &routev3.QueryParameterMatcher{
			Name:                         v.Name,
			QueryParameterMatchSpecifier: &routev3.QueryParameterMatcher_StringMatch{StringMatch: value},
		})
	}
	return match, nil
}

func stringMatch(v model.ValueMatch) (*matcherv3.StringMatcher, error) {
	if !v.Regex {
		return exactString(v.Value), nil
	}
	if err := checkRegex(v.Value); err != nil {
		return nil, fmt.Errorf("value %q: %w", v.Value, err)
	}
	return regexString(v.Value), nil
}

func exactString(s string) *matcherv3.StringMatcher {
	return &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Exact{Exact: s}}
}

func regexString(expr string) *matcherv3.StringMatcher {
	return &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_SafeRegex{
		SafeRegex: &matcherv3.RegexMatcher{Regex: expr},
	}}
}

func header(name string, value *matcherv3.StringMatcher) *routev3.HeaderMatcher {
	return &routev3.HeaderMatcher{
		Name:                 name,
		HeaderMatchSpecifier: &routev3.HeaderMatcher_StringMatch{StringMatch: value},
	}
}

func exactHeader(name, value string) *routev3.HeaderMatcher { return header(name, exactString(value)) }

func presentHeader(name string) *routev3.HeaderMatcher {
	return &routev3.HeaderMatcher{
		Name:                 name,
		HeaderMatchSpecifier: &routev3.HeaderMatcher_PresentMatch{PresentMatch: true},
	}
}
