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
	// Hosts are the names served: a host, or long {host, namespaces, tls, redirect}. Each becomes a listener of its own on
	// port 80, http.shop.example.com or http.wildcard.example.com, and one on port 443, https.shop.example.com, where there
	// is a certificate; "*" takes every host and becomes http and https.
	//
	// Default: every host, unless ports says otherwise.
	// Limits: at most 64 listeners together with ports.
	// Example: ["*.example.com", {host: shop.example.com, namespaces: [shop]}]
	// Becomes: spec.listeners
	Hosts []GatewayHost `json:"hosts,omitempty"`
	// TLS is the certificate: the name of a Secret of type kubernetes.io/tls for all hosts, or a map from hosts to names,
	// where a host that is not in it takes what stands for the wildcard of the names beside it ("*.example.com" for
	// shop.example.com), or for "*". A Secret of another namespace is "namespace/name" and needs a ReferenceGrant there. Several names, for RSA and ECDSA, are a list.
	//
	// Limits: at most 64 Secrets for one host.
	// Example: {"*.example.com": example-com, shop.example.org: certs/shop}
	// Becomes: spec.listeners[].tls.certificateRefs
	TLS *Certificates `json:"tls,omitempty"`
	// Redirect answers plain HTTP of hosts with a certificate with a redirect to HTTPS (301). Their HTTP listeners then
	// admit only routes of the Gateway's own namespace and carry one generated HTTPRoute, NAME-redirect; ServiceSpecs of that
	// namespace in the same tree attach to the other listeners. Any other HTTPRoute of that namespace that names no
	// listener would still come before the redirect.
	//
	// Default: true.
	// Example: false
	// Becomes: HTTPRoute NAME-redirect
	Redirect *bool `json:"redirect,omitempty"`
	// Ports are further listeners, named by protocol and port: http-8080, https-8443.shop.example.com, tls-8443.wildcard.example.com,
	// tcp-5432, udp-53.
	//
	// Example: [{port: 8080}, {port: 5432, protocol: TCP, namespaces: [db]}]
	// Becomes: spec.listeners
	Ports []GatewayPort `json:"ports,omitempty"`
	// Allow says who may attach where a host or port says nothing itself.
	//
	// Default: the Gateway's own namespace.
	// Example: {namespaces: all}
	// Becomes: spec.listeners[].allowedRoutes
	Allow *Allow `json:"allow,omitempty"`
	// Default makes this the gateway of services that name none: true for every namespace, or a list of namespaces.
	//
	// Default: true for its namespace, or for every namespace, where no other GatewaySpec of the tree is; written only when said.
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
	// ClientAuth asks clients of HTTPS listeners for a certificate. May be a list: one entry for all ports, and others for
	// single ports.
	//
	// Limits: at most one entry without ports; each port in one entry only.
	// Example: {ca: client-ca, ports: [8443]}
	// Becomes: spec.tls.frontend
	ClientAuth []ClientAuth `json:"clientAuth,omitempty"`
	// ClientCertificate is what the gateway shows to backends that speak TLS: the name of a Secret of type
	// kubernetes.io/tls, or "namespace/name".
	//
	// Example: gateway-client
	// Becomes: spec.tls.backend.clientCertificateRef
	ClientCertificate *ObjectName `json:"clientCertificate,omitempty"`
	// Infrastructure is for what runs the Gateway.
	//
	// Example: {labels: {tier: edge}, parameters: edge-proxy}
	// Becomes: spec.infrastructure
	Infrastructure *Infrastructure `json:"infrastructure,omitempty"`
	// Patches change what was generated: the way to everything there is no field for.
	//
	// Example: [{target: {kind: Gateway}, patch: [{op: add, path: /spec/listeners/http/allowedRoutes/kinds, value: [{kind: HTTPRoute}]}]}]
	Patches []Patch `json:"patches,omitempty"`
}

// ClassName is the name of a GatewayClass: a DNS subdomain.
type ClassName string

// GatewayHost is one host of a gateway, on ports 80 and 443.
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
	// TLS is the certificate of this host: the name of a Secret, or "namespace/name"; may be a list.
	//
	// Default: what tls of the gateway says.
	// Limits: at most 64.
	// Example: shop-cert
	// Becomes: spec.listeners[].tls.certificateRefs
	TLS []ObjectName `json:"tls,omitempty"`
	// Redirect says for this host what redirect says for all.
	//
	// Default: redirect of the gateway.
	// Example: false
	// Becomes: HTTPRoute NAME-redirect
	Redirect *bool `json:"redirect,omitempty"`
}

// ListenerHost is a hostname; its first label may be "*"; "*" alone means every host.
type ListenerHost string

// ObjectName names an object of one kind; the empty namespace is the Gateway's own.
type ObjectName struct{ Namespace, Name string }

// Certificates are the Secrets of hosts. Exactly one of All and ByHost is set.
type Certificates struct {
	All    []ObjectName
	ByHost []HostCertificates // sorted by host
}

// HostCertificates are the Secrets of one host.
type HostCertificates struct {
	Host    ListenerHost
	Secrets []ObjectName
}

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
	// Default: HTTP; TLS where mode is given, else HTTPS where tls is given.
	// Limits: HTTP, HTTPS, TLS, TCP or UDP; TCP and UDP have neither hosts nor tls.
	// Example: TCP
	// Becomes: spec.listeners[].protocol
	Protocol Protocol `json:"protocol,omitempty"`
	// Hosts served on this port: a host, or long {host, namespaces, tls}.
	//
	// Default: every host.
	// Example: [admin.example.com]
	// Becomes: spec.listeners[].hostname
	Hosts []PortHost `json:"hosts,omitempty"`
	// Namespaces says whose routes may attach to this port, written as for a host.
	//
	// Default: allow.namespaces.
	// Example: [db]
	// Becomes: spec.listeners[].allowedRoutes.namespaces
	Namespaces *Namespaces `json:"namespaces,omitempty"`
	// TLS is the certificate: the name of a Secret, or "namespace/name"; may be a list.
	//
	// Default: what tls of the gateway says.
	// Limits: only for HTTPS, and TLS that is terminated; at most 64.
	// Example: admin-cert
	// Becomes: spec.listeners[].tls.certificateRefs
	TLS []ObjectName `json:"tls,omitempty"`
	// Mode says whether TLS is decrypted here or passed on as it is.
	//
	// Default: passthrough; terminate where tls is given here or for a host of the port.
	// Limits: only for TLS: passthrough or terminate.
	// Example: passthrough
	// Becomes: spec.listeners[].tls.mode
	Mode TLSMode `json:"mode,omitempty"`
}

// PortHost is one host of a further port.
type PortHost struct {
	// Host is the name; its first label may be "*"; "*" alone takes every host.
	//
	// Required.
	// Example: admin.example.com
	// Becomes: spec.listeners[].hostname
	Host ListenerHost `json:"host"`
	// Namespaces says whose routes may attach to this host: same, all, a list of names, or {labels: {...}}.
	//
	// Default: namespaces of the port.
	// Example: [admin]
	// Becomes: spec.listeners[].allowedRoutes.namespaces
	Namespaces *Namespaces `json:"namespaces,omitempty"`
	// TLS is the certificate of this host: the name of a Secret, or "namespace/name"; may be a list.
	//
	// Default: tls of the port.
	// Limits: at most 64.
	// Example: admin-cert
	// Becomes: spec.listeners[].tls.certificateRefs
	TLS []ObjectName `json:"tls,omitempty"`
}

// Protocol is the protocol of a listener.
type Protocol string

// Values of Protocol.
const (
	ProtocolHTTP  Protocol = "HTTP"
	ProtocolHTTPS Protocol = "HTTPS"
	ProtocolTLS   Protocol = "TLS"
	ProtocolTCP   Protocol = "TCP"
	ProtocolUDP   Protocol = "UDP"
)

// TLSMode says who decrypts.
type TLSMode string

// Values of TLSMode.
const (
	TLSPassthrough TLSMode = "passthrough"
	TLSTerminate   TLSMode = "terminate"
)

// Allow says who may attach.
type Allow struct {
	// Namespaces whose routes may attach: same, all, a list of names, or {labels: {...}}.
	//
	// Default: same.
	// Example: all
	// Becomes: spec.listeners[].allowedRoutes.namespaces
	Namespaces *Namespaces `json:"namespaces,omitempty"`
	// ListenerSets says whose ListenerSets may add listeners: same, all, a list of names, or {labels: {...}}.
	//
	// Default: nobody's.
	// Example: same
	// Becomes: spec.allowedListeners.namespaces
	ListenerSets *Namespaces `json:"listenerSets,omitempty"`
}

// ClientAuth says which client certificates are good.
type ClientAuth struct {
	// CA is what client certificates must be signed by: the name of a ConfigMap with ca.crt in it, or "namespace/name",
	// which needs a ReferenceGrant there. May be a list.
	//
	// Required.
	// Limits: at most 16.
	// Example: client-ca
	// Becomes: spec.tls.frontend.default.validation.caCertificateRefs, and of perPort[].tls
	CA []ObjectName `json:"ca"`
	// Mode says what happens to clients without a good certificate: validOnly refuses them, insecureFallback lets them in.
	//
	// Default: validOnly.
	// Limits: validOnly or insecureFallback.
	// Example: validOnly
	// Becomes: spec.tls.frontend.default.validation.mode, and of perPort[].tls
	Mode ClientAuthMode `json:"mode,omitempty"`
	// Ports this is for.
	//
	// Default: every port that no other entry names.
	// Limits: at most 64.
	// Example: [8443]
	// Becomes: spec.tls.frontend.perPort[].port
	Ports []Port `json:"ports,omitempty"`
}

// ClientAuthMode is what happens to clients without a good certificate.
type ClientAuthMode string

// Values of ClientAuthMode.
const (
	ClientValidOnly        ClientAuthMode = "validOnly"
	ClientInsecureFallback ClientAuthMode = "insecureFallback"
)

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
