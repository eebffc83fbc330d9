package resolve

import (
	"slices"
	"strconv"
	"strings"

	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/proxy/model"
	"headgate.dev/proxy/resolve/hostname"
)

// filterSet is what a list of filters comes to.
type filterSet struct {
	request, response *model.HeaderEdit
	redirect          *model.Redirect
	rewrite           *model.Rewrite
	cors              *model.CORS
	mirrors           []model.Mirror
}

func (fs *filterSet) redirectPath() *model.PathEdit {
	if fs.redirect == nil {
		return nil
	}
	return fs.redirect.Path
}

func (fs *filterSet) rewritePath() *model.PathEdit {
	if fs.rewrite == nil {
		return nil
	}
	return fs.rewrite.Path
}

// filters reads a list of filters. One that cannot be honoured is a fault of the rule: it must not be skipped
// (HTTPRouteFilter.type). Only mirrors may be repeated.
func (b *httpRules) filters(in []gwv1.HTTPRouteFilter, at place) (filterSet, *fault) {
	var fs filterSet
	for i := range in {
		if f := b.filter(&in[i], &fs, at, i); f != nil {
			path := "filters[" + strconv.Itoa(i) + "]"
			if at.backend >= 0 {
				path = "backendRefs[" + strconv.Itoa(at.backend) + "]." + path
			}
			return fs, &fault{f.reason, path + f.message}
		}
	}
	if fs.redirect != nil && fs.rewrite != nil {
		return fs, incompatible("filters: RequestRedirect and URLRewrite cannot stand together; remove one")
	}
	return fs, nil
}

func (b *httpRules) filter(in *gwv1.HTTPRouteFilter, fs *filterSet, at place, i int) *fault {
	switch in.Type {
	case gwv1.HTTPRouteFilterRequestHeaderModifier:
		return once(in, &fs.request, in.RequestHeaderModifier, headerEdit)
	case gwv1.HTTPRouteFilterResponseHeaderModifier:
		return once(in, &fs.response, in.ResponseHeaderModifier, headerEdit)
	case gwv1.HTTPRouteFilterRequestRedirect:
		return once(in, &fs.redirect, in.RequestRedirect, redirect)
	case gwv1.HTTPRouteFilterURLRewrite:
		return once(in, &fs.rewrite, in.URLRewrite, rewrite)
	case gwv1.HTTPRouteFilterCORS:
		return once(in, &fs.cors, in.CORS, cors)
	case gwv1.HTTPRouteFilterRequestMirror:
		if in.RequestMirror == nil {
			return noSettings(in)
		}
		return b.mirror(in.RequestMirror, fs, func() string { return at.field(".filters[" + strconv.Itoa(i) + "].requestMirror.backendRef") })
	case gwv1.HTTPRouteFilterExtensionRef:
		if r := in.ExtensionRef; r != nil {
			return unsupported(".extensionRef: filters of kind %s (group %q) are not supported", r.Kind, r.Group)
		}
		return noSettings(in)
	default:
		return unsupported(".type: %q is not supported", in.Type)
	}
}

// once reads a filter that may stand only once into its slot.
func once[In, Out any](in *gwv1.HTTPRouteFilter, slot **Out, settings *In, read func(*In) (*Out, *fault)) (f *fault) {
	switch {
	case settings == nil:
		return noSettings(in)
	case *slot != nil:
		return unsupported(": a second %s; merge it with the first", in.Type)
	}
	*slot, f = read(settings)
	return f
}

func noSettings(in *gwv1.HTTPRouteFilter) *fault {
	return unsupported(": a filter of type %s without its settings", in.Type)
}

// headerEdit reads a header modifier. Only one action is permitted for each name (HTTPHeaderFilter). The Host header is
// not one of the headers that it can change: that is what URLRewrite is for.
func headerEdit(in *gwv1.HTTPHeaderFilter) (*model.HeaderEdit, *fault) {
	out, names := &model.HeaderEdit{}, make(headerNames, 0, len(in.Set)+len(in.Add)+len(in.Remove))
	var f *fault
	if out.Set, f = names.headers(in.Set); f != nil {
		return nil, f
	}
	if out.Add, f = names.headers(in.Add); f != nil {
		return nil, f
	}
	for _, raw := range in.Remove {
		n, f := names.take(raw)
		if f != nil {
			return nil, f
		}
		out.Remove = append(out.Remove, n)
	}
	return out, nil
}

// headerNames are the names that a header modifier has used up.
type headerNames []string

// take brings a name to lower case and checks it.
func (ns *headerNames) take(raw string) (string, *fault) {
	n := strings.ToLower(raw)
	switch {
	case !validToken(n):
		return n, unsupported(": %q is not a header name", raw)
	case n == "host":
		return n, unsupported(": the header Host is changed by URLRewrite only")
	case slices.Contains(*ns, n):
		return n, unsupported(": the header %s is changed twice; keep one", n)
	}
	*ns = append(*ns, n)
	return n, nil
}

func (ns *headerNames) headers(in []gwv1.HTTPHeader) ([]model.Header, *fault) {
	if len(in) == 0 {
		return nil, nil
	}
	out := make([]model.Header, len(in))
	for i := range in {
		n, f := ns.take(string(in[i].Name))
		if f != nil {
			return nil, f
		}
		if v := in[i].Value; v == "" || len(v) > 4096 || hasControl(v) {
			return nil, unsupported(": the value of header %s is empty, longer than 4096 bytes or has control characters", n)
		}
		out[i] = model.Header{Name: n, Value: in[i].Value}
	}
	return out, nil
}

// redirect reads a RequestRedirect. The default code is 302.
func redirect(in *gwv1.HTTPRequestRedirectFilter) (*model.Redirect, *fault) {
	out := &model.Redirect{Code: 302, Scheme: deref(in.Scheme), Port: deref(in.Port)}
	if out.Scheme != "" && out.Scheme != "http" && out.Scheme != "https" {
		return nil, unsupported(".requestRedirect.scheme: %q is neither http nor https", out.Scheme)
	}
	if in.Port != nil && (out.Port < 1 || out.Port > 65535) {
		return nil, unsupported(".requestRedirect.port: %d is not between 1 and 65535", out.Port)
	}
	if in.StatusCode != nil {
		out.Code = *in.StatusCode
		if !slices.Contains([]int{301, 302, 303, 307, 308}, out.Code) {
			return nil, unsupported(".requestRedirect.statusCode: %d is not one of 301, 302, 303, 307, 308", out.Code)
		}
	}
	var f *fault
	if out.Host, f = preciseHost(in.Hostname, ".requestRedirect.hostname"); f != nil {
		return nil, f
	}
	out.Path, f = pathEdit(in.Path, ".requestRedirect.path")
	return out, f
}

// rewrite reads a URLRewrite.
func rewrite(in *gwv1.HTTPURLRewriteFilter) (*model.Rewrite, *fault) {
	out := &model.Rewrite{}
	var f *fault
	if out.Host, f = preciseHost(in.Hostname, ".urlRewrite.hostname"); f != nil {
		return nil, f
	}
	out.Path, f = pathEdit(in.Path, ".urlRewrite.path")
	return out, f
}

func preciseHost(h *gwv1.PreciseHostname, field string) (string, *fault) {
	if h == nil || *h == "" {
		return "", nil
	}
	name := strings.ToLower(string(*h))
	if !hostname.ValidPrecise(name) {
		return "", unsupported("%s: %q is not a DNS name", field, *h)
	}
	return name, nil
}

// pathEdit reads a path modifier. An empty prefix means "/" (HTTPPathModifier: the table of examples); anything else begins
// with a slash, since the result has to be a path.
func pathEdit(in *gwv1.HTTPPathModifier, field string) (*model.PathEdit, *fault) {
	if in == nil {
		return nil, nil
	}
	out := &model.PathEdit{}
	var value *string
	switch in.Type {
	case gwv1.FullPathHTTPPathModifier:
		value = in.ReplaceFullPath
	case gwv1.PrefixMatchHTTPPathModifier:
		value, out.Prefix = in.ReplacePrefixMatch, true
	default:
		return nil, unsupported("%s.type: %q is neither ReplaceFullPath nor ReplacePrefixMatch", field, in.Type)
	}
	if value == nil {
		return nil, unsupported("%s: a path of type %s without its value", field, in.Type)
	}
	out.Value = *value
	if out.Value == "" {
		out.Value = "/"
	}
	if out.Value[0] != '/' || len(out.Value) > 1024 || hasControl(out.Value) || strings.ContainsAny(out.Value, "# \t") {
		return nil, unsupported("%s: %q does not begin with /, is longer than 1024 bytes or has a character that a path cannot have",
			field, shorten(out.Value))
	}
	return out, nil
}
