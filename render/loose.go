package render

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"headgate.dev/render/object"
	"headgate.dev/schema"
	"headgate.dev/schema/source"
)

// facts are what an output says about Services: which there are, who may use them, which are used.
type facts struct {
	services []service
	grants   []grant
	uses     []use
	// loose and ungranted are the warnings about uses, as of the last good revision.
	loose, ungranted schema.Errors
}

type service struct{ namespace, name string }

// grant lets routes of a kind and namespace use a Service, or all of a namespace when its name is empty.
type grant struct {
	kind, namespace string
	service         service
}

// use is a reference of a route to a Service.
type use struct {
	by      *object.Object
	pointer string
	service service
}

// supply is what the whole tree says about Services.
type supply struct {
	services   map[service]int
	namespaces map[string]int // how many Services are in them
	grants     map[grant]int
}

// factsOf gathers what objects say.
func factsOf(objects []*object.Object) *facts {
	f := &facts{}
	for _, o := range objects {
		switch {
		case o.ID.Group == "" && o.ID.Kind == "Service":
			f.services = append(f.services, service{o.ID.Namespace, o.ID.Name})
		case o.ID.Group != gatewayGroup:
		case o.ID.Kind == "ReferenceGrant":
			f.grants = append(f.grants, grantsOf(o)...)
		case strings.HasSuffix(o.ID.Kind, "Route"):
			f.backends(o, o.Content["spec"], "/spec")
		}
	}
	return f
}

func grantsOf(o *object.Object) []grant {
	var out []grant
	spec, _ := o.Content["spec"].(map[string]any)
	from, _ := spec["from"].([]any)
	to, _ := spec["to"].([]any)
	for _, t := range to {
		t, _ := t.(map[string]any)
		if text(t, "group") != "" || text(t, "kind") != "Service" {
			continue
		}
		for _, f := range from {
			f, _ := f.(map[string]any)
			out = append(out, grant{text(f, "kind"), text(f, "namespace"), service{o.ID.Namespace, text(t, "name")}})
		}
	}
	return out
}

// backends gathers the Services a route uses, at and below a value of it.
func (f *facts) backends(o *object.Object, v any, pointer string) {
	switch v := v.(type) {
	case []any:
		for i, item := range v {
			f.backends(o, item, pointer+"/"+strconv.Itoa(i))
		}
	case map[string]any:
		for _, key := range []string{"rules", "filters", "requestMirror"} {
			if inner, ok := v[key]; ok {
				f.backends(o, inner, pointer+"/"+key)
			}
		}
		f.backend(o, v["backendRef"], pointer+"/backendRef")
		refs, _ := v["backendRefs"].([]any)
		for i, ref := range refs {
			at := pointer + "/backendRefs/" + strconv.Itoa(i)
			f.backend(o, ref, at)
			f.backends(o, ref, at)
		}
	}
}

func (f *facts) backend(o *object.Object, v any, pointer string) {
	ref, ok := v.(map[string]any)
	if !ok || text(ref, "group") != "" || text(ref, "kind") != "" && text(ref, "kind") != "Service" {
		return
	}
	s := service{text(ref, "namespace"), text(ref, "name")}
	if s.namespace == "" {
		s.namespace = o.ID.Namespace
	}
	f.uses = append(f.uses, use{o, pointer, s})
}

// add takes what an output says into the supply, or out of it when n is -1.
func (s *supply) add(f *facts, n int) {
	if s.services == nil {
		s.services, s.namespaces, s.grants = map[service]int{}, map[string]int{}, map[grant]int{}
	}
	for _, k := range f.services {
		count(s.services, k, n)
		count(s.namespaces, k.namespace, n)
	}
	for _, k := range f.grants {
		count(s.grants, k, n)
	}
}

func count[K comparable](m map[K]int, key K, n int) {
	if m[key] += n; m[key] == 0 {
		delete(m, key)
	}
}

// change brings the supply from some outputs to others, and tells whether it is another one now.
func (s *supply) change(drop, add []*output) bool {
	var before, after []string
	for _, out := range drop {
		before = out.facts.describe(before)
		s.add(out.facts, -1)
	}
	for _, out := range add {
		after = out.facts.describe(after)
		s.add(out.facts, 1)
	}
	slices.Sort(before)
	slices.Sort(after)
	return !slices.Equal(before, after)
}

// describe adds a text for each thing that is supplied.
func (f *facts) describe(to []string) []string {
	for _, s := range f.services {
		to = append(to, s.namespace+"/"+s.name)
	}
	for _, g := range f.grants {
		to = append(to, fmt.Sprint(g))
	}
	return to
}

// warn finds out which uses lead nowhere, each route's once however many of its rules have it. A tree without any Service of a namespace is silent about that namespace: what
// runs there is not its matter.
func (s *supply) warn(f *facts) {
	f.loose, f.ungranted = nil, nil
	for _, u := range f.uses {
		message, to := "", &f.loose
		switch {
		case s.namespaces[u.service.namespace] == 0:
		case s.services[u.service] == 0:
			message = fmt.Sprintf("there is no Service %s/%s in the tree, only others of that namespace%s",
				u.service.namespace, u.service.name, s.nearest(u.service))
		case !s.granted(u):
			to = &f.ungranted
			message = fmt.Sprintf("no ReferenceGrant of the tree lets %ss of namespace %s use Service %s/%s; "+
				"give that service allowFrom: [%[2]s]", u.by.ID.Kind, u.by.ID.Namespace, u.service.namespace, u.service.name)
		}
		if message == "" {
			continue
		}
		message = u.by.ID.String() + ": " + message
		if !slices.ContainsFunc(*to, func(e *schema.Error) bool { return e.Message == message }) {
			*to = append(*to, &schema.Error{Position: u.by.OriginOf(u.pointer), Message: message})
		}
	}
}

func (s *supply) granted(u use) bool {
	from := u.by.ID
	if from.Namespace == u.service.namespace {
		return true
	}
	all := service{namespace: u.service.namespace}
	return s.grants[grant{from.Kind, from.Namespace, u.service}] > 0 || s.grants[grant{from.Kind, from.Namespace, all}] > 0
}

// nearest gives `; did you mean "x"?` when a Service of the namespace has nearly the name.
func (s *supply) nearest(missing service) string {
	var known []string
	for k := range maps.Keys(s.services) {
		if k.namespace == missing.namespace {
			known = append(known, k.name)
		}
	}
	slices.Sort(known)
	if best := source.Nearest(missing.name, known); best != "" {
		return fmt.Sprintf("; did you mean %q?", best)
	}
	return ""
}
