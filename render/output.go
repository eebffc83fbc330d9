package render

import (
	"maps"

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

// output expands a leaf, unless it has been in the same world. The error is one of reading.
func (l *leaf) output(t *tree, w *world) (*output, error) {
	if l.out != nil && l.out.world == w.text {
		return l.out, nil
	}
	if l.spent {
		again := &node{name: l.file.name, env: l.file.env}
		if err := t.fillFile(again); err != nil {
			return nil, err
		}
		l.items, l.spent = again.leaf.items, false
	}
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
	return out, nil
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
