package render

import (
	"maps"
	"slices"

	"headgate.dev/render/admit"
	"headgate.dev/render/expand"
	"headgate.dev/render/object"
	"headgate.dev/schema"
)

// output is the second pass's result for a leaf.
type output struct {
	world    string
	objects  []*object.Object
	errs     schema.Errors
	warnings schema.Errors
	facts    *facts
	pass     int  // the last pass it was part of
	in       bool // whether the Renderer's set holds its objects
}

// collect adds all leaves at and below a node, in the order of their names, and everything that is wrong there.
func (n *node) collect(leaves *[]*leaf, errs *schema.Errors) {
	*errs = append(*errs, n.errs...)
	if n.leaf != nil {
		*leaves = append(*leaves, n.leaf)
	}
	for _, child := range n.children {
		child.collect(leaves, errs)
	}
}

// expand gives every leaf its output of a world. The error is one of reading.
func (t *tree) expand(leaves []*leaf, w *world, each func(int, func(int))) error {
	var stale []*leaf
	for _, l := range leaves {
		if l.out != nil && l.out.world == w.text {
			continue
		}
		stale = append(stale, l)
	}
	if each == nil {
		each = inOrder
	}
	for part := range slices.Chunk(stale, batch) {
		for _, l := range part {
			if err := t.revive(l); err != nil {
				return err
			}
		}
		each(len(part), func(i int) { part[i].expand(t, w) })
	}
	return nil
}

// batch is how many leaves are decoded again before they are expanded: decoded specs are large.
const batch = 512

func inOrder(n int, f func(i int)) {
	for i := range n {
		f(i)
	}
}

// revive decodes once more what a leaf no longer holds.
func (t *tree) revive(l *leaf) error {
	if !l.spent {
		return nil
	}
	again := &node{name: l.file.name, env: l.file.env}
	if err := t.fillFile(again); err != nil {
		return err
	}
	l.items, l.spent = again.leaf.items, false
	return nil
}

// expand makes the output of a leaf. It writes to nothing but the leaf, and may run beside that of another one.
func (l *leaf) expand(t *tree, w *world) {
	out := &output{world: w.text, warnings: l.warnings}
	for _, i := range l.items {
		if i.spec != nil {
			objects, errs := w.expand(i.spec)
			out.objects, out.errs = append(out.objects, objects...), append(out.errs, errs...)
			continue
		}
		o, err := object.New(w.place(i.content), i.origin, i.fields)
		if err != nil {
			out.errs = append(out.errs, &schema.Error{Position: i.origin, Message: err.Error()})
			continue
		}
		out.objects = append(out.objects, o)
	}
	out.errs = append(out.errs, t.admit(out.objects)...)
	out.facts = factsOf(out.objects)
	l.out = out
	if l.file != nil {
		l.items, l.spent = nil, true
	}
}

// admit says what an API server would refuse. What the set before holds already has been admitted.
func (t *tree) admit(objects []*object.Object) schema.Errors {
	var errs schema.Errors
	for _, o := range objects {
		if o.ID.Group != admit.Group || t.unadmitted {
			continue
		}
		if before := t.before.Get(o.ID); before != nil && before.Digest == o.Digest {
			continue
		}
		_, wrong := admit.Admit(o)
		errs = append(errs, wrong...)
	}
	return errs
}

// place gives an object the namespace it lives in: that of the options where it says none, none where its kind is
// cluster-scoped. The content is left alone; what is given shares all but the metadata with it.
func (w *world) place(content map[string]any) map[string]any {
	group, _ := object.SplitAPIVersion(text(content, "apiVersion"))
	metadata, _ := content["metadata"].(map[string]any)
	namespace := text(metadata, "namespace")
	cluster := w.cluster(groupKind{group, text(content, "kind")})
	_, written := metadata["namespace"]
	if cluster && !written || !cluster && (namespace != "" || w.namespace == "" && !written) {
		return content
	}
	content, metadata = maps.Clone(content), maps.Clone(metadata)
	if cluster || w.namespace == "" {
		delete(metadata, "namespace")
	} else {
		metadata["namespace"] = w.namespace
	}
	content["metadata"] = metadata
	return content
}

// expand makes the objects of a spec. The spec is left alone: it may be expanded again in another world.
func (w *world) expand(spec schema.Spec) ([]*object.Object, schema.Errors) {
	namespace := spec.Meta().Namespace
	if namespace == "" {
		namespace = w.namespace
	}
	context := expand.Context{Gateway: w.gateway(namespace), Redirects: w.redirects}
	switch spec := spec.(type) {
	case *schema.ServiceSpec:
		placed := *spec
		placed.Metadata.Namespace = namespace
		return expand.Service(&placed, context)
	case *schema.GatewaySpec:
		placed := *spec
		placed.Metadata.Namespace = namespace
		return expand.Gateway(&placed, context)
	default:
		return nil, schema.Errors{spec.Errorf("/kind", "%s is not expanded", spec.Kind())}
	}
}
