package schema

// GRPC is one rule of the GRPCRoute.
type GRPC struct {
	// Name names the rule, for patches, previews and messages.
	//
	// Limits: a DNS label, unique among the rules.
	// Example: cart
	// Becomes: GRPCRoute spec.rules[].name
	Name Label `json:"name,omitempty"`
	// Method is what is called: "pkg.Service/Method", "pkg.Service/*" for every method of a service, "*/Method" for a
	// method of every service; "~pkg[.](A|B)/Get.*" for regular expressions (RE2) over the whole names. Long: {service,
	// method, regex}. A list gives alternatives.
	//
	// Default: every method.
	// Limits: at most 1024 characters each.
	// Example: shop.v1.Cart/*
	// Becomes: GRPCRoute spec.rules[].matches[].method
	Method []GRPCMethod `json:"method,omitempty"`
	// Headers must all be there with the value given, written as for routes.
	//
	// Limits: at most 16.
	// Example: {x-tenant: acme}
	// Becomes: GRPCRoute spec.rules[].matches[].headers
	Headers HeaderMatches `json:"headers,omitempty"`
	// To is where calls go, written as for routes.
	//
	// Default: the own service.
	// Limits: at most 16 backends; not all weights 0.
	// Example: {cart-v1:9090: 90, cart-v2:9090: 10}
	// Becomes: GRPCRoute spec.rules[].backendRefs
	To []GRPCBackend `json:"to,omitempty"`
	// RequestHeaders changes the headers the backend sees.
	//
	// Example: {set: {x-env: prod}}
	// Becomes: filter RequestHeaderModifier
	RequestHeaders *HeaderChange `json:"requestHeaders,omitempty"`
	// ResponseHeaders changes the headers the client sees.
	//
	// Example: {remove: [x-debug]}
	// Becomes: filter ResponseHeaderModifier
	ResponseHeaders *HeaderChange `json:"responseHeaders,omitempty"`
	// Mirror sends copies of calls to further services and ignores their answers.
	//
	// Example: [{to: cart-next:9090, percent: 5}]
	// Becomes: filter RequestMirror
	Mirror []Mirror `json:"mirror,omitempty"`
}

// GRPCMethod is one alternative of a gRPC rule. Service or Method is set, or both; the empty one stands for all.
type GRPCMethod struct {
	// Service is the full name of the gRPC service.
	//
	// Default: every service.
	// Limits: at most 1024 characters.
	// Example: shop.v1.Cart
	// Becomes: GRPCRoute spec.rules[].matches[].method.service
	Service string `json:"service,omitempty"`
	// Method is the name of the method.
	//
	// Default: every method.
	// Limits: at most 1024 characters.
	// Example: AddItem
	// Becomes: GRPCRoute spec.rules[].matches[].method.method
	Method string `json:"method,omitempty"`
	// Regex says that service and method are regular expressions (RE2) over the whole names.
	//
	// Default: false.
	// Example: true
	// Becomes: GRPCRoute spec.rules[].matches[].method.type
	Regex bool `json:"regex,omitempty"`
}

// GRPCBackend is one target of a gRPC rule.
type GRPCBackend Backend
