package preview

import (
	"cmp"
	"slices"
	"strings"

	"headgate.dev/schema"
)

// RulesOf gives what a Sync says about one of its previews: all of the rules but the namespace and what is taken. The Sync has previews.
func RulesOf(s *schema.Sync, p *schema.PreviewSpec) Rules {
	spec := s.Spec.Previews
	r := Rules{
		Sync: s.Name, Name: p.Name, Domain: spec.Domain, Host: strings.NewReplacer("{{ ", "{{", " }}", "}}").Replace(spec.Host),
		Mode: Mode(spec.Mode), SHA: p.Commit, Quota: spec.Quota,
	}
	if namespace, rest, ok := strings.Cut(spec.Gateway, "/"); ok {
		name, section, _ := strings.Cut(rest, "#")
		r.Gateway = Parent{Namespace: namespace, Name: name, Section: section}
	}
	for _, i := range spec.Images {
		r.Images = append(r.Images, Image{Name: i.Name, NewName: i.NewName, NewTag: i.NewTag})
	}
	if p.Fork {
		r.Fork = &Fork{}
		if r.Mode == Both {
			r.Mode = ByHost // a stranger answers at hosts of previews alone
		}
		if f := spec.Forks; f != nil {
			r.Fork.Registries, r.Fork.Kinds = f.Registries, f.Kinds
		}
	}
	return r
}

// Gateway gives where the first route that has a host is served; the zero Parent where none has it.
func (p *Plan) Gateway(host string) Parent {
	for o := range p.Objects.All() {
		parents := listAt(o.Content, "spec", "parentRefs")
		if len(parents) > 0 && slices.Contains(hostnames(o), host) {
			return Parent{
				Namespace: cmp.Or(textAt(parents[0], "namespace"), o.ID.Namespace), Name: textAt(parents[0], "name"), Section: textAt(parents[0], "sectionName"),
			}
		}
	}
	return Parent{}
}
