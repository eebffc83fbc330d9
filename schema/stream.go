package schema

// Stream is one TCPRoute or UDPRoute: what arrives at a port of the gateway goes to a service.
type Stream struct {
	// Port of the gateway's listener.
	//
	// Required.
	// Limits: 1 to 65535.
	// Example: 5432
	// Becomes: spec.parentRefs[].port
	Port Port `json:"port"`
	// To is where connections or datagrams go, written as for routes.
	//
	// Default: the own service.
	// Limits: at most 16 backends; not all weights 0.
	// Example: postgres:5432
	// Becomes: spec.rules[].backendRefs
	To []StreamBackend `json:"to,omitempty"`
}

// TLS is one TLSRoute: connections that ask for a host go to a service, still encrypted or decrypted, as the gateway's
// listener says.
type TLS struct {
	// Hosts are the names connections ask for (SNI).
	//
	// Default: spec.hosts.
	// Limits: lower case, no port; at most 1024; each in one entry only.
	// Example: [db.example.com]
	// Becomes: TLSRoute spec.hostnames
	Hosts []ServiceHost `json:"hosts,omitempty"`
	// To is where connections go, written as for routes.
	//
	// Default: the own service.
	// Limits: at most 16 backends; not all weights 0.
	// Example: db:8443
	// Becomes: TLSRoute spec.rules[].backendRefs
	To []StreamBackend `json:"to,omitempty"`
}

// StreamBackend is one target of connections or datagrams.
type StreamBackend Backend

// BackendTLS says that the own service speaks TLS, and how the gateway knows that it is the right one.
type BackendTLS struct {
	// Hostname is asked for (SNI) and must be in the service's certificate, unless sans says otherwise.
	//
	// Required.
	// Limits: lower case, no wildcard.
	// Example: shop.internal
	// Becomes: BackendTLSPolicy spec.validation.hostname
	Hostname Hostname `json:"hostname"`
	// CA is what the certificate must be signed by: the name of a ConfigMap with ca.crt in it, or system for what the
	// gateway's system trusts. Long: {configMap: name}, also for a ConfigMap named system. May be a list.
	//
	// Required.
	// Limits: at most 8; system alone.
	// Example: internal-ca
	// Becomes: BackendTLSPolicy spec.validation.caCertificateRefs, wellKnownCACertificates
	CA []CARef `json:"ca"`
	// SANs are the names one of which must be in the certificate, in place of hostname: hostnames, or URIs as in
	// "spiffe://example.com/shop". Long: {hostname: name} or {uri: URI}.
	//
	// Limits: at most 5.
	// Example: ["spiffe://example.com/shop"]
	// Becomes: BackendTLSPolicy spec.validation.subjectAltNames
	SANs []SAN `json:"sans,omitempty"`
}

// CARef is what certificates are checked against: System, or else a ConfigMap.
type CARef struct {
	// ConfigMap is the name of a ConfigMap with ca.crt in it.
	//
	// Required.
	// Limits: a DNS subdomain.
	// Example: internal-ca
	// Becomes: BackendTLSPolicy spec.validation.caCertificateRefs[].name
	ConfigMap string `json:"configMap"`
	System    bool
}

// SAN is a name in a certificate. Exactly one field is set.
type SAN struct {
	// Hostname is a DNS name; its first label may be "*".
	//
	// Limits: lower case.
	// Example: "*.shop.internal"
	// Becomes: BackendTLSPolicy spec.validation.subjectAltNames[].hostname
	Hostname ServiceHost `json:"hostname,omitempty"`
	// URI is a URI, as SPIFFE has it.
	//
	// Limits: with scheme and authority ("scheme://..."); at most 253 characters.
	// Example: spiffe://example.com/shop
	// Becomes: BackendTLSPolicy spec.validation.subjectAltNames[].uri
	URI URI `json:"uri,omitempty"`
}

// URI is a URI with scheme and authority.
type URI string
