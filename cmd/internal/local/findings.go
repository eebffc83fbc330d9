package local

import (
	"fmt"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/types"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/proxy/kube"
	"headgate.dev/proxy/model"
	"headgate.dev/schema"
)

// Findings says what of the last Apply is probably not what was meant. Errors are claims of two objects to the same requests
// between which nothing but their age or name decides; warnings are all else that never answers or is not served. A Gateway
// that is not in the tree may well be in the cluster: there is one warning for each.
func (s *Stack) Findings() (errs, warnings schema.Errors) {
	s.mu.Lock()
	defer s.mu.Unlock()
	hidden := s.newlyHidden()
	for i := range hidden {
		h := &hidden[i]
		if e := h.finding(); h.Same && h.Tie && !perPort(h.Route.Kind) {
			errs = append(errs, e)
		} else {
			warnings = append(warnings, e)
		}
	}
	for i := range s.effects.Routes {
		if r := &s.effects.Routes[i]; r.Result != nil {
			warnings = append(warnings, s.routeProblems(r, string(gwv1.RouteReasonRefNotPermitted))...) // which rendering has told
		}
	}
	for i := range s.effects.Gateways {
		if g := s.effects.Gateways[i].Result; g != nil {
			warnings = append(warnings, s.gatewayProblems(g)...)
		}
	}
	return errs.Sort(), append(warnings, s.homeless()...).Sort()
}

// perPort tells the kinds of routes of which a port has one.
func perPort(kind string) bool {
	return kind == kube.TCPRoute.String() || kind == kube.UDPRoute.String()
}

func (h *Hidden) finding() *schema.Error {
	requests := h.Host + " " + h.Request
	if h.Host == "*" && perPort(h.Route.Kind) {
		requests = h.Request
	}
	e := &schema.Error{Position: h.at}
	switch {
	case h.Same && h.Tie:
		e.Message = fmt.Sprintf("%s never answers %s: %s (%s) claims the same, and only age or name decides that it goes first", h.Object, requests, h.By, h.ByFrom)
	case h.Same:
		e.Message = fmt.Sprintf("%s never answers %s: %s (%s) claims the same and goes first: %s", h.Object, requests, h.By, h.ByFrom, h.Why)
	default:
		e.Message = fmt.Sprintf("%s never answers %s: %s (%s) takes all of it: %s", h.Object, requests, h.By, h.ByFrom, h.Why)
	}
	return e
}

// homeless tells of routes that name no Gateway, or Gateways that are not there.
func (s *Stack) homeless() (errs schema.Errors) {
	type missing struct {
		first  schema.Position
		routes int
	}
	gateways := map[types.NamespacedName]*missing{}
	for _, ref := range slices.SortedFunc(maps.Keys(s.world.routes), kube.CompareRefs) {
		route := s.world.routes[ref]
		parents := routeSpec(route).ParentRefs
		if len(parents) == 0 {
			errs = append(errs, &schema.Error{Position: s.originOf(ref.Kind.String(), ref.Name, -1),
				Message: fmt.Sprintf("%s %s has no parentRefs: it is not served anywhere", ref.Kind, ref.Name)})
		}
		for i := range parents {
			name, ok := kube.ParentGateway(ref.Name.Namespace, &parents[i])
			if !ok || s.world.object(kube.Ref{Kind: kube.Gateway, Name: name}) != nil {
				continue
			}
			if gateways[name] == nil {
				gateways[name] = &missing{first: s.originOf(ref.Kind.String(), ref.Name, -1)}
			}
			gateways[name].routes++
		}
	}
	for _, name := range slices.SortedFunc(maps.Keys(gateways), kube.CompareNames) {
		m := gateways[name]
		routes := "the route here names it"
		if m.routes > 1 {
			routes = fmt.Sprintf("%d routes name it, the first one here", m.routes)
		}
		errs = append(errs, &schema.Error{Position: m.first, Message: fmt.Sprintf(
			"Gateway %s is not in the tree: %s, and what becomes of them there is not known", model.Name(name), routes)})
	}
	return errs
}
