package schema

import (
	"slices"
	"strconv"
	"strings"
)

// checkLoop refuses a redirect that leads back to its own route: a client would follow it until it gives up. Only what is
// plain from the spec is refused, because another spec may take what is redirected to.
func (d *decoder) checkLoop(spec *Node, s *Service, i int) {
	r := s.Routes[i].Redirect
	if r == nil || s.leaves(r) {
		return
	}
	at := "/routes/" + strconv.Itoa(i) + "/redirect"
	switch {
	case r.Path != nil:
		if p, ok := s.Routes[i].matching(string(*r.Path)); ok && !s.elsewhere(i, string(*r.Path)) {
			d.errorIn(spec, at+"/path", "%q is matched by the route's own path %q, so it is redirected to itself", *r.Path, p)
		}
	case r.Prefix != nil:
		if p, ok := s.Routes[i].matching(string(*r.Prefix)); ok {
			d.errorIn(spec, at+"/prefix", "%q is the route's own path %q, so every request is redirected to itself", *r.Prefix, p)
		}
	case r.Host != "":
		d.errorIn(spec, at+"/host", "%q is one of the spec's own hosts, so a request for it is redirected to itself; answer it in a spec of its own, or redirect to another host", r.Host)
	case r.Scheme != "":
		d.errorIn(spec, at+"/scheme", "requests come in by https alone, so each is redirected to itself")
	}
}

// leaves tells whether a redirect leads to another scheme, host or port, as far as can be seen.
func (s *Service) leaves(r *Redirect) bool {
	return r.Port != 0 || r.Scheme != "" && !s.secureOnly(r.Scheme) || r.Host != "" && !s.answers(r.Host)
}

// secureOnly tells whether all the spec attaches to already has the scheme https, by the names of the listeners.
func (s *Service) secureOnly(scheme Scheme) bool {
	for _, ref := range s.Gateway {
		if ref.Port != 443 && ref.Listener != "https" && !strings.HasPrefix(ref.Listener, "https.") {
			return false
		}
	}
	return scheme == "https" && len(s.Gateway) > 0
}

// answers tells whether a host is one of the spec's by name: what a wildcard takes in may belong to another spec.
func (s *Service) answers(host Hostname) bool {
	return slices.Contains(s.Hosts, host)
}

// matching finds the path of a route that is the one given, exactly or as a prefix of itself.
func (r *Route) matching(path string) (PathMatch, bool) {
	paths := r.Path
	if len(paths) == 0 {
		paths = []PathMatch{{Kind: Prefix, Value: "/"}}
	}
	for _, p := range paths {
		if p.Value == "" {
			continue
		}
		if p.Kind == Exact && p.Value == path || p.Kind == Prefix && trimSlash(p.Value) == trimSlash(path) {
			return p, true
		}
	}
	return PathMatch{}, false
}

// elsewhere tells whether another route of the spec could take a path before route i does.
func (s *Service) elsewhere(i int, path string) bool {
	for j := range s.Routes {
		if j == i {
			continue
		}
		for _, p := range s.Routes[j].Path {
			if p.Kind == Exact && p.Value == path || p.Kind == Regex {
				return true
			}
		}
	}
	return false
}

func trimSlash(path string) string { return strings.TrimRight(path, "/") }
