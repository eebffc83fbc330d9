package preview

import (
	"fmt"
	"strings"

	"headgate.dev/render/object"
	"headgate.dev/schema"
)

// at gives the value at a path of keys, nil where there is none.
func at(v any, keys ...string) any {
	for _, key := range keys {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[key]
	}
	return v
}

func mapAt(v any, keys ...string) map[string]any {
	m, _ := at(v, keys...).(map[string]any)
	return m
}

func listAt(v any, keys ...string) []any {
	l, _ := at(v, keys...).([]any)
	return l
}

func textAt(v any, keys ...string) string {
	s, _ := at(v, keys...).(string)
	return s
}

// textsAt gives the strings of a list.
func textsAt(v any, keys ...string) []string {
	var out []string
	for _, item := range listAt(v, keys...) {
		if s, ok := item.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

// pointer makes an RFC 6901 pointer of keys and indexes.
func pointer(parts ...any) string {
	var b strings.Builder
	for _, p := range parts {
		b.WriteByte('/')
		if key, ok := p.(string); ok {
			b.WriteString(schema.EscapePointer(key))
		} else {
			fmt.Fprint(&b, p)
		}
	}
	return b.String()
}

// hostnames of a route, nil of none.
func hostnames(o *object.Object) []string {
	if o == nil || roleOf(o.ID) != route {
		return nil
	}
	return textsAt(o.Content, "spec", "hostnames")
}

// texts makes a JSON list of strings.
func texts(list []string) []any {
	out := make([]any, len(list))
	for i, s := range list {
		out[i] = s
	}
	return out
}

func textMap(m map[string]string) map[string]any {
	out := make(map[string]any, len(m))
	for key, value := range m {
		out[key] = value
	}
	return out
}

// ref is an object that another one names.
type ref struct {
	id object.ID
	// optional: the other one can do without.
	optional bool
	// pointer to the field that names it.
	pointer string
}

func core(kind, namespace, name string) object.ID {
	return object.ID{Kind: kind, Namespace: namespace, Name: name}
}

// backends calls f for each reference of a rule to a backend, those of its filters included. f may write to the reference when the rule is a copy.
func backends(rule any, f func(backend map[string]any, pointer string)) {
	inFilters := func(v any, where string) {
		for i, filter := range listAt(v, "filters") {
			if b := mapAt(filter, "requestMirror", "backendRef"); b != nil {
				f(b, where+pointer("filters", i, "requestMirror", "backendRef"))
			}
		}
	}
	inFilters(rule, "")
	for i, b := range listAt(rule, "backendRefs") {
		where := pointer("backendRefs", i)
		if m, ok := b.(map[string]any); ok {
			f(m, where)
		}
		inFilters(b, where)
	}
}

// service gives the Service that a reference to a backend names; ok is false where it names something else.
func service(backend map[string]any, namespace string) (id object.ID, ok bool) {
	if kind := textAt(backend, "kind"); textAt(backend, "group") != "" || kind != "" && kind != "Service" {
		return id, false
	}
	if n := textAt(backend, "namespace"); n != "" {
		namespace = n
	}
	return core("Service", namespace, textAt(backend, "name")), true
}
