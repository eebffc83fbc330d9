package render

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"headgate.dev/render/expand"
	"headgate.dev/render/object"
	"headgate.dev/schema"
)

// world is what the second pass knows of the whole tree.
type world struct {
	// text tells worlds apart: what a leaf was expanded in is still good in a world of the same text.
	text      string
	namespace string
	scopes    map[groupKind]bool
	fallback  string            // the default gateway where no offer fits
	general   string            // the gateway that is the default everywhere
	sole      map[string]string // namespace, "" for the whole tree -> the only gateway there that does not say whether it is a default
	special   map[string]string // namespace -> gateway that is its default
	redirects map[string]expand.Redirects
}

// redirecting is a gateway that redirects plain HTTP.
type redirecting struct {
	namespace, name string // namespace as written
	redirects       expand.Redirects
}

// offer is a gateway that wants to be a default.
type offer struct {
	namespace, name string // namespace as written
	general         bool
	special         []string
	silent          bool // it does not say whether it is a default: it is one where it is the only one
	at              object.Origin
}

// defaultFor is the annotation of a Gateway that is a default: "*" or namespaces separated by commas.
const defaultFor = "headgate.dev/default-for"

func specOffer(g *schema.GatewaySpec) (offer, bool) {
	d := g.Spec.Default
	if d == nil {
		return offer{namespace: g.Metadata.Namespace, name: g.Metadata.Name, silent: true}, true
	}
	if !d.All && len(d.Names) == 0 {
		return offer{}, false
	}
	o := offer{namespace: g.Metadata.Namespace, name: g.Metadata.Name, general: d.All, at: g.At("/spec/default")}
	for _, name := range d.Names {
		o.special = append(o.special, string(name))
	}
	return o, true
}

func rawOffer(i item) (offer, bool) {
	if i.content["kind"] != "Gateway" || !strings.HasPrefix(text(i.content, "apiVersion"), gatewayGroup+"/") {
		return offer{}, false
	}
	metadata, _ := i.content["metadata"].(map[string]any)
	annotations, _ := metadata["annotations"].(map[string]any)
	value := text(annotations, defaultFor)
	o := offer{namespace: text(metadata, "namespace"), name: text(metadata, "name"), at: i.origin}
	for name := range strings.SplitSeq(value, ",") {
		switch name = strings.TrimSpace(name); name {
		case "":
		case "*":
			o.general = true
		default:
			o.special = append(o.special, name)
		}
	}
	return o, o.general || len(o.special) > 0
}

func text(m map[string]any, key string) string {
	s, _ := m[key].(string)
	return s
}

// newWorld gathers what the leaves say. Two gateways that want to be the default of the same namespace, or both of all,
// are an error; one that names a namespace comes before one that is for all.
func newWorld(leaves []*leaf, options Options) (*world, schema.Errors) {
	w := &world{
		namespace: options.Namespace, scopes: map[groupKind]bool{}, fallback: options.Gateway,
		sole: map[string]string{}, special: map[string]string{}, redirects: map[string]expand.Redirects{},
	}
	taken := map[string]offer{} // by namespace, "" for all
	var errs schema.Errors
	claim := func(namespace string, o offer) bool {
		first, ok := taken[namespace]
		if ok {
			for _, pair := range [][2]offer{{o, first}, {first, o}} {
				errs = append(errs, &schema.Error{Position: pair[0].at, Message: fmt.Sprintf(
					"a second default gateway%s; the other is at %s", where(namespace), pair[1].at)})
			}
			return false
		}
		taken[namespace] = o
		return true
	}
	for _, l := range leaves {
		maps.Copy(w.scopes, l.scopes)
		for _, r := range l.redirect {
			w.redirects[inNamespace(r.namespace, options.Namespace)+"/"+r.name] = r.redirects
		}
		for _, o := range l.offers {
			gateway := o.gateway(options.Namespace)
			if o.silent {
				w.silent("", gateway)
				w.silent(inNamespace(o.namespace, options.Namespace), gateway)
			}
			if o.general && claim("", o) {
				w.general = gateway
			}
			for _, namespace := range o.special {
				if claim(namespace, o) {
					w.special[namespace] = gateway
				}
			}
		}
	}
	w.text = w.describe()
	return w, errs
}

// silent notes a gateway that does not say whether it is a default. Of two nobody is.
func (w *world) silent(namespace, gateway string) {
	if _, another := w.sole[namespace]; another {
		gateway = ""
	}
	w.sole[namespace] = gateway
}

func (o offer) gateway(namespace string) string {
	return inNamespace(o.namespace, namespace) + "/" + o.name
}

func inNamespace(written, standard string) string {
	if written == "" {
		return standard
	}
	return written
}

func where(namespace string) string {
	if namespace == "" {
		return ""
	}
	return " for namespace " + namespace
}

func (w *world) describe() string {
	parts := []string{w.namespace, w.fallback, w.general}
	for _, namespace := range slices.Sorted(maps.Keys(w.special)) {
		parts = append(parts, namespace+"="+w.special[namespace])
	}
	for _, namespace := range slices.Sorted(maps.Keys(w.sole)) {
		parts = append(parts, namespace+"~"+w.sole[namespace])
	}
	for _, kind := range slices.SortedFunc(maps.Keys(w.scopes), compareKinds) {
		parts = append(parts, fmt.Sprintf("%s/%s=%v", kind.group, kind.kind, w.scopes[kind]))
	}
	for _, gateway := range slices.Sorted(maps.Keys(w.redirects)) {
		parts = append(parts, gateway+" "+w.redirects[gateway].String())
	}
	return strings.Join(parts, "\n")
}

// gateway gives the default gateway of a namespace, "" when there is none.
func (w *world) gateway(namespace string) string {
	switch {
	case w.special[namespace] != "":
		return w.special[namespace]
	case w.general != "":
		return w.general
	case w.sole[namespace] != "":
		return w.sole[namespace]
	case w.sole[""] != "":
		return w.sole[""]
	default:
		return w.fallback
	}
}
