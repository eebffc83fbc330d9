package render

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"headgate.dev/render/expand"
	"headgate.dev/render/kustomize"
	"headgate.dev/render/object"
	"headgate.dev/schema"
)

// leaf is the first pass's result for a file or a whole kustomization.
type leaf struct {
	// items are dropped once they are expanded, if there is a file to decode them from again: decoded specs are half of what
	// a small service would cost in memory, and are needed again only when the world changes.
	items    []item
	file     *node // of the leaf of a file; nil for a kustomization
	spent    bool  // items are dropped
	warnings schema.Errors
	offers   []offer
	redirect []redirecting
	// scopes are those of the kinds the leaf's CustomResourceDefinitions bring: true for cluster-scoped ones.
	scopes map[groupKind]bool
	// renamed are the names that were changed when it was built, mentions those it may refer to others by; both are known
	// only below a kustomization.
	renamed, mentions []string
	out               *output
}

// item is one object as it was written: a spec, or anything else. Exactly one of spec and content is set.
type item struct {
	spec    schema.Spec
	content map[string]any
	origin  object.Origin
	fields  map[string]object.Origin
}

type groupKind struct{ group, kind string }

// fillFile makes the leaf of a file.
func (t *tree) fillFile(n *node) error {
	t.rendered++
	n.leaf = &leaf{file: n}
	docs, err := t.decode(n.name)
	if n.errs = fault(err); err != nil && n.errs == nil {
		return err
	}
	var nodes []*schema.Node
	for _, doc := range docs {
		nodes = flatten(nodes, doc.Root)
	}
	n.errs = append(n.errs, n.take(nodes)...)
	return nil
}

// fillWhole makes the leaf of a kustomization that is built in one piece.
func (t *tree) fillWhole(n *node) error {
	t.rendered++
	n.leaf, n.whole = &leaf{}, false
	build, err := kustomize.Walk(t, n.name)
	var nodes []*schema.Node
	if err == nil {
		nodes, err = build.Run()
	}
	if err == nil && n.env.listed {
		n.leaf.renamed = build.Renamed()
		n.renames = len(n.leaf.renamed) > 0
		// A reference leads to an object of the same namespace, which they all have only in the end.
		n.whole = n.renames && n.env.chain.namespaced() && scattered(nodes)
	}
	if n.errs = fault(err); err != nil {
		if n.errs == nil {
			return err
		}
		n.errs = append(n.errs, t.listedErrors(n.name)...)
		return nil
	}
	var flat []*schema.Node
	for _, root := range nodes {
		flat = flatten(flat, root)
	}
	n.errs = append(n.errs, n.take(flat)...)
	n.leaf.warnings = build.Idle()
	if len(flat) > slow {
		n.leaf.warnings = append(n.leaf.warnings, &schema.Error{Position: schema.Position{File: n.file.Path}, Message: fmt.Sprintf(
			"kustomize builds its %d objects in one piece, which takes seconds for every change below it; "+
				"namespace, labels and commonAnnotations alone would be applied object by object", len(flat))})
	}
	return nil
}

// scattered tells documents that are written for more than one namespace.
func scattered(nodes []*schema.Node) bool {
	namespaces := map[string]struct{}{}
	for _, root := range nodes {
		namespace := ""
		if n := root.Get("/metadata/namespace"); n != nil {
			namespace = n.Text
		}
		namespaces[namespace] = struct{}{}
	}
	return len(namespaces) > 1
}

// listedErrors says what is wrong with the files that a refused kustomization lists as resources, as they are before
// anything is done to them, so that all errors of a tree are told at once. What lies outside the directory is left to
// whoever it belongs to.
func (t *tree) listedErrors(dir string) schema.Errors {
	name, err := kustomize.Find(t, dir)
	if err != nil || name == "" {
		return nil
	}
	docs, err := t.decode(name)
	if err != nil {
		return nil // that is why it was refused
	}
	var errs schema.Errors
	for _, doc := range docs {
		resources := doc.Root.Get("/resources")
		if resources == nil {
			continue
		}
		for _, item := range resources.Items {
			file := &node{name: path.Join(dir, item.Text)}
			if !within(dir, file.name) || !Readable(file.name) {
				continue
			}
			if kind, err := t.Kind(file.name); err == nil && kind == kustomize.Regular && t.fillFile(file) == nil {
				errs = append(errs, file.errs...)
			}
		}
	}
	return errs
}

// slow is the number of objects from which a kustomization built in one piece is worth a warning: about 0.3 s.
const slow = 300

// flatten adds a document, or the items of a List.
func flatten(nodes []*schema.Node, root *schema.Node) []*schema.Node {
	items := root.Get("/items")
	kind := root.Get("/kind")
	if items == nil || items.Kind != schema.ListNode || kind == nil || !strings.HasSuffix(kind.Text, "List") {
		return append(nodes, root)
	}
	for _, item := range items.Items {
		nodes = flatten(nodes, item)
	}
	return nodes
}

// take transforms and decodes the documents of a leaf.
func (n *node) take(nodes []*schema.Node) schema.Errors {
	natives, foreign, errs := n.sort(nodes)
	if n.env.listed {
		n.leaf.mentions = mentions(nodes)
	}
	if n.whole {
		return errs // made anew, together with what is beside it
	}
	for _, root := range natives {
		errs = append(errs, n.leaf.add(root, n.env.chain)...)
	}
	if len(foreign) == 0 {
		return errs
	}
	made, err := kustomize.Apply(foreign, n.env.chain.transforms)
	if err != nil {
		wrong := fault(err)
		if wrong == nil {
			wrong = schema.Errors{{Position: foreign[0].Pos, Message: err.Error()}}
		}
		return append(errs, wrong...)
	}
	for _, root := range made {
		errs = append(errs, n.leaf.add(root, nil)...)
	}
	return errs
}

// sort tells the documents that are transformed here from those that need kustomize for it, and notes when one cannot be
// transformed apart from what is beside it.
func (n *node) sort(nodes []*schema.Node) (natives, foreign []*schema.Node, errs schema.Errors) {
	for _, root := range nodes {
		kind, problem := identify(root)
		if problem != nil {
			errs = append(errs, problem)
			continue
		}
		if n.env.listed {
			if localConfig(root) {
				continue
			}
			n.whole = n.whole || !kustomize.Alone(root, n.env.chain.namespaced())
		}
		if n.env.chain.native(kind) {
			natives = append(natives, root)
		} else {
			foreign = append(foreign, root)
		}
	}
	return natives, foreign, errs
}

// native tells whether all transforms of a chain can be done here for a kind.
func (c *chain) native(kind groupKind) bool {
	return c == nil || !slices.ContainsFunc(c.transforms, func(t *kustomize.Transform) bool { return !t.Native(kind.group, kind.kind) })
}

// identify gives group and kind of a document, or says that it is no object.
func identify(root *schema.Node) (groupKind, *schema.Error) {
	fail := func(message string) (groupKind, *schema.Error) {
		return groupKind{}, &schema.Error{Position: root.Pos, Message: message}
	}
	if root.Kind != schema.MapNode {
		return fail("is no Kubernetes object: expected a map with apiVersion and kind; name the file in " + ignoreFile + " if it is something else")
	}
	kind, version := root.Get("/kind"), root.Get("/apiVersion")
	switch {
	case kind == nil || kind.Kind != schema.StringNode || kind.Text == "":
		return fail("has no kind; name the file in " + ignoreFile + " if it is no Kubernetes object")
	case version == nil || version.Kind != schema.StringNode || version.Text == "":
		return fail(kind.Text + " has no apiVersion; name the file in " + ignoreFile + " if it is no Kubernetes object")
	}
	group, _ := object.SplitAPIVersion(version.Text)
	if group == "kustomize.config.k8s.io" {
		return fail("a " + kind.Text + " must be in a file called kustomization.yaml")
	}
	return groupKind{group, kind.Text}, nil
}

// localConfig tells objects that are for kustomize alone.
func localConfig(root *schema.Node) bool {
	n := root.Get("/metadata/annotations/config.kubernetes.io~1local-config")
	return n != nil && n.Text != "false"
}

// add decodes one document after the transforms of a chain.
func (l *leaf) add(root *schema.Node, c *chain) schema.Errors {
	if schema.IsSpec(root) {
		return l.addSpec(root, c)
	}
	content, _ := root.Value().(map[string]any)
	if err := modernise(content); err != nil {
		return schema.Errors{{Position: root.At("/apiVersion"), Field: "apiVersion", Message: err.Error()}}
	}
	if errs := checkMetadata(root); len(errs) > 0 {
		return errs
	}
	if c != nil {
		c.applyContent(content)
	}
	if _, err := object.New(content, root.Pos, nil); err != nil {
		return schema.Errors{{Position: root.Pos, Message: err.Error()}}
	}
	i := item{content: content, origin: root.Pos, fields: object.Fields(root)}
	l.items = append(l.items, i)
	if offer, ok := rawOffer(i); ok {
		l.offers = append(l.offers, offer)
	}
	l.addScope(content)
	return nil
}

func (l *leaf) addSpec(root *schema.Node, c *chain) schema.Errors {
	spec, errs := schema.Decode(root)
	if len(errs) > 0 {
		return errs
	}
	if c != nil {
		meta := spec.Meta()
		m := kustomize.Metadata{Namespace: meta.Namespace, Labels: meta.Labels, Annotations: meta.Annotations}
		for _, t := range c.transforms {
			m = t.Apply(m)
		}
		meta.Namespace, meta.Labels, meta.Annotations = m.Namespace, m.Labels, m.Annotations
	}
	l.items = append(l.items, item{spec: spec, origin: root.Pos})
	if gateway, ok := spec.(*schema.GatewaySpec); ok {
		if offer, ok := specOffer(gateway); ok {
			l.offers = append(l.offers, offer)
		}
		if r, ok := expand.RedirectsOf(gateway); ok {
			l.redirect = append(l.redirect, redirecting{gateway.Metadata.Namespace, gateway.Metadata.Name, r})
		}
	}
	return nil
}

// checkMetadata refuses labels and annotations that are no text, which everything after this relies on.
func checkMetadata(root *schema.Node) schema.Errors {
	var errs schema.Errors
	for _, pointer := range []string{"/metadata/labels", "/metadata/annotations"} {
		n := root.Get(pointer)
		if n == nil || n.Kind == schema.NullNode {
			continue
		}
		if n.Kind != schema.MapNode {
			errs = append(errs, &schema.Error{Position: root.At(pointer), Field: schema.FieldPath(pointer), Message: "expected a map"})
			continue
		}
		for _, e := range n.Entries {
			if e.Value.Kind != schema.StringNode {
				at := pointer + "/" + schema.EscapePointer(e.Key)
				errs = append(errs, &schema.Error{
					Position: root.At(at), Field: schema.FieldPath(at), Message: "expected text; write it in quotes",
				})
			}
		}
	}
	return errs
}

// applyContent transforms an object in place.
func (c *chain) applyContent(content map[string]any) {
	metadata, ok := content["metadata"].(map[string]any)
	if !ok {
		return
	}
	m := kustomize.Metadata{}
	m.Namespace, _ = metadata["namespace"].(string)
	m.Labels, m.Annotations = texts(metadata["labels"]), texts(metadata["annotations"])
	for _, t := range c.transforms {
		m = t.Apply(m)
	}
	if m.Namespace != "" {
		metadata["namespace"] = m.Namespace
	}
	for key, values := range map[string]map[string]string{"labels": m.Labels, "annotations": m.Annotations} {
		if len(values) == 0 {
			continue
		}
		out := make(map[string]any, len(values))
		for k, v := range values {
			out[k] = v
		}
		metadata[key] = out
	}
}

func texts(v any) map[string]string {
	m, ok := v.(map[string]any)
	if !ok {
		return nil
	}
	out := make(map[string]string, len(m))
	for key, value := range m {
		out[key], _ = value.(string)
	}
	return out
}
