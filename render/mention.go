package render

import (
	"maps"
	"slices"
	"strings"

	"headgate.dev/render/kustomize"
	"headgate.dev/schema"
)

// crosses tells whether a leaf below a kustomization may refer to an object that was renamed in another one: by a prefix,
// a suffix or the hash of a generator. Then they cannot be built apart. It says yes too often rather than too rarely.
func (n *node) crosses() bool {
	if !n.renames {
		return false
	}
	var leaves []*leaf
	n.collect(&leaves, new(schema.Errors))
	by := map[string]*leaf{} // nil for what several leaves rename
	for _, l := range leaves {
		for _, name := range l.renamed {
			if _, twice := by[name]; twice {
				by[name] = nil
			} else {
				by[name] = l
			}
		}
	}
	for _, l := range leaves {
		for _, name := range l.mentions {
			if renamer, ok := by[name]; ok && renamer != l {
				return true
			}
		}
	}
	return false
}

// mentions gives the names that documents may refer to others by, each once and sorted.
func mentions(nodes []*schema.Node) []string {
	found := map[string]struct{}{}
	for _, root := range nodes {
		kind, problem := identify(root)
		switch {
		case problem != nil || !refers(kind.group):
			continue
		case kind.group == schema.Group:
			specMentions(root, found)
		default:
			objectMentions(root, found)
		}
	}
	out := make([]string, 0, len(found))
	for _, name := range slices.Sorted(maps.Keys(found)) {
		out = append(out, strings.Clone(name)) // not the whole file with it
	}
	return out
}

// refers tells the groups in whose objects references are followed: those of Kubernetes, Gateway API and specs.
func refers(group string) bool {
	return group == schema.Group || !strings.Contains(group, ".") || strings.HasSuffix(group, ".k8s.io")
}

// named are lists whose items have names of their own, which refer to nothing.
var named = map[string]bool{
	"containers": true, "initContainers": true, "ephemeralContainers": true, "ports": true, "env": true, "volumes": true,
	"volumeMounts": true, "volumeDevices": true, "volumeClaimTemplates": true, "listeners": true, "headers": true,
	"queryParams": true, "rules": true, "set": true, "add": true,
}

func objectMentions(root *schema.Node, found map[string]struct{}) {
	for _, e := range root.Entries {
		switch e.Key {
		case "metadata":
			if annotations := root.Get("/metadata/annotations"); annotations != nil {
				everyText(annotations, found)
			}
		case "data", "stringData", "binaryData":
		default:
			fieldMentions(e.Key, e.Value, false, found)
		}
	}
}

// fieldMentions gathers names from the value of a field; in tells items of a named list.
func fieldMentions(key string, n *schema.Node, in bool, found map[string]struct{}) {
	switch n.Kind {
	case schema.StringNode:
		if key == "name" && !in || strings.HasSuffix(key, "Name") || key == "resourceNames" {
			found[n.Text] = struct{}{}
		}
	case schema.ListNode:
		for _, item := range n.Items {
			if key == "targetRefs" {
				attached(item, found)
			}
			fieldMentions(key, item, named[key], found)
		}
	case schema.MapNode:
		for _, e := range n.Entries {
			fieldMentions(e.Key, e.Value, in && e.Key == "name", found)
		}
	}
}

// attached gathers the name of a route that a policy may be for.
func attached(ref *schema.Node, found map[string]struct{}) {
	if name := ref.Get("/name"); name != nil {
		found[kustomize.RouteMark+name.Text] = struct{}{}
	}
}

// everyText gathers every text below a node.
func everyText(n *schema.Node, found map[string]struct{}) {
	if n.Kind == schema.StringNode {
		found[n.Text] = struct{}{}
	}
	for _, item := range n.Items {
		everyText(item, found)
	}
	for i := range n.Entries {
		everyText(n.Entries[i].Value, found)
	}
}

// referring are the fields of specs that hold references in their short form, as texts or as keys.
var referring = map[string]bool{
	"gateway": true, "service": true, "to": true, "class": true, "tls": true, "ca": true, "parameters": true,
}

func specMentions(root *schema.Node, found map[string]struct{}) {
	if name := root.Get("/metadata/name"); name != nil && root.Get("/spec/service") == nil {
		found[name.Text] = struct{}{} // the own Service
	}
	if spec := root.Get("/spec"); spec != nil {
		specFieldMentions(spec, false, found)
	}
}

func specFieldMentions(n *schema.Node, in bool, found map[string]struct{}) {
	if in && n.Kind == schema.StringNode {
		found[short(n.Text)] = struct{}{}
	}
	for _, item := range n.Items {
		specFieldMentions(item, in, found)
	}
	for i := range n.Entries {
		e := &n.Entries[i]
		if in {
			found[short(e.Key)] = struct{}{}
		}
		specFieldMentions(e.Value, in || referring[e.Key], found)
	}
}

// short gives the name in "namespace/name:port" or "namespace/name#listener".
func short(text string) string {
	if i := strings.IndexAny(text, ":#"); i >= 0 {
		text = text[:i]
	}
	return text[strings.LastIndexByte(text, '/')+1:]
}
