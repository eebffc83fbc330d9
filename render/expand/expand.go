// Package expand turns one spec into its Gateway API objects.
//
// A rule is a rule of the generated HTTPRoutes: usually one per route of the spec, more where one rule cannot hold what
// the route says. A listener is a listener of the generated Gateway. The names of generated objects, rules and listeners
// are API: people patch them, alert on them and look for them.
package expand

import (
	"slices"
	"strconv"

	"headgate.dev/render/object"
	"headgate.dev/schema"
)

const (
	gatewayGroup = "gateway.networking.k8s.io"
	apiVersion   = gatewayGroup + "/v1"
)

// Context is what an expansion depends on beside the spec.
type Context struct {
	// Gateway is the default gateway, "namespace/name" or "namespace/name#listener"; empty when there is none, which is
	// an error only where a spec needs it.
	Gateway string
	// Redirects are the gateways of the tree that redirect plain HTTP, by "namespace/name"; a namespace is that of the
	// object, not what is written. Routes of the same namespace keep away from the listeners that do.
	Redirects map[string]Redirects
}

// Spec expands a spec of either kind.
func Spec(s schema.Spec, c Context) ([]*object.Object, schema.Errors) {
	switch s := s.(type) {
	case *schema.ServiceSpec:
		return Service(s, c)
	case *schema.GatewaySpec:
		return Gateway(s, c)
	}
	return nil, nil
}

// draft is an object while it is made.
type draft struct {
	content map[string]any
	fields  map[string]object.Origin
	own     bool // the content shares nothing with another draft
}

// newDraft makes an object named after the spec, with its labels and annotations.
func newDraft(s schema.Spec, kind, name string) *draft {
	m := s.Meta()
	metadata := map[string]any{"name": name}
	if m.Namespace != "" {
		metadata["namespace"] = m.Namespace
	}
	if len(m.Labels) > 0 {
		metadata["labels"] = anyMap(m.Labels)
	}
	if len(m.Annotations) > 0 {
		metadata["annotations"] = anyMap(m.Annotations)
	}
	return &draft{
		content: map[string]any{"apiVersion": apiVersion, "kind": kind, "metadata": metadata},
		fields:  map[string]object.Origin{},
	}
}

// from records that the field at pointer of the object comes from the value at the pointer in the spec, if it is there.
func (d *draft) from(s schema.Spec, pointer, specPointer string) {
	if at := s.At(specPointer); at.Line > 0 {
		d.fields[pointer] = at
	}
}

// finish applies the patches and makes the objects.
func finish(s schema.Spec, drafts []*draft, patches []schema.Patch) ([]*object.Object, schema.Errors) {
	if errs := applyPatches(s, drafts, patches); len(errs) > 0 {
		return nil, errs
	}
	objects := make([]*object.Object, 0, len(drafts))
	for _, d := range drafts {
		o, err := object.New(d.content, s.At(""), d.fields)
		if err != nil {
			return nil, schema.Errors{s.Errorf("", "%s", err)}
		}
		objects = append(objects, o)
	}
	return objects, nil
}

// numbered gives the name of the nth of the things one name stands for: "shop", "shop-2", "shop-3".
func numbered(name string, n int) string {
	if n == 0 {
		return name
	}
	return name + "-" + strconv.Itoa(n+1)
}

func anyMap(m map[string]string) map[string]any {
	out := make(map[string]any, len(m))
	for k, v := range m {
		out[k] = v
	}
	return out
}

func anyList[T ~string](items []T) []any {
	out := make([]any, len(items))
	for i, item := range items {
		out[i] = string(item)
	}
	return out
}

// chunks cuts items into runs of at most size; no items are one empty run.
func chunks[T any](items []T, size int) [][]T {
	if len(items) == 0 {
		return [][]T{nil}
	}
	return slices.Collect(slices.Chunk(items, size))
}
