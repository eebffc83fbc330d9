package expand

import (
	"fmt"
	"strings"

	"headgate.dev/schema"
)

// redirectCode is what plain HTTP is answered with where the host has a certificate.
const redirectCode = 301

// redirectRoute gives the HTTPRoute of the listeners that redirect. There are at most half as many as a Gateway has
// listeners, because each has one for HTTPS beside it, and so no more than a route has parents.
func redirectRoute(s *schema.GatewaySpec, set *listenerSet) []*draft {
	var parents []any
	for i := range set.out {
		if set.out[i].redirects {
			parents = append(parents, parentRef(schema.GatewayRef{Namespace: s.Metadata.Namespace, Name: s.Metadata.Name, Listener: set.out[i].name()}))
		}
	}
	if len(parents) == 0 {
		return nil
	}
	d := newDraft(s, "HTTPRoute", s.Metadata.Name+"-redirect")
	d.content["spec"] = map[string]any{
		"parentRefs": parents,
		"rules": []any{map[string]any{
			"name":    "redirect",
			"filters": []any{filter("RequestRedirect", "requestRedirect", map[string]any{"scheme": "https", "statusCode": int64(redirectCode)})},
		}},
	}
	d.from(s, "/spec", "/spec/redirect")
	return []*draft{d}
}

// Redirects says which listeners of a gateway redirect plain HTTP, and which others there are for requests. Its text tells
// different ones apart.
type Redirects struct {
	from   map[string]bool // names of listeners
	others []open
}

// open is a listener that takes requests and does not redirect them.
type open struct {
	name string
	host string // "*" for every host
	port schema.Port
}

// RedirectsOf gives what routes must know of a gateway that redirects; ok is false for one that does not, or that is wrong.
func RedirectsOf(s *schema.GatewaySpec) (r Redirects, ok bool) {
	set := listenersOf(s)
	r.from = map[string]bool{}
	for i := range set.out {
		l := &set.out[i]
		switch {
		case l.redirects:
			r.from[l.name()] = true
		case l.protocol == schema.ProtocolHTTP || l.protocol == schema.ProtocolHTTPS:
			r.others = append(r.others, open{l.name(), string(l.host), l.port})
		}
	}
	return r, len(r.from) > 0 && len(set.errs) == 0
}

// String gives everything a route can depend on, for keys of caches.
func (r Redirects) String() string { return fmt.Sprint(r.from, r.others) }

// redirects tells whether all a reference narrows a gateway to redirects.
func (r Redirects) redirects(ref schema.GatewayRef) bool {
	if ref.Listener != "" {
		return r.from[ref.Listener]
	}
	return ref.Port == httpPort && len(r.serving(ref, nil)) == 0
}

// around gives references to the listeners that do not redirect, of those a reference means: by port where that says it,
// else each by name, as Gateway API wants it of two references to one gateway.
func (r Redirects) around(ref schema.GatewayRef, hosts []schema.ServiceHost) []schema.GatewayRef {
	if ref.Listener != "" || ref.Port != 0 && ref.Port != httpPort {
		return []schema.GatewayRef{ref}
	}
	serving := r.serving(ref, hosts)
	if len(serving) == 0 {
		serving = r.serving(ref, nil) // it attaches to nothing, and its status says so
	}
	same := true
	for _, o := range serving {
		same = same && o.port == serving[0].port && o.port != httpPort
	}
	if same {
		ref.Port = serving[0].port
		return []schema.GatewayRef{ref}
	}
	out := make([]schema.GatewayRef, len(serving))
	for i, o := range serving {
		ref.Listener, ref.Port = o.name, 0
		out[i] = ref
	}
	return out
}

// serving gives the other listeners of the port a reference names, if it names one, that could take one of the hosts.
func (r Redirects) serving(ref schema.GatewayRef, hosts []schema.ServiceHost) []open {
	var out []open
	for _, o := range r.others {
		if ref.Port != 0 && ref.Port != o.port {
			continue
		}
		fits := len(hosts) == 0
		for _, h := range hosts {
			fits = fits || intersect(o.host, string(h))
		}
		if fits {
			out = append(out, o)
		}
	}
	return out
}

// intersect tells whether some name fits both, each a hostname, a wildcard or "*".
func intersect(a, b string) bool {
	covers := func(wildcard, host string) bool {
		rest, ok := strings.CutPrefix(wildcard, "*")
		return ok && strings.HasSuffix(host, rest)
	}
	return a == b || covers(a, b) || covers(b, a)
}
