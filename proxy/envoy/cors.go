package envoy

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	corsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/cors/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"

	"headgate.dev/proxy/model"
)

const (
	corsFilter = "envoy.filters.http.cors"
	anyOrigin  = "*"
	// originHost is what a "*" in the host of an origin stands for: any labels. At the end it includes a port.
	originHost = `[A-Za-z0-9._-]+`
	originPort = `(:[0-9]+)?`

	requestMethod  = "access-control-request-method"
	requestHeaders = "access-control-request-headers"

	corsMaxAge = 5 * time.Second // of a rule that says nothing (HTTPCORSFilter.maxAge)
)

// sentInPreflight are headers that a browser sends in a preflight request as in the request itself. All others it
// announces by name.
var sentInPreflight = []string{"accept-language", "host", "origin", "referer", "user-agent"}

// withCORS adds to the routes of r, of which match is the match, the policy for requests with an origin, and in front of
// them the routes that answer its preflight requests. A preflight request is an OPTIONS request that announces the method
// and the header names of the one to come, so it would not match the rule itself: it matches the rule's path and query, the
// announced method, and the announced names of the rule's headers. It never reaches a backend. One with a foreign origin
// gets an answer that allows nothing.
//
// The preflight answer is a direct response, because Envoy's filter writes constants only, and a browser takes "*"
// literally in answers that allow credentials.
func withCORS(routes []*routev3.Route, match *routev3.RouteMatch, r *model.Route) ([]*routev3.Route, error) {
	origins, err := corsOrigins(r.CORS.Origins)
	if err != nil {
		return nil, err
	}
	policy, err := packed(corsPolicy(r.CORS, origins))
	if err != nil {
		return nil, fmt.Errorf("checking the CORS policy as Envoy does: %w", plain(err))
	}
	for _, route := range routes {
		if route.TypedPerFilterConfig == nil {
			route.TypedPerFilterConfig = map[string]*anypb.Any{}
		}
		route.TypedPerFilterConfig[corsFilter] = policy
		// The answer names one origin: a cache must keep the answers for two origins apart.
		route.ResponseHeadersToAdd = append(slices.Clip(route.ResponseHeadersToAdd),
			headerOption("vary", "origin", corev3.HeaderValueOption_APPEND_IF_EXISTS_OR_ADD))
	}
	foreign := &routev3.Route{Name: routes[0].Name, Match: preflightMatch(match, r), Action: directResponse(204)}
	if len(origins) == 0 {
		return append([]*routev3.Route{foreign}, routes...), nil
	}
	allowed := like(foreign)
	allowed.Action = foreign.Action
	allowed.Match.Headers = append(slices.Clip(allowed.Match.Headers), originMatch(origins))
	allowed.ResponseHeadersToAdd = preflightHeaders(r.CORS)
	if slices.Contains(r.CORS.Origins, anyOrigin) {
		return append([]*routev3.Route{allowed}, routes...), nil
	}
	return append([]*routev3.Route{allowed, foreign}, routes...), nil
}

func corsPolicy(c *model.CORS, origins []*matcherv3.StringMatcher) *corsv3.CorsPolicy {
	policy := &corsv3.CorsPolicy{
		AllowOriginStringMatch: origins,
		AllowMethods:           strings.Join(c.Methods, ","),
		AllowHeaders:           strings.Join(c.Headers, ","),
		ExposeHeaders:          exposed(c),
		MaxAge:                 maxAge(c),
	}
	if c.Credentials {
		policy.AllowCredentials = wrapperspb.Bool(true)
	}
	return policy
}

// exposed leaves "*" out of answers with credentials, where it would be the name of a header.
func exposed(c *model.CORS) string {
	if c.Credentials && slices.Contains(c.Expose, "*") {
		return ""
	}
	return strings.Join(c.Expose, ",")
}

func maxAge(c *model.CORS) string {
	age := c.MaxAge
	if age <= 0 {
		age = corsMaxAge
	}
	return strconv.FormatInt(int64(age/time.Second), 10)
}

func corsOrigins(list []string) ([]*matcherv3.StringMatcher, error) {
	var matchers []*matcherv3.StringMatcher
	for _, origin := range list {
		if origin == anyOrigin || !strings.Contains(origin, "*") {
			matchers = append(matchers, exactString(origin))
			continue
		}
		expr := originRegex(origin)
		if err := checkRegex(expr); err != nil {
			return nil, fmt.Errorf("CORS origin %q: %w", origin, err)
		}
		matchers = append(matchers, regexString(expr))
	}
	return matchers, nil
}

func originRegex(origin string) string {
	expr := strings.ReplaceAll(regexp.QuoteMeta(origin), `\*`, originHost)
	if strings.HasSuffix(origin, "*") {
		expr += originPort
	}
	return expr
}

// originMatch makes one matcher of the origin header from those of the policy.
func originMatch(origins []*matcherv3.StringMatcher) *routev3.HeaderMatcher {
	exprs := make([]string, 0, len(origins))
	for _, o := range origins {
		switch exact := o.GetExact(); {
		case exact == anyOrigin:
			return presentHeader("origin")
		case exact != "":
			exprs = append(exprs, regexp.QuoteMeta(exact))
		default:
			exprs = append(exprs, o.GetSafeRegex().GetRegex())
		}
	}
	return header("origin", regexString(strings.Join(exprs, "|")))
}

// preflightMatch is the match of the preflight requests of a rule.
func preflightMatch(m *routev3.RouteMatch, r *model.Route) *routev3.RouteMatch {
	headers := []*routev3.HeaderMatcher{exactHeader(":method", "OPTIONS"), presentHeader("origin")}
	if r.Match.Method != "" {
		headers = append(headers, exactHeader(requestMethod, r.Match.Method))
	} else {
		headers = append(headers, presentHeader(requestMethod))
	}
	own := m.Headers
	if r.Match.Method != "" {
		own = own[1:]
	}
	for i, h := range r.Match.Headers {
		if slices.Contains(sentInPreflight, h.Name) {
			headers = append(headers, own[i])
			continue
		}
		headers = append(headers, header(requestHeaders, regexString(`(?i)(.*,)?\s*`+regexp.QuoteMeta(h.Name)+`\s*(,.*)?`)))
	}
	return &routev3.RouteMatch{PathSpecifier: m.PathSpecifier, QueryParameters: m.QueryParameters, Headers: headers}
}

// preflightHeaders are the headers of the answer to a preflight request, by Envoy's substitution commands where it repeats
// what was asked for. A command without a value adds no header.
func preflightHeaders(c *model.CORS) []*corev3.HeaderValueOption {
	var headers []*corev3.HeaderValueOption
	set := func(name, format string) {
		if format != "" {
			headers = append(headers, headerOption(name, format, corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD))
		}
	}
	list := func(values []string, request string) string {
		if c.Credentials && slices.Contains(values, "*") {
			return "%REQ(" + request + ")%"
		}
		return literal(strings.Join(values, ","))
	}
	set("access-control-allow-origin", "%REQ(origin)%")
	if c.Credentials {
		set("access-control-allow-credentials", "true")
	}
	set("access-control-allow-methods", list(c.Methods, requestMethod))
	set("access-control-allow-headers", list(c.Headers, requestHeaders))
	// A browser reads these from the answer to the request itself, but Gateway API's conformance suite reads them here.
	set("access-control-expose-headers", literal(exposed(c)))
	set("access-control-max-age", maxAge(c))
	set("vary", "origin")
	return headers
}
