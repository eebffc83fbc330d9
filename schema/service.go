package schema

// ServiceSpec says how one service is reached.
type ServiceSpec struct {
	Metadata Metadata `json:"metadata"`
	Spec     Service  `json:"spec"`
	origin
}

// Service is the spec of a ServiceSpec.
type Service struct {
	// Gateway is where the service is offered: "name", "namespace/name", "namespace/name#listener" for one listener by
	// name, "namespace/name#443" for the listeners of one port; "#listener" and "#443" narrow the default gateway.
	// May be a list.
	//
	// Default: the default gateway.
	// Limits: at most 32; two listeners of one gateway must both be named.
	// Example: infra/public#https
	// Becomes: spec.parentRefs
	Gateway []GatewayRef `json:"gateway,omitempty"`
	// Hosts are the names the service answers to. "*.example.com" takes every name below example.com, however deep.
	//
	// Default: every host of the listeners it attaches to.
	// Limits: lower case, no port; more than 16 are split over NAME, NAME-2, ...
	// Example: [shop.example.com]
	// Becomes: spec.hostnames
	Hosts []ServiceHost `json:"hosts,omitempty"`
	// Port is the port of every backend that names none.
	//
	// Limits: 1 to 65535.
	// Example: 8080
	// Becomes: spec.rules[].backendRefs[].port
	Port Port `json:"port,omitempty"`
	// Service is the name of the Service behind the routes that name no backend.
	//
	// Default: metadata.name.
	// Limits: a DNS label.
	// Example: shop-web
	// Becomes: spec.rules[].backendRefs[].name
	Service Label `json:"service,omitempty"`
	// Routes are the rules of one HTTPRoute. Which of them answers a request is decided by how specific they are, as
	// Gateway API says, and only between equals by their order.
	//
	// Default: one route, "/" to the own service, where there is none of grpc, tcp, udp and tls either.
	// Limits: more than 16 rules or 128 matches are split over NAME, NAME-2, ...; where that could change which route
	// answers, it is an error.
	// Example: [{path: /api, timeout: 5s}]
	// Becomes: HTTPRoute spec.rules
	Routes []Route `json:"routes,omitempty"`
	// GRPC are the rules of one GRPCRoute, on the same hosts. Which of them answers a call is decided by how specific
	// they are, and only between equals by their order.
	//
	// Limits: as for routes.
	// Example: [{method: shop.v1.Cart/*}]
	// Becomes: GRPCRoute spec.rules
	GRPC []GRPC `json:"grpc,omitempty"`
	// TCP are ports of the gateway whose connections go to a service: one TCPRoute NAME-PORT each. They attach by port,
	// to every listener of the gateway there, whatever listener gateway names.
	//
	// Example: [{port: 5432, to: postgres:5432}]
	// Becomes: TCPRoute
	TCP []Stream `json:"tcp,omitempty"`
	// UDP are ports of the gateway whose datagrams go to a service: one UDPRoute NAME-PORT each, attached as for tcp.
	//
	// Example: [{port: 53, to: dns:5353}]
	// Becomes: UDPRoute
	UDP []Stream `json:"udp,omitempty"`
	// TLS are connections told apart by the host they ask for, without a look at what is inside: one TLSRoute each,
	// NAME, NAME-2, ... Whether they are decrypted says the gateway's listener.
	//
	// Example: [{hosts: [db.example.com], to: db:8443}]
	// Becomes: TLSRoute
	TLS []TLS `json:"tls,omitempty"`
	// BackendTLS says that the own service speaks TLS.
	//
	// Example: {hostname: shop.internal, ca: internal-ca}
	// Becomes: BackendTLSPolicy
	BackendTLS *BackendTLS `json:"backendTLS,omitempty"`
	// AllowFrom are the namespaces whose routes may send traffic to the own service.
	//
	// Example: [team-b]
	// Becomes: ReferenceGrant
	AllowFrom []Label `json:"allowFrom,omitempty"`
	// Patches change what was generated: the way to everything there is no field for.
	//
	// Example: [{target: {kind: HTTPRoute}, patch: [{op: add, path: /spec/rules/0/name, value: main}]}]
	Patches []Patch `json:"patches,omitempty"`
}

// GatewayRef is one place to attach to; the empty name is the default gateway.
type GatewayRef struct {
	Namespace string
	Name      string
	// Listener is the name of one listener; empty together with Port 0 for all of them.
	Listener string
	Port     Port
}

// ServiceHost is a hostname; its first label may be "*".
type ServiceHost = Hostname

// Route is one rule.
type Route struct {
	// Name names the rule, for patches, previews and messages.
	//
	// Limits: a DNS label, unique among the routes.
	// Example: api
	// Becomes: spec.rules[].name
	Name Label `json:"name,omitempty"`
	// Path is what the path must match: "/x" as a prefix of whole segments, "=/x" exactly, "~/x[0-9]+" as a regular
	// expression (RE2) over the whole path. Long: {prefix: /x}, {exact: /x} or {regex: "/x[0-9]+"}. A list gives
	// alternatives.
	//
	// Default: "/".
	// Limits: at most 1024 characters each.
	// Example: /api
	// Becomes: spec.rules[].matches[].path
	Path []PathMatch `json:"path,omitempty"`
	// Methods are the accepted methods.
	//
	// Default: every method.
	// Example: [GET, POST]
	// Becomes: spec.rules[].matches[].method
	Methods []Method `json:"methods,omitempty"`
	// Headers must all be there with the value given: "v" exactly, "~re" a regular expression over the whole value. Long:
	// {exact: "~v"} or {regex: "re"}.
	//
	// Limits: at most 16.
	// Example: {x-tenant: acme}
	// Becomes: spec.rules[].matches[].headers
	Headers HeaderMatches `json:"headers,omitempty"`
	// Query parameters must all be there with the value given, written as for headers. Names are case-sensitive.
	//
	// Limits: at most 16.
	// Example: {version: "2"}
	// Becomes: spec.rules[].matches[].queryParams
	Query QueryMatches `json:"query,omitempty"`
	// To is where requests go: "service", "service:port", "namespace/service:port"; a map of these to weights; or a list
	// of them and of long forms.
	//
	// Default: the own service.
	// Limits: at most 16 backends; not all weights 0.
	// Example: {shop-v1:8080: 90, shop-v2:8080: 10}
	// Becomes: spec.rules[].backendRefs
	To []Backend `json:"to,omitempty"`
	// Timeout bounds the whole request, retries included; "0s" means no bound.
	//
	// Limits: a duration of Gateway API ("5s", "1m30s", "1.5s").
	// Example: 5s
	// Becomes: spec.rules[].timeouts.request
	Timeout Duration `json:"timeout,omitempty"`
	// BackendTimeout bounds one attempt at a backend.
	//
	// Limits: a duration, at most timeout.
	// Example: 2s
	// Becomes: spec.rules[].timeouts.backendRequest
	BackendTimeout Duration `json:"backendTimeout,omitempty"`
	// Retry repeats failed attempts; connection failures are retried whenever it is given.
	//
	// Example: {attempts: 3, codes: [502, 503]}
	// Becomes: spec.rules[].retry
	Retry *Retry `json:"retry,omitempty"`
	// Redirect answers with a redirect instead of going to a backend.
	//
	// Limits: not together with to, rewrite, retry, timeout, backendTimeout or mirror.
	// Example: {path: /new, code: 308}
	// Becomes: filter RequestRedirect
	Redirect *Redirect `json:"redirect,omitempty"`
	// Rewrite changes host or path on the way to the backend.
	//
	// Example: {prefix: /}
	// Becomes: filter URLRewrite
	Rewrite *Rewrite `json:"rewrite,omitempty"`
	// RequestHeaders changes the headers the backend sees.
	//
	// Example: {set: {x-env: prod}, remove: [x-debug]}
	// Becomes: filter RequestHeaderModifier
	RequestHeaders *HeaderChange `json:"requestHeaders,omitempty"`
	// ResponseHeaders changes the headers the client sees.
	//
	// Example: {add: {cache-control: no-store}}
	// Becomes: filter ResponseHeaderModifier
	ResponseHeaders *HeaderChange `json:"responseHeaders,omitempty"`
	// Mirror sends copies of requests to further services and ignores their answers.
	//
	// Example: [{to: shop-next:8080, percent: 5}]
	// Becomes: filter RequestMirror
	Mirror []Mirror `json:"mirror,omitempty"`
	// CORS answers preflight requests and marks responses for browsers.
	//
	// Example: {origins: ["https://example.com"]}
	// Becomes: filter CORS
	CORS *CORS `json:"cors,omitempty"`
}

// MatchKind says how a text is compared.
type MatchKind uint8

// Values of MatchKind. Prefix is for paths alone.
const (
	Exact MatchKind = iota
	Prefix
	Regex
)

// PathMatch is one alternative of a route's path.
type PathMatch struct {
	Kind  MatchKind
	Value string
}

// HeaderMatches are conditions on headers, sorted by name.
type HeaderMatches []ValueMatch

// QueryMatches are conditions on query parameters, sorted by name.
type QueryMatches []ValueMatch

// ValueMatch is a condition on a header or query parameter.
type ValueMatch struct {
	Name  string
	Kind  MatchKind // Exact or Regex
	Value string
}

// Method is an HTTP method in upper case.
type Method string

// Backend is one target of a route.
type Backend struct {
	// Service is the name of the Service.
	//
	// Required.
	// Limits: a DNS label.
	// Example: shop-v2
	// Becomes: backendRefs[].name
	Service Label `json:"service"`
	// Namespace of the Service; another namespace than the spec's needs a ReferenceGrant there (allowFrom).
	//
	// Default: the spec's namespace.
	// Example: team-b
	// Becomes: backendRefs[].namespace
	Namespace Label `json:"namespace,omitempty"`
	// Port of the Service.
	//
	// Default: spec.port.
	// Limits: 1 to 65535.
	// Example: 8080
	// Becomes: backendRefs[].port
	Port Port `json:"port,omitempty"`
	// Weight is this backend's share among the route's backends.
	//
	// Default: 1.
	// Limits: 0 to 1000000.
	// Example: 10
	// Becomes: backendRefs[].weight
	Weight *Weight `json:"weight,omitempty"`
	// RequestHeaders changes the headers this backend sees.
	//
	// Example: {set: {x-canary: "1"}}
	// Becomes: backendRefs[].filters RequestHeaderModifier
	RequestHeaders *HeaderChange `json:"requestHeaders,omitempty"`
	// ResponseHeaders changes the headers of this backend's answers.
	//
	// Example: {set: {x-served-by: canary}}
	// Becomes: backendRefs[].filters ResponseHeaderModifier
	ResponseHeaders *HeaderChange `json:"responseHeaders,omitempty"`
	// Rewrite changes host or path for this backend alone.
	//
	// Example: {host: canary.internal}
	// Becomes: backendRefs[].filters URLRewrite
	Rewrite *Rewrite `json:"rewrite,omitempty"`
}

// Weight is a share, 0 to 1000000.
type Weight int32

// Retry says which failed attempts are repeated.
type Retry struct {
	// Attempts is how often an attempt is repeated at most.
	//
	// Default: 1.
	// Limits: 0 to 100.
	// Example: 3
	// Becomes: retry.attempts
	Attempts *Attempts `json:"attempts,omitempty"`
	// Codes are the response codes that count as failed.
	//
	// Limits: 400 to 599.
	// Example: [502, 503]
	// Becomes: retry.codes
	Codes []RetryCode `json:"codes,omitempty"`
	// Backoff is the least time between two attempts.
	//
	// Limits: a duration of Gateway API.
	// Example: 100ms
	// Becomes: retry.backoff
	Backoff Duration `json:"backoff,omitempty"`
}

// Attempts counts repetitions, 0 to 100.
type Attempts int32

// RetryCode is a status code from 400 to 599.
type RetryCode int32

// Redirect says what changes between the URL asked for and the URL answered.
type Redirect struct {
	// Scheme of the new URL.
	//
	// Default: the request's.
	// Limits: http or https.
	// Example: https
	// Becomes: requestRedirect.scheme
	Scheme Scheme `json:"scheme,omitempty"`
	// Host of the new URL.
	//
	// Default: the request's.
	// Example: www.example.com
	// Becomes: requestRedirect.hostname
	Host Hostname `json:"host,omitempty"`
	// Port of the new URL.
	//
	// Default: the well-known port of scheme where that is given, else the listener's.
	// Example: 8443
	// Becomes: requestRedirect.port
	Port Port `json:"port,omitempty"`
	// Path replaces the whole path.
	//
	// Limits: not together with prefix; at most 1024 characters.
	// Example: /new
	// Becomes: requestRedirect.path.replaceFullPath
	Path *NewPath `json:"path,omitempty"`
	// Prefix replaces the matched prefix.
	//
	// Limits: only where every path of the route is a prefix.
	// Example: /v2
	// Becomes: requestRedirect.path.replacePrefixMatch
	Prefix *NewPath `json:"prefix,omitempty"`
	// Code is the status code.
	//
	// Default: 302.
	// Limits: 301, 302, 303, 307 or 308.
	// Example: 308
	// Becomes: requestRedirect.statusCode
	Code RedirectCode `json:"code,omitempty"`
}

// Scheme is http or https.
type Scheme string

// NewPath is a path that replaces one; "" takes a prefix away.
type NewPath string

// RedirectCode is 301, 302, 303, 307 or 308.
type RedirectCode int32

// Rewrite says what changes between the request received and the request sent on.
type Rewrite struct {
	// Host the backend sees.
	//
	// Example: shop.internal
	// Becomes: urlRewrite.hostname
	Host Hostname `json:"host,omitempty"`
	// Path replaces the whole path.
	//
	// Limits: not together with prefix; at most 1024 characters.
	// Example: /index.html
	// Becomes: urlRewrite.path.replaceFullPath
	Path *NewPath `json:"path,omitempty"`
	// Prefix replaces the matched prefix.
	//
	// Limits: only where every path of the route is a prefix.
	// Example: /
	// Becomes: urlRewrite.path.replacePrefixMatch
	Prefix *NewPath `json:"prefix,omitempty"`
}

// HeaderChange changes headers. A header is named in one of the three only.
type HeaderChange struct {
	// Set gives headers the value, whatever they had.
	//
	// Limits: at most 16.
	// Example: {x-env: prod}
	// Becomes: set
	Set HeaderValues `json:"set,omitempty"`
	// Add adds values to headers.
	//
	// Limits: at most 16.
	// Example: {x-via: edge}
	// Becomes: add
	Add HeaderValues `json:"add,omitempty"`
	// Remove takes headers away.
	//
	// Limits: at most 16.
	// Example: [x-debug]
	// Becomes: remove
	Remove []HeaderName `json:"remove,omitempty"`
}

// HeaderValues are headers with a value each, sorted by name.
type HeaderValues []HeaderValue

// HeaderValue is one header with its value.
type HeaderValue struct {
	Name  HeaderName
	Value string
}

// Mirror is a service that gets copies of requests.
type Mirror struct {
	// To is the service: "service", "service:port", "namespace/service:port", or long {service, namespace, port}.
	//
	// Required.
	// Example: shop-next:8080
	// Becomes: requestMirror.backendRef
	To MirrorBackend `json:"to"`
	// Percent of the requests to copy.
	//
	// Default: 100.
	// Limits: 0 to 100.
	// Example: 5
	// Becomes: requestMirror.percent
	Percent *Percent `json:"percent,omitempty"`
}

// MirrorBackend is the service that gets the copies.
type MirrorBackend struct {
	// Service is the name of the Service.
	//
	// Required.
	// Limits: a DNS label.
	// Example: shop-next
	// Becomes: requestMirror.backendRef.name
	Service Label `json:"service"`
	// Namespace of the Service.
	//
	// Default: the spec's namespace.
	// Example: team-b
	// Becomes: requestMirror.backendRef.namespace
	Namespace Label `json:"namespace,omitempty"`
	// Port of the Service.
	//
	// Default: spec.port.
	// Limits: 1 to 65535.
	// Example: 8080
	// Becomes: requestMirror.backendRef.port
	Port Port `json:"port,omitempty"`
}

// Percent is 0 to 100.
type Percent int32

// CORS is who may call from a browser, and how.
type CORS struct {
	// Origins that may call: "https://example.com", "https://*.example.com", or "*" alone for all.
	//
	// Required.
	// Limits: at most 64.
	// Example: ["https://*.example.com"]
	// Becomes: cors.allowOrigins
	Origins []Origin `json:"origins"`
	// Methods they may use; "*" alone for all.
	//
	// Default: GET, HEAD and POST.
	// Limits: at most 9.
	// Example: [GET, PUT]
	// Becomes: cors.allowMethods
	Methods []CORSMethod `json:"methods,omitempty"`
	// Headers they may send; "*" alone for all.
	//
	// Limits: at most 64.
	// Example: [x-tenant]
	// Becomes: cors.allowHeaders
	Headers []HeaderName `json:"headers,omitempty"`
	// Expose are the response headers scripts may read; "*" alone for all.
	//
	// Limits: at most 64.
	// Example: [x-request-id]
	// Becomes: cors.exposeHeaders
	Expose []HeaderName `json:"expose,omitempty"`
	// Credentials lets cookies and authentication through.
	//
	// Default: false.
	// Example: true
	// Becomes: cors.allowCredentials
	Credentials *bool `json:"credentials,omitempty"`
	// MaxAge is how long a browser may keep the answer: a number of seconds, or a duration of whole seconds.
	//
	// Default: 5s.
	// Limits: at least 1s.
	// Example: 1h
	// Becomes: cors.maxAge
	MaxAge Seconds `json:"maxAge,omitempty"`
}

// Origin is a web origin, scheme://host[:port], or "*".
type Origin string

// CORSMethod is a Method or "*".
type CORSMethod string

// Seconds is a time in whole seconds; 0 means "not given".
type Seconds int32
