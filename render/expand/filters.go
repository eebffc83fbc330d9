package expand

import (
	"strconv"

	"headgate.dev/schema"
)

// ruleContent gives everything of a rule but its name and matches.
func ruleContent(s *schema.ServiceSpec, r *schema.Route, at string) (map[string]any, schema.Errors) {
	out := map[string]any{}
	filters, errs := ruleFilters(s, r, at)
	if len(filters) > 0 {
		out["filters"] = filters
	}
	if r.Redirect == nil {
		refs, wrong := backendRefs(s, r.To, at)
		errs = append(errs, wrong...)
		out["backendRefs"] = refs
	}
	timeouts := map[string]any{}
	if r.Timeout.Given() {
		timeouts["request"] = r.Timeout.Text
	}
	if r.BackendTimeout.Given() {
		timeouts["backendRequest"] = r.BackendTimeout.Text
	}
	if len(timeouts) > 0 {
		out["timeouts"] = timeouts
	}
	if r.Retry != nil {
		out["retry"] = retry(r.Retry)
	}
	return out, errs
}

func retry(r *schema.Retry) map[string]any {
	out := map[string]any{}
	if r.Attempts != nil {
		out["attempts"] = int64(*r.Attempts)
	}
	if len(r.Codes) > 0 {
		codes := make([]any, len(r.Codes))
		for i, code := range r.Codes {
			codes[i] = int64(code)
		}
		out["codes"] = codes
	}
	if r.Backoff.Given() {
		out["backoff"] = r.Backoff.Text
	}
	return out
}

// backendRefs gives the backends of the rule at a place of the spec: the own service where it names none.
func backendRefs(s *schema.ServiceSpec, to []schema.Backend, at string) ([]any, schema.Errors) {
	backends := to
	if len(backends) == 0 {
		backends = []schema.Backend{{Service: ownService(s)}}
	}
	var errs schema.Errors
	out := make([]any, len(backends))
	for i := range backends {
		b := &backends[i]
		ref := serviceRef(b.Service, b.Namespace, b.Port, s.Spec.Port)
		if ref["port"] == nil {
			errs = append(errs, portMissing(s, to, at, i))
			continue
		}
		if b.Weight != nil {
			ref["weight"] = int64(*b.Weight)
		}
		filters := appendHeaderFilters(nil, b.RequestHeaders, b.ResponseHeaders)
		if b.Rewrite != nil {
			filters = append(filters, rewrite(b.Rewrite))
		}
		if len(filters) > 0 {
			ref["filters"] = filters
		}
		out[i] = ref
	}
	return out, errs
}

func portMissing(s *schema.ServiceSpec, to []schema.Backend, at string, i int) *schema.Error {
	if len(to) == 0 {
		return s.Errorf(at, "has no backend: give the route a to, or the spec a port")
	}
	return s.Errorf(at+"/to/"+strconv.Itoa(i), "the backend %s has no port: write %q, or give the spec a port", to[i].Service, string(to[i].Service)+":8080")
}

// serviceRef has no port where neither is given.
func serviceRef(service, namespace schema.Label, port, standard schema.Port) map[string]any {
	out := map[string]any{"name": string(service)}
	if namespace != "" {
		out["namespace"] = string(namespace)
	}
	if port == 0 {
		port = standard
	}
	if port != 0 {
		out["port"] = int64(port)
	}
	return out
}

func ruleFilters(s *schema.ServiceSpec, r *schema.Route, at string) ([]any, schema.Errors) {
	var out []any
	if r.CORS != nil {
		out = append(out, filter("CORS", "cors", cors(r.CORS)))
	}
	out = appendHeaderFilters(out, r.RequestHeaders, r.ResponseHeaders)
	if r.Redirect != nil {
		out = append(out, filter("RequestRedirect", "requestRedirect", redirect(r.Redirect)))
	}
	if r.Rewrite != nil {
		out = append(out, rewrite(r.Rewrite))
	}
	return appendMirrors(out, s, r.Mirror, at)
}

func appendMirrors(out []any, s *schema.ServiceSpec, mirrors []schema.Mirror, at string) ([]any, schema.Errors) {
	var errs schema.Errors
	for i, m := range mirrors {
		ref := serviceRef(m.To.Service, m.To.Namespace, m.To.Port, s.Spec.Port)
		if ref["port"] == nil {
			errs = append(errs, s.Errorf(at+"/mirror/"+strconv.Itoa(i)+"/to", "the backend %s has no port: write %q, or give the spec a port", m.To.Service, string(m.To.Service)+":8080"))
		}
		content := map[string]any{"backendRef": ref}
		if m.Percent != nil {
			content["percent"] = int64(*m.Percent)
		}
		out = append(out, filter("RequestMirror", "requestMirror", content))
	}
	return out, errs
}

func filter(kind, field string, content map[string]any) map[string]any {
	return map[string]any{"type": kind, field: content}
}

func appendHeaderFilters(out []any, request, response *schema.HeaderChange) []any {
	if request != nil {
		out = append(out, filter("RequestHeaderModifier", "requestHeaderModifier", headerChange(request)))
	}
	if response != nil {
		out = append(out, filter("ResponseHeaderModifier", "responseHeaderModifier", headerChange(response)))
	}
	return out
}

func headerChange(c *schema.HeaderChange) map[string]any {
	out := map[string]any{}
	if len(c.Set) > 0 {
		out["set"] = headerValues(c.Set)
	}
	if len(c.Add) > 0 {
		out["add"] = headerValues(c.Add)
	}
	if len(c.Remove) > 0 {
		out["remove"] = anyList(c.Remove)
	}
	return out
}

func headerValues(values schema.HeaderValues) []any {
	out := make([]any, len(values))
	for i, v := range values {
		out[i] = map[string]any{"name": string(v.Name), "value": v.Value}
	}
	return out
}

func redirect(r *schema.Redirect) map[string]any {
	out := map[string]any{}
	if r.Scheme != "" {
		out["scheme"] = string(r.Scheme)
	}
	if r.Host != "" {
		out["hostname"] = string(r.Host)
	}
	if r.Port != 0 {
		out["port"] = int64(r.Port)
	}
	if r.Code != 0 {
		out["statusCode"] = int64(r.Code)
	}
	addNewPath(out, r.Path, r.Prefix)
	return out
}

func rewrite(r *schema.Rewrite) map[string]any {
	out := map[string]any{}
	if r.Host != "" {
		out["hostname"] = string(r.Host)
	}
	addNewPath(out, r.Path, r.Prefix)
	return filter("URLRewrite", "urlRewrite", out)
}

func addNewPath(out map[string]any, path, prefix *schema.NewPath) {
	switch {
	case path != nil:
		out["path"] = map[string]any{"type": "ReplaceFullPath", "replaceFullPath": string(*path)}
	case prefix != nil:
		out["path"] = map[string]any{"type": "ReplacePrefixMatch", "replacePrefixMatch": string(*prefix)}
	}
}

func cors(c *schema.CORS) map[string]any {
	out := map[string]any{"allowOrigins": anyList(c.Origins)}
	if len(c.Methods) > 0 {
		out["allowMethods"] = anyList(c.Methods)
	}
	if len(c.Headers) > 0 {
		out["allowHeaders"] = anyList(c.Headers)
	}
	if len(c.Expose) > 0 {
		out["exposeHeaders"] = anyList(c.Expose)
	}
	if c.Credentials != nil {
		out["allowCredentials"] = *c.Credentials
	}
	if c.MaxAge != 0 {
		out["maxAge"] = int64(c.MaxAge)
	}
	return out
}
