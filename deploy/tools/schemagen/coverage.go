package main

// way says by what the fields at and below a path of a Gateway API kind are reached; the longest path counts. By is one or
// more fields of a spec, or patch, or raw.
type way struct{ kind, path, by string }

const (
	patch = "patch"
	raw   = "raw object"
)

// ways are all there are. The generator fails for a field that none of them reaches, and for one that reaches nothing.
var ways = join(
	routeWays("HTTPRoute", "spec.routes[]"), []way{
		{"HTTPRoute", "spec.hostnames[]", "spec.hosts"},
		{"HTTPRoute", "spec.rules[].matches[].path", "spec.routes[].path"},
		{"HTTPRoute", "spec.rules[].matches[].method", "spec.routes[].methods"},
		{"HTTPRoute", "spec.rules[].matches[].headers[]", "spec.routes[].headers"},
		{"HTTPRoute", "spec.rules[].matches[].queryParams[]", "spec.routes[].query"},
		{"HTTPRoute", "spec.rules[].timeouts.request", "spec.routes[].timeout"},
		{"HTTPRoute", "spec.rules[].timeouts.backendRequest", "spec.routes[].backendTimeout"},
		{"HTTPRoute", "spec.rules[].retry.attempts", "spec.routes[].retry.attempts"},
		{"HTTPRoute", "spec.rules[].retry.codes[]", "spec.routes[].retry.codes"},
		{"HTTPRoute", "spec.rules[].retry.backoff", "spec.routes[].retry.backoff"},
	},
	headerWays("HTTPRoute", "spec.rules[].filters[]", "spec.routes[]"), mirrorWays("HTTPRoute", "spec.routes[]"),
	corsWays("spec.rules[].filters[].cors", "spec.routes[].cors"),
	redirectWays("spec.rules[].filters[].requestRedirect", "spec.routes[].redirect"),
	rewriteWays("spec.rules[].filters[].urlRewrite", "spec.routes[].rewrite"),
	headerWays("HTTPRoute", "spec.rules[].backendRefs[].filters[]", "spec.routes[].to[]"),
	rewriteWays("spec.rules[].backendRefs[].filters[].urlRewrite", "spec.routes[].to[].rewrite"), []way{
		{"HTTPRoute", "spec.rules[].filters[].type", "spec.routes[].requestHeaders, spec.routes[].responseHeaders, spec.routes[].redirect, spec.routes[].rewrite, spec.routes[].mirror, spec.routes[].cors"},
		{"HTTPRoute", "spec.rules[].filters[].extensionRef", patch},
		{"HTTPRoute", "spec.rules[].backendRefs[].filters[].type", "spec.routes[].to[].requestHeaders, spec.routes[].to[].responseHeaders, spec.routes[].to[].rewrite"},
		{"HTTPRoute", "spec.rules[].backendRefs[].filters[].cors", patch},
		{"HTTPRoute", "spec.rules[].backendRefs[].filters[].extensionRef", patch},
		{"HTTPRoute", "spec.rules[].backendRefs[].filters[].requestMirror", patch},
		{"HTTPRoute", "spec.rules[].backendRefs[].filters[].requestRedirect", patch},
	},
	routeWays("GRPCRoute", "spec.grpc[]"), []way{
		{"GRPCRoute", "spec.hostnames[]", "spec.hosts"},
		{"GRPCRoute", "spec.rules[].matches[].method.service", "spec.grpc[].method[].service"},
		{"GRPCRoute", "spec.rules[].matches[].method.method", "spec.grpc[].method[].method"},
		{"GRPCRoute", "spec.rules[].matches[].method.type", "spec.grpc[].method[].regex"},
		{"GRPCRoute", "spec.rules[].matches[].headers[]", "spec.grpc[].headers"},
		{"GRPCRoute", "spec.rules[].filters[].type", "spec.grpc[].requestHeaders, spec.grpc[].responseHeaders, spec.grpc[].mirror"},
		{"GRPCRoute", "spec.rules[].filters[].extensionRef", patch},
		{"GRPCRoute", "spec.rules[].backendRefs[].filters[].type", "spec.grpc[].to[].requestHeaders, spec.grpc[].to[].responseHeaders"},
		{"GRPCRoute", "spec.rules[].backendRefs[].filters[].extensionRef", patch},
		{"GRPCRoute", "spec.rules[].backendRefs[].filters[].requestMirror", patch},
	},
	headerWays("GRPCRoute", "spec.rules[].filters[]", "spec.grpc[]"), mirrorWays("GRPCRoute", "spec.grpc[]"),
	headerWays("GRPCRoute", "spec.rules[].backendRefs[].filters[]", "spec.grpc[].to[]"),
	streamWays("TCPRoute", "spec.tcp[]"), streamWays("UDPRoute", "spec.udp[]"),
	backendWays("TLSRoute", "spec.tls[]"), []way{
		{"TLSRoute", "spec.parentRefs[].port", "spec.gateway"}, {"TLSRoute", "spec.parentRefs[].sectionName", "spec.gateway"},
		{"TLSRoute", "spec.hostnames[]", "spec.tls[].hosts, spec.hosts"}, {"TLSRoute", "spec.rules[].name", patch},
	},
	otherWays, gatewayWays,
)

var otherWays = []way{
	{"BackendTLSPolicy", "spec.options", patch},
	{"BackendTLSPolicy", "spec.targetRefs[]", patch},
	{"BackendTLSPolicy", "spec.targetRefs[].name", "spec.service"},
	{"BackendTLSPolicy", "spec.validation.hostname", "spec.backendTLS.hostname"},
	{"BackendTLSPolicy", "spec.validation.caCertificateRefs[]", patch},
	{"BackendTLSPolicy", "spec.validation.caCertificateRefs[].name", "spec.backendTLS.ca"},
	{"BackendTLSPolicy", "spec.validation.wellKnownCACertificates", "spec.backendTLS.ca"},
	{"BackendTLSPolicy", "spec.validation.subjectAltNames[].type", "spec.backendTLS.sans"},
	{"BackendTLSPolicy", "spec.validation.subjectAltNames[].hostname", "spec.backendTLS.sans[].hostname"},
	{"BackendTLSPolicy", "spec.validation.subjectAltNames[].uri", "spec.backendTLS.sans[].uri"},
	{"ReferenceGrant", "spec.from[]", patch},
	{"ReferenceGrant", "spec.from[].namespace", "spec.allowFrom"},
	{"ReferenceGrant", "spec.to[]", patch},
	{"ReferenceGrant", "spec.to[].name", "spec.service"},
	{"GatewayClass", "spec", raw},
	{"ListenerSet", "spec", raw},
}

var gatewayWays = []way{
	{"Gateway", "spec.gatewayClassName", "spec.class"},
	{"Gateway", "spec.addresses[].type", "spec.addresses[].type"},
	{"Gateway", "spec.addresses[].value", "spec.addresses[].value"},
	{"Gateway", "spec.allowedListeners.namespaces", "spec.allow.listenerSets"},
	{"Gateway", "spec.infrastructure.annotations", "spec.infrastructure.annotations"},
	{"Gateway", "spec.infrastructure.labels", "spec.infrastructure.labels"},
	{"Gateway", "spec.infrastructure.parametersRef.group", "spec.infrastructure.parameters.group"},
	{"Gateway", "spec.infrastructure.parametersRef.kind", "spec.infrastructure.parameters.kind"},
	{"Gateway", "spec.infrastructure.parametersRef.name", "spec.infrastructure.parameters.name"},
	{"Gateway", "spec.listeners[].name", "spec.hosts, spec.ports"},
	{"Gateway", "spec.listeners[].hostname", "spec.hosts[].host, spec.ports[].hosts[].host"},
	{"Gateway", "spec.listeners[].port", "spec.ports[].port"},
	{"Gateway", "spec.listeners[].protocol", "spec.ports[].protocol"},
	{"Gateway", "spec.listeners[].allowedRoutes.kinds[]", patch},
	{"Gateway", "spec.listeners[].allowedRoutes.namespaces", "spec.allow.namespaces, spec.hosts[].namespaces, spec.ports[].namespaces, spec.ports[].hosts[].namespaces"},
	{"Gateway", "spec.listeners[].tls.mode", "spec.ports[].mode"},
	{"Gateway", "spec.listeners[].tls.options", patch},
	{"Gateway", "spec.listeners[].tls.certificateRefs[]", patch},
	{"Gateway", "spec.listeners[].tls.certificateRefs[].name", "spec.tls, spec.hosts[].tls, spec.ports[].tls, spec.ports[].hosts[].tls"},
	{"Gateway", "spec.listeners[].tls.certificateRefs[].namespace", "spec.tls, spec.hosts[].tls, spec.ports[].tls, spec.ports[].hosts[].tls"},
	{"Gateway", "spec.tls.backend.clientCertificateRef", patch},
	{"Gateway", "spec.tls.backend.clientCertificateRef.name", "spec.clientCertificate"},
	{"Gateway", "spec.tls.backend.clientCertificateRef.namespace", "spec.clientCertificate"},
	{"Gateway", "spec.tls.frontend.default.validation.caCertificateRefs[]", patch},
	{"Gateway", "spec.tls.frontend.default.validation.caCertificateRefs[].name", "spec.clientAuth[].ca"},
	{"Gateway", "spec.tls.frontend.default.validation.caCertificateRefs[].namespace", "spec.clientAuth[].ca"},
	{"Gateway", "spec.tls.frontend.default.validation.mode", "spec.clientAuth[].mode"},
	{"Gateway", "spec.tls.frontend.perPort[].port", "spec.clientAuth[].ports"},
	{"Gateway", "spec.tls.frontend.perPort[].tls.validation.caCertificateRefs[]", patch},
	{"Gateway", "spec.tls.frontend.perPort[].tls.validation.caCertificateRefs[].name", "spec.clientAuth[].ca"},
	{"Gateway", "spec.tls.frontend.perPort[].tls.validation.caCertificateRefs[].namespace", "spec.clientAuth[].ca"},
	{"Gateway", "spec.tls.frontend.perPort[].tls.validation.mode", "spec.clientAuth[].mode"},
}

func join(lists ...[]way) []way {
	var out []way
	for _, list := range lists {
		out = append(out, list...)
	}
	return out
}

// backendWays are those of references to Services and to Gateways, which all routes have.
func backendWays(kind, field string) []way {
	out := []way{{kind, "spec.rules[].backendRefs[].group", patch}, {kind, "spec.rules[].backendRefs[].kind", patch}}
	for _, name := range []string{"name", "namespace", "port", "weight"} {
		by := name
		if name == "name" {
			by = "service"
		}
		out = append(out, way{kind, "spec.rules[].backendRefs[]." + name, field + ".to[]." + by})
	}
	return append(out, way{kind, "spec.parentRefs[].group", patch}, way{kind, "spec.parentRefs[].kind", patch},
		way{kind, "spec.parentRefs[].name", "spec.gateway"}, way{kind, "spec.parentRefs[].namespace", "spec.gateway"})
}

func routeWays(kind, field string) []way {
	return append(backendWays(kind, field), way{kind, "spec.rules[].name", field + ".name"},
		way{kind, "spec.parentRefs[].port", "spec.gateway"}, way{kind, "spec.parentRefs[].sectionName", "spec.gateway"})
}

func streamWays(kind, field string) []way {
	return append(backendWays(kind, field), way{kind, "spec.rules[].name", patch},
		way{kind, "spec.parentRefs[].port", field + ".port"}, way{kind, "spec.parentRefs[].sectionName", patch})
}

func headerWays(kind, at, field string) []way {
	var out []way
	for filter, by := range map[string]string{"requestHeaderModifier": "requestHeaders", "responseHeaderModifier": "responseHeaders"} {
		for _, change := range []string{"add", "remove", "set"} {
			out = append(out, way{kind, at + "." + filter + "." + change + "[]", field + "." + by + "." + change})
		}
	}
	return out
}

func mirrorWays(kind, field string) []way {
	at := "spec.rules[].filters[].requestMirror"
	return []way{
		{kind, at + ".backendRef", patch}, {kind, at + ".backendRef.name", field + ".mirror[].to.service"},
		{kind, at + ".backendRef.namespace", field + ".mirror[].to.namespace"}, {kind, at + ".backendRef.port", field + ".mirror[].to.port"},
		{kind, at + ".fraction", patch}, {kind, at + ".percent", field + ".mirror[].percent"},
	}
}

func corsWays(at, field string) []way {
	return []way{
		{"HTTPRoute", at + ".allowCredentials", field + ".credentials"}, {"HTTPRoute", at + ".allowHeaders[]", field + ".headers"},
		{"HTTPRoute", at + ".allowMethods[]", field + ".methods"}, {"HTTPRoute", at + ".allowOrigins[]", field + ".origins"},
		{"HTTPRoute", at + ".exposeHeaders[]", field + ".expose"}, {"HTTPRoute", at + ".maxAge", field + ".maxAge"},
	}
}

func redirectWays(at, field string) []way {
	return append(rewriteWays(at, field), way{"HTTPRoute", at + ".port", field + ".port"},
		way{"HTTPRoute", at + ".scheme", field + ".scheme"}, way{"HTTPRoute", at + ".statusCode", field + ".code"})
}

func rewriteWays(at, field string) []way {
	return []way{
		{"HTTPRoute", at + ".hostname", field + ".host"}, {"HTTPRoute", at + ".path.replaceFullPath", field + ".path"},
		{"HTTPRoute", at + ".path.replacePrefixMatch", field + ".prefix"}, {"HTTPRoute", at + ".path.type", field + ".path, " + field + ".prefix"},
	}
}
