package schema

// GatewaySpec is an entry point the platform team offers: which hosts on which ports, and who may attach.
type GatewaySpec struct {
	Metadata Metadata `json:"metadata"`
	Spec     Gateway  `json:"spec"`
	origin
}

// Gateway is the spec of a GatewaySpec.
type Gateway struct {
	// Class is the name of the GatewayClass.
	//
	// Default: headgate.
	// Example: headgate
	// Becomes: spec.gatewayClassName
	Class ClassName `json:"class,omitempty"`
	// Hosts are the names served on port 80: a host, or long {host, namespaces}. Each becomes a listener of its own,
	// http.shop.example.com or http.wildcard.example.com; "*" takes every host and becomes the listener http.
	//
	// Default: every host, unless ports says otherwise.
	// Limits: at most 64 listeners together with ports.
	// Example: ["*.example.com", {host: shop.example.com, namespaces: [shop]}]
	// Becomes: spec.listeners
	Hosts []GatewayHost `json:"hosts,omitempty"`
	// Ports are further listeners, http-8080 or http-8080.shop.example.com.
	//
	// Example: [{port: 8080}]
	// Becomes: spec.listeners
	Ports []GatewayPort `json:"ports,omitempty"`
	// Allow says who may attach where a host says nothing itself.
	//
	// Default: the Gateway's own namespace.
	// Example: {namespaces: all}
	// Becomes: spec.listeners[].allowedRoutes
	Allow *Allow `json:"allow,omitempty"`
	// Default makes this the gateway of services that name none: true for every namespace, or a list of namespaces.
	//
	// Default: false.
	// Limits: true, false or 1 to 64 namespaces.
	// Example: true
	// Becomes: annotation headgate.dev/default-for
	Default *DefaultFor `json:"default,omitempty"`
	// Addresses the Gateway asks for: an IP address or a hostname, or long {type, value}.
	//
	// Limits: at most 16.
	// Example: [192.0.2.10]
	// Becomes: spec.addresses
	Addresses []Address `json:"addresses,omitempty"`
	// Infrastructure is for what runs the Gateway.
	//
	// Becomes: spec.infrastructure
	Infrastructure *Infrastructure `json:"infrastructure,omitempty"`
	// Patches change what was generated.
	Patches []Patch `json:"patches,omitempty"`
}

// ClassName is the name of a GatewayClass: a DNS subdomain.
type ClassName string

// GatewayHost is one host of a gateway.
type GatewayHost struct {
	// Host is the name; its first label may be "*"; "*" alone takes every host.
	//
	// Required.
	// Example: shop.example.com
	// Becomes: spec.listeners[].hostname
	Host ListenerHost `json:"host"`
	// Namespaces says whose routes may attach to this host: same, all, a list of names, or {labels: {...}}.
	//
	// Default: allow.namespaces.
	// Example: [shop]
	// Becomes: spec.listeners[].allowedRoutes.namespaces
	Namespaces *Namespaces `json:"namespaces,omitempty"`
}

// ListenerHost is a hostname; its first label may be "*"; "*" alone means every host.
type ListenerHost string

// GatewayPort is a further port of a gateway.
type GatewayPort struct {
	// Port to listen on.
	//
	// Required.
	// Limits: 1 to 65535.
	// Example: 8080
	// Becomes: spec.listeners[].port
	Port Port `json:"port"`
	// Protocol spoken there.
	//
	// Default: HTTP.
	// Limits: HTTP.
	// Example: HTTP
	// Becomes: spec.listeners[].protocol
	Protocol Protocol `json:"protocol,omitempty"`
	// Hosts served on this port.
	//
	// Default: every host.
	// Example: [admin.example.com]
	// Becomes: spec.listeners[].hostname
	Hosts []GatewayHost `json:"hosts,omitempty"`
}

// Protocol is the protocol of a listener.
type Protocol string

// Values of Protocol.
const (
	ProtocolHTTP Protocol = "HTTP"
)

// Allow says who may attach.
type Allow struct {
	// Namespaces whose routes may attach: same, all, a list of names, or {labels: {...}}.
	//
	// Required.
	// Example: all
	// Becomes: spec.listeners[].allowedRoutes.namespaces
	Namespaces *Namespaces `json:"namespaces"`
}

// Namespaces selects namespaces. Exactly one of All, Same, Names and Labels is set.
type Namespaces struct {
	All    bool
	Same   bool
	Names  []Label // sorted
	Labels map[string]string
}

// DefaultFor says for which namespaces a gateway is the default.
type DefaultFor struct {
	All   bool
	Names []Label // sorted; empty together with All false means "for none"
}

// Address is an address a Gateway asks for.
type Address struct {
	// Type of the address.
	//
	// Default: IPAddress or Hostname, as the value looks.
	// Limits: IPAddress, Hostname, NamedAddress or a domain-prefixed type of the implementation.
	// Example: IPAddress
	// Becomes: spec.addresses[].type
	Type AddressType `json:"type,omitempty"`
	// Value of the address.
	//
	// Required.
	// Limits: at most 253 characters.
	// Example: 192.0.2.10
	// Becomes: spec.addresses[].value
	Value string `json:"value"`
}

// AddressType is IPAddress, Hostname, NamedAddress or a domain-prefixed name.
type AddressType string

// Infrastructure is for what runs the Gateway: its Deployment, its Service.
type Infrastructure struct {
	// Labels for the generated infrastructure.
	//
	// Limits: at most 8.
	// Example: {tier: edge}
	// Becomes: spec.infrastructure.labels
	Labels map[string]string `json:"labels,omitempty"`
	// Annotations for the generated infrastructure.
	//
	// Limits: at most 16.
	// Example: {example.com/zone: a}
	// Becomes: spec.infrastructure.annotations
	Annotations map[string]string `json:"annotations,omitempty"`
	// Parameters names the ProxyConfig that shapes the Envoys, or long {group, kind, name} any other object.
	//
	// Example: edge-proxy
	// Becomes: spec.infrastructure.parametersRef
	Parameters *ParametersRef `json:"parameters,omitempty"`
}

// ParametersRef names the object with the parameters, in the Gateway's namespace.
type ParametersRef struct {
	// Group of the object.
	//
	// Default: headgate.dev.
	// Example: headgate.dev
	// Becomes: spec.infrastructure.parametersRef.group
	Group string `json:"group,omitempty"`
	// Kind of the object.
	//
	// Default: ProxyConfig.
	// Example: ProxyConfig
	// Becomes: spec.infrastructure.parametersRef.kind
	Kind string `json:"kind,omitempty"`
	// Name of the object.
	//
	// Required.
	// Example: edge-proxy
	// Becomes: spec.infrastructure.parametersRef.name
	Name string `json:"name"`
}
