package expand

import (
	"strconv"

	"headgate.dev/render/object"
	"headgate.dev/schema"
)

// defaultClass is the GatewayClass the installation brings.
const defaultClass = "headgate"

// Gateway expands a GatewaySpec: one Gateway NAME and, where hosts are redirected to HTTPS, an HTTPRoute NAME-redirect.
func Gateway(s *schema.GatewaySpec, _ Context) ([]*object.Object, schema.Errors) {
	d := newDraft(s, "Gateway", s.Metadata.Name)
	set := listenersOf(s)
	if len(set.errs) > 0 {
		return nil, set.errs
	}
	class := string(s.Spec.Class)
	if class == "" {
		class = defaultClass
	}
	listeners := make([]any, len(set.out))
	for i := range set.out {
		listeners[i] = set.out[i].object(s)
		d.from(s, "/spec/listeners/"+strconv.Itoa(i), set.out[i].at)
	}
	spec := map[string]any{"gatewayClassName": class, "listeners": listeners}
	d.from(s, "/spec/gatewayClassName", "/spec/class")
	part := func(field string, content any, given bool, from string) {
		if given {
			spec[field] = content
			d.from(s, "/spec/"+field, from)
		}
	}
	part("addresses", addresses(s.Spec.Addresses), len(s.Spec.Addresses) > 0, "/spec/addresses")
	i := infrastructure(s.Spec.Infrastructure)
	part("infrastructure", i, len(i) > 0, "/spec/infrastructure")
	if s.Spec.Allow != nil && s.Spec.Allow.ListenerSets != nil {
		part("allowedListeners", map[string]any{"namespaces": namespaces(s.Spec.Allow.ListenerSets)}, true, "/spec/allow/listenerSets")
	}
	tls := gatewayTLS(&s.Spec)
	part("tls", tls, len(tls) > 0, "/spec/clientAuth")
	d.content["spec"] = spec
	d.defaultFor(s)
	return finish(s, append([]*draft{d}, redirectRoute(s, set)...), s.Spec.Patches)
}

func (d *draft) defaultFor(s *schema.GatewaySpec) {
	if s.Spec.Default == nil || s.Spec.Default.String() == "" {
		return
	}
	metadata := d.content["metadata"].(map[string]any)
	annotations, ok := metadata["annotations"].(map[string]any)
	if !ok {
		annotations = map[string]any{}
		metadata["annotations"] = annotations
	}
	annotations[schema.DefaultForAnnotation] = s.Spec.Default.String()
	d.from(s, "/metadata/annotations/"+schema.EscapePointer(schema.DefaultForAnnotation), "/spec/default")
}

func addresses(all []schema.Address) []any {
	out := make([]any, len(all))
	for i, a := range all {
		out[i] = map[string]any{"type": string(a.Type), "value": a.Value}
	}
	return out
}

func infrastructure(i *schema.Infrastructure) map[string]any {
	if i == nil {
		return nil
	}
	out := map[string]any{}
	if len(i.Labels) > 0 {
		out["labels"] = anyMap(i.Labels)
	}
	if len(i.Annotations) > 0 {
		out["annotations"] = anyMap(i.Annotations)
	}
	if p := i.Parameters; p != nil {
		out["parametersRef"] = map[string]any{"group": p.Group, "kind": p.Kind, "name": p.Name}
	}
	return out
}

// gatewayTLS gives what a Gateway says about certificates of clients, and about its own towards backends.
func gatewayTLS(g *schema.Gateway) map[string]any {
	out := map[string]any{}
	if g.ClientCertificate != nil {
		out["backend"] = map[string]any{"clientCertificateRef": objectRef("Secret", *g.ClientCertificate)}
	}
	if len(g.ClientAuth) == 0 {
		return out
	}
	frontend := map[string]any{"default": map[string]any{}}
	var ports []any
	for i := range g.ClientAuth {
		c := &g.ClientAuth[i]
		if len(c.Ports) == 0 {
			frontend["default"] = clientValidation(c)
		}
		for _, port := range c.Ports {
			ports = append(ports, map[string]any{"port": int64(port), "tls": clientValidation(c)})
		}
	}
	if len(ports) > 0 {
		frontend["perPort"] = ports
	}
	out["frontend"] = frontend
	return out
}

var clientModes = map[schema.ClientAuthMode]string{
	schema.ClientValidOnly: "AllowValidOnly", schema.ClientInsecureFallback: "AllowInsecureFallback",
}

func clientValidation(c *schema.ClientAuth) map[string]any {
	refs := make([]any, len(c.CA))
	for i, ca := range c.CA {
		refs[i] = objectRef("ConfigMap", ca)
	}
	validation := map[string]any{"caCertificateRefs": refs}
	if c.Mode != "" {
		validation["mode"] = clientModes[c.Mode]
	}
	return map[string]any{"validation": validation}
}

// objectRef is a reference to an object of the core group.
func objectRef(kind string, name schema.ObjectName) map[string]any {
	out := map[string]any{"group": "", "kind": kind, "name": name.Name}
	if name.Namespace != "" {
		out["namespace"] = name.Namespace
	}
	return out
}
