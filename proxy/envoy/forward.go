package envoy

import (
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/types/known/wrapperspb"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"

	"headgate.dev/proxy/model"
)

// noCluster is a cluster that never exists: a share without a valid backend is answered 500 there, or gRPC's UNAVAILABLE.
const noCluster = "none"

// million is the finest denominator of Envoy's fractions.
const million = 1_000_000

// forward completes base for the backends of r. It is one route where they agree on the path, else one per share.
func forward(base *routev3.Route, r *model.Route) ([]*routev3.Route, error) {
	shares := make([]*model.Backend, 0, len(r.Forward.Backends))
	valid := 0
	for i := range r.Forward.Backends {
		b := &r.Forward.Backends[i]
		if b.Weight == 0 {
			continue
		}
		if err := checkEdits(b.RequestHeaders, b.ResponseHeaders); err != nil {
			return nil, fmt.Errorf("backend %s: %w", b.Cluster, err)
		}
		shares = append(shares, b)
		if b.Cluster != (model.ClusterID{}) {
			valid++
		}
	}
	if valid == 0 {
		base.Action = directResponse(noBackend(r))
		return []*routev3.Route{base}, nil
	}
	action, err := forwardAction(r.Forward)
	if err != nil {
		return nil, err
	}
	if r.Match.GRPC && action.IdleTimeout == nil {
		action.IdleTimeout = noTimeout // a stream of events may be silent, and no field of a GRPCRoute could say so
	}
	if samePath(r.Forward, shares) {
		sendTo(base, action, r, shares)
		return []*routev3.Route{base}, nil
	}
	return split(base, action, r, shares), nil
}

// split makes one route per share, because Envoy's weighted clusters have no path of their own. All routes of one lookup
// see the same random number of the request, so that each route takes what lies below its cumulative share.
func split(base *routev3.Route, action *routev3.RouteAction, r *model.Route, shares []*model.Backend) []*routev3.Route {
	total, sum := uint64(0), uint64(0)
	for _, b := range shares {
		total += uint64(b.Weight)
	}
	routes := make([]*routev3.Route, 0, len(shares))
	for i, b := range shares {
		sum += uint64(b.Weight)
		route := like(base)
		if i < len(shares)-1 {
			route.Match.RuntimeFraction = fraction(sum, total)
		}
		if b.Cluster == (model.ClusterID{}) {
			route.Action = directResponse(noBackend(r))
		} else {
			sendTo(route, cloneAction(action), r, shares[i:i+1])
		}
		routes = append(routes, route)
	}
	return routes
}

// cloneAction copies what forwardAction sets.
func cloneAction(a *routev3.RouteAction) *routev3.RouteAction {
	return &routev3.RouteAction{
		Timeout:               a.Timeout,
		IdleTimeout:           a.IdleTimeout,
		RetryPolicy:           a.RetryPolicy,
		RequestMirrorPolicies: a.RequestMirrorPolicies,
	}
}

// samePath tells whether all valid shares send the same path.
func samePath(f *model.Forward, shares []*model.Backend) bool {
	var first *model.Backend
	for _, b := range shares {
		switch {
		case b.Cluster == (model.ClusterID{}):
		case first == nil:
			first = b
		default:
			x, y := sharePath(f, first), sharePath(f, b)
			if (x == nil) != (y == nil) || x != nil && *x != *y {
				return false
			}
		}
	}
	return true
}

// sharePath is the path edit of a share: its own, else that of the rule.
func sharePath(f *model.Forward, b *model.Backend) *model.PathEdit {
	if b.Rewrite != nil && b.Rewrite.Path != nil {
		return b.Rewrite.Path
	}
	if f.Rewrite != nil {
		return f.Rewrite.Path
	}
	return nil
}

// sendTo completes a route whose shares agree on the path; at least one of them is valid.
func sendTo(route *routev3.Route, action *routev3.RouteAction, r *model.Route, shares []*model.Backend) {
	for _, b := range shares {
		if b.Cluster != (model.ClusterID{}) {
			rewritePath(action, &r.Match, sharePath(r.Forward, b))
			break
		}
	}
	if w := r.Forward.Rewrite; w != nil && w.Host != "" {
		action.HostRewriteSpecifier = &routev3.RouteAction_HostRewriteLiteral{HostRewriteLiteral: w.Host}
	}
	route.Action = &routev3.Route_Route{Route: action}
	if len(shares) > 1 {
		sendToShares(route, action, r, shares)
		return
	}
	only := shares[0]
	if only.Rewrite != nil && only.Rewrite.Host != "" {
		action.HostRewriteSpecifier = &routev3.RouteAction_HostRewriteLiteral{HostRewriteLiteral: only.Rewrite.Host}
	}
	action.ClusterSpecifier = &routev3.RouteAction_Cluster{Cluster: only.Cluster.String()}
	if edited(only) {
		edits := shareEdits(r, only)
		route.RequestHeadersToAdd, route.RequestHeadersToRemove = headerEdit(edits[0])
		route.ResponseHeadersToAdd, route.ResponseHeadersToRemove = headerEdit(edits[1])
	}
}

// sendToShares draws one of several clusters. Envoy edits headers for the cluster first and for the route then; the model
// has it the other way round, so that all edits are made for the cluster where one has its own.
func sendToShares(route *routev3.Route, action *routev3.RouteAction, r *model.Route, shares []*model.Backend) {
	own := slices.ContainsFunc(shares, edited)
	if own {
		route.RequestHeadersToAdd, route.RequestHeadersToRemove = nil, nil
		route.ResponseHeadersToAdd, route.ResponseHeadersToRemove = nil, nil
	}
	weighted := &routev3.WeightedCluster{Clusters: make([]*routev3.WeightedCluster_ClusterWeight, 0, len(shares))}
	for _, b := range shares {
		w := &routev3.WeightedCluster_ClusterWeight{Name: noCluster, Weight: wrapperspb.UInt32(b.Weight)}
		weighted.Clusters = append(weighted.Clusters, w)
		if b.Cluster != (model.ClusterID{}) {
			w.Name = b.Cluster.String()
		}
		if own {
			edits := shareEdits(r, b)
			w.RequestHeadersToAdd, w.RequestHeadersToRemove = headerEdit(edits[0])
			w.ResponseHeadersToAdd, w.ResponseHeadersToRemove = headerEdit(edits[1])
		}
		if b.Rewrite != nil && b.Rewrite.Host != "" {
			w.HostRewriteSpecifier = &routev3.WeightedCluster_ClusterWeight_HostRewriteLiteral{
				HostRewriteLiteral: b.Rewrite.Host,
			}
		}
	}
	action.ClusterSpecifier = &routev3.RouteAction_WeightedClusters{WeightedClusters: weighted}
	if !r.Match.GRPC {
		action.ClusterNotFoundResponseCode = routev3.RouteAction_INTERNAL_SERVER_ERROR
	}
}

// noBackend is the status of a share without a valid backend. Envoy tells gRPC clients of 503 as UNAVAILABLE, which is what a
// GRPCRoute asks for (GRPCRouteRule.backendRefs).
func noBackend(r *model.Route) int {
	if r.Match.GRPC {
		return 503
	}
	return 500
}

func edited(b *model.Backend) bool { return b.RequestHeaders != nil || b.ResponseHeaders != nil }

// shareEdits are the edits of the request and of the response for a share, those of the route included.
func shareEdits(r *model.Route, b *model.Backend) [2]*model.HeaderEdit {
	return [2]*model.HeaderEdit{
		compose(r.RequestHeaders, b.RequestHeaders),
		compose(r.ResponseHeaders, b.ResponseHeaders),
	}
}

func rewritePath(action *routev3.RouteAction, m *model.Match, edit *model.PathEdit) {
	prefix, full, regex := pathEdit(m, edit)
	action.PrefixRewrite, action.RegexRewrite = prefix, regex
	if full != "" {
		action.RegexRewrite = &matcherv3.RegexMatchAndSubstitute{
			Pattern:      wholePath,
			Substitution: strings.ReplaceAll(full, `\`, `\\`),
		}
	}
}

var wholePath = &matcherv3.RegexMatcher{Regex: "^.*$"}

// mirrors translates the mirrors that have a cluster; a copy keeps the Host header of the request.
func mirrors(list []model.Mirror) []*routev3.RouteAction_RequestMirrorPolicy {
	var policies []*routev3.RouteAction_RequestMirrorPolicy
	for _, m := range list {
		if m.Cluster == (model.ClusterID{}) || m.Numerator == 0 {
			continue
		}
		policy := &routev3.RouteAction_RequestMirrorPolicy{
			Cluster:                       m.Cluster.String(),
			DisableShadowHostSuffixAppend: true,
		}
		if m.Numerator < m.Denominator {
			policy.RuntimeFraction = fraction(uint64(m.Numerator), uint64(m.Denominator))
		}
		policies = append(policies, policy)
	}
	return policies
}

// fraction gives n of total, in the finest of Envoy's denominators.
func fraction(n, total uint64) *corev3.RuntimeFractionalPercent {
	return &corev3.RuntimeFractionalPercent{DefaultValue: &typev3.FractionalPercent{
		Numerator:   uint32(n * million / total),
		Denominator: typev3.FractionalPercent_MILLION,
	}}
}
