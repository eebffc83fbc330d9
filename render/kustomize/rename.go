package kustomize

import (
	"slices"
	"strings"

	"headgate.dev/render/object"
)

// made is an object kustomize made, before it becomes a node.
type made struct {
	content map[string]any
	at      *located
}

// names says what became of the names of a build.
type names struct {
	written map[target][]renamed // by the name in a file
	now     map[target][]renamed // by the name they have
}

type target struct {
	kind kind
	name string
}

type renamed struct {
	name, writtenName, namespace, writtenNamespace string
	hashed                                         bool // a hash may follow the name
}

func newNames(objects []made) names {
	out := names{written: map[target][]renamed{}, now: map[target][]renamed{}}
	for _, m := range objects {
		r := renamed{
			name: metadataOf(m.content, "name"), writtenName: m.at.written("/metadata/name"),
			namespace: metadataOf(m.content, "namespace"), writtenNamespace: m.at.written("/metadata/namespace"),
			hashed: m.at.generator != nil,
		}
		if r.writtenName == "" {
			continue
		}
		k := kindOf(m.content)
		out.written[target{k, r.writtenName}] = append(out.written[target{k, r.writtenName}], r)
		if r.name != r.writtenName {
			out.now[target{k, r.name}] = append(out.now[target{k, r.name}], r)
		}
	}
	return out
}

// RouteMark precedes the name of a ServiceSpec among those that Renamed gives: only what attaches to a route means it.
const RouteMark = "route/"

// changed gives the names that no longer are what is written, each once and sorted.
func (n names) changed() []string {
	var out []string
	for t, now := range n.now {
		mark := ""
		if t.kind == serviceSpec {
			mark = RouteMark
		}
		for _, r := range now {
			out = append(out, mark+r.writtenName)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func kindOf(content map[string]any) kind {
	apiVersion, _ := content["apiVersion"].(string)
	group, _ := object.SplitAPIVersion(apiVersion)
	name, _ := content["kind"].(string)
	return kind{group, name}
}

func metadataOf(content map[string]any, key string) string {
	metadata, _ := content["metadata"].(map[string]any)
	value, _ := metadata[key].(string)
	return value
}

// find gives the name an object has now that was written as a kind and name in a namespace, as seen from one of its
// neighbours: where there are several, the one that was decorated as the neighbour was. A name may also be written as an
// inner kustomization has already decorated it. It gives name when there is none, or no telling which.
func (n names) find(k kind, namespace, name string, from made) string {
	decorated := name
	if written := from.at.written("/metadata/name"); written != "" {
		decorated = strings.Replace(metadataOf(from.content, "name"), written, name, 1)
	}
	elsewhere := func(r renamed) bool {
		return k != class && r.namespace != namespace && r.writtenNamespace != namespace
	}
	candidates := slices.DeleteFunc(named(n.written, k, name), elsewhere)
	if len(candidates) == 0 {
		if len(slices.DeleteFunc(named(n.now, k, decorated), elsewhere)) > 0 {
			return decorated
		}
		return name
	}
	return choose(candidates, name, decorated)
}

// named gives the objects of a kind, and the specs that become one, by a name.
func named(by map[target][]renamed, k kind, name string) []renamed {
	return slices.Concat(by[target{k, name}], by[target{stands[k], name}])
}

// choose gives the name of the candidate that is decorated in a way, else the one name all have, else the written one.
func choose(candidates []renamed, written, decorated string) string {
	only := candidates[0].name
	for _, r := range candidates {
		if r.name == decorated || r.hashed && strings.HasPrefix(r.name, decorated+"-") {
			return r.name
		}
		if r.name != only {
			only = written
		}
	}
	return only
}
