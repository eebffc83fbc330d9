// Package narrow finds the part of a tree that a question is about. A Stack that holds the part gives the answer of one that holds
// the tree.
package narrow

import (
	"cmp"
	"slices"
	"strings"

	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/agent"
	"headgate.dev/cmd/internal/local"
	"headgate.dev/proxy/kube"
	"headgate.dev/render/object"
	"headgate.dev/schema/source"
)

// localhost is below what aliases are.
const localhost = ".localhost"

// Near gives the objects of a set without the HTTPRoutes and GRPCRoutes whose hosts are all others than these. For requests and
// connections to these hosts, a Stack that holds what is left explains the same as one that holds the set: what one host answers
// follows from its own routes and from all that is no route. One route that names the default Gateway stays, since that is made up
// for it.
func Near(set *object.Set, hosts ...string) []*object.Object {
	return near(set, hosts, nil)
}

// near keeps the routes to some Services too.
func near(set *object.Set, hosts []string, services map[string]bool) []*object.Object {
	names, aliased := make([]string, 0, len(hosts)), map[string]bool{}
	for _, h := range hosts {
		if h = strings.ToLower(h); h != "" {
			names = append(names, h)
		}
		if label, below := strings.CutSuffix(h, localhost); below {
			label, _, _ = strings.Cut(label, ".")
			aliased[unnumbered(label)] = true
		}
	}
	needed := false // the default Gateway
	return slices.DeleteFunc(slices.Collect(set.All()), func(o *object.Object) bool {
		own := routeHosts(o)
		if len(own) == 0 {
			return false
		}
		spec, _ := o.Content["spec"].(map[string]any)
		if !needed && namesDefault(o, spec) {
			needed = true
			return false
		}
		return !anyMeets(own, names) && !aliased[unnumbered(o.ID.Name)] && !leads(spec, services)
	})
}

// namesDefault tells whether a route attaches to the default Gateway.
func namesDefault(o *object.Object, spec map[string]any) bool {
	parents, _ := spec["parentRefs"].([]any)
	return slices.ContainsFunc(parents, func(p any) bool {
		ref, _ := p.(map[string]any)
		namespace, written := ref["namespace"].(string)
		if !written {
			namespace = o.ID.Namespace
		}
		name, _ := ref["name"].(string)
		return namespace+"/"+name == local.DefaultGateway
	})
}

// unnumbered takes the number away that the further routes of a spec have in their names.
func unnumbered(name string) string {
	if i := strings.LastIndexByte(name, '-'); i > 0 && strings.Trim(name[i+1:], "0123456789") == "" {
		return name[:i]
	}
	return name
}

// leads tells whether something of a route refers to a backend by one of these names, whatever its namespace is.
func leads(v any, names map[string]bool) bool {
	found := false
	eachBackend(v, func(name string) { found = found || names[name] })
	return found
}

// eachBackend gives the names of the backends that a value of a route refers to.
func eachBackend(v any, f func(name string)) {
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			eachBackend(item, f)
		}
	case map[string]any:
		for _, key := range []string{"rules", "filters", "requestMirror", "backendRefs", "backendRef"} {
			eachBackend(v[key], f)
		}
		if name, is := v["name"].(string); is {
			f(name)
		}
	}
}

// Touched gives the objects of the set before a change without the routes that the change cannot touch: a Stack that holds
// what is left says of the change the same as one that holds the set. A route is touched by another one with the same host or the
// same Service, of which more may be made up than before. All are where anything but a route with hosts of its own changes.
func Touched(before *object.Set, c agent.Change) []*object.Object {
	var hosts []string
	for _, o := range c.Put {
		old := before.Get(o.ID)
		if !narrow(o, &hosts) || old != nil && !narrow(old, &hosts) {
			return slices.Collect(before.All())
		}
	}
	for _, id := range c.Removed {
		if !narrow(before.Get(id), &hosts) {
			return slices.Collect(before.All())
		}
	}
	slices.Sort(hosts)
	hosts = slices.Compact(hosts)
	if len(hosts) > maxTouched {
		return slices.Collect(before.All())
	}
	services := map[string]bool{}
	note := func(o *object.Object) { eachBackend(o.Content["spec"], func(name string) { services[name] = true }) }
	for _, o := range c.Put {
		note(o)
		if old := before.Get(o.ID); old != nil {
			note(old)
		}
	}
	for _, id := range c.Removed {
		note(before.Get(id))
	}
	return near(before, hosts, services)
}

// maxTouched bounds the hosts that each route is compared with.
const maxTouched = 100

// narrow tells whether an object has a say at certain hosts alone, or at none, and adds these.
func narrow(o *object.Object, hosts *[]string) bool {
	if _, known := kube.KindOf(o.ID.Group, o.ID.Kind); !known {
		return true
	}
	own := routeHosts(o)
	*hosts = append(*hosts, own...)
	return len(own) > 0
}

// routeHosts lists the hosts that an HTTPRoute or a GRPCRoute names.
func routeHosts(o *object.Object) []string {
	if o.ID.Group != gwv1.GroupName || o.ID.Kind != kube.HTTPRoute.String() && o.ID.Kind != kube.GRPCRoute.String() {
		return nil
	}
	spec, _ := o.Content["spec"].(map[string]any)
	list, _ := spec["hostnames"].([]any)
	out := make([]string, 0, len(list))
	for _, h := range list {
		host, _ := h.(string)
		out = append(out, strings.ToLower(host))
	}
	return out
}

func anyMeets(a, b []string) bool {
	return slices.ContainsFunc(a, func(x string) bool {
		return slices.ContainsFunc(b, func(y string) bool { return meets(x, y) })
	})
}

// meets tells whether some name has both of two hosts, either of which may be a wildcard.
func meets(a, b string) bool {
	if a == b || a == "" || b == "" {
		return true
	}
	return covers(a, b) || covers(b, a)
}

// covers tells whether a wildcard has another host.
func covers(wildcard, host string) bool {
	suffix, is := strings.CutPrefix(wildcard, "*")
	return is && strings.HasSuffix(host, suffix)
}

// RouteHosts lists the hosts that the HTTPRoutes and GRPCRoutes of a set name, without repeats.
func RouteHosts(set *object.Set) []string {
	var all []string
	for o := range set.All() {
		all = append(all, routeHosts(o)...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Nearest puts the names that look most like one first, and gives up to limit of them.
func Nearest(name string, names []string, limit int) []string {
	type candidate struct {
		name     string
		distance int
	}
	name = strings.ToLower(name)
	list := make([]candidate, len(names))
	for i, n := range names {
		list[i] = candidate{n, source.EditDistance(name, n)}
	}
	slices.SortStableFunc(list, func(a, b candidate) int { return cmp.Compare(a.distance, b.distance) })
	var out []string
	for _, c := range list[:min(limit, len(list))] {
		out = append(out, c.name)
	}
	return out
}
