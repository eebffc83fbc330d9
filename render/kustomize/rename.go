package kustomize

import (
	"strconv"
	"strings"

	"headgate.dev/render/object"
	"headgate.dev/schema"
)

// made is an object kustomize made, before it becomes a node.
type made struct {
	content map[string]any
	at      *located
}

// names says what became of the names of a build, for the references no field path can lead kustomize to.
type names map[target][]renamed

type target struct{ kind, name string } // as written

type renamed struct {
	name, namespace, written string // written is the namespace as written
}

func newNames(objects []made) names {
	out := names{}
	for _, m := range objects {
		if m.at.base == nil {
			continue
		}
		t := target{kindOf(m.content), textAt(m.at.base, "/metadata/name")}
		out[t] = append(out[t], renamed{
			name: metadataOf(m.content, "name"), namespace: metadataOf(m.content, "namespace"), written: textAt(m.at.base, "/metadata/namespace"),
		})
	}
	return out
}

func kindOf(content map[string]any) string {
	kind, _ := content["kind"].(string)
	return kind
}

func metadataOf(content map[string]any, key string) string {
	metadata, _ := content["metadata"].(map[string]any)
	value, _ := metadata[key].(string)
	return value
}

// find gives the name an object has now that was written as kind and name in a namespace, as seen from one of its
// neighbours: where there are several, the one that was decorated as the neighbour was. It gives name when there is none.
func (n names) find(kind, namespace, name string, from made) string {
	found := ""
	own, ownWritten := metadataOf(from.content, "name"), textAt(from.at.base, "/metadata/name")
	for _, r := range n[target{kind, name}] {
		if r.namespace != namespace && r.written != namespace {
			continue
		}
		if ownWritten != "" && strings.Replace(own, ownWritten, name, 1) == r.name {
			return r.name
		}
		if found == "" {
			found = r.name
		}
	}
	if found == "" {
		return name
	}
	return found
}

// follow puts the references of an object right.
func (n names) follow(m made) {
	if m.at.base == nil {
		return
	}
	group, _ := object.SplitAPIVersion(textAt(m.at.base, "/apiVersion"))
	switch {
	case group == schema.Group && kindOf(m.content) == schema.KindServiceSpec:
		n.followSpec(m)
	case group == "gateway.networking.k8s.io":
		n.followRefs(m, m.content["spec"], "/spec")
	}
}

// followRefs restores references with a namespace of their own: kustomize took them for names of the object's own
// namespace.
func (n names) followRefs(m made, v any, pointer string) {
	switch v := v.(type) {
	case []any:
		for i, item := range v {
			n.followRefs(m, item, pointer+"/"+strconv.Itoa(i))
		}
	case map[string]any:
		for key, value := range v {
			n.followRefs(m, value, pointer+"/"+schema.EscapePointer(key))
		}
		namespace, hasNamespace := v["namespace"].(string)
		_, hasName := v["name"].(string)
		written := m.at.found[pointer]
		if !hasNamespace || !hasName || written == nil || namespace == metadataOf(m.content, "namespace") {
			return
		}
		kind, _ := v["kind"].(string)
		if kind == "" {
			kind = "Service"
			if strings.Contains(pointer, "/parentRef") {
				kind = "Gateway"
			}
		}
		if name := textAt(written, "/name"); name != "" {
			v["name"] = n.find(kind, namespace, name, m)
		}
	}
}

// followSpec puts the backends of a ServiceSpec right. The Service it means when it names none is the one of its name as
// written, as it would be in the HTTPRoute it stands for.
func (n names) followSpec(m made) {
	spec, ok := m.content["spec"].(map[string]any)
	if !ok {
		return
	}
	written, own := textAt(m.at.base, "/metadata/name"), metadataOf(m.content, "name")
	if _, named := spec["service"]; !named && written != "" && written != own {
		if name := n.find("Service", metadataOf(m.content, "namespace"), written, m); name != own {
			spec["service"] = name
		}
	}
	routes, _ := spec["routes"].([]any)
	for _, r := range routes {
		route, ok := r.(map[string]any)
		if !ok {
			continue
		}
		if to, ok := route["to"]; ok {
			route["to"] = n.backends(m, to)
		}
		mirrors, _ := route["mirror"].([]any)
		for _, entry := range mirrors {
			if mirror, ok := entry.(map[string]any); ok {
				if to, ok := mirror["to"]; ok {
					mirror["to"] = n.backends(m, to)
				}
			}
		}
	}
}

// backends rewrites any form of a spec's backends: a text, a list, a long form, a map of texts to weights.
func (n names) backends(m made, v any) any {
	switch v := v.(type) {
	case string:
		return n.short(m, v)
	case []any:
		for i, item := range v {
			v[i] = n.backends(m, item)
		}
	case map[string]any:
		if service, ok := v["service"].(string); ok {
			namespace, _ := v["namespace"].(string)
			v["service"] = n.backend(m, namespace, service)
			return v
		}
		out := make(map[string]any, len(v))
		for key, weight := range v {
			out[n.short(m, key)] = weight
		}
		return out
	}
	return v
}

// short rewrites "service", "service:port" and "namespace/service:port".
func (n names) short(m made, text string) string {
	namespace, rest, far := strings.Cut(text, "/")
	if !far {
		namespace, rest = "", text
	}
	service, port, numbered := strings.Cut(rest, ":")
	service = n.backend(m, namespace, service)
	if numbered {
		service += ":" + port
	}
	if far {
		service = namespace + "/" + service
	}
	return service
}

func (n names) backend(m made, namespace, service string) string {
	if namespace == "" {
		namespace = metadataOf(m.content, "namespace")
	}
	return n.find("Service", namespace, service, m)
}
