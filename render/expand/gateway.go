package expand

import (
	"fmt"
	"strconv"
	"strings"

	"headgate.dev/render/object"
	"headgate.dev/schema"
)

const (
	// defaultClass is the GatewayClass the installation brings.
	defaultClass = "headgate"
	// maxListeners is how many listeners a Gateway may have.
	maxListeners = 64
	httpPort     = 80
	// namespaceName is the label every namespace has its name in.
	namespaceName = "kubernetes.io/metadata.name"
)

// Gateway expands a GatewaySpec: one Gateway.
func Gateway(s *schema.GatewaySpec, _ Context) ([]*object.Object, schema.Errors) {
	d := newDraft(s, "Gateway", s.Metadata.Name)
	listeners, errs := d.listeners(s)
	if len(errs) > 0 {
		return nil, errs
	}
	class := string(s.Spec.Class)
	if class == "" {
		class = defaultClass
	}
	spec := map[string]any{"gatewayClassName": class, "listeners": listeners}
	d.from(s, "/spec/gatewayClassName", "/spec/class")
	if len(s.Spec.Addresses) > 0 {
		spec["addresses"] = addresses(s.Spec.Addresses)
		d.from(s, "/spec/addresses", "/spec/addresses")
	}
	if i := infrastructure(s.Spec.Infrastructure); len(i) > 0 {
		spec["infrastructure"] = i
		d.from(s, "/spec/infrastructure", "/spec/infrastructure")
	}
	d.content["spec"] = spec
	d.defaultFor(s)
	return finish(s, []*draft{d}, s.Spec.Patches)
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

// listenerSet collects listeners and finds those that would be the same.
type listenerSet struct {
	spec  *schema.GatewaySpec
	draft *draft
	out   []any
	names map[string]string // name of a listener: pointer of what it comes from
	binds map[string]string // port and hostname: likewise
	errs  schema.Errors
}

func (d *draft) listeners(s *schema.GatewaySpec) ([]any, schema.Errors) {
	set := &listenerSet{spec: s, draft: d, names: map[string]string{}, binds: map[string]string{}}
	set.addHosts(s.Spec.Hosts, httpPort, "/spec/hosts")
	for i, p := range s.Spec.Ports {
		at := "/spec/ports/" + strconv.Itoa(i)
		if len(p.Hosts) == 0 {
			set.add(schema.GatewayHost{Host: "*"}, p.Port, at)
			continue
		}
		set.addHosts(p.Hosts, p.Port, at+"/hosts")
	}
	if len(s.Spec.Hosts) == 0 && len(s.Spec.Ports) == 0 {
		set.add(schema.GatewayHost{Host: "*"}, httpPort, "/spec")
	}
	if len(set.out) > maxListeners {
		set.errs = append(set.errs, s.Errorf("/spec/hosts", "%d listeners are more than a Gateway can have, %d; use a wildcard or a second GatewaySpec", len(set.out), maxListeners))
	}
	return set.out, set.errs
}

func (l *listenerSet) addHosts(hosts []schema.GatewayHost, port schema.Port, at string) {
	for i, h := range hosts {
		l.add(h, port, at+"/"+strconv.Itoa(i))
	}
}

func (l *listenerSet) add(h schema.GatewayHost, port schema.Port, at string) {
	name := listenerName(h.Host, port)
	listener := map[string]any{
		"name":          name,
		"port":          int64(port),
		"protocol":      string(schema.ProtocolHTTP),
		"allowedRoutes": map[string]any{"namespaces": l.namespaces(h.Namespaces)},
	}
	if h.Host != "*" {
		listener["hostname"] = string(h.Host)
	}
	bind := fmt.Sprintf("%d %s", port, h.Host)
	if first, there := l.binds[bind]; there {
		l.errs = append(l.errs, l.spec.Errorf(at, "%s on port %d is already there in %s", h.Host, port, schema.FieldPath(first)))
		return
	}
	if first, there := l.names[name]; there {
		l.errs = append(l.errs, l.spec.Errorf(at, "the listener would be named %s, like the one of %s", name, schema.FieldPath(first)))
		return
	}
	l.binds[bind], l.names[name] = at, at
	l.draft.from(l.spec, "/spec/listeners/"+strconv.Itoa(len(l.out)), at)
	l.out = append(l.out, listener)
}

// listenerName is "http", "http.shop.example.com", "http.wildcard.example.com"; "http-8080..." on other ports.
func listenerName(host schema.ListenerHost, port schema.Port) string {
	name := "http"
	if port != httpPort {
		name += "-" + strconv.Itoa(int(port))
	}
	if host == "*" {
		return name
	}
	if rest, wildcard := strings.CutPrefix(string(host), "*."); wildcard {
		return name + ".wildcard." + rest
	}
	return name + "." + string(host)
}

// namespaces says whose routes may attach: what the host says, else what the spec allows, else the same namespace's.
func (l *listenerSet) namespaces(n *schema.Namespaces) map[string]any {
	if n == nil && l.spec.Spec.Allow != nil {
		n = l.spec.Spec.Allow.Namespaces
	}
	switch {
	case n == nil || n.Same:
		return map[string]any{"from": "Same"}
	case n.All:
		return map[string]any{"from": "All"}
	case len(n.Names) > 0:
		in := map[string]any{"key": namespaceName, "operator": "In", "values": anyList(n.Names)}
		return map[string]any{"from": "Selector", "selector": map[string]any{"matchExpressions": []any{in}}}
	default:
		return map[string]any{"from": "Selector", "selector": map[string]any{"matchLabels": anyMap(n.Labels)}}
	}
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
