package expand

import (
	"slices"
	"strconv"
	"strings"

	"headgate.dev/schema"
)

// maxParents is how many parentRefs a route may have.
const maxParents = 32

// gateways gives what a spec attaches to, as it is written, with the default gateway where it names none. The namespace is
// written only where the spec or the context says one.
func gateways(s *schema.ServiceSpec, c Context) ([]schema.GatewayRef, *schema.Error) {
	var base schema.GatewayRef
	if c.Gateway != "" {
		ref, problem := schema.ParseGatewayRef(c.Gateway)
		if problem != "" {
			return nil, s.Errorf("/spec/gateway", "the default gateway %q is none: %s", c.Gateway, problem)
		}
		base = ref
	}
	if len(s.Spec.Gateway) == 0 {
		if base.Name == "" {
			return nil, noGateway(s)
		}
		return []schema.GatewayRef{base}, nil
	}
	refs := make([]schema.GatewayRef, len(s.Spec.Gateway))
	for i, ref := range s.Spec.Gateway {
		if ref.Name == "" {
			ref.Namespace, ref.Name = base.Namespace, base.Name
		}
		if ref.Name == "" {
			return nil, noGateway(s)
		}
		refs[i] = ref
	}
	return refs, nil
}

func noGateway(s *schema.ServiceSpec) *schema.Error {
	return s.Errorf("/spec/gateway", "there is no default gateway; name one, as in \"infra/public\", or add a GatewaySpec with default: true")
}

// listenerFor gives the family of routes a listener is for, by the names GatewaySpecs give to listeners; "" for another name.
func listenerFor(name string) string {
	protocol := name
	if i := strings.IndexAny(name, "-."); i >= 0 {
		protocol = name[:i]
	}
	switch protocol {
	case "http", "https":
		return "requests"
	case "tls", "tcp", "udp":
		return protocol
	}
	return ""
}

// only leaves out the references to listeners for other families of routes: one spec has routes of several. If that are
// all of them, they are good as they are.
func only(refs []schema.GatewayRef, family string) []schema.GatewayRef {
	other := func(ref schema.GatewayRef) bool {
		is := listenerFor(ref.Listener)
		return is != "" && is != family
	}
	if !slices.ContainsFunc(refs, other) {
		return refs
	}
	if kept := slices.DeleteFunc(slices.Clone(refs), other); len(kept) > 0 {
		return kept
	}
	return refs
}

// whole gives each gateway once, narrowed to a port or, with 0, to nothing.
func whole(refs []schema.GatewayRef, port schema.Port) []schema.GatewayRef {
	var out []schema.GatewayRef
	for _, ref := range refs {
		ref.Listener, ref.Port = "", port
		if !slices.Contains(out, ref) {
			out = append(out, ref)
		}
	}
	return out
}

func parentRefs(refs []schema.GatewayRef) []any {
	out := make([]any, len(refs))
	for i, ref := range refs {
		out[i] = parentRef(ref)
	}
	return out
}

func parentRef(ref schema.GatewayRef) map[string]any {
	out := map[string]any{"name": ref.Name}
	if ref.Namespace != "" {
		out["namespace"] = ref.Namespace
	}
	if ref.Listener != "" {
		out["sectionName"] = ref.Listener
	}
	if ref.Port != 0 {
		out["port"] = int64(ref.Port)
	}
	return out
}

// requestParents gives the parents of routes for requests, which keep away from listeners that redirect: there a route of
// the Gateway's own namespace would come before the redirect, and any other is refused.
func requestParents(s *schema.ServiceSpec, c Context, refs []schema.GatewayRef) ([]any, *schema.Error) {
	refs = only(refs, "requests")
	if len(c.Redirects) == 0 {
		return parentRefs(refs), nil
	}
	var out []schema.GatewayRef
	for i, ref := range refs {
		namespace := ref.Namespace
		if namespace == "" {
			namespace = s.Metadata.Namespace
		}
		r, ok := c.Redirects[namespace+"/"+ref.Name]
		switch {
		case ok && r.redirects(ref):
			at := "/spec/gateway"
			if list := at + "/" + strconv.Itoa(i); s.At(list).Line > 0 && len(refs) > 1 {
				at = list
			}
			return nil, s.Errorf(at, "%q redirects all that comes in there to HTTPS; name another listener, or give the GatewaySpec redirect: false", ref)
		case ok && namespace == s.Metadata.Namespace:
			out = append(out, r.around(ref, s.Spec.Hosts)...)
		default:
			out = append(out, ref)
		}
	}
	if len(out) > maxParents {
		return nil, s.Errorf("/spec/gateway", "attaches to %d listeners one by one, because the gateway redirects some hosts and not others; at most %d are possible: name the listeners or give the spec hosts", len(out), maxParents)
	}
	return parentRefs(out), nil
}
