package envoy

import (
	"regexp"
	"strings"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"

	"headgate.dev/proxy/model"
)

var redirectCodes = map[int]routev3.RedirectAction_RedirectResponseCode{
	301: routev3.RedirectAction_MOVED_PERMANENTLY,
	302: routev3.RedirectAction_FOUND,
	303: routev3.RedirectAction_SEE_OTHER,
	307: routev3.RedirectAction_TEMPORARY_REDIRECT,
	308: routev3.RedirectAction_PERMANENT_REDIRECT,
}

var wellKnownPorts = map[string]int32{"http": 80, "https": 443}

// redirect translates a redirect; nil for a status code that is none. bare is set where the Location must have the
// request's host without its port, which Envoy cannot do itself: see bareHost.
func (t *translator) redirect(r *model.Route) (action *routev3.RedirectAction, bare bool) {
	to := r.Redirect
	code, ok := redirectCodes[to.Code]
	if !ok {
		return nil, false
	}
	action = &routev3.RedirectAction{ResponseCode: code, HostRedirect: to.Host}
	scheme := to.Scheme
	if scheme == "" && t.host.Protocol == model.HTTPS {
		scheme = "https" // not what an HTTP/2 client says it is
	}
	if scheme != "" {
		action.SchemeRewriteSpecifier = &routev3.RedirectAction_SchemeRedirect{SchemeRedirect: scheme}
	}
	if to.Host == "" && !t.host.ID.Wildcard() {
		action.HostRedirect = t.host.ID.Name // the request's host, without its port
	}
	port := t.redirectPort(to)
	action.PortRedirect = uint32(port)
	redirectPath(action, &r.Match, to.Path)
	return action, action.HostRedirect == "" && port == 0
}

// redirectPort gives the port of the Location, 0 for one that is not written because the scheme implies it
// (HTTPRequestRedirectFilter.port).
func (t *translator) redirectPort(to *model.Redirect) int32 {
	scheme := to.Scheme
	if scheme == "" {
		if scheme = "http"; t.host.Protocol == model.HTTPS {
			scheme = "https"
		}
	}
	port := to.Port
	if port == 0 {
		port = t.impliedPort(to)
	}
	if port == wellKnownPorts[scheme] {
		return 0
	}
	return port
}

// impliedPort is the port of a redirect that names none: that of its scheme, else the listener's; and of that the one by which
// clients of the other host reach it.
func (t *translator) impliedPort(to *model.Redirect) int32 {
	port, ok := wellKnownPorts[to.Scheme]
	if !ok {
		port = t.host.Port
	}
	host := to.Host
	if host == t.host.ID.Name {
		host = ""
	}
	return t.options.publicPort(t.host.Gateway, port, host)
}

func redirectPath(action *routev3.RedirectAction, m *model.Match, edit *model.PathEdit) {
	prefix, full, regex := pathEdit(m, edit)
	switch {
	case regex != nil:
		action.PathRewriteSpecifier = &routev3.RedirectAction_RegexRewrite{RegexRewrite: regex}
	case prefix != "":
		action.PathRewriteSpecifier = &routev3.RedirectAction_PrefixRewrite{PrefixRewrite: prefix}
	case full != "":
		action.PathRewriteSpecifier = &routev3.RedirectAction_PathRedirect{PathRedirect: full}
	}
}

// pathEdit says how a path changes: by a new prefix in place of the matched one, by a new path, or by a substitution where
// a prefix would leave two slashes at the seam. All are empty when nothing changes. The query stays.
func pathEdit(m *model.Match, edit *model.PathEdit) (prefix, full string, regex *matcherv3.RegexMatchAndSubstitute) {
	if edit == nil {
		return "", "", nil
	}
	if !edit.Prefix || m.PathKind != model.PathPrefix {
		return "", rooted(edit.Value), nil
	}
	value := strings.TrimRight(edit.Value, "/")
	if value != "" {
		value = rooted(value)
	}
	everything := m.Path == "/" || m.Path == ""
	switch {
	case everything && value == "":
		return "", "", nil
	case everything: // the matched "/" is replaced too
		return value + "/", "", nil
	case value == "":
		return "", "", &matcherv3.RegexMatchAndSubstitute{
			Pattern:      &matcherv3.RegexMatcher{Regex: "^" + regexp.QuoteMeta(m.Path) + "/*"},
			Substitution: "/",
		}
	}
	return value, "", nil
}

func rooted(path string) string {
	if strings.HasPrefix(path, "/") {
		return path
	}
	return "/" + path
}
