package kustomize

import (
	"fmt"
	"regexp"
	"slices"

	"sigs.k8s.io/kustomize/api/types"

	"headgate.dev/render/object"
	"headgate.dev/schema"
)

// unmatchedPatch is how kustomize says that a merge patch is for no object: Kind.version.group/name.namespace.
var unmatchedPatch = regexp.MustCompile(`no resource matches strategic merge patch "(\w+)\.[^/"]*/([^"]+)\.[^".]*"`)

// registeredTwice is how kustomize says that two files have the same object.
var registeredTwice = regexp.MustCompile(`may not add resource with an already registered id: (\w+)\.[^/]*/([^"]+)\.[^".]*$`)

// failedOperation is how kustomize says which operation of a JSON patch could not be done, by its path.
var failedOperation = regexp.MustCompile(`(?:for path: '|doc is missing path: "?|testing value )(/[^'":\s]*)`)

// culprit gives what an error of kustomize is about: a merge patch for no object, or an operation that could not be done.
// It is nil when the error is about neither, or about an operation that several patches have.
func (p *places) culprit(text string) *schema.Node {
	if found := unmatchedPatch.FindStringSubmatch(text); found != nil {
		for _, patch := range p.patches {
			if textAt(patch, "/kind") == found[1] && textAt(patch, "/metadata/name") == found[2] {
				return patch
			}
		}
	}
	found := failedOperation.FindStringSubmatch(text)
	if found == nil {
		return nil
	}
	var culprit *schema.Node
	for _, patch := range p.patches {
		for _, op := range patch.Items {
			if textAt(op, "/path") != found[1] {
				continue
			}
			if culprit != nil {
				return nil
			}
			culprit = op
		}
	}
	return culprit
}

// Idle gives a warning for each patch whose target selects nothing of what its kustomization builds on. kustomize passes
// over it in silence. Labels and annotations are not compared.
func (b *Build) Idle() schema.Errors {
	var warnings schema.Errors
	for _, u := range b.units {
		if u.file.Component() {
			continue // acts on what others build on
		}
		var ids []identity
		for _, p := range u.file.patches {
			if p.Target == nil {
				continue
			}
			if ids == nil {
				ids = b.identities(u)
			}
			if !selectsAny(p.Target, ids) {
				at, _ := cut(p.textAt)
				warnings = append(warnings, &schema.Error{
					Position: u.file.root.At(at + "/target"), Field: schema.FieldPath(at + "/target"),
					Message: "selects nothing, so the patch does nothing: " + describe(p.Target),
				})
			}
		}
	}
	return warnings.Sort()
}

func describe(s *types.Selector) string {
	text := ""
	for _, part := range []struct{ key, value string }{
		{"group", s.Group}, {"version", s.Version}, {"kind", s.Kind}, {"name", s.Name}, {"namespace", s.Namespace},
	} {
		if part.value != "" {
			text += fmt.Sprintf(" %s %q", part.key, part.value)
		}
	}
	return "there is no object of" + text
}

// identity is what a selector asks about an object.
type identity struct {
	group, version, kind string
	names                []string // it has had, the last one now
}

// identities gives what a unit builds on and generates, with the names it has before the unit's own prefix and suffix.
func (b *Build) identities(u *unit) []identity {
	var out []identity
	for _, r := range u.file.refs {
		if below := b.units[r.name]; below != nil && (r.use == resource || r.use == component) {
			for _, id := range b.identities(below) {
				prefix, suffix := below.file.k.NamePrefix, below.file.k.NameSuffix
				if now := prefix + id.names[len(id.names)-1] + suffix; prefix+suffix != "" {
					id.names = append(slices.Clip(id.names), now)
				}
				out = append(out, id)
			}
		}
		if r.use == resource {
			for _, doc := range u.docs[r.name] {
				out = append(out, identify(doc.Root)...)
			}
		}
	}
	for i := range u.file.k.ConfigMapGenerator {
		out = append(out, identity{"", "v1", "ConfigMap", []string{u.file.k.ConfigMapGenerator[i].Name}})
	}
	for i := range u.file.k.SecretGenerator {
		out = append(out, identity{"", "v1", "Secret", []string{u.file.k.SecretGenerator[i].Name}})
	}
	return out
}

func identify(n *schema.Node) []identity {
	if items := n.Get("/items"); items != nil && items.Kind == schema.ListNode {
		var out []identity
		for _, item := range items.Items {
			out = append(out, identify(item)...)
		}
		return out
	}
	group, version := object.SplitAPIVersion(textAt(n, "/apiVersion"))
	return []identity{{group, version, textAt(n, "/kind"), []string{textAt(n, "/metadata/name")}}}
}

// selectsAny tells whether a selector may select one of some objects. Its fields are regular expressions over the whole
// text.
func selectsAny(s *types.Selector, ids []identity) bool {
	group, version, kind, name := matcher(s.Group), matcher(s.Version), matcher(s.Kind), matcher(s.Name)
	return slices.ContainsFunc(ids, func(id identity) bool {
		return group(id.group) && version(id.version) && kind(id.kind) && slices.ContainsFunc(id.names, name)
	})
}

func matcher(expression string) func(string) bool {
	compiled, err := regexp.Compile("^(?:" + expression + ")$")
	if expression == "" || err != nil {
		return func(string) bool { return true }
	}
	return compiled.MatchString
}
