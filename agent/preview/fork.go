package preview

import (
	"slices"
	"strings"

	"headgate.dev/render/object"
)

// forkMay tells whether a fork may have changed an object.
func (p *planner) forkMay(o *object.Object) bool {
	kinds := p.rules.Fork.Kinds
	if kinds == nil {
		kinds = ForkKinds
	}
	switch {
	case o.ID.Group == "" && o.ID.Kind == "Secret":
		p.refuse(RuleSecret, o, "", "a fork brings no Secret")
		return false
	case !slices.Contains(kinds, o.ID.Kind) && !slices.Contains(kinds, o.ID.Group+"/"+o.ID.Kind):
		p.refuse(RuleKind, o, "", "a fork may change "+strings.Join(kinds, ", "))
		return false
	case roleOf(o.ID) == route:
		return p.forkMayRoute(o)
	}
	return true
}

// forkMayRoute refuses a route that leads to what the namespace's routes do not lead to in production, and filters that are somebody else's objects.
func (p *planner) forkMayRoute(o *object.Object) bool {
	good := true
	for i, rule := range listAt(o.Content, "spec", "rules") {
		where := pointer("spec", "rules", i)
		backends(rule, func(b map[string]any, at string) {
			id, ok := service(b, o.ID.Namespace)
			if ok && (p.served[id] || p.isNew(id) && id.Namespace == o.ID.Namespace) {
				return
			}
			good = false
			p.refuse(RuleBackend, o, where+at, "no route of production leads to "+textAt(b, "name")+", and a fork opens no way to it")
		})
		if hasExtension(rule) {
			good = false
			p.refuse(RuleFilter, o, where, "a fork uses no filter that is an object of its own")
		}
	}
	return good
}

// isNew tells whether an object comes with the change.
func (p *planner) isNew(id object.ID) bool {
	return p.production.Get(id) == nil && slices.ContainsFunc(p.change.Put, func(o *object.Object) bool { return o.ID == id })
}

func hasExtension(rule any) bool {
	extension := func(f any) bool { return mapAt(f, "extensionRef") != nil }
	if slices.ContainsFunc(listAt(rule, "filters"), extension) {
		return true
	}
	return slices.ContainsFunc(listAt(rule, "backendRefs"), func(b any) bool {
		return slices.ContainsFunc(listAt(b, "filters"), extension)
	})
}

// imagesAllowed looks where the images of a workload come from, as they are in the preview.
func (p *planner) imagesAllowed(w *object.Object) bool {
	good := true
	containers(podSpec(w), func(c map[string]any, where string) {
		name, _ := splitImage(p.rules.image(textAt(c, "image")))
		for _, r := range p.rules.Fork.Registries {
			if r = strings.TrimSuffix(r, "/"); r != "" && (name == r || strings.HasPrefix(name, r+"/")) {
				return
			}
		}
		good = false
		p.refuse(RuleImage, w, where, "image "+textAt(c, "image")+" is from none of the registries that forks may use")
	})
	return good
}
