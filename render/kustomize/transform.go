package kustomize

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/api/types"

	"headgate.dev/render/object"
	"headgate.dev/schema"
)

// Transform is what a push-down kustomization does to each object by itself: namespace, labels, annotations.
type Transform struct {
	namespace   string
	labels      []types.Label
	annotations map[string]string
	file        *File
	key         string
}

// Transform gives what a push-down kustomization does; nil for a union.
func (f *File) Transform() *Transform {
	if f.Mode() != PushDown {
		return nil
	}
	t := &Transform{namespace: f.k.Namespace, labels: f.k.Labels, annotations: f.k.CommonAnnotations, file: f}
	labels := make([]any, len(t.labels))
	for i, l := range t.labels {
		labels[i] = []any{texts(l.Pairs), l.IncludeSelectors, l.IncludeTemplates, l.IncludeVolumeClaimTemplates}
	}
	// The file is part of the key because errors and origins name it.
	t.key = string(object.AppendJSON(nil, []any{f.Path, t.namespace, labels, texts(t.annotations)}))
	return t
}

func texts(m map[string]string) map[string]any {
	out := make(map[string]any, len(m))
	for k, v := range m {
		out[k] = v
	}
	return out
}

// Key tells transforms apart: the same key, the same effect.
func (t *Transform) Key() string { return t.key }

// Namespaced tells whether the transform sets the namespace.
func (t *Transform) Namespaced() bool { return t.namespace != "" }

// Metadata is the part of an object that a transform changes without kustomize.
type Metadata struct {
	Namespace   string
	Labels      map[string]string
	Annotations map[string]string
}

// Apply gives the metadata of an object after the transform; m and its maps are left alone.
func (t *Transform) Apply(m Metadata) Metadata {
	if t.namespace != "" {
		m.Namespace = t.namespace
	}
	for _, l := range t.labels {
		m.Labels = merged(m.Labels, l.Pairs)
	}
	m.Annotations = merged(m.Annotations, t.annotations)
	return m
}

func merged(a, b map[string]string) map[string]string {
	if len(b) == 0 {
		return a
	}
	out := make(map[string]string, len(a)+len(b))
	maps.Copy(out, a)
	maps.Copy(out, b)
	return out
}

// Native tells whether Apply does to a kind exactly what kustomize would.
func (t *Transform) Native(group, kind string) bool {
	if group == schema.Group || group == "gateway.networking.k8s.io" {
		return true
	}
	if t.namespace != "" && (namespacing[kind] || referring[kind]) {
		return false
	}
	if len(t.annotations) > 0 && templated[kind] {
		return false
	}
	return !slices.ContainsFunc(t.labels, func(l types.Label) bool {
		return l.IncludeSelectors || l.IncludeTemplates || l.IncludeVolumeClaimTemplates
	})
}

// Kinds that hold more than metadata to change.
var (
	// A namespace is written elsewhere too.
	namespacing = map[string]bool{"Namespace": true, "APIService": true, "CustomResourceDefinition": true}
	// They refer to objects by namespace and name; the namespace follows the object.
	referring = map[string]bool{
		"RoleBinding": true, "ClusterRoleBinding": true,
		"ValidatingWebhookConfiguration": true, "MutatingWebhookConfiguration": true,
	}
	// Annotations are written on their pods too.
	templated = map[string]bool{
		"ReplicationController": true, "Deployment": true, "ReplicaSet": true, "DaemonSet": true,
		"StatefulSet": true, "Job": true, "CronJob": true,
	}
)

// Alone tells whether an object may be transformed without those beside it: it must not refer to others by namespace
// while namespaces change, and carry no annotation that asks kustomize for something.
func Alone(n *schema.Node, namespaced bool) bool {
	if namespaced && referring[textAt(n, "/kind")] {
		return false
	}
	annotations := n.Get("/metadata/annotations")
	if annotations == nil {
		return true
	}
	return !slices.ContainsFunc(annotations.Entries, func(e schema.Entry) bool {
		return strings.HasPrefix(e.Key, "kustomize.config.k8s.io/") || strings.HasPrefix(e.Key, "internal.config.kubernetes.io/") ||
			slices.Contains(kustomizeOwn, e.Key)
	})
}

// kustomizeOwn are annotations kustomize takes for its own.
var kustomizeOwn = []string{
	originAnnotation, transformerAnnotation, "config.kubernetes.io/index", "config.kubernetes.io/path", "config.kubernetes.io/id",
	"config.kubernetes.io/function", "config.k8s.io/id",
}

// Apply runs transforms over documents that Native says need kustomize, the first one first.
func Apply(nodes []*schema.Node, transforms []*Transform) ([]*schema.Node, error) {
	s := newStage()
	docs := make([]schema.Document, len(nodes))
	for i, n := range nodes {
		docs[i] = schema.Document{File: n.Pos.File, Index: i, Root: n}
	}
	p := &places{files: map[string]*File{}, root: transforms[len(transforms)-1].file}
	below := ""
	for i, t := range transforms {
		dir := fmt.Sprintf(dirPattern, i)
		s.names[dir] = t.file.Dir
		k := &types.Kustomization{Namespace: t.namespace, Labels: t.labels, CommonAnnotations: t.annotations}
		k.FixKustomization()
		if below == "" {
			k.Resources = []string{s.writeDocs(dir, nodes[0].Pos.File, docs)}
		} else {
			k.Resources = []string{path.Join("..", below)}
		}
		if i == len(transforms)-1 {
			finish(k)
		}
		s.writeKustomization(dir, k)
		below = dir
	}
	made, _, err := s.run(below, p.root, p)
	return made, err
}
