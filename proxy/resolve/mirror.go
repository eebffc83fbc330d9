package resolve

import (
	"slices"
	"strings"
	"time"

	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"headgate.dev/proxy/model"
)

// mirror reads a RequestMirror (GEP-3171 for shares). One whose backend does not resolve is left out and noted
// (HTTPRequestMirrorFilter.backendRef); so is one of no requests at all.
func (b *httpRules) mirror(in *gwv1.HTTPRequestMirrorFilter, fs *filterSet, field func() string) *fault {
	m, f := mirrorShare(in)
	if f != nil {
		return f
	}
	m.Cluster = b.backend(&in.BackendRef, b.use, field)
	if (m.Cluster != model.ClusterID{}) && m.Numerator > 0 {
		fs.mirrors = append(fs.mirrors, m)
	}
	return nil
}

// mirrorShare reads which share of the requests is mirrored: all of them where nothing is said.
func mirrorShare(in *gwv1.HTTPRequestMirrorFilter) (model.Mirror, *fault) {
	m := model.Mirror{Numerator: 100, Denominator: 100}
	switch {
	case in.Percent != nil && in.Fraction != nil:
		return m, unsupported(".requestMirror: percent and fraction cannot stand together; remove one")
	case in.Percent != nil:
		if *in.Percent < 0 || *in.Percent > 100 {
			return m, unsupported(".requestMirror.percent: %d is not between 0 and 100", *in.Percent)
		}
		m.Numerator = uint32(*in.Percent)
	case in.Fraction != nil:
		n, d := in.Fraction.Numerator, int32(100)
		if in.Fraction.Denominator != nil {
			d = *in.Fraction.Denominator
		}
		if n < 0 || d < 1 || n > d {
			return m, unsupported(".requestMirror.fraction: %d/%d is not between 0 and 1", n, d)
		}
		m.Numerator, m.Denominator = uint32(n), uint32(d)
	}
	return m, nil
}

// defaultMaxAge is how long a preflight answer may be kept where nothing is said (HTTPCORSFilter.maxAge).
const defaultMaxAge = 5 * time.Second

// cors reads a CORS filter (GEP-1767).
func cors(in *gwv1.HTTPCORSFilter) (*model.CORS, *fault) {
	out := &model.CORS{Credentials: deref(in.AllowCredentials), MaxAge: defaultMaxAge}
	if in.MaxAge < 0 {
		return nil, unsupported(".cors.maxAge: %d is negative", in.MaxAge)
	}
	if in.MaxAge > 0 {
		out.MaxAge = time.Duration(in.MaxAge) * time.Second
	}
	for _, o := range in.AllowOrigins {
		origin := strings.ToLower(string(o))
		if !validOrigin(origin) {
			return nil, unsupported(".cors.allowOrigins: %q is neither * nor like https://shop.example.com", o)
		}
		out.Origins = append(out.Origins, origin)
	}
	for _, m := range in.AllowMethods {
		if m != "*" && !slices.Contains(methods, string(m)) {
			return nil, unsupported(".cors.allowMethods: %q is neither * nor one of %s", m, strings.Join(methods, ", "))
		}
		out.Methods = append(out.Methods, string(m))
	}
	var f *fault
	if out.Headers, f = corsHeaders(in.AllowHeaders, "allowHeaders"); f != nil {
		return nil, f
	}
	out.Expose, f = corsHeaders(in.ExposeHeaders, "exposeHeaders")
	return out, f
}

func corsHeaders(in []gwv1.HTTPHeaderName, field string) ([]string, *fault) {
	var out []string
	for _, h := range in {
		if !validToken(string(h)) { // "*" is a token
			return nil, unsupported(".cors.%s: %q is not a header name", field, h)
		}
		out = append(out, strings.ToLower(string(h)))
	}
	return out, nil
}

// validOrigin checks an origin in lower case: "*", or scheme, host (which may begin with a wildcard) and port (CORSOrigin).
func validOrigin(o string) bool {
	if o == "*" {
		return true
	}
	rest, ok := strings.CutPrefix(o, "https://")
	if !ok {
		if rest, ok = strings.CutPrefix(o, "http://"); !ok {
			return false
		}
	}
	host, port, hasPort := strings.Cut(rest, ":")
	if hasPort && (port == "" || len(port) > 5 || strings.Trim(port, "0123456789") != "") {
		return false
	}
	bare := strings.TrimPrefix(strings.TrimPrefix(host, "*"), ".")
	return host == "*" || (bare != "" && strings.Trim(bare, originBytes) == "")
}

// originBytes are those of a host in lower case; IPs are allowed here.
const originBytes = "abcdefghijklmnopqrstuvwxyz0123456789-."
