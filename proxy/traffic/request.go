package traffic

import (
	"regexp"
	"slices"
	"strings"

	"headgate.dev/proxy/model"
)

// Request is an HTTP request as a client sends it.
type Request struct {
	Method string // empty: GET
	Host   string // the Host header, with a port or not
	Path   string // as in the request line, with the query; empty: "/"
	// Headers in the order in which they are sent; a name may be there several times.
	Headers []model.Header
}

// seen is a request as routes are compared with it: what Envoy makes of it before it looks for a route.
type seen struct {
	method, host string // host as the client wrote it
	path, query  string
	headers      map[string][]string
	redirect     bool // the path had escaped slashes: the client is sent to the plain form
	grpc         bool // the request is a call of gRPC
}

// read checks and normalises a request that arrives by a scheme ("http", "https"); refused says why it is answered 400.
func (r *Request) read(scheme string) (s *seen, refused string) {
	s = &seen{method: r.Method, host: r.Host, headers: map[string][]string{}}
	if s.method == "" {
		s.method = "GET"
	}
	if why := badHost(r.Host); why != "" {
		return s, why
	}
	for i := range len(r.Path) {
		if c := r.Path[i]; c <= ' ' || c >= 0x7f {
			return s, badCharacter
		}
	}
	if why := s.readHeaders(r.Headers); why != "" {
		return s, why
	}
	s.headers["x-forwarded-proto"] = []string{scheme}
	s.grpc = isGRPC(strings.Join(s.headers["content-type"], "")) // from here on answers are in the words of gRPC
	return s, s.readPath(r.Path)
}

const badCharacter = "the path has a character that must be percent-encoded"

func (s *seen) readPath(target string) (refused string) {
	if target == "" {
		target = "/"
	}
	if strings.Contains(target, "#") {
		return badCharacter
	}
	path, query, _ := strings.Cut(target, "?")
	if !strings.HasPrefix(path, "/") {
		return "the path does not begin with /"
	}
	s.query = query
	var sound bool
	if s.path, s.redirect, sound = normalPath(path); !sound {
		return "the path has an encoded NUL"
	}
	if s.redirect && s.grpc {
		return "the path has an escaped slash, and clients of gRPC follow no redirect to the plain form"
	}
	return ""
}

// hostBytes are the bytes besides letters and digits that Envoy takes in an authority.
const hostBytes = "-._~%!$&'()*+,;=:@[]"

func badHost(host string) string {
	for i := range len(host) {
		if !alphanumeric(host[i]) && strings.IndexByte(hostBytes, host[i]) < 0 {
			return "the host has a character that no host has"
		}
	}
	return ""
}

func alphanumeric(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

// proxyHeaders are request headers that Envoy takes away from clients it does not trust, or that belong to the
// connection. Routes never see what the client put there.
var proxyHeaders = []string{
	"connection", "keep-alive", "proxy-connection", "te", "upgrade", "x-hg-scope",
	"x-envoy-decorator-operation", "x-envoy-downstream-service-cluster", "x-envoy-downstream-service-node",
	"x-envoy-expected-rq-timeout-ms", "x-envoy-external-address", "x-envoy-force-trace", "x-envoy-hedge-on-per-try-timeout",
	"x-envoy-internal", "x-envoy-ip-tags", "x-envoy-max-retries", "x-envoy-original-host", "x-envoy-original-path",
	"x-envoy-peer-metadata-id", "x-envoy-retriable-header-names", "x-envoy-retriable-status-codes",
	"x-envoy-retry-grpc-on", "x-envoy-retry-on", "x-envoy-upstream-alt-stat-name",
	"x-envoy-upstream-rq-per-try-timeout-ms", "x-envoy-upstream-rq-timeout-alt-response",
	"x-envoy-upstream-rq-timeout-ms", "x-forwarded-client-cert", "x-forwarded-proto", "x-request-id",
}

// joinedHeaders are those of which Envoy makes one value, with commas, where a client repeats them. Of all others each value
// is compared by itself.
var joinedHeaders = []string{
	"accept", "accept-encoding", "access-control-request-headers", "access-control-request-method",
	"access-control-request-private-network", "authorization", "cache-control", "content-encoding", "content-type", "expect",
	"grpc-accept-encoding", "grpc-timeout", "if-match", "if-modified-since", "if-none-match", "if-range",
	"if-unmodified-since", "origin", "pragma", "proxy-status", "referer", "user-agent", "via", "x-client-trace-id",
	"x-envoy-attempt-count", "x-forwarded-for", "x-forwarded-host", "x-forwarded-port",
}

// client is the address from which explained requests come: it is appended to x-forwarded-for.
const client = "127.0.0.1"

// badReferer is a Referer that Envoy drops because it is no URL: what stands before the first colon is no scheme.
var badReferer = regexp.MustCompile(`^[^:]*[^:A-Za-z0-9+.-][^:]*:|^[^A-Za-z:][^:]*:|[^\x00-\x7f]`)

// readHeaders collects the values of each header. What the proxy itself adds is left out where nobody can foresee it
// (x-request-id).
func (s *seen) readHeaders(headers []model.Header) (refused string) {
	for _, h := range headers {
		name := strings.ToLower(h.Name)
		if name == "" || strings.ContainsAny(name, "_ :\t") {
			return "the header name " + h.Name + " has a character that is not accepted (an underscore, a space, a colon)"
		}
		if !slices.Contains(proxyHeaders, name) && name != "host" {
			s.headers[name] = append(s.headers[name], strings.Trim(h.Value, " \t"))
		}
	}
	s.headers["x-forwarded-for"] = append(s.headers["x-forwarded-for"], client)
	for _, name := range joinedHeaders {
		if values := s.headers[name]; len(values) > 1 {
			values = slices.DeleteFunc(values, func(v string) bool { return v == "" })
			s.headers[name] = []string{strings.Join(values, ",")}
		}
	}
	if badReferer.MatchString(strings.Join(s.headers["referer"], "")) {
		delete(s.headers, "referer")
	}
	s.headers["host"] = []string{s.host}
	return ""
}

// normalPath does what the listener does before routes are compared: escaped slashes become slashes (and the request a
// redirect), unreserved characters lose their escape, a backslash is a slash, dot segments are resolved, empty ones
// dropped. sound is false for what is refused.
func normalPath(path string) (normal string, redirect, sound bool) {
	plain := strings.NewReplacer("%2f", "/", "%2F", "/", "%5c", `\`, "%5C", `\`).Replace(path)
	redirect = plain != path
	unescaped, sound := unescape(plain)
	if !sound {
		return "", false, false
	}
	merged := mergeSlashes(resolveDots(unescaped))
	return escape(merged), redirect, true
}

// unescape decodes the escapes of unreserved characters (RFC 3986, 2.3) and leaves all others as they are.
func unescape(path string) (string, bool) {
	var b strings.Builder
	for i := 0; i < len(path); i++ {
		c := path[i]
		if c == '\\' {
			c = '/'
		}
		if c == '%' && i+2 < len(path) {
			high, low := unhex(path[i+1]), unhex(path[i+2])
			if code := high<<4 | low; high >= 0 && low >= 0 {
				if code == 0 {
					return "", false
				}
				if d := byte(code); alphanumeric(d) || strings.IndexByte("-._~", d) >= 0 {
					c, i = d, i+2
				}
			}
		}
		b.WriteByte(c)
	}
	return b.String(), true
}

func unhex(c byte) int {
	if c >= 'A' && c <= 'F' {
		c |= 0x20
	}
	return strings.IndexByte("0123456789abcdef", c)
}

// resolveDots takes "." and ".." out (RFC 3986, 5.2.4). An empty segment is a segment.
func resolveDots(path string) string {
	var out []string
	segments := strings.Split(path[1:], "/")
	for i, s := range segments {
		last := i == len(segments)-1
		switch s {
		case ".":
		case "..":
			out = out[:max(len(out)-1, 0)]
		default:
			out = append(out, s)
			continue
		}
		if last {
			out = append(out, "")
		}
	}
	return "/" + strings.Join(out, "/")
}

// mergeSlashes makes one of several. A path of nothing but slashes becomes two, as Envoy has it.
func mergeSlashes(path string) string {
	if !strings.Contains(path, "//") {
		return path
	}
	segments := strings.FieldsFunc(path, func(r rune) bool { return r == '/' })
	merged := "/" + strings.Join(segments, "/")
	if strings.HasSuffix(path, "/") {
		merged += "/"
	}
	return merged
}

// escape writes what may not stand in a path (of the printable characters) with percent signs.
func escape(path string) string {
	return strings.NewReplacer(`"`, "%22", "<", "%3C", ">", "%3E", "^", "%5E", "`", "%60", "{", "%7B", "|", "%7C", "}", "%7D").Replace(path)
}

// parameter gives the first value of a query parameter. Nothing in a query is decoded.
func (s *seen) parameter(name string) (string, bool) {
	if s.query == "" {
		return "", false
	}
	for part := range strings.SplitSeq(s.query, "&") {
		if key, value, _ := strings.Cut(part, "="); key == name {
			return value, true
		}
	}
	return "", false
}

// whole tells whether an RE2 expression matches a whole value. Envoy compares bytes: each is a character of its own. An
// expression that is none matches nothing.
func whole(expr, value string) bool {
	re, err := regexp.Compile(latin1(expr))
	if err != nil {
		return false
	}
	re.Longest()
	value = latin1(value)
	at := re.FindStringIndex(value)
	return at != nil && at[0] == 0 && at[1] == len(value)
}

// latin1 makes a character of each byte.
func latin1(s string) string {
	if !strings.ContainsFunc(s, func(r rune) bool { return r >= 0x80 }) {
		return s
	}
	runes := make([]rune, len(s))
	for i := range len(s) {
		runes[i] = rune(s[i])
	}
	return string(runes)
}
