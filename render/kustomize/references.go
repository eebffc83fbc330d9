package kustomize

import (
	"strings"

	"headgate.dev/schema"
)

// gatewayGroup is the group of Gateway API, whose objects refer to others by name in ways kustomize does not know.
const gatewayGroup = "gateway.networking.k8s.io"

// kind names a kind of object, whatever its version.
type kind struct{ group, name string }

var (
	service   = kind{"", "Service"}
	secret    = kind{"", "Secret"}
	configMap = kind{"", "ConfigMap"}
	gateway   = kind{gatewayGroup, "Gateway"}
	class     = kind{gatewayGroup, "GatewayClass"}

	serviceSpec = kind{schema.Group, schema.KindServiceSpec}
	gatewaySpec = kind{schema.Group, schema.KindGatewaySpec}
	proxyConfig = kind{schema.Group, "ProxyConfig"}
)

// stands are the specs that become an object of a kind and the same name.
var stands = map[kind]kind{
	gateway:                     gatewaySpec,
	{gatewayGroup, "HTTPRoute"}: serviceSpec,
	{gatewayGroup, "GRPCRoute"}: serviceSpec,
	{gatewayGroup, "TLSRoute"}:  serviceSpec,
}

// referringFields are the fields of Gateway API objects that hold a reference or a list of them, with the kind they mean when
// they say none; in those without one the kind is required.
var referringFields = map[string]kind{
	"parentRefs": gateway, "parentRef": gateway,
	"backendRefs": service, "backendRef": service,
	"certificateRefs": secret, "clientCertificateRef": secret,
	"caCertificateRefs": {}, "targetRefs": {}, "parametersRef": {}, "extensionRef": {}, "to": {},
}

// follow puts the references of an object right. The names in it are as they were written: kustomize knows no reference
// of Gateway API or of a spec.
func (n names) follow(m made) {
	spec, ok := m.content["spec"].(map[string]any)
	if !ok {
		return
	}
	f := follower{names: n, from: m, namespace: metadataOf(m.content, "namespace")}
	switch kindOf(m.content) {
	case serviceSpec:
		f.service(spec)
	case gatewaySpec:
		f.gateway(spec)
	default:
		if strings.HasPrefix(kindOf(m.content).group, "gateway.networking.") { // of either channel
			f.object(spec)
		}
	}
}

// follower follows the references of one object.
type follower struct {
	names     names
	from      made
	namespace string // of the object
}

// name gives the name now of what is written as a name of a kind in a namespace; "" is the object's own.
func (f follower) name(k kind, namespace, name string) string {
	if name == "" {
		return name
	}
	if namespace == "" {
		namespace = f.namespace
	}
	return f.names.find(k, namespace, name, f.from)
}

// object follows the references of a Gateway API object.
func (f follower) object(v any) {
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			f.object(item)
		}
	case map[string]any:
		for key, value := range v {
			if k, ok := referringFields[key]; ok {
				f.references(k, value)
			}
			f.object(value)
		}
		if name, ok := v["gatewayClassName"].(string); ok {
			v["gatewayClassName"] = f.name(class, "", name)
		}
	}
}

// references follows one reference, or a list of them.
func (f follower) references(k kind, v any) {
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			f.references(k, item)
		}
	case map[string]any:
		if name, ok := v["kind"].(string); ok {
			k.name = name
		}
		if group, ok := v["group"].(string); ok {
			k.group = group
		}
		namespace, _ := v["namespace"].(string)
		if name, ok := v["name"].(string); ok && k.name != "" {
			v["name"] = f.name(k, namespace, name)
		}
	}
}

// service follows the references of a ServiceSpec. The Service it means when it names none is the one of its name as
// written, as it would be in the route it stands for.
func (f follower) service(spec map[string]any) {
	written, own := f.from.at.written("/metadata/name"), metadataOf(f.from.content, "name")
	if name, named := spec["service"].(string); named {
		spec["service"] = f.name(service, "", name)
	} else if spec["service"] == nil && written != "" && written != own {
		if name := f.name(service, "", written); name != own {
			spec["service"] = name
		}
	}
	change(spec, "gateway", func(v any) any { return f.texts(gateway, v) })
	for _, list := range []string{"routes", "grpc", "tcp", "udp", "tls"} {
		each(spec[list], func(route map[string]any) {
			change(route, "to", f.backends)
			each(route["mirror"], func(mirror map[string]any) { change(mirror, "to", f.backends) })
		})
	}
	if tls, ok := spec["backendTLS"].(map[string]any); ok {
		change(tls, "ca", f.authorities)
	}
}

// gateway follows the references of a GatewaySpec.
func (f follower) gateway(spec map[string]any) {
	if name, ok := spec["class"].(string); ok {
		spec["class"] = f.name(class, "", name)
	}
	secrets := func(v any) any { return f.texts(secret, v) }
	change(spec, "tls", secrets)
	change(spec, "clientCertificate", secrets)
	for _, list := range []string{"hosts", "ports"} {
		each(spec[list], func(entry map[string]any) {
			change(entry, "tls", secrets)
			each(entry["hosts"], func(host map[string]any) { change(host, "tls", secrets) })
		})
	}
	each(spec["clientAuth"], func(auth map[string]any) {
		change(auth, "ca", func(v any) any { return f.texts(configMap, v) })
	})
	if infrastructure, ok := spec["infrastructure"].(map[string]any); ok {
		change(infrastructure, "parameters", func(v any) any {
			f.references(proxyConfig, v)
			return f.texts(proxyConfig, v)
		})
	}
}

// backends follows any form of a spec's backends: a text, a list, a long form, a map of texts to weights.
func (f follower) backends(v any) any {
	switch v := v.(type) {
	case []any:
		for i, item := range v {
			v[i] = f.backends(item)
		}
	case map[string]any:
		if name, ok := v["service"].(string); ok {
			namespace, _ := v["namespace"].(string)
			v["service"] = f.name(service, namespace, name)
			return v
		}
		out := make(map[string]any, len(v))
		for key, weight := range v {
			out[f.short(service, key)] = weight
		}
		return out
	case string:
		return f.short(service, v)
	}
	return v
}

// texts follows a short form, a list of them, or a map whose values are short forms.
func (f follower) texts(k kind, v any) any {
	switch v := v.(type) {
	case string:
		return f.short(k, v)
	case []any:
		for i, item := range v {
			v[i] = f.texts(k, item)
		}
	case map[string]any:
		if _, long := v["name"]; long {
			return v
		}
		for key, value := range v {
			v[key] = f.texts(k, value)
		}
	}
	return v
}

// authorities follows where the certificates of authorities are: the name of a ConfigMap, or what the long form says.
// "system" stands for those of the system.
func (f follower) authorities(v any) any {
	switch v := v.(type) {
	case string:
		if v != "system" {
			return f.short(configMap, v)
		}
	case []any:
		for i, item := range v {
			v[i] = f.authorities(item)
		}
	case map[string]any:
		change(v, "configMap", func(v any) any { return f.texts(configMap, v) })
		change(v, "secret", func(v any) any { return f.texts(secret, v) })
	}
	return v
}

// short follows "name", "namespace/name" and both with a port (":80") or a listener ("#https") behind.
func (f follower) short(k kind, text string) string {
	rest, behind := text, ""
	if i := strings.IndexAny(text, ":#"); i >= 0 {
		rest, behind = text[:i], text[i:]
	}
	namespace, name, far := strings.Cut(rest, "/")
	if !far {
		return f.name(k, "", rest) + behind
	}
	return namespace + "/" + f.name(k, namespace, name) + behind
}

// change changes an entry of a map that is there.
func change(m map[string]any, key string, f func(any) any) {
	if v, ok := m[key]; ok {
		m[key] = f(v)
	}
}

// each calls f for the maps of a list, or for a map that stands where a list may.
func each(v any, f func(map[string]any)) {
	switch v := v.(type) {
	case map[string]any:
		f(v)
	case []any:
		for _, item := range v {
			if m, ok := item.(map[string]any); ok {
				f(m)
			}
		}
	}
}
