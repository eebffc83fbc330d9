package main

// object is a JSON object; encoding sorts its keys.
type object = map[string]any

// form is how the values of a Go type are written: in words, and as a JSON Schema.
type form struct {
	words  string
	plural string
	schema object
}

const (
	label     = `[a-z0-9]([-a-z0-9]*[a-z0-9])?`
	subdomain = label + `(\.` + label + `)*`
	headerSet = "^[A-Za-z0-9!#$%&'*+\\-.^_`|~]+$"
	grpcName  = `[A-Za-z_][A-Za-z_0-9]*`
	length    = `[0-9]+(\.[0-9]+)?(h|m|s|ms)`
	service   = `^(` + label + `/)?` + label + `(:[1-9][0-9]{0,4})?$`
)

var methods = []any{"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"}

func text(words, plural, pattern string, most int) form {
	return form{words, plural, object{"type": "string", "pattern": pattern, "maxLength": most}}
}

func number(words, plural string, least, most int) form {
	return form{words, plural, object{"type": "integer", "minimum": least, "maximum": most}}
}

func enum(words, plural string, values ...any) form {
	return form{words, plural, object{"enum": values}}
}

func anyOf(schemas ...any) object { return object{"anyOf": schemas} }

func listOf(items any) object { return object{"type": "array", "minItems": 1, "items": items} }

func mapOf(values any, names object) object {
	out := object{"type": "object", "minProperties": 1, "additionalProperties": values}
	if names != nil {
		out["propertyNames"] = names
	}
	return out
}

// oneKey is a long form: an object with exactly one of some texts.
func oneKey(names ...string) object {
	properties := object{}
	for _, name := range names {
		properties[name] = object{"type": "string"}
	}
	return object{"type": "object", "minProperties": 1, "maxProperties": 1, "additionalProperties": false, "properties": properties}
}

// hostPattern is that of a listener's host.
const hostPattern = `^(\*|(\*\.)?` + subdomain + `)$`

var (
	objectName = text("name", "names", `^(`+label+`/)?`+subdomain+`$`, 317)
	secrets    = object{"type": "array", "minItems": 1, "maxItems": 64, "items": objectName.schema}
	headerName = object{"pattern": headerSet, "maxLength": 256}
	duration   = text("duration", "durations", `^(0|(`+length+`)+)$`, 64)
	labelForm  = text("name", "names", `^`+label+`$`, 63)
	value      = anyOf(object{"type": "string"}, oneKey("exact", "regex"))
	labels     = mapOf(object{"type": "string"}, nil)
)

// forms are the types that are no structs of fields, or have a short form besides.
var forms = map[string]form{
	"string":            {"text", "texts", object{"type": "string"}},
	"bool":              {"true or false", "", object{"type": "boolean"}},
	"any":               {"anything", "", object{}},
	"map[string]string": {"map of texts", "", object{"type": "object", "additionalProperties": object{"type": "string"}}},
	"Hostname":          text("hostname", "hostnames", `^`+subdomain+`$`, 253),
	"ServiceHost":       text("hostname", "hostnames", `^(\*\.)?`+subdomain+`$`, 253),
	"ListenerHost":      text("hostname", "hostnames", hostPattern, 253),
	"Port":              number("port", "ports", 1, 65535),
	"Label":             labelForm,
	"ClassName":         text("name", "names", `^`+subdomain+`$`, 253),
	"HeaderName":        text("header name", "header names", headerSet, 256),
	"GatewayRef":        text("gateway", "gateways", `^((`+label+`/)?`+subdomain+`(#`+subdomain+`)?|#`+subdomain+`)$`, 400),
	"Method":            enum("method", "methods", methods...),
	"Duration":          duration,
	"Weight":            number("number", "numbers", 0, 1_000_000),
	"Attempts":          number("number", "numbers", 0, 100),
	"RetryCode":         number("status code", "status codes", 400, 599),
	"RedirectCode":      enum("status code", "status codes", 301, 302, 303, 307, 308),
	"Scheme":            enum("scheme", "schemes", "http", "https"),
	"NewPath":           text("path", "paths", `^(/[^?# \t\r\n]*)?$`, 1024),
	"Percent":           number("number", "numbers", 0, 100),
	"Origin":            text("origin", "origins", `^(\*|https?://((\*\.)?([a-zA-Z0-9-]+\.)*[a-zA-Z0-9-]+|\*)(:[0-9]{1,5})?)$`, 253),
	"CORSMethod":        enum("method", "methods", append([]any{"*"}, methods...)...),
	"Seconds":           {"duration or number", "", anyOf(object{"type": "integer", "minimum": 1, "maximum": 1<<31 - 1}, duration.schema)},
	"Protocol":          enum("protocol", "protocols", "HTTP", "HTTPS", "TLS", "TCP", "UDP"),
	"TLSMode":           enum("mode", "modes", "passthrough", "terminate"),
	"ClientAuthMode":    enum("mode", "modes", "validOnly", "insecureFallback"),
	"URI":               text("URI", "URIs", `^[A-Za-z][A-Za-z0-9+.-]*://[^/].*$`, 253),
	"ObjectName":        objectName,
	"Certificates":      {"name, list of names, or map of hosts to names", "", anyOf(objectName.schema, secrets, mapOf(anyOf(objectName.schema, secrets), object{"pattern": hostPattern}))},
	"PatchOp":           enum("operation", "operations", "add", "remove", "replace", "move", "copy", "test"),
	"AddressType":       {"text", "texts", anyOf(object{"enum": []any{"IPAddress", "Hostname", "NamedAddress"}}, object{"type": "string", "pattern": "/"})},
	"PathMatch": {"path", "paths", anyOf(
		object{"type": "string", "pattern": "^(/|=/|~.)", "maxLength": 1024}, oneKey("prefix", "exact", "regex"))},
	"HeaderMatches": {"map of headers to values", "", mapOf(value, headerName)},
	"QueryMatches":  {"map of parameters to values", "", mapOf(value, headerName)},
	"HeaderValues":  {"map of headers to values", "", mapOf(object{"type": "string", "maxLength": 4096}, headerName)},
	"Namespaces": {"same, all, a list of names, or labels", "", anyOf(
		object{"enum": []any{"same", "all"}}, listOf(labelForm.schema),
		object{"type": "object", "required": []any{"labels"}, "additionalProperties": false, "properties": object{"labels": labels}})},
	"DefaultFor": {"true, false or a list of names", "", anyOf(object{"type": "boolean"}, listOf(labelForm.schema))},
}

// short are the short forms of structs.
var short = map[string]object{
	"Backend":       {"type": "string", "pattern": service},
	"MirrorBackend": {"type": "string", "pattern": service},
	"GRPCBackend":   {"type": "string", "pattern": service},
	"StreamBackend": {"type": "string", "pattern": service},
	"GRPCMethod":    {"type": "string", "pattern": `^(~[^/]+/[^/]+|\*/[A-Za-z_][A-Za-z_0-9]*|\.?` + grpcName + `(\.` + grpcName + `)*/(\*|` + grpcName + `))$`},
	"CARef":         {"type": "string", "pattern": `^` + subdomain + `$`, "maxLength": 253},
	"SAN":           anyOf(forms["ServiceHost"].schema, object{"type": "string", "pattern": `^[A-Za-z][A-Za-z0-9+.-]*://[^/].*$`, "maxLength": 253}),
	"GatewayHost":   forms["ListenerHost"].schema,
	"PortHost":      forms["ListenerHost"].schema,
	"Address":       {"type": "string", "minLength": 1, "maxLength": 253},
	"ParametersRef": {"type": "string", "pattern": `^` + subdomain + `$`},
}

// limits are counts the types do not say.
var limits = map[string]object{
	"Service.Gateway":            {"maxItems": 32},
	"Route.Headers":              {"maxProperties": 16},
	"Route.Query":                {"maxProperties": 16},
	"Route.To":                   {"maxItems": 16, "maxProperties": 16},
	"Route.Mirror":               {"maxItems": 12},
	"GRPC.Headers":               {"maxProperties": 16},
	"GRPC.To":                    {"maxItems": 16, "maxProperties": 16},
	"GRPC.Mirror":                {"maxItems": 12},
	"GRPCMethod.Service":         {"minLength": 1, "maxLength": 1024},
	"GRPCMethod.Method":          {"minLength": 1, "maxLength": 1024},
	"Stream.To":                  {"maxItems": 16, "maxProperties": 16},
	"TLS.Hosts":                  {"maxItems": 1024},
	"TLS.To":                     {"maxItems": 16, "maxProperties": 16},
	"BackendTLS.CA":              {"maxItems": 8},
	"BackendTLS.SANs":            {"maxItems": 5},
	"CARef.ConfigMap":            {"pattern": `^` + subdomain + `$`, "maxLength": 253},
	"GatewayHost.TLS":            {"maxItems": 64},
	"PortHost.Namespaces":        {"maxItems": 64},
	"PortHost.TLS":               {"maxItems": 64},
	"GatewayPort.Namespaces":     {"maxItems": 64},
	"GatewayPort.TLS":            {"maxItems": 64},
	"Gateway.ClientAuth":         {"maxItems": 65},
	"ClientAuth.CA":              {"maxItems": 16},
	"ClientAuth.Ports":           {"maxItems": 64},
	"Allow.ListenerSets":         {"maxItems": 64},
	"HeaderChange.Set":           {"maxProperties": 16},
	"HeaderChange.Add":           {"maxProperties": 16},
	"HeaderChange.Remove":        {"maxItems": 16},
	"CORS.Origins":               {"maxItems": 64},
	"CORS.Methods":               {"maxItems": 9},
	"CORS.Headers":               {"maxItems": 64},
	"CORS.Expose":                {"maxItems": 64},
	"Gateway.Addresses":          {"maxItems": 16},
	"Infrastructure.Labels":      {"maxProperties": 8},
	"Infrastructure.Annotations": {"maxProperties": 16},
	"Gateway.Default":            {"maxItems": 64},
	"GatewayHost.Namespaces":     {"maxItems": 64},
	"Allow.Namespaces":           {"maxItems": 64},
	"Metadata.Name":              {"pattern": `^` + label + `$`, "maxLength": 63},
	"Metadata.Namespace":         {"pattern": `^` + label + `$`, "maxLength": 63},
	"PatchOperation.Path":        {"pattern": "^/"},
	"PatchOperation.From":        {"pattern": "^/"},
	"Address.Value":              {"minLength": 1, "maxLength": 253},
}

// oneOrList are the fields whose list may be a single item without brackets.
var oneOrList = map[string]bool{
	"Service.Gateway": true, "Route.Path": true, "Route.To": true,
	"GRPC.Method": true, "GRPC.To": true, "Stream.To": true, "TLS.To": true, "BackendTLS.CA": true,
	"Gateway.ClientAuth": true, "GatewayHost.TLS": true, "PortHost.TLS": true, "GatewayPort.TLS": true, "ClientAuth.CA": true,
}

// weighted are the fields that may be a map of backends to weights.
var weighted = map[string]bool{"Route.To": true, "GRPC.To": true, "Stream.To": true, "TLS.To": true}

// lacks are the fields of a struct that a type made of it does not have.
var lacks = map[string][]string{
	"GRPCBackend":   {"rewrite"},
	"StreamBackend": {"requestHeaders", "responseHeaders", "rewrite"},
}

// together are rules between the fields of a struct.
var together = map[string]object{
	"Redirect": {
		"not":   object{"required": []any{"path", "prefix"}},
		"anyOf": requireAny("scheme", "host", "port", "path", "prefix"),
	},
	"Rewrite":      {"not": object{"required": []any{"path", "prefix"}}, "minProperties": 1},
	"HeaderChange": {"minProperties": 1},
	"PatchTarget":  {"minProperties": 1},
	"Service":      {"anyOf": requireAny("port", "routes", "grpc", "tcp", "udp", "tls")},
	"GRPCMethod":   {"anyOf": requireAny("service", "method")},
	"SAN":          {"minProperties": 1, "maxProperties": 1},
	"Allow":        {"minProperties": 1},
	"GatewayPort": {"allOf": []any{
		forbids("protocol", []any{"TCP", "UDP"}, "hosts", "tls", "mode"), forbids("protocol", []any{"HTTP"}, "tls", "mode"),
		forbids("protocol", []any{"HTTPS"}, "mode"), forbids("mode", []any{"passthrough"}, "tls")}},
	"Route": {"not": object{"required": []any{"redirect"}, "anyOf": requireAny(
		"to", "rewrite", "retry", "timeout", "backendTimeout", "mirror")}},
	"PatchOperation": {"allOf": []any{
		needs([]any{"add", "replace", "test"}, "value"), needs([]any{"move", "copy"}, "from")}},
}

func requireAny(names ...string) []any {
	out := make([]any, len(names))
	for i, name := range names {
		out[i] = object{"required": []any{name}}
	}
	return out
}

// forbids says that some values of a field leave no room for others.
func forbids(field string, values []any, names ...string) object {
	return object{
		"if":   object{"properties": object{field: object{"enum": values}}, "required": []any{field}},
		"then": object{"not": object{"anyOf": requireAny(names...)}},
	}
}

// needs says that some operations need a field.
func needs(operations []any, name string) object {
	return object{
		"if":   object{"properties": object{"op": object{"enum": operations}}, "required": []any{"op"}},
		"then": object{"required": []any{name}},
	}
}
